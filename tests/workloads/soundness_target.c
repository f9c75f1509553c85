/* SPDX-License-Identifier: Apache-2.0 */
/* Threads in the loop of soundness_loop.h, each doing what --do says in every turn. Prints one line
 * of JSON, the addresses of the loop, and runs until killed or --seconds are over. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "soundness_loop.h"

#define MAX_THREADS 64
#define CHURN_SLOTS 4
#define CHURN_TURNS 200000
#define EXEC_TURNS  20000000
#define ZERO_BYTES  65536
#define SLEEP_NS    50000
#define FIRST_OF(i) ((uint64_t)((i) + 1) << 40)

static struct {
	const char *what;
	int threads;
	int fifo; /* priority; 0: none */
	unsigned seconds;
	size_t depth; /* bytes of stack above the loop */
	const char *progress_file;
	uint64_t *progress; /* one counter a thread */
	char **argv;
} target = {.what = "spin", .threads = 1, .seconds = 60, .depth = 8192};

static _Atomic pid_t spinner; /* "moved": who is */
static struct timespec sleep_time = {.tv_nsec = SLEEP_NS};
static cpu_set_t only_cpu[2];
static char bytes[MAX_THREADS][ZERO_BYTES];
static int pipes[MAX_THREADS][2]; /* pipe i is read by thread i */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void call(struct loop *loop, int which, long number, const void *a, long b, const void *c)
{
	loop->call[which][0] = number;
	loop->call[which][1] = (int64_t)(intptr_t)a;
	loop->call[which][2] = b;
	loop->call[which][3] = (int64_t)(intptr_t)c;
}

static void call_fd(struct loop *loop, int which, long number, int fd, void *buf, long len)
{
	call(loop, which, number, NULL, (long)(intptr_t)buf, NULL);
	loop->call[which][1] = fd;
	loop->call[which][3] = len;
}

static void prepare(struct loop *loop, int i)
{
	int peer = i ^ 1;

	*loop = (struct loop){.call = {{-1}, {-1}}, .until = UINT64_MAX};
	loop->first = FIRST_OF(i);
	loop->progress = &target.progress[i];
	if (!strcmp(target.what, "yield")) {
		call(loop, 0, SYS_sched_yield, NULL, 0, NULL);
	} else if (!strcmp(target.what, "getppid")) {
		call(loop, 0, SYS_getppid, NULL, 0, NULL);
	} else if (!strcmp(target.what, "zero")) {
		call_fd(loop, 0, SYS_read, open("/dev/zero", O_RDONLY | O_CLOEXEC), bytes[i],
		        ZERO_BYTES);
	} else if (!strcmp(target.what, "nanosleep")) {
		call(loop, 0, SYS_nanosleep, &sleep_time, 0, NULL);
	} else if (!strcmp(target.what, "pingpong")) {
		call_fd(loop, i & 1, SYS_write, pipes[peer][1], bytes[i], 1);
		call_fd(loop, !(i & 1), SYS_read, pipes[i][0], bytes[i], 1);
	} else if (!strcmp(target.what, "migrate")) {
		call(loop, 0, SYS_sched_setaffinity, NULL, sizeof(cpu_set_t), &only_cpu[0]);
		call(loop, 1, SYS_sched_setaffinity, NULL, sizeof(cpu_set_t), &only_cpu[1]);
		loop->spin = 10000;
	} else if (!strcmp(target.what, "realtime")) {
		/* Leaves the CPU often enough that the machine lives. */
		call(loop, 0, SYS_nanosleep, &sleep_time, 0, NULL);
		loop->spin = 200000;
	} else if (!strcmp(target.what, "churn")) {
		loop->until = loop->first + CHURN_TURNS;
	} else if (!strcmp(target.what, "exec")) {
		loop->until = loop->first + EXEC_TURNS;
	} else if (strcmp(target.what, "spin") && strcmp(target.what, "moved")) {
		fprintf(stderr, "--do %s: not known\n", target.what);
		exit(2);
	}
}

