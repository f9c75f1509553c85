/* SPDX-License-Identifier: Apache-2.0 */
/* A command started by csample to be profiled from its first instruction on. */
#ifndef CMD_CHILD_H
#define CMD_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include <csample/err.h>

struct child {
	pid_t pid;
	int go_fd;    /* written to: the child may exec */
	int error_fd; /* the child's errno, if exec failed */
	bool ended;
	int status; /* of waitpid, once ended */
};

/* Where a child's output goes. */
struct child_config {
	int output_fd;  /* its stdout and stderr; -1: csample's own */
	bool own_group; /* keys of the terminal are not for it: a process group of its own, and no
	                   input */
};

/* Forks a child that waits. Under sudo it will run as the user who called sudo. */
struct err *child_start(char **argv, const struct child_config *config, struct child *ret);
/* Lets it exec; an error if that failed. */
struct err *child_go(struct child *c, const char *name);
/* Ends a child that has not been let go. */
void child_cancel(struct child *c);
/* Reaps it if it has ended; waits for that if block. */
bool child_reap(struct child *c, bool block);
/* Its exit code; 128 and the signal's number if it was killed, as shells have it. */
int child_exit_code(const struct child *c);

#endif
