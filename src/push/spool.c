/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of profiles that wait. One thread puts, another sends; files are written and read
 * outside the lock, so that neither waits for the other's disk. */
#include "spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <csample/mem.h>

#define DEFAULT_MAX ((uint64_t)256 << 20)
#define MEM_MAX     ((uint64_t)16 << 20) /* of what the disk does not take */
#define SYNC_MAX    64                   /* files in a go */

static size_t waiting(const struct spool *sp)
{
	return sp->items.n - sp->first;
}

static void remove_at(struct spool *sp, size_t at)
{
	struct spool_item *item = &sp->items.items[at];
	sp->bytes -= item->bytes;
	if (item->mem)
		sp->mem_bytes -= item->bytes;
	free(item->mem);
	item->mem = NULL;
	if (at == sp->first) {
		sp->first++;
	} else {
		memmove(item, item + 1, (sp->items.n - at - 1) * sizeof(*item));
		sp->items.n--;
	}
	if (sp->first < 1024 && sp->first < sp->items.n)
		return;
	sp->items.n -= sp->first;
	memmove(sp->items.items, sp->items.items + sp->first, sp->items.n * sizeof(*item));
	sp->first = 0;
}

static void drop_at(struct spool *sp, size_t at)
{
	if (!sp->items.items[at].mem)
		spool_files_remove(sp->fd, &sp->items.items[at]);
	sp->dropped++;
	remove_at(sp, at);
}

/* Makes room: the oldest go, but for the one that is being sent. */
static void trim(struct spool *sp)
{
	while (sp->bytes > sp->max_bytes && waiting(sp) > sp->held)
		drop_at(sp, sp->first + sp->held);
	for (size_t i = sp->first + sp->held; sp->mem_bytes > MEM_MAX && i < sp->items.n;) {
		if (sp->items.items[i].mem)
			drop_at(sp, i);
		else
			i++;
	}
}

static void insert(struct spool *sp, const struct spool_item *item)
{
	vec_add(&sp->items);
	size_t at = sp->items.n - 1, lowest = sp->first + sp->held;
	for (; at > lowest && sp->items.items[at - 1].key > item->key; at--)
		sp->items.items[at] = sp->items.items[at - 1];
	sp->items.items[at] = *item;
	sp->bytes += item->bytes;
	if (item->mem)
		sp->mem_bytes += item->bytes;
	if (sp->last_key < item->key)
		sp->last_key = item->key;
}

static void insert_seen(void *arg, const struct spool_item *item)
{
	insert(arg, item);
}

struct err *spool_open(const char *dir, uint64_t max_bytes, struct spool **ret)
{
	struct spool *sp = mem_zalloc(sizeof(*sp));
	pthread_mutex_init(&sp->lock, NULL);
	sp->parent_fd = sp->fd = -1;
	sp->max_bytes = max_bytes ? max_bytes : DEFAULT_MAX;
	if (dir) {
		sp->dir = mem_strdup(dir);
		int errnum = spool_files_lock(sp);
		if (!errnum)
			errnum = spool_files_list(sp->fd, insert_seen, sp);
		if (errnum) {
			spool_close(sp);
			return err_errno(errnum, "cannot keep profiles to be pushed in '%s'", dir);
		}
		spool_adopt(sp);
		trim(sp);
	}
	*ret = sp;
	return NULL;
}

void spool_put(struct spool *sp, const void *bytes, size_t len, int *errnum_ret)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	struct spool_item item = {.bytes = len};
	*errnum_ret = 0;
	pthread_mutex_lock(&sp->lock);
	item.key = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	if (item.key <= sp->last_key) /* the clock was set back */
		item.key = sp->last_key + 1;
	sp->last_key = item.key;
	bool too_large = len > sp->max_bytes;
	sp->dropped += too_large;
	pthread_mutex_unlock(&sp->lock);
	if (too_large)
		return;
	int errnum = sp->dir ? spool_files_write(sp->fd, &item, bytes, len) : 0;
	if (!sp->dir || errnum) {
		item.mem = mem_alloc(len + 1);
		memcpy(item.mem, bytes, len);
	}
	*errnum_ret = errnum;
	pthread_mutex_lock(&sp->lock);
	insert(sp, &item);
	trim(sp);
	pthread_mutex_unlock(&sp->lock);
}

void spool_count(struct spool *sp, struct spool_counts *ret)
{
	pthread_mutex_lock(&sp->lock);
	*ret = (struct spool_counts){waiting(sp), sp->bytes, sp->dropped};
	pthread_mutex_unlock(&sp->lock);
}

bool spool_oldest(struct spool *sp, void **bytes_ret, size_t *len_ret, struct spool_progress *ret)
{
	for (;;) {
		pthread_mutex_lock(&sp->lock);
		sp->held = waiting(sp) > 0;
		struct spool_item item = {0};
		if (sp->held) {
			item = sp->items.items[sp->first];
			*ret = item.progress;
		}
		pthread_mutex_unlock(&sp->lock);
		if (!item.key)
			return false;
		if (item.mem) {
			*bytes_ret = mem_alloc(item.bytes + 1);
			memcpy(*bytes_ret, item.mem, item.bytes);
			*len_ret = item.bytes;
			return true;
		}
		int errnum = spool_files_read(sp->fd, &item, bytes_ret, len_ret);
		if (!errnum)
			return true;
		/* Somebody removed it, or the disk cannot read it. */
		pthread_mutex_lock(&sp->lock);
		sp->held = false;
		drop_at(sp, sp->first);
		pthread_mutex_unlock(&sp->lock);
	}
}

