/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that encodes finished profiles and hands them to the outlets, so that neither a large
 * profile nor a disk that hesitates keeps the worker from its queues. What it has not delivered yet
 * is bounded: the loop ends no interval while there is no room. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <csample/log.h>
#include <csample/mem.h>

#include "internal.h"

struct courier {
	struct deliverer *deliverer;
	const char *notify_socket;
	pthread_t thread;
	bool has_thread; /* else everything is done at once, by who asks for it */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct parcel queue[COURIER_ROOM]; /* oldest first */
	size_t n;                          /* the first of them is under way */
	bool reopen, ending;
};

static void parcel_free(struct parcel *p)
{
	profile_destroy(p->profile);
	passed_strings_free(p->strings);
	for (size_t i = 0; i < p->n_labels; i++) {
		free((char *)p->labels[i].name);
		free((char *)p->labels[i].value);
	}
	free(p->labels);
}

static void deliver(struct courier *c, struct parcel *p)
{
	struct delivery what = {
	        .profile = p->profile,
	        .sequence = p->sequence,
	        .type = p->type,
	        .labels = p->labels,
	        .n_labels = p->n_labels,
	};
	void *bytes = NULL;
	struct err *err =
	        encode_pprof(p->profile, &bytes, &what.pprof_len, &what.pprof_unpacked_len);
	what.pprof = bytes;
	if (err)
		log_warn("a profile is lost: %s", err->msg);
	else
		deliverer_put(c->deliverer, &what);
	err_free(err);
	free(bytes);
}

static void reopen(struct courier *c)
{
	deliverer_reopen(c->deliverer);
	notify_send(c->notify_socket, "READY=1");
	log_info("outputs are opened anew (SIGHUP)");
}

static void *courier_main(void *arg)
{
	struct courier *c = arg;
	pthread_mutex_lock(&c->lock);
	for (;;) {
		bool again = c->reopen;
		if (!c->n && !again && c->ending)
			break;
		if (!c->n && !again) {
			pthread_cond_wait(&c->changed, &c->lock);
			continue;
		}
		c->reopen = false;
		struct parcel first = c->n ? c->queue[0] : (struct parcel){0};
		pthread_mutex_unlock(&c->lock);
		if (again)
			reopen(c);
		if (first.profile) {
			deliver(c, &first);
			parcel_free(&first);
		}
		pthread_mutex_lock(&c->lock);
		if (first.profile)
			memmove(&c->queue[0], &c->queue[1], --c->n * sizeof(*c->queue));
		pthread_cond_broadcast(&c->changed);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

struct courier *courier_start(struct deliverer *d, const char *notify_socket)
{
	struct courier *c = mem_zalloc(sizeof(*c));
	sigset_t all, old;
	c->deliverer = d;
	c->notify_socket = notify_socket;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int errnum = pthread_create(&c->thread, NULL, courier_main, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	c->has_thread = !errnum;
	if (errnum)
		log_warn("no thread for writing profiles (%s): samples wait meanwhile",
		         strerror(errnum));
	return c;
}

bool courier_has_room(struct courier *c)
{
	pthread_mutex_lock(&c->lock);
	bool room = c->n < COURIER_ROOM;
	pthread_mutex_unlock(&c->lock);
	return room;
}

bool courier_is_idle(struct courier *c)
{
	pthread_mutex_lock(&c->lock);
	bool idle = !c->n;
	pthread_mutex_unlock(&c->lock);
	return idle;
}

void courier_put(struct courier *c, struct parcel *p)
{
	if (!c->has_thread) {
		deliver(c, p);
		parcel_free(p);
		return;
	}
	pthread_mutex_lock(&c->lock);
	while (c->n == COURIER_ROOM)
		pthread_cond_wait(&c->changed, &c->lock);
	c->queue[c->n++] = *p;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

void courier_reopen(struct courier *c)
{
	if (!c->has_thread) {
		reopen(c);
		return;
	}
	pthread_mutex_lock(&c->lock);
	c->reopen = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

void courier_wait(struct courier *c)
{
	pthread_mutex_lock(&c->lock);
	while (c->n)
		pthread_cond_wait(&c->changed, &c->lock);
	pthread_mutex_unlock(&c->lock);
}

void courier_finish(struct courier *c)
{
	pthread_mutex_lock(&c->lock);
	c->ending = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	if (c->has_thread)
		pthread_join(c->thread, NULL);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->changed);
	free(c);
}
