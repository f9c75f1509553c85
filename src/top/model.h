/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the live view share: what was counted as of the last refresh, and what of it is
 * to be shown. */
#ifndef TOP_MODEL_H
#define TOP_MODEL_H

#include <csample/hash.h>
#include <csample/strbuf.h>
#include <csample/top.h>
#include <csample/vec.h>

enum top_sort { SORT_OWN, SORT_TOTAL, SORT_OWN_TIME, SORT_TOTAL_TIME, SORT_NAME, SORTS };

/* A row or a node of a call tree, ready to be printed. */
struct cells {
	double own, total;         /* percent */
	uint64_t own_ns, total_ns; /* since counting began, or in the interval (trees) */
	double lock;               /* percent; below 0: not shown */
};

/* The node that a thread's stacks are below. */
struct thread_node {
	uint32_t node;
	int32_t tid;
	const char *name; /* of its row, interned */
};

struct model {
	struct top_config config;
	const struct profile *p; /* live */
	struct profile shown;    /* p as of the last refresh: its nodes are now's */
	struct profile part;     /* the same, of an interval: see model_interval_view() */
	VEC(struct profile_node) now, before; /* at the last two refreshes */
	VEC(bool) in_gc;                      /* per node */
	VEC(struct thread_node) threads;
	uint64_t gc_ns, recent_gc_ns;
	struct view *view;
	enum view_kind kind;
	bool no_native;
	const char *thread; /* only this one's stacks: its row's name, interned; NULL: all */
	bool thread_unseen; /* it has none yet */
	struct top_facts facts;
	struct strbuf command, note; /* copies that facts points to */
	VEC(struct top_thread) by_thread;
	bool whole;  /* shares are of the whole run, not of the last interval */
	bool of_all; /* shares are of all that was counted, not of one CPU */
	enum top_sort sort;
	bool upside_down;
	VEC(uint32_t) order; /* rows, the first of them sorted */
};

void model_init(struct model *m, const struct top_config *config);
void model_deinit(struct model *m);
void model_set_profile(struct model *m, const struct profile *p);
void model_refresh(struct model *m, const struct top_facts *facts);
/* What is to be shown has changed: the view is made again. */
void model_reshape(struct model *m);
/* Fills order with the first n rows in the order chosen (all: SIZE_MAX), of those that have time.
 * Returns how many there are in all. */
size_t model_sort(struct model *m, size_t n);
/* The last thread of that name; NULL: none. */
const struct thread_node *model_thread(const struct model *m, const char *name);

/* A view of what is shown as if nothing else had been: of the last interval alone, or of the whole
 * run. Give it back. */
struct view *model_interval_view(struct model *m);
void model_interval_view_done(struct model *m, struct view *v);

void model_cells(const struct model *m, const struct view_row *row, struct cells *ret);
/* ns as a share of the last interval or the whole run, as chosen. */
double model_share(const struct model *m, uint64_t recent_ns, uint64_t ns);
double model_gc(const struct model *m); /* percent; below 0: nobody can tell */
bool model_has_lock(const struct model *m);

/* text.c */
/* A row's name; fit for a terminal if escaped. */
void row_name(const struct model *m, const struct frame *f, struct strbuf *b);
/* "1.25s", "30.0ms"; in text, which it returns. */
const char *time_text(uint64_t ns, char text[static 32]);
/* The lines above the table. */
#define HEAD_LINES 3
void head_line(const struct model *m, unsigned line, struct strbuf *b);
extern const char *const kind_names[]; /* by enum view_kind: "functions" */

/* save.c: what is shown, as a file in the format of that suffix, in the directory we are in.
 * *path_ret is its name; free it. */
struct err *save(struct model *m, const char *suffix, char **path_ret);

struct top {
	struct model model;
	uint64_t interval; /* how many there have been */
	bool paused;       /* the picture stands still; sampling goes on */
};

#endif