void spool_progressed(struct spool *sp, struct spool_progress progress)
{
	pthread_mutex_lock(&sp->lock);
	struct spool_item *item = &sp->items.items[sp->first], next = *item;
	next.progress = progress;
	/* Should it fail, the piece is sent again after a restart, as the same. */
	if (item->mem || !spool_files_rename(sp->fd, item, sp->fd, &next))
		*item = next;
	pthread_mutex_unlock(&sp->lock);
}

void spool_done(struct spool *sp)
{
	pthread_mutex_lock(&sp->lock);
	if (sp->held) {
		struct spool_item *item = &sp->items.items[sp->first];
		if (!item->mem)
			spool_files_remove(sp->fd, item);
		remove_at(sp, sp->first);
	}
	sp->held = false;
	pthread_mutex_unlock(&sp->lock);
}

void spool_aside(struct spool *sp, const void *pprof, size_t len, const char *reason)
{
	pthread_mutex_lock(&sp->lock);
	struct spool_item item = {0};
	if (sp->held)
		item = sp->items.items[sp->first];
	pthread_mutex_unlock(&sp->lock);
	if (sp->dir && item.key)
		spool_files_aside(sp, &item, pprof, len, ".pb.gz", reason);
}

/* What of the queue is not safe on the disk, as copies; mem is shared. */
static size_t unsettled(struct spool *sp, struct spool_item items[static SYNC_MAX])
{
	size_t n = 0;
	pthread_mutex_lock(&sp->lock);
	for (size_t i = sp->first; i < sp->items.n && n < SYNC_MAX; i++)
		if (!sp->items.items[i].synced)
			items[n++] = sp->items.items[i];
	pthread_mutex_unlock(&sp->lock);
	return n;
}

uint64_t spool_settle(struct spool *sp)
{
	struct spool_item items[SYNC_MAX];
	size_t n = sp->dir ? unsettled(sp, items) : 0;
	for (size_t i = 0; i < n; i++) {
		pthread_mutex_lock(&sp->lock);
		struct spool_item *item = NULL; /* it may have been dropped meanwhile */
		for (size_t k = sp->first; k < sp->items.n && !item; k++)
			if (sp->items.items[k].key == items[i].key)
				item = &sp->items.items[k];
		bool wrote = item && item->mem &&
		             !spool_files_write(sp->fd, item, item->mem, item->bytes);
		if (wrote) {
			sp->mem_bytes -= item->bytes;
			free(item->mem);
			item->mem = NULL;
		}
		bool on_disk = item && !item->mem;
		if (on_disk)
			item->synced = true;
		pthread_mutex_unlock(&sp->lock);
		if (on_disk)
			spool_files_sync(sp->fd, &items[i]);
	}
	if (n)
		fsync(sp->fd);
	uint64_t in_memory = 0;
	pthread_mutex_lock(&sp->lock);
	for (size_t i = sp->first; i < sp->items.n; i++)
		in_memory += sp->items.items[i].mem != NULL;
	pthread_mutex_unlock(&sp->lock);
	return in_memory;
}

struct adoption {
	struct spool *sp;
	int from_fd;
	bool any;
};

static void adopt_one(void *arg, const struct spool_item *item)
{
	struct adoption *a = arg;
	struct spool_item own = *item;
	for (size_t i = a->sp->first; i < a->sp->items.n; i++)
		if (a->sp->items.items[i].key == own.key)
			own.key++; /* they are sorted: the next one is seen after this one */
	if (spool_files_rename(a->from_fd, item, a->sp->fd, &own))
		return;
	insert(a->sp, &own);
	a->any = true;
}

bool spool_adopt(struct spool *sp)
{
	struct adoption a = {.sp = sp};
	if (!sp->dir)
		return false;
	pthread_mutex_lock(&sp->lock);
	for (unsigned slot = 0;; slot++) {
		a.from_fd = spool_files_abandoned(sp, slot);
		if (a.from_fd == -2)
			break;
		if (a.from_fd < 0)
			continue;
		spool_files_list(a.from_fd, adopt_one, &a);
		close(a.from_fd);
	}
	trim(sp);
	pthread_mutex_unlock(&sp->lock);
	return a.any;
}

const char *spool_dir(const struct spool *sp)
{
	return sp->dir;
}

void spool_close(struct spool *sp)
{
	for (size_t i = sp->first; i < sp->items.n; i++)
		free(sp->items.items[i].mem);
	vec_free(&sp->items);
	if (sp->fd >= 0)
		close(sp->fd);
	if (sp->parent_fd >= 0)
		close(sp->parent_fd);
	pthread_mutex_destroy(&sp->lock);
	free(sp->dir);
	free(sp);
}
