/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that sends: the oldest profile, piece by piece, until the backend has taken it or
 * refused it for good; then the next one. Nobody waits for it but close(). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <csample/clock.h>
#include <csample/log.h>
#include <csample/mem.h>

#include "outlet.h"

#define IDLE_NS         ((uint64_t)60 * 1000000000) /* then others' leavings are looked for */
#define CLOSING_TRIES   4                           /* that fail in a row */
#define CLOSING_WAIT_NS ((uint64_t)250 * 1000000)
#define PIECE_MS        ((int64_t)1000000) /* between the times of pieces */
#define MANY_429        5                  /* then it may be too large to pass at all */
#define SMALL_BYTES     ((size_t)256 << 10)

/* The profile that is being sent. */
struct current {
	struct entry entry;
	struct unpacked whole;
	struct spool_progress progress;
	struct piece_limits limits;
	/* The piece that is next. */
	Perftools__Profiles__Profile *piece; /* NULL: the whole profile */
	void *pprof;                         /* NULL: the entry's */
	size_t pprof_len, n_samples, bytes;
	struct http_request request;
	bool ready, other_way;
	unsigned few, too_many; /* answers in a row */
};

struct sender {
	struct pusher *p;
	struct current *current; /* NULL: none */
	unsigned failures;       /* in a row, of whatever profile */
	uint64_t not_before_ns;
	bool other_way; /* what the backend turned out to speak */
	unsigned closing_failures;
	uint64_t rejected_said;
};

static void forget_piece(struct current *c)
{
	piece_free(c->piece);
	free(c->pprof);
	http_request_free(&c->request);
	c->piece = NULL;
	c->pprof = NULL;
	c->ready = false;
}

static void forget(struct sender *s)
{
	struct current *c = s->current;
	if (!c)
		return;
	forget_piece(c);
	unpacked_free(&c->whole);
	entry_free(&c->entry);
	free(c);
	s->current = NULL;
}

/* ---- what is known of it ---- */

static void note_error(struct sender *s, const char *text, bool retried)
{
	struct outlet_stats *stats = &s->p->stats;
	pthread_mutex_lock(&s->p->lock);
	snprintf(stats->last_error, sizeof(stats->last_error), "%.255s", text);
	stats->retried += retried;
	pthread_mutex_unlock(&s->p->lock);
}

