/* SPDX-License-Identifier: Apache-2.0 */
/* The side-band tells of all processes of the machine, since events of a thread's own would slow
 * each of its context switches. Beside a busy shell or a build that is hundreds of records a
 * second, and being woken for each cost more than all samples at 100 Hz (measured: 20 to 50 us a
 * wake-up). Who hears of strangers only stops listening for a while, and looks by itself. */
#include "ear.h"

#define DEAF_TURNS 16
#define NAP_MS     20 /* a thread not known yet is met a tick or two later */
#define SHORT_MS   2  /* where ours come and go, too */
#define LATELY_NS  2000000000ULL

void ear_turn(struct ear *ear, uint64_t now_ns)
{
	if (ear->own) {
		ear->own_ns = now_ns;
		ear->deaf = 0;
	} else if (ear->foreign) {
		ear->deaf = DEAF_TURNS;
	} else if (ear->deaf) {
		ear->deaf--;
	}
	ear->own = ear->foreign = 0;
}

int ear_deaf_ms(const struct ear *ear, uint64_t now_ns)
{
	if (!ear->deaf)
		return 0;
	return ear->own_ns && now_ns - ear->own_ns < LATELY_NS ? SHORT_MS : NAP_MS;
}
