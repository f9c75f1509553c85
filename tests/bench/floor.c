/* SPDX-License-Identifier: Apache-2.0 */
#include "floor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MAX_PAUSES    (1 << 20)
#define FIFO_PRIORITY 10

struct sampler {
	const struct floor *f;
	int cpu;
	pthread_t thread;
	struct ring ring;
	uint64_t until_ns;
	const char *failed; /* what was refused, with why below */
	int why;
	uint32_t *pauses_ns;
	size_t n_pauses;
	uint64_t missed, merged;
	char copy[FLOOR_COPY];
};

static pthread_mutex_t snapshots_lock = PTHREAD_MUTEX_INITIALIZER;

uint64_t floor_now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

size_t floor_copy(pid_t pid, uint64_t addr, void *buf)
{
	struct iovec local = {buf, FLOOR_COPY};
	struct iovec remote = {(void *)(uintptr_t)addr,
	                       FLOOR_COPY}; // NOLINT(performance-no-int-to-ptr)
	ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	return n < 0 ? 0 : (size_t)n;
}

/* Read by tests/e2e/snapshots.py: "FLOR", tid, bytes copied, registers, the bytes. */
static void write_snapshot(FILE *file, const struct ring_sample *sample, const uint64_t *regs,
                           const void *copy, size_t copied)
{
	uint32_t head[3] = {0x524f4c46, (uint32_t)sample->tid, (uint32_t)copied};

	pthread_mutex_lock(&snapshots_lock);
	fwrite(head, sizeof(head), 1, file);
	fwrite(regs, sizeof(uint64_t), RING_REGS, file);
	fwrite(copy, 1, copied, file);
	pthread_mutex_unlock(&snapshots_lock);
}

static void capture_one(struct sampler *s, const struct ring_sample *sample)
{
	uint64_t regs[RING_REGS], released_ns;
	size_t copied = 0;

	if (!s->f->capture(s->f, sample, regs, s->copy, &copied, &released_ns)) {
		s->missed++;
		return;
	}
	if (s->n_pauses < MAX_PAUSES)
		s->pauses_ns[s->n_pauses++] = (uint32_t)(released_ns - sample->time_ns);
	if (s->f->snapshots)
		write_snapshot(s->f->snapshots, sample, regs, s->copy, copied);
}

static bool become(struct sampler *s)
{
	struct sched_param param = {.sched_priority = FIFO_PRIORITY};
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(s->cpu, &set);
	s->failed = "sched_setaffinity";
	if (s->f->pinned && sched_setaffinity(0, sizeof(set), &set))
		return false;
	s->failed = "SCHED_FIFO";
	if (s->f->fifo && sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param))
		return false;
	s->failed = "perf_event_open";
	return ring_open(&s->ring, s->cpu, (uint64_t)(1e9 / s->f->rate_hz));
}

static void *sampler_main(void *arg)
{
	struct sampler *s = arg;

	if (!become(s)) {
		s->why = errno;
		return NULL;
	}
	s->failed = NULL;
	for (uint64_t now = floor_now_ns(); now < s->until_ns; now = floor_now_ns()) {
		struct pollfd poll_fd = {.fd = s->ring.fd, .events = POLLIN};
		struct ring_sample sample, last;
		bool any = false;

		poll(&poll_fd, 1, 50);
		/* The last one alone is worth a capture: those before it are of the past. */
		while (ring_next(&s->ring, &sample)) {
			if (sample.pid != s->f->pid)
				continue;
			s->merged += any;
			any = true;
			last = sample;
		}
		if (any)
			capture_one(s, &last);
		if (kill(s->f->pid, 0))
			break;
	}
	ring_close(&s->ring);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static void print_result(const struct sampler *samplers, int n_cpus, uint32_t *all)
{
	struct rusage usage;
	uint64_t missed = 0, merged = 0;
	size_t n = 0;

	for (int i = 0; i < n_cpus; i++) {
		memcpy(all + n, samplers[i].pauses_ns, samplers[i].n_pauses * sizeof(*all));
		n += samplers[i].n_pauses;
		missed += samplers[i].missed;
		merged += samplers[i].merged;
	}
	qsort(all, n, sizeof(*all), by_value);
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"captures\": %zu, \"missed\": %llu, \"merged\": %llu, \"cpu_seconds\": %.6f, "
	       "\"pause_us\": "
	       "{\"count\": %zu",
	       n, (unsigned long long)missed, (unsigned long long)merged,
	       (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
	       n);
	if (n)
		printf(", \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f",
		       all[n / 2] / 1e3, all[n * 90 / 100] / 1e3, all[n * 99 / 100] / 1e3,
		       all[n - 1] / 1e3);
	printf("}}\n");
}

static bool parse(struct floor *f, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--fifo"))
			f->fifo = f->pinned = true;
		else if (!strcmp(argv[i], "--other"))
			f->fifo = f->pinned = false;
		else if (!strcmp(argv[i], "--rate") && i + 1 < argc)
			f->rate_hz = atof(argv[++i]); // NOLINT(cert-err34-c): 0 is refused below
		else if (!strcmp(argv[i], "--seconds") && i + 1 < argc)
			f->seconds = atof(argv[++i]); // NOLINT(cert-err34-c)
		else if (!strcmp(argv[i], "--snapshots") && i + 1 < argc)
			f->snapshots = fopen(argv[++i], "w");
		else
			f->pid = (pid_t)strtol(argv[i], NULL, 10);
	}
	return f->pid > 0 && f->rate_hz > 0 && f->seconds > 0;
}

int floor_main(struct floor *f, int argc, char **argv)
{
	int n_cpus = (int)sysconf(_SC_NPROCESSORS_CONF), status = 0;
	struct sampler *samplers = calloc((size_t)n_cpus, sizeof(*samplers));
	uint32_t *all = calloc((size_t)n_cpus * MAX_PAUSES, sizeof(*all));

	if (!samplers || !all || !parse(f, argc, argv)) {
		fprintf(stderr,
		        "usage: %s PID [--rate HZ] [--seconds S] [--fifo|--other] [--snapshots "
		        "FILE]\n",
		        argv[0]);
		return 2;
	}
	for (int i = 0; i < n_cpus; i++) {
		samplers[i] = (struct sampler){.f = f, .cpu = i};
		samplers[i].until_ns = floor_now_ns() + (uint64_t)(f->seconds * 1e9);
		samplers[i].pauses_ns = calloc(MAX_PAUSES, sizeof(uint32_t));
		if (!samplers[i].pauses_ns ||
		    pthread_create(&samplers[i].thread, NULL, sampler_main, &samplers[i]))
			return 1;
	}
	for (int i = 0; i < n_cpus; i++) {
		pthread_join(samplers[i].thread, NULL);
		if (samplers[i].failed) {
			fprintf(stderr, "%s: %s: %s\n", argv[0], samplers[i].failed,
			        strerror(samplers[i].why));
			status = 1;
		}
	}
	if (!status)
		print_result(samplers, n_cpus, all);
	for (int i = 0; i < n_cpus; i++)
		free(samplers[i].pauses_ns);
	free(samplers);
	free(all);
	if (f->snapshots)
		fclose(f->snapshots);
	return status;
}
