/* SPDX-License-Identifier: Apache-2.0 */
/* Where threads of the server and the thread that samples meet. A window over the profile being
 * filled is its values when the window opens, taken off those when it closes; where the profile is
 * cut in between, the parts are merged. So any number of windows costs nothing per sample. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <csample/clock.h>
#include <csample/mem.h>
#include <csample/serve.h>

#define MAX_WAITING    64
#define LOOK_NS        200000000ULL   /* how often it is asked whether the asker is still there */
#define OPEN_WITHIN_NS 15000000000ULL /* sampling of another event may have to be started */
#define ATTENDED_NS    10000000000ULL

enum state { ASKED, OPEN, DONE };

/* Belongs to the asker while DONE, and else, but for gone, to the sampling side. */
struct item {
	struct item *next;
	enum state state;
	bool gone; /* nobody waits for it any more */
	bool is_text;
	struct desk_request request;
	uint64_t asked_ns, start_ns;
	int64_t start_unix_ns;
	struct strings *strings; /* of sum */
	struct profile *sum;     /* of profiles that have been cut; NULL: none so far */
	uint64_t (*baseline)[PROFILE_VALUES];
	size_t n_baseline;
	enum desk_text what;
	struct strbuf text;
	void *bytes;
	size_t len;
	struct err *err;
};

struct desk {
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t done;
	struct item *items;
	size_t n_items;
	int event_fd;
	bool finished;
	uint64_t attended_ns;
};

struct err *desk_create(struct desk **ret)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return err_errno(errno, "create an event descriptor for the HTTP server");
	struct desk *d = mem_zalloc(sizeof(*d));
	d->event_fd = fd;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->done, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&d->lock, NULL);
	d->attended_ns = now_ns();
	*ret = d;
	return NULL;
}

static void item_free(struct item *w)
{
	profile_destroy(w->sum);
	strings_destroy(w->strings);
	strbuf_free(&w->text);
	free(w->baseline);
	free(w->bytes);
	err_free(w->err);
	free(w);
}

static void unlink_item(struct desk *d, const struct item *w)
{
	for (struct item **p = &d->items; *p; p = &(*p)->next) {
		if (*p != w)
			continue;
		*p = w->next;
		d->n_items--;
		return;
	}
}

