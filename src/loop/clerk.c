/* SPDX-License-Identifier: Apache-2.0 */
/* What a desk wants to have of the running loop: the profiles that are being filled, and texts. */
#include <csample/clock.h>
#include <csample/log.h>
#include <csample/mem.h>

#include "internal.h"

#define MAX_PIDS 16384

static struct loop_line *line_of(struct loop *l, enum desk_event event)
{
	bool own = (event == DESK_WALL) == l->config->wall;
	struct loop_line *line = own ? &l->line : event == DESK_WALL ? &l->beside : NULL;
	return line && line->engine ? line : NULL;
}

static struct profile *profile(void *arg, enum desk_event event, bool named)
{
	struct loop *l = arg;
	struct loop_line *line = line_of(l, event);
	struct stats stats;
	if (!line)
		return NULL;
	if (l->cutting)
		return line->profile;
	/* What sleepers have slept until now, what ended threads did last. */
	engine_checkpoint(line->engine, &stats);
	ledger_settle(line->ledger, &stats);
	if (named)
		ledger_name(line->ledger, line->images, line->symbols, line->decoder);
	l->ops->describe(l->arg, line, &stats, line->profile);
	return line->profile;
}

static struct err *text(void *arg, enum desk_text what, struct strbuf *b)
{
	struct loop *l = arg;
	if (what == DESK_METRICS) {
		loop_metrics(l, b);
		return NULL;
	}
	if (!l->line.engine)
		return err_new(ERR_GONE, "there is no process to be sampled yet");
	return l->ops->text(l->arg, &l->line, what, b);
}

static struct err *encode(void *arg, const struct profile *p, void **bytes_ret, size_t *len_ret)
{
	(void)arg;
	return encode_pprof(p, bytes_ret, len_ret, NULL);
}

static struct desk_clerk clerk_of(struct loop *l)
{
	return (struct desk_clerk){l, profile, text, encode};
}

static void end_beside(struct loop *l)
{
	if (!l->beside.engine)
		return;
	l->ops->close(l->arg, &l->beside);
	l->beside = (struct loop_line){0};
}

/* Wall time costs more than what is sampled anyway: only while it is wanted. */
static void begin_beside(struct loop *l)
{
	_cleanup_free_ pid_t *pids = mem_realloc_array(NULL, MAX_PIDS, sizeof(*pids));
	size_t n = engine_pids(l->line.engine, pids, MAX_PIDS);
	struct err *err =
	        n ? l->ops->open(l->arg, pids, n, l->budget.rate_hz, true, &l->beside) : NULL;
	if (!err && l->beside.engine)
		err = engine_start(l->beside.engine);
	if (!err)
		return;
	log_warn("wall time cannot be sampled: %s", err->msg);
	err_free(err);
	end_beside(l);
}

void clerk_attend(struct loop *l)
{
	struct desk_clerk clerk = clerk_of(l);
	if (!l->config->desk)
		return;
	bool wanted = !l->config->wall && desk_wants(l->config->desk, DESK_WALL);
	if (wanted && !l->beside.engine && l->line.engine)
		begin_beside(l);
	if (l->beside.engine)
		engine_poll(l->beside.engine, 0);
	desk_attend(l->config->desk, &clerk);
	if (!wanted)
		end_beside(l);
}

void clerk_before_cut(struct loop *l)
{
	struct desk_clerk clerk = clerk_of(l);
	l->cutting = true; /* the profile is complete: nothing may be added any more */
	if (l->config->desk)
		desk_before_cut(l->config->desk, &clerk, l->config->wall ? DESK_WALL : DESK_CPU);
	l->cutting = false;
}

void clerk_finish(struct loop *l)
{
	struct desk_clerk clerk = clerk_of(l);
	if (l->config->desk)
		desk_finish(l->config->desk, &clerk);
	end_beside(l);
}
