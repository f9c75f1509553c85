/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/vec.h>

#include "copy.h"

/* Open addressing from tid to thread. Replaced as a whole when it is full. */
struct table {
	size_t cap;  /* a power of two */
	size_t used; /* slots that are or were taken */
	_Atomic(struct thread *) slots[];
};

/* What was taken out of sight, and may still be in a sampler's hands. */
struct garbage {
	void *memory;
	struct thread *thread; /* whose files to close, or NULL */
	uint64_t *seen;        /* the readers' counts when it was taken out */
};

struct threads {
	_Atomic(struct table *) table;
	VEC(struct thread *) all;
	VEC(struct garbage) garbage;
	/* One count per reader, odd while it looks: a reader that has moved on, or is not looking,
	 * no longer holds what was removed before. */
	_Atomic uint64_t readers[MAX_READERS];
};

static struct thread removed; /* marks a slot as once taken */

static struct table *table_create(size_t cap)
{
	struct table *t = mem_zalloc(sizeof(*t) + cap * sizeof(t->slots[0]));
	t->cap = cap;
	return t;
}

static void table_insert(struct table *t, struct thread *th)
{
	size_t at = hash_u64((uint64_t)th->tid) & (t->cap - 1);
	struct thread *old;
	while ((old = atomic_load_explicit(&t->slots[at], memory_order_relaxed)) && old != &removed)
		at = (at + 1) & (t->cap - 1);
	t->used += !old;
	atomic_store_explicit(&t->slots[at], th, memory_order_release);
}

struct threads *threads_create(void)
{
	struct threads *t = mem_zalloc(sizeof(*t));
	atomic_store(&t->table, table_create(1024));
	return t;
}

static void close_thread(struct thread *th)
{
	close(th->schedstat_fd);
	close(th->stat_fd);
	if (th->syscall_fd >= 0)
		close(th->syscall_fd);
}

static void throw_away(struct threads *t, void *memory, struct thread *th)
{
	uint64_t *seen = mem_alloc(sizeof(t->readers));
	for (size_t i = 0; i < MAX_READERS; i++)
		seen[i] = atomic_load(&t->readers[i]);
	*vec_add(&t->garbage) = (struct garbage){memory, th, seen};
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
	if (g->thread)
		close_thread(g->thread);
	free(g->memory);
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
	for (size_t i = 0; i < t->all.n; i++) {
		close_thread(t->all.items[i]);
		free(t->all.items[i]);
	}
	vec_free(&t->garbage);
	vec_free(&t->all);
	free(atomic_load(&t->table));
	free(t);
}

static int open_file(int proc_fd, pid_t tid, const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "task/%d/%s", (int)tid, name);
	return openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
}

static void make_room(struct threads *t)
{
	struct table *old = atomic_load(&t->table);
	if (old->used * 2 < old->cap)
		return;
	size_t cap = 1024;
	while (cap < (t->all.n + 1) * 4)
		cap *= 2;
	struct table *fresh = table_create(cap);
	for (size_t i = 0; i < t->all.n; i++)
		table_insert(fresh, t->all.items[i]);
	atomic_store(&t->table, fresh);
	throw_away(t, old, NULL);
}

#define STAT_STARTSTACK 28 /* reads 0 without ptrace access */

struct thread *threads_add(struct threads *t, int proc_fd, pid_t tid, bool is_main, bool born,
                           bool *full)
{
	struct thread *th = mem_zalloc(sizeof(*th));
	th->tid = tid;
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
	if (is_main && read_kept(th->stat_fd, stat, sizeof(stat))) {
		uint64_t start = stat_number(stat, STAT_STARTSTACK);
		atomic_store(&th->stack_root, start < UINT64_MAX ? start : 0);
	}
	make_room(t);
	*vec_add(&t->all) = th;
	table_insert(atomic_load(&t->table), th);
	return th;
}

void threads_remove(struct threads *t, pid_t tid)
{
	struct table *table = atomic_load(&t->table);
	size_t at = hash_u64((uint64_t)tid) & (table->cap - 1);
	for (struct thread *th; (th = atomic_load(&table->slots[at]));
	     at = (at + 1) & (table->cap - 1)) {
		if (th == &removed || th->tid != tid)
			continue;
		atomic_store(&table->slots[at], &removed);
		for (size_t i = 0; i < t->all.n; i++) {
			if (t->all.items[i] == th) {
				t->all.items[i] = t->all.items[--t->all.n];
				break;
			}
		}
		throw_away(t, th, th);
		return;
	}
}

struct thread *threads_find(struct threads *t, pid_t tid)
{
	struct table *table = atomic_load_explicit(&t->table, memory_order_acquire);
	size_t at = hash_u64((uint64_t)tid) & (table->cap - 1);
	for (struct thread *th;
	     (th = atomic_load_explicit(&table->slots[at], memory_order_acquire));
	     at = (at + 1) & (table->cap - 1))
		if (th != &removed && th->tid == tid)
			return th;
	return NULL;
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
	struct table *table = atomic_load_explicit(&t->table, memory_order_acquire);
	while (*cursor < table->cap) {
		struct thread *th =
		        atomic_load_explicit(&table->slots[(*cursor)++], memory_order_acquire);
		if (th && th != &removed)
			return th;
	}
	*cursor = 0;
	return NULL;
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
