/* SPDX-License-Identifier: Apache-2.0 */
/* Chains of frames in a world.h, and what is expected of a walk along them. */
#ifndef TEST_CHAINS_H
#define TEST_CHAINS_H

#include "world.h"

#define TEST_TID getpid()

/* An interpreter of that release with our thread in it. */
static inline struct world *begin(uint16_t release, uint64_t *state_ret)
{
	struct world *w = world_create(release);
	uint64_t interp = new_interp(w);
	uint64_t ident = new_pthread(w, TEST_TID, 720);
	*state_ret = new_state(w, interp, TEST_TID, ident);
	return w;
}

static inline void refresh(struct world *w)
{
	assert_null(py_threads_refresh(&w->py));
}

static inline void expect_frames(struct world *w, const char *names)
{
	char text[512] = "";
	for (size_t i = 0; i < w->out.n; i++) {
		strcat(text, i ? " " : "");
		strcat(text, frame_name(w, i));
	}
	assert_string_equal(text, names);
}

static inline void expect_group(struct world *w, size_t i, uint32_t first, uint32_t n,
                                uint64_t marker)
{
	assert_true(i < w->out.n_groups);
	assert_int_equal(w->out.groups[i].first, first);
	assert_int_equal(w->out.groups[i].n, n);
	assert_int_equal(w->out.groups[i].marker, marker);
}

/* main calls f (inlined), f calls C, which calls g. */
struct chain {
	uint64_t main, f, g, inner, outer; /* inner, outer: shims or _PyCFrames */
};

static inline struct chain make_shims(struct world *w, uint64_t state)
{
	struct chain c;
	bool cframes = field_known(w->py.layout.thread.cframe);
	uint64_t base = 0;
	if (field_known(w->py.layout.thread.base_frame)) {
		base = state + 2048;
		put_frame(w, base, w->code_type, 0);
		put(base, w->py.layout.frame.owner, w->py.layout.owner_shim);
		put(state, w->py.layout.thread.base_frame, base);
	}
	c.outer = put_shim(w, 4000, base);
	c.main = new_frame(w, state, new_code(w, "main"), c.outer);
	c.f = new_frame(w, state, new_code(w, "f"), c.main);
	c.inner = put_shim(w, 1000, c.f);
	c.g = new_frame(w, state, new_code(w, "g"), c.inner);
	uint64_t older = cframes ? put_cframe(w, 3904, c.f, root_cframe(w, state)) : 0;
	uint64_t newer = cframes ? put_cframe(w, 904, c.g, older) : 0;
	enter(w, state, c.g, newer);
	return c;
}

#endif