static void *thread_main(void *arg)
{
	struct loop loop;

	if (!spinner)
		spinner = gettid();
	prepare(&loop, (int)(intptr_t)arg);
	volatile char *room = __builtin_alloca(target.depth + 16);
	room[0] = 0; /* kept */
	loop.far = (uint64_t *)(((uintptr_t)room + target.depth) & ~(uintptr_t)7);
	soundness_loop(&loop);
	return NULL;
}

static void start(pthread_t *thread, int i)
{
	struct sched_param param = {.sched_priority = target.fifo};
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	if (target.fifo) {
		pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
		pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
		pthread_attr_setschedparam(&attr, &param);
	}
	errno = pthread_create(thread, &attr, thread_main, (void *)(intptr_t)i);
	if (errno)
		die("pthread_create");
	pthread_attr_destroy(&attr);
}

static void map_progress(void)
{
	size_t len = MAX_THREADS * sizeof(uint64_t);
	int fd = open(target.progress_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)len))
		die(target.progress_file);
	target.progress = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (target.progress == MAP_FAILED)
		die("mmap");
	close(fd);
}

static void describe(void)
{
	printf("{\"pid\": %d, \"start\": %" PRIuPTR ", \"near\": %" PRIuPTR ", \"far\": %" PRIuPTR
	       ", \"sp\": %" PRIuPTR ", \"end\": %" PRIuPTR "}\n",
	       getpid(), (uintptr_t)loop_start, (uintptr_t)loop_near, (uintptr_t)loop_far,
	       (uintptr_t)loop_sp, (uintptr_t)loop_end);
	fflush(stdout);
}

static void parse(int argc, char **argv)
{
	target.argv = argv;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--do"))
			target.what = argv[i + 1];
		else if (!strcmp(argv[i], "--threads"))
			target.threads = (int)strtol(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--fifo"))
			target.fifo = (int)strtol(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--seconds"))
			target.seconds = (unsigned)strtoul(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--depth"))
			target.depth = strtoul(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--progress"))
			target.progress_file = argv[i + 1];
	}
	if (!target.progress_file || target.threads < 1 || target.threads > MAX_THREADS) {
		fprintf(stderr,
		        "usage: %s --progress FILE [--threads N] [--do WHAT] [--fifo PRIORITY] "
		        "[--depth BYTES] "
		        "[--seconds LIMIT]\n",
		        argv[0]);
		exit(2);
	}
}

/* Moves another thread to and fro, whatever it does at the time. */
static void move(void)
{
	while (!spinner)
		sched_yield();
	for (unsigned turn = 0;; turn++) {
		struct timespec pause = {.tv_nsec = 1000L * (turn * 7919 % 300)};
		sched_setaffinity(spinner, sizeof(cpu_set_t), &only_cpu[turn & 1]);
		nanosleep(&pause, NULL);
	}
}

static void churn(void)
{
	pthread_t threads[CHURN_SLOTS];

	for (int i = 0; i < CHURN_SLOTS; i++)
		start(&threads[i], i);
	for (int i = 0;; i = (i + 1) % CHURN_SLOTS) {
		pthread_join(threads[i], NULL);
		start(&threads[i], i);
	}
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS];
	/* The alarm of a first image still runs in those it executes. */
	bool again = getenv("SOUNDNESS_AGAIN") != NULL;

	parse(argc, argv);
	map_progress();
	if (!again) {
		alarm(target.seconds);
		describe();
	}
	for (int i = 0; i < 2; i++) {
		CPU_ZERO(&only_cpu[i]);
		CPU_SET(i, &only_cpu[i]);
	}
	for (int i = 0; i < MAX_THREADS; i++)
		if (pipe2(pipes[i], O_CLOEXEC))
			die("pipe2");
	if (!strcmp(target.what, "exec")) {
		thread_main(NULL);
		setenv("SOUNDNESS_AGAIN", "1", 1);
		execv("/proc/self/exe", target.argv);
		die("execv");
	}
	if (!strcmp(target.what, "churn"))
		churn();
	for (int i = 0; i < target.threads; i++)
		start(&threads[i], i);
	if (!strcmp(target.what, "moved"))
		move();
	for (int i = 0; i < target.threads; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
