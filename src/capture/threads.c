/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/mem.h>
#include <csample/vec.h>

#include "copy.h"
#include "idtable.h"

/* What was taken out of sight, and may still be in a sampler's hands. */
struct garbage {
	void (*release)(void *arg);
	void *arg;
	uint64_t *seen; /* the readers' counts when it was taken out */
};

struct threads {
	struct id_table by_tid, spaces;
	VEC(struct thread *) all;
	VEC(struct garbage) garbage;
	/* One count per reader, odd while it looks: a reader that has moved on, or is not looking,
	 * no longer holds what was removed before. */
	_Atomic uint64_t readers[MAX_READERS];
};

struct threads *threads_create(void)
{
	struct threads *t = mem_zalloc(sizeof(*t));
	id_table_init(&t->by_tid);
	id_table_init(&t->spaces);
	return t;
}

static void close_thread(struct thread *th)
{
	close(th->schedstat_fd);
	close(th->stat_fd);
	if (th->syscall_fd >= 0)
		close(th->syscall_fd);
}

static void free_thread(void *arg)
{
	close_thread(arg);
	free(arg);
}

void threads_retire(struct threads *t, void (*release)(void *arg), void *arg)
{
	uint64_t *seen = mem_alloc(sizeof(t->readers));
	for (size_t i = 0; i < MAX_READERS; i++)
		seen[i] = atomic_load(&t->readers[i]);
	*vec_add(&t->garbage) = (struct garbage){release, arg, seen};
}

static bool in_use(const struct threads *t, const struct garbage *g)
{
	for (size_t i = 0; i < MAX_READERS; i++)
		if ((g->seen[i] & 1) && atomic_load(&t->readers[i]) == g->seen[i])
			return true;
	return false;
}

static void garbage_free(struct garbage *g)
{
	g->release(g->arg);
	free(g->seen);
}

void threads_collect(struct threads *t)
{
	size_t kept = 0;
	for (size_t i = 0; i < t->garbage.n; i++) {
		if (in_use(t, &t->garbage.items[i]))
			t->garbage.items[kept++] = t->garbage.items[i];
		else
			garbage_free(&t->garbage.items[i]);
	}
	t->garbage.n = kept;
}

void threads_destroy(struct threads *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->garbage.n; i++)
		garbage_free(&t->garbage.items[i]);
	for (size_t i = 0; i < t->all.n; i++)
		free_thread(t->all.items[i]);
	vec_free(&t->garbage);
	vec_free(&t->all);
	id_table_deinit(&t->by_tid);
	id_table_deinit(&t->spaces);
	free(t);
}

static int open_file(int proc_fd, pid_t tid, const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "task/%d/%s", (int)tid, name);
	return openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
}

/* Readers find these by their first member. */
_Static_assert(offsetof(struct thread, tid) == offsetof(struct id_object, id), "tid comes first");
_Static_assert(offsetof(struct space, pid) == offsetof(struct id_object, id), "pid comes first");

static void add_to(struct threads *t, struct id_table *table, const void *object)
{
	void *old = id_table_add(table, (struct id_object *)(uintptr_t)object);
	if (old)
		threads_retire(t, free, old);
}

void threads_add_space(struct threads *t, const struct space *space)
{
	add_to(t, &t->spaces, space);
}

void threads_remove_space(struct threads *t, pid_t pid)
{
	id_table_remove(&t->spaces, pid);
}

const struct space *threads_find_space(struct threads *t, pid_t pid)
{
	return (const struct space *)id_table_find(&t->spaces, pid);
}

#define STAT_STARTSTACK 28 /* reads 0 without ptrace access */

struct thread *threads_add(struct threads *t, const struct space *space, int proc_fd, pid_t tid,
                           bool born, bool *full)
{
	struct thread *th = mem_zalloc(sizeof(*th));
	th->tid = tid;
	th->space = space;
	th->copy_bytes = STACK_FIRST_COPY;
	th->schedstat_fd = open_file(proc_fd, tid, "schedstat");
	int errnum = errno;
	th->stat_fd = open_file(proc_fd, tid, "stat");
	th->syscall_fd = open_file(proc_fd, tid, "syscall");
	*full = errnum == EMFILE || errnum == ENFILE;
	char text[SCHEDSTAT_TEXT];
	if (th->schedstat_fd < 0 || th->stat_fd < 0 ||
	    !read_kept(th->schedstat_fd, text, sizeof(text))) {
		close_thread(th);
		free(th);
		return NULL;
	}
	thread_check_policy(th);
	th->credited_ns = born ? 0 : schedstat_cpu_ns(text);
	th->observed_ns = now_ns();
	/* Where the kernel put the main thread's stack; of others we learn it. */
	char stat[1024];
	if (tid == space->pid && read_kept(th->stat_fd, stat, sizeof(stat))) {
		uint64_t start = stat_number(stat, STAT_STARTSTACK);
		atomic_store(&th->stack_root, start < UINT64_MAX ? start : 0);
	}
	th->index = t->all.n;
	*vec_add(&t->all) = th;
	add_to(t, &t->by_tid, th);
	return th;
}

void threads_remove(struct threads *t, pid_t tid)
{
	struct thread *th = (struct thread *)id_table_remove(&t->by_tid, tid);
	if (!th)
		return;
	struct thread *last = t->all.items[--t->all.n];
	t->all.items[th->index] = last;
	last->index = th->index;
	threads_retire(t, free_thread, th);
}

struct thread *threads_find(struct threads *t, pid_t tid)
{
	return (struct thread *)id_table_find(&t->by_tid, tid);
}

size_t threads_count(const struct threads *t)
{
	return t->all.n;
}

struct thread *threads_at(const struct threads *t, size_t i)
{
	return t->all.items[i];
}

struct thread *threads_next(struct threads *t, size_t *cursor)
{
	return (struct thread *)id_table_next(&t->by_tid, cursor);
}

void threads_enter(struct threads *t, unsigned reader)
{
	atomic_fetch_add(&t->readers[reader], 1);
}

void threads_leave(struct threads *t, unsigned reader)
{
	atomic_fetch_add(&t->readers[reader], 1);
}

void thread_check_policy(struct thread *th)
{
	int policy = sched_getscheduler(th->tid);
	policy = policy < 0 ? SCHED_OTHER : policy & ~SCHED_RESET_ON_FORK;
	atomic_store(&th->realtime,
	             policy == SCHED_FIFO || policy == SCHED_RR || policy == SCHED_DEADLINE);
}

bool thread_cpu_ns(struct thread *th, uint64_t *ret)
{
	char text[SCHEDSTAT_TEXT];
	if (!read_kept(th->schedstat_fd, text, sizeof(text)))
		return false;
	*ret = schedstat_cpu_ns(text);
	return true;
}
