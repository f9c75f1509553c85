/* SPDX-License-Identifier: Apache-2.0 */
/* What the formats share: their rows, and the tree of labels that flame graphs and collapsed stacks
 * are two views of. */
#ifndef EMIT_H
#define EMIT_H

#include <stddef.h>
#include <stdint.h>

#include <csample/format.h>
#include <csample/profile.h>
#include <csample/strbuf.h>
#include <csample/vec.h>

extern const struct format format_svg, format_collapsed, format_pprof, format_speedscope,
        format_json, format_html, format_chrometrace, format_firefox;
extern const struct format format_perf_script; /* only read: not among formats[] */

/* Readers make no more of these, whatever a file says. */
#define READ_MAX_NODES  ((size_t)1 << 24)
#define READ_MAX_FRAMES 1024 /* inlined at one place */

/* The name of stacks without frames. */
#define LABEL_NO_FRAMES "[no frames]"

/* What a person sees as one function. */
struct tree_label {
	const char *text;
	const char *place; /* module, or script of a runtime's frame; NULL: not known or not asked
	                      for */
	enum frame_kind kind;
};

/* All callers of one kind in one place: nodes of the profile whose labels are equal meet here. */
struct tree_node {
	uint32_t parent, label, depth; /* nodes[0] is the root, of depth 0 and without a label */
	uint32_t first, n_children;    /* children: nodes[first ...], sorted by name */
	uint64_t self[PROFILE_VALUES], total[PROFILE_VALUES];
	uint8_t root;                /* RAW_THREAD, RAW_PROCESS: it is one's; else 0 */
	const char *file;            /* of the first location that knew it */
	uint32_t line_min, line_max; /* in that file; 0: not known */
	bool other_files;
};

struct tree {
	struct tree_label *labels; /* sorted by text */
	struct tree_node *nodes;   /* by depth, and then from left to right */
	size_t n_labels, n_nodes;
	struct strings *texts;
};

/* Appends the text by which frames are told apart and sorted. */
typedef void tree_text(const struct frame *f, const struct emit_options *opt, struct strbuf *b);

struct tree_config {
	const struct emit_options *opt;
	tree_text *text;
	bool apart; /* equal texts of different kinds or places do not meet */
	/* Below nodes whose total of this value is less, nothing is looked at. */
	size_t min_value;
	double min_total;
};
/* Lives shorter than p. */
struct tree *tree_create(const struct profile *p, const struct tree_config *config);
void tree_destroy(struct tree *t);

/* Numbers as people read them: 12,345; "1 sample"; 1.23 s. */
void facts_add_count(struct strbuf *b, uint64_t n);
void facts_add_counted(struct strbuf *b, uint64_t n, const char *one, const char *many);
void facts_add_time(struct strbuf *b, uint64_t ns);
/* A line on the whole: pid, event and rate, samples, time, what was lost, when. From the target it
 * has nothing but the event's name. */
void facts_add(const struct profile *p, struct strbuf *b);

/* What threads did when: per thread, in time. */
struct span {
	uint64_t begin_ns, end_ns; /* of one thread they do not overlap */
	uint32_t node;
	uint32_t number; /* of the sample */
};
struct timeline {
	struct span *spans;
	size_t *first; /* per thread, into spans; one more at the end */
};
/* ERR_USAGE: the profile does not tell when samples were. */
struct err *timeline_init(struct timeline *t, const struct profile *p);
void timeline_deinit(struct timeline *t);

/* Which thread's each stack is, where the profile tells them apart. */
struct roots {
	VEC(uint32_t) nodes; /* nodes of threads and processes; [0] is the root, for all others */
	uint32_t *owner;     /* per node, the innermost of these it is below, as index */
	struct {
		uint64_t values[PROFILE_VALUES];
	} * totals; /* per root, of the stacks that are its own */
};
void roots_find(const struct profile *p, struct roots *ret);
void roots_free(struct roots *t);
/* Appends what a person calls it: the process too, where a thread is below one. */
void roots_name(const struct profile *p, uint32_t root, struct strbuf *b);

#endif
