/* SPDX-License-Identifier: Apache-2.0 */
/* Each interval into a file of its own. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <csample/log.h>
#include <csample/mem.h>
#include <csample/outlet.h>

#include "pattern.h"
#include "retention.h"

#define MAX_AGAIN 10000

struct files {
	struct outlet base;
	struct pattern *pattern;
	struct keeper *keeper; /* NULL: everything is kept */
	const struct format *format;
	struct emit_options emit;
	pthread_mutex_t lock;
	struct outlet_stats stats;
	bool cannot_delete; /* was said */
};

static int64_t now_unix_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A name that is not taken, where there is a time in it; else one that may be replaced. */
static struct err *choose_path(struct files *f, const struct delivery *d,
                               char name[static PATTERN_MAX_NAME + 1], char **path_ret)
{
	struct pattern_values values = {.unix_ns = d->profile->meta.start_unix_ns,
	                                .pid = d->profile->meta.pid,
	                                .sequence = d->sequence};
	for (;;) {
		struct stat st;
		struct err *err = pattern_expand(f->pattern, &values, name);
		if (err)
			return err;
		char *path = mem_asprintf("%s%s", pattern_dir(f->pattern), name);
		if (!pattern_has_time(f->pattern) || values.again > MAX_AGAIN || lstat(path, &st)) {
			*path_ret = path;
			return NULL;
		}
		free(path);
		values.again = values.again ? values.again + 1 : 2;
	}
}

static struct err *write_file(struct files *f, const struct delivery *d, const char *path)
{
	struct output *output;
	struct err *err = output_open(path, &output);
	if (err)
		return err;
	if (d->pprof && !strcmp(f->format->name, "pprof"))
		fwrite(d->pprof, 1, d->pprof_len, output_stream(output));
	else
		err = f->format->write(d->profile, &f->emit, output_stream(output));
	if (!err)
		return output_commit(output);
	output_abort(output);
	return err_wrap(err, "'%s'", path);
}

static struct err *put(struct outlet *o, const struct delivery *d)
{
	struct files *f = (struct files *)o;
	char name[PATTERN_MAX_NAME + 1];
	_cleanup_free_ char *path = NULL;
	struct err *err = choose_path(f, d, name, &path);
	if (!err)
		err = write_file(f, d, path);
	pthread_mutex_lock(&f->lock);
	if (err)
		snprintf(f->stats.last_error, sizeof(f->stats.last_error), "%s", err->msg);
	f->stats.delivered += !err;
	f->stats.rejected += !!err;
	pthread_mutex_unlock(&f->lock);
	if (err || !f->keeper)
		return err;
	struct err *too_many = keeper_wrote(f->keeper, name, now_unix_ns());
	if (too_many && !f->cannot_delete)
		log_warn("%s", too_many->msg);
	f->cannot_delete |= !!too_many;
	err_free(too_many);
	return NULL;
}

static void reopen(struct outlet *o)
{
	struct files *f = (struct files *)o;
	if (f->keeper)
		err_free(keeper_scan(f->keeper)); /* what was known stays so if it cannot */
	f->cannot_delete = false;
}

static void stats(struct outlet *o, struct outlet_stats *ret)
{
	struct files *f = (struct files *)o;
	pthread_mutex_lock(&f->lock);
	*ret = f->stats;
	pthread_mutex_unlock(&f->lock);
}

static void destroy(struct files *f)
{
	keeper_destroy(f->keeper);
	pattern_free(f->pattern);
	pthread_mutex_destroy(&f->lock);
	free(f->base.name);
	free(f);
}

static void close_files(struct outlet *o, uint64_t deadline_ns)
{
	(void)deadline_ns;
	destroy((struct files *)o);
}

static const struct outlet_ops ops = {
        .put = put, .reopen = reopen, .stats = stats, .close = close_files};

/* Whether a file can be written there, of a name that is likely to be the first. */
static struct err *probe(struct files *f)
{
	struct pattern_values values = {.unix_ns = now_unix_ns(), .sequence = 1};
	char name[PATTERN_MAX_NAME + 1];
	struct err *err = pattern_expand(f->pattern, &values, name);
	if (err)
		return err;
	_cleanup_free_ char *path = mem_asprintf("%s%s", pattern_dir(f->pattern), name);
	struct output *output;
	err = output_open(path, &output);
	if (!err)
		output_abort(output);
	return err;
}

static struct err *choose_format(struct files *f, const char *pattern)
{
	char known[256];
	if (!f->format)
		f->format = format_by_path(pattern);
	if (f->format)
		return NULL;
	format_list(known, sizeof(known));
	return err_new(ERR_USAGE,
	               "'%s' does not tell the format: name it with -f (%s), or end the name in "
	               ".pb.gz, .svg or .collapsed",
	               pattern, known);
}

struct err *outlet_files(const char *pattern, const struct format *format,
                         const struct emit_options *emit, const struct retention *keep,
                         struct outlet **ret)
{
	struct files *f = mem_zalloc(sizeof(*f));
	bool limited = keep && (keep->count || keep->age_ns || keep->bytes);
	struct err *err = NULL;
	f->base.ops = &ops;
	f->base.name = mem_asprintf("files %s", pattern);
	f->format = format;
	f->emit = emit ? *emit : (struct emit_options){0};
	pthread_mutex_init(&f->lock, NULL);
	bool in_memory = !strncmp(pattern, "/dev/shm/", 9);
	if (!strcmp(pattern, "-") || (!strncmp(pattern, "/dev/", 5) && !in_memory))
		err = err_new(ERR_USAGE,
		              "'%s' cannot hold several profiles: name files, as "
		              "prof-%%t.pb.gz",
		              pattern);
	if (!err)
		err = choose_format(f, pattern);
	if (!err)
		err = pattern_parse(pattern, &f->pattern);
	if (!err && limited && !pattern_varies(f->pattern))
		err = err_new(ERR_USAGE,
		              "'%s' is one file, written anew each time: there is nothing to keep; "
		              "put %%t or %%n into its name",
		              pattern);
	if (!err)
		err = probe(f);
	if (!err && limited)
		err = keeper_create(f->pattern, keep, &f->keeper);
	if (err) {
		destroy(f);
		return err;
	}
	*ret = &f->base;
	return NULL;
}
