/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the spool know of each other: the queue, and its directory. */
#ifndef PUSH_SPOOL_H
#define PUSH_SPOOL_H

#include <pthread.h>
#include <sys/types.h>

#include <csample/vec.h>

#include "push.h"

struct spool_item {
	uint64_t key; /* when it was put, as nanoseconds of the epoch: unique, growing */
	struct spool_progress progress;
	size_t bytes;
	void *mem; /* NULL: on disk */
	bool synced;
};

struct spool {
	pthread_mutex_t lock;
	int parent_fd, fd; /* the destination's directory, ours in it; -1: memory only */
	char *dir;         /* the destination's; NULL: memory only */
	unsigned slot;     /* the name of ours */
	uint64_t max_bytes;
	/* Guarded by lock: */
	VEC(struct spool_item) items; /* by key; those before first are gone */
	size_t first;
	bool held; /* items[first] is being sent */
	uint64_t last_key, bytes, mem_bytes, dropped;
};

/* ---- spool_files.c: the directory; nothing here knows of the queue. 0 or errno. ---- */

/* dir/0, dir/1, ...: the first that no process has locked. Makes what is missing. */
int spool_files_lock(struct spool *sp);
int spool_files_write(int fd, const struct spool_item *item, const void *bytes, size_t len);
/* Free *bytes_ret. */
int spool_files_read(int fd, const struct spool_item *item, void **bytes_ret, size_t *len_ret);
int spool_files_remove(int fd, const struct spool_item *item);
int spool_files_rename(int from_fd, const struct spool_item *from, int to_fd,
                       const struct spool_item *to);
int spool_files_sync(int fd, const struct spool_item *item);
/* Calls seen for each profile in a directory of the spool; removes what a write left unfinished. */
int spool_files_list(int fd, void (*seen)(void *arg, const struct spool_item *item), void *arg);
/* An abandoned slot, locked; -1: that one has an owner; -2: there is no such slot. */
int spool_files_abandoned(const struct spool *sp, unsigned slot);
void spool_files_aside(const struct spool *sp, const struct spool_item *item, const void *bytes,
                       size_t len, const char *suffix, const char *reason);

#endif
