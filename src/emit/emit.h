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

extern const struct format format_svg, format_collapsed, format_pprof;

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

#endif
