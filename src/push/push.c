/* SPDX-License-Identifier: Apache-2.0 */
/* The outlet: opening it, putting into its spool, closing it. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <csample/clock.h>
#include <csample/hash.h>
#include <csample/log.h>
#include <csample/mem.h>

#include "outlet.h"

/* Less than half of the profile itself, so that they stay in order. */
static int64_t spread_of(const struct pusher *p, const struct delivery *d)
{
	uint64_t random = 0;
	if (!p->backend->spread_ms ||
	    d->profile->meta.duration_ns < 2000000ULL * p->backend->spread_ms)
		return 0;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = hash_mix(now_ns(), (uint64_t)getpid());
	return (int64_t)(random % p->backend->spread_ms);
}

/* Backends tell profiles of a series apart by the millisecond they begin in, and one drops the
 * second. What is to be added to a profile's time. */
static int64_t shift_of(struct pusher *p, const struct delivery *d)
{
	uint64_t series = hash_bytes(d->type, strlen(d->type));
	for (size_t i = 0; i < d->n_labels; i++) {
		series = hash_mix(series, hash_bytes(d->labels[i].name, strlen(d->labels[i].name)));
		series = hash_mix(series,
		                  hash_bytes(d->labels[i].value, strlen(d->labels[i].value)));
	}
	int64_t first = d->profile->meta.start_unix_ns / 1000000, ms = first + spread_of(p, d);
	size_t n = p->n_recent < RECENT ? p->n_recent : RECENT;
	for (size_t i = 0; i < n;) {
		if (p->recent[i].series == series && p->recent[i].ms == ms) {
			ms++;
			i = 0;
		} else {
			i++;
		}
	}
	p->recent[p->n_recent % RECENT].series = series;
	p->recent[p->n_recent++ % RECENT].ms = ms;
	return (ms - first) * 1000000;
}

/* 1, 2, 4, 8, ...: what may go on for long is not said each time. */
static bool worth_saying(uint64_t before, uint64_t now)
{
	for (uint64_t n = 1; n && n <= now; n *= 2)
		if (n > before)
			return true;
	return false;
}

