/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a command and writes what it used, as JSON, to the file given: from a small parent, because
 * a program inherits the peak memory of the process that started it. bench_rusage FILE COMMAND
 * ARG...; SIGINT and SIGTERM are the command's to take. */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t child;

static void pass_on(int number)
{
	if (child > 0)
		kill(child, number);
}

static double seconds(struct timeval tv)
{
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	double start = now();
	struct rusage usage;
	int status;
	FILE *out;

	if (argc < 3) {
		fprintf(stderr, "usage: %s FILE COMMAND ARG...\n", argv[0]);
		return 2;
	}
	signal(SIGINT, pass_on);
	signal(SIGTERM, pass_on);
	child = fork();
	if (child == 0) {
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	while (wait4(child, &status, 0, &usage) < 0)
		;
	out = fopen(argv[1], "w");
	if (!out) {
		perror(argv[1]);
		return 1;
	}
	fprintf(out, "{\"cpu_seconds\": %.6f, \"max_rss_bytes\": %ld, \"seconds\": %.6f}\n",
	        seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss * 1024,
	        now() - start);
	fclose(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
