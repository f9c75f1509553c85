/* SPDX-License-Identifier: Apache-2.0 */
/* The store as an outlet. A thread of its own writes, so that a disk that hesitates holds up no
 * sample. What cannot be written waits in memory, within bounds, and is tried again. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <csample/clock.h>
#include <csample/log.h>
#include <csample/mem.h>
#include <csample/store.h>
#include <csample/vec.h>

#define MAX_WAITING       256
#define MAX_WAITING_BYTES ((size_t)64 << 20)
#define RETRY_NS          1000000000ULL
#define LAST_RETRY_NS     100000000ULL  /* while it is being closed */
#define RETAIN_NS         5000000000ULL /* at most that often */

struct waiting {
	struct store_profile p;
	struct outlet_label *labels; /* with strings of its own */
	void *pprof;
	size_t len;
};

struct store_outlet {
	struct outlet base;
	struct store *store; /* the writer's alone, once it runs */
	struct retention keep;
	pthread_t writer;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	VEC(struct waiting) queue; /* oldest first */
	size_t queued_bytes;
	bool writing; /* the first of the queue, without the lock */
	bool failing, closing;
	uint64_t deadline_ns;
	uint64_t lost; /* since it fails */
	char *trouble; /* for the next put() to tell; NULL: nothing new */
	struct outlet_stats stats;
};

static void waiting_free(struct waiting *w)
{
	for (size_t i = 0; i < w->p.n_labels; i++) {
		free((char *)w->labels[i].name);
		free((char *)w->labels[i].value);
	}
	free((char *)w->p.type);
	free(w->labels);
	free(w->pprof);
}

static struct waiting waiting_of(const struct delivery *d)
{
	const struct profile_meta *m = &d->profile->meta;
	struct waiting w = {.len = d->pprof_len};
	w.labels = mem_zalloc((d->n_labels + 1) * sizeof(*w.labels));
	for (size_t i = 0; i < d->n_labels; i++) {
		w.labels[i].name = mem_strdup(d->labels[i].name);
		w.labels[i].value = mem_strdup(d->labels[i].value);
	}
	w.pprof = mem_alloc(d->pprof_len + 1);
	if (d->pprof_len)
		memcpy(w.pprof, d->pprof, d->pprof_len);
	w.p = (struct store_profile){.type = mem_strdup(d->type),
	                             .labels = w.labels,
	                             .n_labels = d->n_labels,
	                             .start_unix_ns = m->start_unix_ns,
	                             .duration_ns = m->duration_ns,
	                             .samples = d->profile->total[0],
	                             .total = d->profile->total[1]};
	return w;
}

static void drop(struct store_outlet *o, size_t i)
{
	o->queued_bytes -= o->queue.items[i].len;
	waiting_free(&o->queue.items[i]);
	o->queue.n--;
	memmove(&o->queue.items[i], &o->queue.items[i + 1],
	        (o->queue.n - i) * sizeof(*o->queue.items));
}

static struct err *put(struct outlet *base, const struct delivery *d)
{
	struct store_outlet *o = (struct store_outlet *)base;
	struct waiting w = waiting_of(d);
	struct err *err = NULL;
	pthread_mutex_lock(&o->lock);
	*vec_add(&o->queue) = w;
	o->queued_bytes += w.len;
	/* Not the one that is being written, nor the newest. */
	size_t first = o->writing;
	while (o->queue.n > first + 1 &&
	       (o->queue.n > MAX_WAITING || o->queued_bytes > MAX_WAITING_BYTES)) {
		drop(o, first);
		o->stats.dropped++;
		o->lost++;
	}
	if (o->trouble)
		err = err_new(ERR_SYS, "%s; it is tried again, and up to %d profiles wait",
		              o->trouble, MAX_WAITING);
	free(o->trouble);
	o->trouble = NULL;
	pthread_cond_signal(&o->changed);
	pthread_mutex_unlock(&o->lock);
	return err;
}

/* With the lock held. */
static void wait_until(struct store_outlet *o, uint64_t end_ns)
{
	struct timespec end = {.tv_sec = (time_t)(end_ns / 1000000000),
	                       .tv_nsec = (long)(end_ns % 1000000000)};
	pthread_cond_timedwait(&o->changed, &o->lock, &end);
}