static void add_facts(struct strbuf *b, const struct sender *s)
{
	const struct current *c = s->current;
	time_t start = (time_t)(c->entry.start_unix_ns / 1000000000);
	struct tm tm;
	char text[40] = "?";
	if (gmtime_r(&start, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	strbuf_addf(b, "destination: %s\nprofile: ", s->p->base.name);
	strbuf_add_terminal(b, c->entry.type ? c->entry.type : "?");
	strbuf_addf(b, " of %s\nlabels:", text);
	for (size_t i = 0; i < c->entry.n_labels; i++) {
		strbuf_addf(b, " %s=", c->entry.labels[i].name);
		strbuf_add_json(b, c->entry.labels[i].value);
	}
	strbuf_addc(b, '\n');
	if (c->progress.pieces)
		strbuf_addf(b, "delivered of it: %u pieces, %" PRIu64 " samples\n",
		            c->progress.pieces, c->progress.samples);
}

/* It will never be taken. */
static void give_up(struct sender *s, const char *why, bool expired)
{
	struct pusher *p = s->p;
	struct strbuf reason = {0};
	strbuf_add(&reason, expired ? "expired: " : "rejected: ");
	strbuf_add_terminal(&reason, why);
	strbuf_addc(&reason, '\n');
	add_facts(&reason, s);
	spool_aside(p->spool, s->current->entry.pprof, s->current->entry.pprof_len, reason.s);
	note_error(s, why, false);
	pthread_mutex_lock(&p->lock);
	uint64_t n = expired ? ++p->stats.expired : ++p->stats.rejected;
	p->stats.dropped += expired;
	spool_done(p->spool);
	pthread_mutex_unlock(&p->lock);
	strbuf_free(&reason);
	if (!(n & (n - 1))) /* 1, 2, 4, ... */
		log_warn("%s: %" PRIu64 " profiles %s: %s%s%s%s", p->base.name, n,
		         expired ? "came too late to be taken" : "were refused", why,
		         spool_dir(p->spool) ? "; they are moved to '" : "",
		         spool_dir(p->spool) ? spool_dir(p->spool) : "",
		         spool_dir(p->spool) ? "/rejected'" : "");
	forget(s);
}

/* ---- what is next ---- */

/* Takes the oldest profile. False: there is none. */
static bool take_next(struct sender *s)
{
	_cleanup_free_ void *bytes = NULL;
	size_t len = 0;
	struct spool_progress progress;
	if (!spool_oldest(s->p->spool, &bytes, &len, &progress))
		return false;
	struct current *c = s->current = mem_zalloc(sizeof(*c));
	c->progress = progress;
	c->limits = s->p->backend->limits;
	struct err *err = entry_unpack(bytes, len, &c->entry);
	if (!err)
		err = unpacked_create(&c->entry, &c->whole);
	if (err) {
		give_up(s, err->msg, false);
		err_free(err);
		return true;
	}
	/* Made by a csample that let them pass, or the end was just not noted. */
	if (!unpacked_any(&c->whole) || progress.samples >= c->whole.pb->n_sample) {
		spool_done(s->p->spool);
		forget(s);
	}
	return true;
}

static struct err *prepare(struct sender *s)
{
	struct current *c = s->current;
	const struct piece_limits *limits = &c->limits;
	int64_t shift_ns = c->entry.shift_ns + (int64_t)c->progress.pieces * PIECE_MS;
	struct err *err = NULL;
	if (!shift_ns && !c->progress.samples && c->whole.pb->n_sample <= limits->samples &&
	    c->whole.len <= limits->bytes) {
		c->n_samples = c->whole.pb->n_sample;
		c->bytes = c->whole.len;
	} else {
		c->piece =
		        piece_cut(&c->whole, c->progress.samples, limits, shift_ns, &c->n_samples);
		c->bytes = perftools__profiles__profile__get_packed_size(c->piece);
		err = piece_pack(c->piece, &c->pprof, &c->pprof_len);
	}
	struct sending sending = {
	        .entry = &c->entry,
	        .piece = c->piece ? c->piece : c->whole.pb,
	        .pprof = c->pprof ? c->pprof : c->entry.pprof,
	        .pprof_len = c->pprof ? c->pprof_len : c->entry.pprof_len,
	        .number = c->progress.pieces,
	        .version = s->p->version,
	        .other_way = c->other_way = s->other_way,
	};
	if (!err)
		err = s->p->backend->request(&sending, &c->request);
	c->ready = !err;
	return err;
}

/* ---- what an answer means ---- */

static void delivered(struct sender *s)
{
	struct current *c = s->current;
	struct pusher *p = s->p;
	if (s->failures) {
		struct spool_counts counts;
		spool_count(p->spool, &counts);
		log_info("%s takes profiles again; %" PRIu64 " wait", p->base.name, counts.waiting);
	}
	s->failures = s->closing_failures = 0;
	s->not_before_ns = 0;
	c->few = c->too_many = 0;
	c->progress.samples += c->n_samples;
	c->progress.pieces++;
	forget_piece(c);
	if (c->progress.samples < c->whole.pb->n_sample) {
		spool_progressed(p->spool, c->progress);
		return;
	}
	pthread_mutex_lock(&p->lock); /* stats() sees it either waiting or delivered */
	spool_done(p->spool);
	p->stats.delivered++;
	pthread_mutex_unlock(&p->lock);
	forget(s);
}

static uint64_t any_number(void)
{
	uint64_t n = 0;
	return getrandom(&n, sizeof(n), GRND_NONBLOCK) == sizeof(n) ? n : now_ns();
}

static void failed(struct sender *s, const struct http_answer *a)
{
	struct pusher *p = s->p;
	const char *dir = spool_dir(p->spool);
	note_error(s, a->text, true);
	if (!s->failures++)
		log_warn("%s: %s; profiles wait in %s%s%s until it takes them", p->base.name,
		         a->text, dir ? "'" : "memory", dir ? dir : "", dir ? "'" : "");
	s->closing_failures++;
	s->not_before_ns = now_ns() + retry_delay_ns(s->failures, a->retry_after_s, any_number());
	spool_settle(p->spool); /* it may take long */
}

/* The same profile in smaller pieces. False: it is small already. */
static bool smaller(struct current *c)
{
	if (c->n_samples <= 1)
		return false;
	c->limits.samples = c->n_samples / 2;
	c->limits.bytes = c->bytes / 2 + 1;
	forget_piece(c);
	return true;
}

static enum verdict judge(struct sender *s, const struct http_answer *a)
{
	struct current *c = s->current;
	struct sending sending = {.entry = &c->entry, .other_way = c->other_way};
	enum verdict v = s->p->backend->judge(&sending, a);
	c->too_many = a->status == 429 ? c->too_many + 1 : 0;
	if (c->too_many > MANY_429 && c->bytes > SMALL_BYTES)
		v = PUSH_SMALLER;
	if (v == PUSH_SMALLER && !smaller(c))
		v = PUSH_REJECTED;
	if (v == PUSH_RETRY_FEW && ++c->few >= PUSH_FEW)
		v = PUSH_REJECTED;
	return v;
}

static void attempt(struct sender *s)
{
	struct http_answer a;
	struct current *c = s->current;
	struct err *err = c->ready ? NULL : prepare(s);
	if (err) {
		give_up(s, err->msg, false);
		err_free(err);
		return;
	}
	http_post(s->p->http, &c->request, &a);
	if (a.aborted) {
		note_error(s, a.text, false);
		return;
	}
	if (!a.status)
		s->other_way = false; /* perhaps another server is there by the next time */
	switch (judge(s, &a)) {
	case PUSH_DELIVERED:
		delivered(s);
		break;
	case PUSH_RETRY:
	case PUSH_RETRY_FEW:
		if (s->other_way != c->other_way)
			forget_piece(c);
		failed(s, &a);
		break;
	case PUSH_SMALLER: /* the next attempt makes it so */
		break;
	case PUSH_OTHER_WAY:
		s->other_way = true;
		forget_piece(c);
		break;
	case PUSH_REJECTED:
		give_up(s, a.text, false);
		break;
	case PUSH_EXPIRED:
		give_up(s, a.text, true);
		break;
	}
}

/* ---- the loop ---- */

/* Waits for something to do, until then (CLOCK_MONOTONIC). */
static void wait_until(struct pusher *p, uint64_t then_ns, bool for_news)
{
	struct timespec t = {(time_t)(then_ns / 1000000000), (long)(then_ns % 1000000000)};
	pthread_mutex_lock(&p->lock);
	while (!(for_news && p->news) && !p->closing && !p->reopen &&
	       !pthread_cond_timedwait(&p->wake, &p->lock, &t))
		;
	pthread_mutex_unlock(&p->lock);
}

/* Whether to try on although close() has been called. Waits a little after a failure. */
static bool go_on_closing(struct sender *s, uint64_t deadline_ns)
{
	uint64_t now = now_ns();
	if (now >= deadline_ns || s->closing_failures >= CLOSING_TRIES)
		return false;
	if (s->closing_failures) {
		struct timespec t = {0, (long)CLOSING_WAIT_NS};
		nanosleep(&t, NULL);
	}
	return true;
}

void *sender_run(void *arg)
{
	struct sender s = {.p = arg};
	struct pusher *p = arg;
	bool closing = false;
	setpriority(PRIO_PROCESS, (id_t)gettid(), 10); /* before everything else comes the target */
	for (;;) {
		pthread_mutex_lock(&p->lock);
		bool reopen = p->reopen, first = p->closing && !closing;
		uint64_t deadline_ns = p->deadline_ns;
		closing = p->closing;
		p->reopen = p->news = false;
		pthread_mutex_unlock(&p->lock);
		if (reopen) {
			http_reopen(p->http);
			s.not_before_ns = 0;
		}
		if (first)
			s.closing_failures = 0;
		if (closing && !go_on_closing(&s, deadline_ns))
			break;
		if (!s.current && !take_next(&s)) {
			if (closing)
				break;
			uint64_t then_ns = now_ns() + IDLE_NS;
			wait_until(p, then_ns, true);
			if (now_ns() >= then_ns)
				spool_adopt(p->spool);
		} else if (s.current && !closing && now_ns() < s.not_before_ns) {
			wait_until(p, s.not_before_ns, false);
		} else if (s.current) {
			attempt(&s);
		}
	}
	forget(&s);
	return NULL;
}