void desk_destroy(struct desk *d)
{
	if (!d)
		return;
	while (d->items) {
		struct item *w = d->items;
		unlink_item(d, w);
		item_free(w);
	}
	close(d->event_fd);
	pthread_cond_destroy(&d->done);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static void ring(struct desk *d)
{
	uint64_t one = 1;
	ssize_t n = write(d->event_fd, &one, sizeof(one));
	(void)n; /* full: it rings already */
}

/* Puts w on the desk and waits until it is done, unless its asker goes. True: w is the caller's. */
static bool wait_for(struct desk *d, struct item *w)
{
	pthread_mutex_lock(&d->lock);
	w->asked_ns = now_ns();
	w->next = d->items;
	d->items = w;
	d->n_items++;
	if (d->finished || d->n_items > MAX_WAITING) {
		w->err = d->finished ? err_new(ERR_GONE, "sampling has ended")
		                     : err_new(ERR_UNSUPPORTED,
		                               "%d requests are waiting already; try again later",
		                               MAX_WAITING);
		w->state = DONE;
	}
	ring(d);
	while (w->state != DONE && !w->gone) {
		uint64_t until = now_ns() + LOOK_NS;
		struct timespec ts = {.tv_sec = (time_t)(until / 1000000000),
		                      .tv_nsec = (long)(until % 1000000000)};
		pthread_cond_timedwait(&d->done, &d->lock, &ts);
		if (w->state != DONE && w->request.given_up && w->request.given_up(w->request.arg))
			w->gone = true;
	}
	bool ours = w->state == DONE;
	if (ours)
		unlink_item(d, w);
	pthread_mutex_unlock(&d->lock);
	return ours;
}

struct err *desk_ask(struct desk *d, const struct desk_request *r, void **bytes_ret,
                     size_t *len_ret)
{
	struct item *w = mem_zalloc(sizeof(*w));
	w->request = *r;
	if (!wait_for(d, w))
		return err_new(ERR_GONE, "nobody waits for the answer any more");
	struct err *err = w->err;
	w->err = NULL;
	if (!err) {
		*bytes_ret = w->bytes;
		*len_ret = w->len;
		w->bytes = NULL;
	}
	item_free(w);
	return err;
}

struct err *desk_ask_text(struct desk *d, enum desk_text what, struct strbuf *b)
{
	struct item *w = mem_zalloc(sizeof(*w));
	w->is_text = true;
	w->what = what;
	w->text = *b;
	*b = (struct strbuf){0};
	wait_for(d, w); /* without given_up it always comes back */
	struct err *err = w->err;
	w->err = NULL;
	*b = w->text;
	w->text = (struct strbuf){0};
	item_free(w);
	return err;
}

bool desk_is_attended(struct desk *d)
{
	pthread_mutex_lock(&d->lock);
	bool is = !d->finished && now_ns() - d->attended_ns < ATTENDED_NS;
	pthread_mutex_unlock(&d->lock);
	return is;
}

bool desk_wants(struct desk *d, enum desk_event event)
{
	bool wants = false;
	pthread_mutex_lock(&d->lock);
	for (const struct item *w = d->items; w; w = w->next)
		wants |= !w->is_text && w->state != DONE && !w->gone && w->request.event == event;
	pthread_mutex_unlock(&d->lock);
	return wants;
}

int desk_fd(struct desk *d)
{
	return d->event_fd;
}

uint64_t desk_next_ns(struct desk *d)
{
	uint64_t next = UINT64_MAX;
	pthread_mutex_lock(&d->lock);
	for (const struct item *w = d->items; w; w = w->next) {
		if (w->is_text || w->state != OPEN)
			continue;
		uint64_t end = w->start_ns + w->request.duration_ns;
		next = end < next ? end : next;
	}
	pthread_mutex_unlock(&d->lock);
	return next;
}

static void open_window(struct item *w, const struct profile *p)
{
	struct timespec wall;
	clock_gettime(CLOCK_REALTIME, &wall);
	w->start_unix_ns = (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec;
	w->start_ns = now_ns();
	w->n_baseline = p->n_nodes;
	w->baseline = mem_realloc_array(NULL, p->n_nodes, sizeof(*w->baseline));
	for (size_t i = 0; i < p->n_nodes; i++)
		memcpy(w->baseline[i], p->nodes[i].self, sizeof(w->baseline[i]));
}

/* What p has that was not there when the window opened, or when p was begun. */
static void take(struct item *w, const struct profile *p)
{
	if (!w->sum) {
		w->strings = strings_create();
		w->sum = profile_create(w->strings);
	}
	profile_merge(w->sum, p, (const uint64_t(*)[PROFILE_VALUES])w->baseline, w->n_baseline);
	free(w->baseline);
	w->baseline = NULL;
	w->n_baseline = 0;
}

static void close_window(struct item *w, const struct desk_clerk *clerk)
{
	const struct profile *p = clerk->profile(clerk->arg, w->request.event, true);
	if (p)
		take(w, p);
	if (!w->sum) {
		w->err = err_new(ERR_GONE, "nothing is sampled any more");
		return;
	}
	w->sum->meta.start_unix_ns = w->start_unix_ns;
	w->sum->meta.duration_ns = now_ns() - w->start_ns;
	w->err = clerk->encode(clerk->arg, w->sum, &w->bytes, &w->len);
}

/* One step of w, and what state it is in then. No lock is held: until it is DONE the item is ours.
 */
static enum state attend_item(struct item *w, const struct desk_clerk *clerk, bool finish)
{
	enum state state = w->state;
	if (w->is_text) {
		w->err = clerk->text(clerk->arg, w->what, &w->text);
		return DONE;
	}
	if (state == ASKED) {
		const struct profile *p = clerk->profile(clerk->arg, w->request.event, false);
		if (p) {
			open_window(w, p);
			state = OPEN;
		} else if (finish || now_ns() - w->asked_ns > OPEN_WITHIN_NS) {
			w->err = err_new(ERR_GONE, "there is nothing to sample");
			return DONE;
		}
	}
	if (state != OPEN || (!finish && now_ns() - w->start_ns < w->request.duration_ns))
		return state;
	close_window(w, clerk);
	return DONE;
}

static void attend(struct desk *d, const struct desk_clerk *clerk, bool finish)
{
	uint64_t rings;
	ssize_t n = read(d->event_fd, &rings, sizeof(rings));
	(void)n;
	pthread_mutex_lock(&d->lock);
	d->attended_ns = now_ns();
	d->finished |= finish;
	for (struct item *w = d->items, *next; w; w = next) {
		/* Askers unlink only what is done, and add at the front: next stays. */
		next = w->next;
		if (w->state == DONE)
			continue;
		if (w->gone) {
			unlink_item(d, w);
			item_free(w);
			continue;
		}
		pthread_mutex_unlock(&d->lock);
		enum state state = attend_item(w, clerk, finish);
		pthread_mutex_lock(&d->lock);
		next = w->next;
		w->state = state;
		if (state == DONE)
			pthread_cond_broadcast(&d->done);
		if (state == DONE && w->gone) {
			unlink_item(d, w);
			item_free(w);
		}
	}
	pthread_mutex_unlock(&d->lock);
}

void desk_attend(struct desk *d, const struct desk_clerk *clerk)
{
	attend(d, clerk, false);
}

void desk_finish(struct desk *d, const struct desk_clerk *clerk)
{
	attend(d, clerk, true);
}

void desk_before_cut(struct desk *d, const struct desk_clerk *clerk, enum desk_event event)
{
	pthread_mutex_lock(&d->lock);
	for (struct item *w = d->items; w; w = w->next) {
		if (w->is_text || w->state != OPEN || w->gone || w->request.event != event)
			continue;
		pthread_mutex_unlock(&d->lock);
		const struct profile *p = clerk->profile(clerk->arg, event, true);
		if (p)
			take(w, p);
		pthread_mutex_lock(&d->lock);
	}
	pthread_mutex_unlock(&d->lock);
}