/* What became of the first in the queue. With the lock held. */
static void note(struct store_outlet *o, struct err *err)
{
	bool never = err && (err->kind == ERR_FORMAT || err->kind == ERR_USAGE);
	if (err)
		snprintf(o->stats.last_error, sizeof(o->stats.last_error), "%s", err->msg);
	if (err && !o->failing) { /* told once, until it has worked again */
		free(o->trouble);
		o->trouble = mem_strdup(err->msg);
	}
	if (never) {
		o->stats.rejected++;
		drop(o, 0);
	} else if (err) {
		o->stats.retried++;
		o->failing = true;
	} else {
		o->stats.delivered++;
		drop(o, 0);
		if (o->failing)
			log_info("%s: writing again; %llu profiles were lost", o->base.name,
			         (unsigned long long)o->lost);
		free(o->trouble);
		o->trouble = NULL;
		o->failing = false;
		o->lost = 0;
	}
	err_free(err);
}

static void retain(struct store_outlet *o)
{
	struct timespec now;
	uint64_t removed, bytes;
	clock_gettime(CLOCK_REALTIME, &now);
	struct err *err =
	        store_retain(o->store, &o->keep, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
	                     &removed, &bytes);
	if (!err)
		return;
	pthread_mutex_lock(&o->lock);
	snprintf(o->stats.last_error, sizeof(o->stats.last_error), "%s", err->msg);
	pthread_mutex_unlock(&o->lock);
	err_free(err);
}

/* With the lock held: whether there is more to do. */
static bool goes_on(struct store_outlet *o)
{
	while (!o->queue.n && !o->closing)
		pthread_cond_wait(&o->changed, &o->lock);
	return o->queue.n && !(o->closing && o->failing && now_ns() >= o->deadline_ns);
}

static void *write_all(void *arg)
{
	struct store_outlet *o = arg;
	uint64_t retained = 0;
	pthread_mutex_lock(&o->lock);
	while (goes_on(o)) {
		struct waiting w = o->queue.items[0];
		o->writing = true;
		pthread_mutex_unlock(&o->lock);
		struct err *err = store_put(o->store, &w.p, w.pprof, w.len);
		pthread_mutex_lock(&o->lock);
		o->writing = false;
		note(o, err);
		if (!retained || now_ns() - retained >= RETAIN_NS || (o->closing && !o->queue.n)) {
			pthread_mutex_unlock(&o->lock);
			retain(o); /* in trouble too: it may be what makes room */
			retained = now_ns();
			pthread_mutex_lock(&o->lock);
		}
		uint64_t end = now_ns() + (o->closing ? LAST_RETRY_NS : RETRY_NS);
		while (o->failing && now_ns() < end && !(o->closing && now_ns() >= o->deadline_ns))
			wait_until(o, o->closing && o->deadline_ns < end ? o->deadline_ns : end);
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

static void stats(struct outlet *base, struct outlet_stats *ret)
{
	struct store_outlet *o = (struct store_outlet *)base;
	pthread_mutex_lock(&o->lock);
	*ret = o->stats;
	ret->waiting = o->queue.n;
	ret->waiting_bytes = o->queued_bytes;
	pthread_mutex_unlock(&o->lock);
}

static void destroy(struct store_outlet *o)
{
	while (o->queue.n)
		drop(o, o->queue.n - 1);
	vec_free(&o->queue);
	store_close(o->store);
	pthread_cond_destroy(&o->changed);
	pthread_mutex_destroy(&o->lock);
	free(o->trouble);
	free(o->base.name);
	free(o);
}

static void close_store(struct outlet *base, uint64_t deadline_ns)
{
	struct store_outlet *o = (struct store_outlet *)base;
	pthread_mutex_lock(&o->lock);
	o->closing = true;
	o->deadline_ns = deadline_ns;
	pthread_cond_signal(&o->changed);
	pthread_mutex_unlock(&o->lock);
	pthread_join(o->writer, NULL);
	if (o->queue.n)
		log_warn("%s: %zu profiles could not be written: %s", base->name, o->queue.n,
		         o->stats.last_error);
	destroy(o);
}

static const struct outlet_ops ops = {.put = put, .stats = stats, .close = close_store};

/* Signals are for who samples. */
static int start_writer(struct store_outlet *o)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int errnum = pthread_create(&o->writer, NULL, write_all, o);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return errnum;
}

struct err *outlet_store(const char *dir, const struct retention *keep, struct outlet **ret)
{
	struct store_outlet *o = mem_zalloc(sizeof(*o));
	pthread_condattr_t monotonic;
	o->base.ops = &ops;
	o->base.name = mem_asprintf("store %s", dir);
	o->keep = keep ? *keep : (struct retention){0};
	pthread_mutex_init(&o->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&o->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	struct err *err = store_open(dir, STORE_CREATE, &o->store);
	int errnum = err ? 0 : start_writer(o);
	if (errnum)
		err = err_errno(errnum, "cannot start a thread for the store");
	if (err) {
		destroy(o);
		return err;
	}
	*ret = &o->base;
	return NULL;
}
