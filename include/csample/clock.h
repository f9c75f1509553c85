/* SPDX-License-Identifier: Apache-2.0 */
/* The clock that all times of a run are on. */
#ifndef CSAMPLE_CLOCK_H
#define CSAMPLE_CLOCK_H

#include <stdint.h>

uint64_t now_ns(void); /* CLOCK_MONOTONIC, which perf events use as well */

#endif
