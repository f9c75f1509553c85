/* SPDX-License-Identifier: Apache-2.0 */
/* Was the sampler asleep when the tick came, and was it the next to run on its CPU? Only then has
 * the interrupted thread not executed another instruction, and the tick's registers are its
 * registers now. Lateness alone does not tell: a sampler that was busy, or was itself stopped for a
 * while, finds a fresh tick in its ring of a thread that ran on after it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csample/mem.h>

#include "copy.h"

/* How often the calling thread was switched out, and so in again: it runs before and after. In a
 * third of the time that its schedstat takes. */
static uint64_t own_runs(void)
{
	struct rusage usage = {0};
	getrusage(RUSAGE_THREAD, &usage);
	return (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw;
}

static uint64_t times_run(int fd)
{
	char text[SCHEDSTAT_TEXT];
	return fd >= 0 && read_kept(fd, text, sizeof(text)) ? schedstat_times_run(text) : 0;
}

/* The kernel's migration thread of a CPU runs above all priorities and may take the interrupted
 * thread elsewhere before we run. Its pid is low; from a pid namespace it cannot be seen. */
static int open_stopper(int cpu)
{
	char name[32], path[64], comm[32];
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	snprintf(name, sizeof(name), "migration/%d\n", cpu);
	for (long pid = 2; pid < 64 + 16 * cpus; pid++) {
		snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
		_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd >= 0 ? read(fd, comm, sizeof(comm) - 1) : -1;
		comm[n > 0 ? n : 0] = '\0';
		if (strcmp(comm, name) != 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%ld/schedstat", pid);
		return open(path, O_RDONLY | O_CLOEXEC);
	}
	return -1;
}

void witness_open(struct witness *w, int cpu)
{
	*w = (struct witness){
	        .stopper_fd = open_stopper(cpu),
	        .slept = true,
	};
	w->stopper_runs = times_run(w->stopper_fd);
}

void witness_close(struct witness *w)
{
	if (w->stopper_fd >= 0)
		close(w->stopper_fd);
}

/* The stopper runs now and then for reasons of its own: what it did long ago must not count. */
#define STOPPER_FRESH_NS 50000000

void witness_before_sleep(struct witness *w)
{
	uint64_t now = now_ns();
	if (now - w->stopper_read_ns > STOPPER_FRESH_NS) {
		w->stopper_runs = times_run(w->stopper_fd);
		w->stopper_read_ns = now;
	}
	if (w->slept)
		w->own_runs = own_runs();
	w->slept = true; /* until asked what woke us */
	/* Last: were we stopped between the count and the sleep, that would be counted in its
	 * stead, but the ticks of that time are older than this. */
	w->sleep_ns = now_ns();
}

void witness_slept(struct witness *w)
{
	w->slept = true;
}

bool witness_woken_by(struct witness *w, const struct tick *tick)
{
	uint64_t before = w->own_runs;
	w->own_runs = own_runs();
	w->slept = false;
	return w->own_runs == before + 1 && tick->time_ns > w->sleep_ns;
}

bool witness_left_in_place(struct witness *w, const struct tick *tick)
{
	if (tick->in_user)
		return true;
	/* In the kernel it may have been about to move itself: sched_setaffinity. */
	uint64_t before = w->stopper_runs;
	w->stopper_runs = times_run(w->stopper_fd);
	return w->stopper_runs == before;
}