static struct err *put(struct outlet *o, const struct delivery *d)
{
	struct pusher *p = (struct pusher *)o;
	if (!d->profile->total[0] && !d->profile->total[1])
		return NULL; /* no backend keeps what is empty, and some fall over */
	struct strbuf b = {0};
	entry_pack(d, shift_of(p, d), &b);
	int errnum = 0;
	spool_put(p->spool, b.s, b.len, &errnum);
	strbuf_free(&b);
	if (errnum && !p->in_memory)
		log_warn("%s: profiles that wait cannot be written to '%s': %s; they are kept in "
		         "memory meanwhile",
		         o->name, spool_dir(p->spool), strerror(errnum));
	p->in_memory = errnum;
	struct spool_counts counts;
	spool_count(p->spool, &counts);
	if (worth_saying(p->dropped_said, counts.dropped))
		log_warn("%s: %" PRIu64 " profiles that waited were dropped, the oldest ones: no "
		         "more than %" PRIu64 " bytes may wait (--push-spool-size)",
		         o->name, counts.dropped, counts.bytes);
	p->dropped_said = counts.dropped;
	pthread_mutex_lock(&p->lock);
	p->news = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void reopen(struct outlet *o)
{
	struct pusher *p = (struct pusher *)o;
	pthread_mutex_lock(&p->lock);
	p->reopen = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

static void stats(struct outlet *o, struct outlet_stats *ret)
{
	struct pusher *p = (struct pusher *)o;
	struct spool_counts counts;
	pthread_mutex_lock(&p->lock);
	spool_count(p->spool, &counts);
	*ret = p->stats;
	pthread_mutex_unlock(&p->lock);
	ret->dropped += counts.dropped;
	ret->waiting = counts.waiting;
	ret->waiting_bytes = counts.bytes;
}

static void destroy(struct pusher *p)
{
	if (p->http)
		http_destroy(p->http);
	if (p->spool)
		spool_close(p->spool);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->wake);
	free(p->version);
	free(p->base.name);
	free(p);
}

static void close_outlet(struct outlet *o, uint64_t deadline_ns)
{
	struct pusher *p = (struct pusher *)o;
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	p->deadline_ns = deadline_ns;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	http_stop(p->http, deadline_ns);
	pthread_join(p->thread, NULL);
	uint64_t lost = spool_settle(p->spool);
	struct spool_counts counts;
	spool_count(p->spool, &counts);
	if (lost)
		log_warn("%s: %" PRIu64 " profiles could not be delivered and are lost: %s",
		         o->name, lost, p->stats.last_error);
	if (counts.waiting > lost)
		log_warn("%s: %" PRIu64 " profiles could not be delivered: %s; they wait in '%s' "
		         "for the next recording that is pushed there",
		         o->name, counts.waiting - lost,
		         p->stats.last_error[0] ? p->stats.last_error : "there was no time",
		         spool_dir(p->spool));
	destroy(p);
}

static const struct outlet_ops ops = {
        .put = put,
        .reopen = reopen,
        .stats = stats,
        .close = close_outlet,
};

/* Where profiles wait unless it was said. */
static char *default_spool(void)
{
	const char *state = getenv("STATE_DIRECTORY"); /* systemd's */
	if (state && state[0] == '/')
		return mem_asprintf("%.*s/spool", (int)strcspn(state, ":"), state);
	state = getenv("XDG_STATE_HOME");
	if (state && state[0] == '/')
		return mem_asprintf("%s/csample/spool", state);
	const char *home = getenv("HOME");
	if (!geteuid() || !home || home[0] != '/')
		return mem_strdup("/var/lib/csample/spool");
	return mem_asprintf("%s/.local/state/csample/spool", home);
}

/* A directory for each destination: what waits must not go to another one. */
static char *spool_of(const char *dir, const struct push_url *url, const char *tenant)
{
	const char *tenant_text = tenant ? tenant : "";
	uint64_t hash = hash_mix(hash_bytes(url->base, strlen(url->base)),
	                         hash_bytes(tenant_text, strlen(tenant_text)));
	char *path = mem_asprintf("%s/%s-%.80s-%08" PRIx32, dir, url->backend->name,
	                          strstr(url->base, "://") + 3, (uint32_t)hash);
	for (char *c = path + strlen(dir) + 1; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", *c))
			*c = '_';
	return path;
}

static struct err *open_spool(struct pusher *p, const struct push_url *url,
                              const struct push_config *config)
{
	_cleanup_free_ char *base =
	        config->spool_dir ? mem_strdup(config->spool_dir) : default_spool();
	_cleanup_free_ char *dir = spool_of(base, url, config->tenant);
	struct err *err = spool_open(dir, config->spool_max_bytes, &p->spool);
	if (!err || config->spool_dir)
		return err;
	log_warn("%s; they are kept in memory: name another directory with --push-spool", err->msg);
	err_free(err);
	return spool_open(NULL, config->spool_max_bytes, &p->spool);
}

/* With all signals blocked: they are the main thread's, and a broken connection is no SIGPIPE. */
static int start(struct pusher *p)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int errnum = pthread_create(&p->thread, NULL, sender_run, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return errnum;
}

static struct err *check_tenant(const char *tenant)
{
	if (!tenant)
		return NULL;
	size_t len = strlen(tenant);
	size_t good = strspn(tenant, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                             "0123456789!-_.*'()|");
	if (!len || len > 150 || good < len || !strcmp(tenant, ".") || !strcmp(tenant, ".."))
		return err_new(ERR_USAGE,
		               "'%s' is no tenant: 1 to 150 of letters, digits and !-_.*'()",
		               tenant);
	return NULL;
}

struct err *outlet_push(const char *url, const struct push_config *config, struct outlet **ret)
{
	struct push_url parsed;
	struct err *err = push_url_parse(url, &parsed);
	if (err)
		return err;
	struct pusher *p = mem_zalloc(sizeof(*p));
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&p->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&p->lock, NULL);
	p->base.ops = &ops;
	p->base.name = mem_asprintf("%s %s", parsed.backend->name, parsed.base);
	p->backend = parsed.backend;
	p->version = mem_strdup(config->version ? config->version : "?");
	struct http_config http = {.base = parsed.base, .user = parsed.user, .push = config};
	err = check_tenant(config->tenant);
	if (!err)
		err = http_create(&http, &p->http);
	if (!err && parsed.secret_in_clear && http_has_secrets(p->http))
		log_warn("%s: a password or token goes there unencrypted; use https", p->base.name);
	if (!err)
		err = open_spool(p, &parsed, config);
	if (!err) {
		int errnum = start(p);
		if (errnum)
			err = err_errno(errnum, "cannot start a thread");
	}
	if (err) {
		err = err_wrap(err, "cannot push to %s", p->base.name);
		destroy(p);
	} else {
		*ret = &p->base;
	}
	push_url_free(&parsed);
	return err;
}
