/* SPDX-License-Identifier: Apache-2.0 */
/* What is on the screen as a profile in a file: the thread chosen, the interval or the whole run,
 * with native frames or without. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <csample/format.h>

#include "model.h"

static bool is_native(const struct location *loc)
{
	for (uint32_t i = 0; i < loc->n_frames; i++) {
		enum frame_kind kind = loc->frames[i].kind;
		if (kind != FRAME_NATIVE && kind != FRAME_INLINED && kind != FRAME_KERNEL)
			return false;
	}
	return loc->n_frames > 0;
}

/* Its time is its caller's. */
static bool is_left_out(const struct model *m, const struct location *loc)
{
	return (loc->raw.kind == RAW_THREAD && m->kind != VIEW_THREADS) ||
	       (m->no_native && is_native(loc));
}

static void values_of(const struct model *m, size_t i, uint64_t values[PROFILE_VALUES])
{
	for (size_t k = 0; k < PROFILE_VALUES; k++) {
		values[k] = m->now.items[i].self[k];
		if (!m->whole && i < m->before.n)
			values[k] -= m->before.items[i].self[k];
	}
}

/* Per node, whether it or one below it has something of what is shown. */
static bool *find_wanted(const struct model *m)
{
	const struct thread_node *thread = m->thread ? model_thread(m, m->thread) : NULL;
	bool *inside = mem_zalloc(m->now.n + 1), *wanted = mem_zalloc(m->now.n + 1);
	for (size_t i = 0; i < m->now.n; i++) {
		uint64_t values[PROFILE_VALUES];
		values_of(m, i, values);
		inside[i] = !m->thread || (thread && i == thread->node) ||
		            (i && inside[m->now.items[i].parent]);
		wanted[i] = inside[i] && (values[0] || values[1]);
	}
	for (size_t i = m->now.n; i-- > 1;)
		wanted[m->now.items[i].parent] |= wanted[i];
	free(inside);
	return wanted;
}

static uint32_t copy_location(const struct profile *from, uint32_t index, struct profile *to)
{
	struct location loc = from->locations[index];
	if (loc.mapping)
		loc.mapping = profile_mapping(to, &from->mappings[loc.mapping - 1]);
	return profile_add_location(to, &loc);
}

static void copy_shown(const struct model *m, struct profile *to)
{
	const struct thread_node *thread = m->thread ? model_thread(m, m->thread) : NULL;
	_cleanup_free_ bool *wanted = find_wanted(m);
	uint32_t *at = mem_realloc_array(NULL, m->now.n + 1, sizeof(*at));
	bool *inside = mem_zalloc(m->now.n + 1);
	for (size_t i = 0; i < m->now.n; i++) {
		const struct profile_node *node = &m->now.items[i];
		uint64_t values[PROFILE_VALUES];
		inside[i] =
		        !m->thread || (thread && i == thread->node) || (i && inside[node->parent]);
		at[i] = i ? at[node->parent] : 0;
		if (!wanted[i])
			continue;
		if (i && !is_left_out(m, &m->p->locations[node->location]))
			at[i] = profile_child(to, at[i], copy_location(m->p, node->location, to));
		values_of(m, i, values);
		if (inside[i] && (values[0] || values[1]))
			profile_add_to_node(to, at[i], values);
	}
	free(inside);
	free(at);
	to->meta = m->p->meta;
	to->meta.duration_ns = m->whole ? m->facts.run_ns : m->facts.interval_ns;
	to->meta.start_unix_ns = m->facts.unix_ns - (int64_t)to->meta.duration_ns;
}

/* program-pid-2026-11-21T083000.svg */
static char *file_name(const struct model *m, const char *suffix)
{
	char name[64], when[32];
	struct tm tm;
	time_t now = (time_t)(m->facts.unix_ns / 1000000000);
	strftime(when, sizeof(when), "%Y-%m-%dT%H%M%S", localtime_r(&now, &tm));
	size_t len = strcspn(m->facts.command, " ");
	_cleanup_free_ char *program = mem_strndup(m->facts.command, len);
	const char *slash = strrchr(program, '/');
	snprintf(name, sizeof(name), "%s", slash && slash[1] ? slash + 1 : program);
	for (char *c = name; *c; c++)
		if (*c == '/' || (unsigned char)*c <= ' ' || *c == 0x7f)
			*c = '_';
	return mem_asprintf("%s-%d-%s%s", *name && *name != '-' ? name : "process",
	                    (int)m->facts.pid, when, suffix);
}

struct err *save(struct model *m, const char *suffix, char **path_ret)
{
	_cleanup_free_ char *path = file_name(m, suffix);
	const struct format *format = format_by_path(path);
	const struct emit_options opt = {.full_filenames = m->config.full_filenames};
	struct output *out;
	struct profile *p = profile_create(m->p->strings);
	copy_shown(m, p);
	struct err *err = output_open(path, &out);
	if (!err) {
		err = format->write(p, &opt, output_stream(out));
		if (err)
			output_abort(out);
		else
			err = output_commit(out);
	}
	profile_destroy(p);
	if (err)
		return err;
	*path_ret = path;
	path = NULL;
	return NULL;
}
