/* SPDX-License-Identifier: Apache-2.0 */
/* The chase, by release:
 *
 *   3.6-3.10   PyThreadState.frame -> PyFrameObject -> f_back -> ... -> NULL
 *              each frame is one native activation of the evaluation function
 *   3.11 3.12  PyThreadState.cframe -> _PyCFrame (on the C stack, one per activation)
 *                -> current_frame -> _PyInterpreterFrame -> previous -> ... -> NULL
 *              an activation ends with is_entry (3.11), with a shim frame (3.12)
 *   3.13 3.14  PyThreadState.current_frame -> frame -> previous -> ... shim ... -> NULL
 *   3.15       the same, to PyThreadState.base_frame
 *
 * Frames lie in the chunks of the thread's data stack, in generator objects, and shims on the C
 * stack.
 *
 * The hole of 3.11 and 3.12: the evaluation function links its _PyCFrame before it sets
 * current_frame, which is garbage for some instructions, often a frame that was there before. The
 * proof that it is not: the frame before those of an activation is the current_frame of the
 * _PyCFrame before. Where that fails for the first activation, it is in its prologue, and the
 * frames begin with the next, which registers may tell when previous is garbage too (hole.c). */
#include "chain.h"

#include <csample/runtime.h>

#define MAX_CHUNK   (1 << 20) /* 16 KiB, unless one frame needs more */
#define MAX_ADDR    (1ULL << 56)
#define MAX_C_STACK (64u << 20)

const uint8_t *py_view_at(struct py_view *view, uint64_t addr, size_t len)
{
	const struct snapshot *snap = view->snap;
	for (unsigned i = 0, at = view->last; i < snap->n_regions; i++, at++) {
		if (at >= snap->n_regions)
			at = 0;
		const struct region *region = &snap->regions[at];
		uint64_t offset = addr - region->addr;
		if (offset < region->len && len <= region->len - offset) {
			view->last = at;
			return snap->bytes + region->at + offset;
		}
	}
	return NULL;
}

bool py_view_obj(struct py_view *view, uint64_t addr, size_t len, struct obj *ret)
{
	*ret = (struct obj){py_view_at(view, addr, len), len};
	return ret->bytes;
}

static uint32_t end_of(struct field f, uint32_t least)
{
	uint32_t end = f.width ? f.at + f.width : 0;
	return end > least ? end : least;
}

uint32_t py_frame_span(const struct py_layout *l)
{
	uint32_t span = end_of(l->object.type, 0);
	span = end_of(l->frame.code, span);
	span = end_of(l->frame.previous, span);
	span = end_of(l->frame.instr, span);
	span = end_of(l->frame.owner, span);
	span = end_of(l->frame.is_entry, span);
	return end_of(l->frame.tlbc_index, span);
}

static bool has_cframes(const struct py_layout *l)
{
	return field_known(l->thread.cframe) && field_known(l->cframe.current_frame);
}

uint32_t py_state_span(const struct py_layout *l)
{
	uint32_t span = l->thread.size, root = l->thread.root_cframe.at + l->cframe.size;
	return has_cframes(l) && root > span ? root : span;
}

void py_chain_start(struct py_chain *c, const struct py_layout *l, uint64_t addr, struct obj state)
{
	*c = (struct py_chain){.layout = l,
	                       .state = addr,
	                       .span = py_frame_span(l),
	                       .save_at = 1,
	                       .first_group = true};
	obj_get(state, l->thread.frame, &c->frame);
	obj_get(state, l->thread.current_frame, &c->frame);
	obj_get(state, l->thread.base_frame, &c->base);
	obj_get(state, l->thread.datastack_chunk, &c->chunk);
	obj_get(state, l->thread.datastack_top, &c->top);
	if (has_cframes(l))
		obj_get(state, l->thread.cframe, &c->cframe);
}

static enum py_step miss(struct py_chain *c, uint64_t addr, uint32_t len)
{
	if (!addr || addr >= MAX_ADDR)
		return STEP_BAD;
	c->missing = (struct region){.addr = addr, .len = len};
	return STEP_MISSING;
}

/* The _PyCFrame of the group under way: its fields. STEP_FRAME: they are known. */
static enum py_step read_cframe(struct py_chain *c, struct py_view *view, uint64_t addr,
                                uint64_t *frame, uint64_t *previous)
{
	struct obj o;
	if (!py_view_obj(view, addr, c->layout->cframe.size, &o))
		return miss(c, addr, c->layout->cframe.size);
	if (!obj_get(o, c->layout->cframe.current_frame, frame) ||
	    !obj_get(o, c->layout->cframe.previous, previous))
		return STEP_BAD;
	return STEP_FRAME;
}

/* Of no activation: the list's end, in the thread state. */
static uint64_t root_cframe(const struct py_chain *c)
{
	return c->state + c->layout->thread.root_cframe.at;
}

/* Brent: a frame that comes again within twice the loop's length. */
static void advance(struct py_chain *c, uint64_t frame)
{
	c->frame = frame;
	c->looped = frame && (frame == c->saved || ++c->steps > 2 * RUNTIME_MAX_FRAMES);
	if (c->steps == c->save_at) {
		c->saved = frame;
		c->save_at *= 2;
	}
}

bool py_chain_restart(struct py_chain *c, struct py_view *view)
{
	uint64_t frame, previous, before, hole = c->close ? c->closing : c->cframe;
	if (!has_cframes(c->layout) || !c->first_group || c->after_hole || hole == root_cframe(c) ||
	    read_cframe(c, view, hole, &frame, &previous) != STEP_FRAME)
		return false;
	uint64_t told = py_hole_previous(c, view, hole);
	previous = told ? told : previous;
	if (read_cframe(c, view, previous, &frame, &before) != STEP_FRAME)
		return false;
	c->closing = hole;
	c->cframe = previous;
	c->frame = frame;
	c->after_hole = true;
	c->close = true; /* of the activation without frames */
	c->steps = c->frames = 0;
	c->save_at = 1;
	c->saved = c->newest = 0;
	c->looped = false;
	c->restarted = true;
	return true;
}

static enum py_step bad(struct py_chain *c, struct py_view *view)
{
	if (!py_chain_restart(c, view))
		return STEP_BAD;
	c->restarted = false;
	return STEP_RESTART;
}

/* At the end of a group: previous must be what the next _PyCFrame calls current. STEP_FRAME: so it
 * is. */
static enum py_step next_cframe(struct py_chain *c, struct py_view *view, uint64_t previous,
                                uint64_t *ret)
{
	uint64_t frame, older, before;
	if (!has_cframes(c->layout))
		return STEP_FRAME;
	if (c->cframe == root_cframe(c))
		return STEP_BAD;
	enum py_step step = read_cframe(c, view, c->cframe, &frame, &older);
	if (step != STEP_FRAME)
		return step;
	step = read_cframe(c, view, older, &frame, &before);
	if (step == STEP_MISSING && older - c->cframe > MAX_C_STACK)
		return STEP_BAD; /* not further up on the stack: garbage */
	if (step != STEP_FRAME)
		return step;
	*ret = older;
	return frame == previous ? STEP_FRAME : STEP_BAD;
}

/* Frames of a thread lie in its data stack, below the top, older ones lower. */
static bool fits_data_stack(struct py_chain *c, struct py_view *view, bool in_generator)
{
	struct obj header;
	const struct py_layout *l = c->layout;
	if (in_generator || !c->chunk || !c->top)
		return true;
	if (c->frame >= c->chunk && c->frame < c->top && c->top - c->chunk <= MAX_CHUNK) {
		bool fits = !c->newest || c->frame <= c->newest;
		c->newest = c->frame;
		return fits;
	}
	if (c->frames || !c->first_group)
		return true; /* some older chunk */
	/* The newest: a frame that was pushed but not entered may have a chunk of its own. */
	if (!c->older && py_view_obj(view, c->chunk, l->chunk.data, &header))
		obj_get(header, l->chunk.previous, &c->older);
	return !c->older || (c->frame >= c->older && c->frame - c->older < MAX_CHUNK);
}

/* The byte offset of the running instruction; false: it cannot be. */
static bool read_lasti(const struct py_layout *l, struct obj o, struct py_link *link)
{
	uint64_t v;
	if (!obj_get(o, l->frame.instr, &v))
		return false;
	obj_get(o, l->frame.tlbc_index, &link->tlbc);
	switch (l->instr) {
	case INSTR_LASTI_BYTES:
		link->lasti = (int32_t)v;
		break;
	case INSTR_LASTI_UNITS:
		link->lasti = (int32_t)v < 0 ? -1 : (int64_t)(int32_t)v * 2;
		break;
	case INSTR_PREV:
	case INSTR_CURRENT:
		link->instr = v;
		link->lasti = (int64_t)(v - link->code - l->code.bytecode.at);
		if (link->tlbc)
			return true;
		if (link->lasti & 1)
			return false;
		break;
	}
	return link->lasti >= -2 && link->lasti <= PY_MAX_BYTECODE;
}

static enum py_step end_chain(struct py_chain *c, struct py_view *view)
{
	/* No frames at all: in the hole, unless this is no activation. */
	if (!c->frame && c->first_group && py_chain_restart(c, view)) {
		c->restarted = false;
		return STEP_RESTART;
	}
	if (c->frames || (c->base && c->frame != c->base))
		return bad(c, view);
	return STEP_END;
}

static enum py_step visit_shim(struct py_chain *c, struct py_view *view, uint64_t previous,
                               struct py_link *ret)
{
	uint64_t cframe = c->cframe;
	enum py_step step = next_cframe(c, view, previous, &cframe);
	if (step == STEP_BAD)
		return bad(c, view);
	if (step != STEP_FRAME)
		return step;
	c->cframe = cframe;
	ret->marker = c->frame;
	c->frames = 0;
	c->first_group = false;
	advance(c, previous);
	return STEP_BOUNDARY;
}

static enum py_step visit_frame(struct py_chain *c, struct py_view *view, struct obj o,
                                uint64_t previous, struct py_link *ret)
{
	const struct py_layout *l = c->layout;
	uint64_t is_entry = 0, cframe = c->cframe;
	obj_get(o, l->frame.is_entry, &is_entry);
	if (!read_lasti(l, o, ret) || !fits_data_stack(c, view, ret->in_generator))
		return bad(c, view);
	if (l->groups == GROUPS_IS_ENTRY && is_entry) {
		enum py_step step = next_cframe(c, view, previous, &cframe);
		if (step == STEP_BAD)
			return bad(c, view);
		if (step != STEP_FRAME)
			return step;
		c->closing = c->cframe;
		c->cframe = cframe;
		c->close = true;
	}
	if (l->groups == GROUPS_EACH)
		c->close = true;
	c->frames++;
	advance(c, previous);
	return STEP_FRAME;
}

static enum py_step begin(struct py_chain *c, struct py_view *view)
{
	uint64_t previous;
	c->begun = true;
	if (!has_cframes(c->layout) || !c->cframe)
		return STEP_FRAME;
	enum py_step step = read_cframe(c, view, c->cframe, &c->frame, &previous);
	c->begun = step != STEP_MISSING;
	return step;
}

enum py_step py_chain_next(struct py_chain *c, struct py_view *view, struct py_link *ret)
{
	const struct py_layout *l = c->layout;
	struct obj o;
	uint64_t code, previous, owner = 0, type;
	*ret = (struct py_link){0};
	if (c->restarted) {
		c->restarted = false;
		return STEP_RESTART;
	}
	if (!c->begun) {
		enum py_step step = begin(c, view);
		if (step != STEP_FRAME)
			return step;
	}
	if (c->close) {
		ret->marker = c->closing;
		c->close = c->first_group = false;
		c->closing = c->frames = 0;
		return STEP_BOUNDARY;
	}
	if (c->looped)
		return bad(c, view);
	if (!c->frame || c->frame == c->base)
		return end_chain(c, view);
	if (!py_view_obj(view, c->frame, c->span, &o)) {
		enum py_step step = miss(c, c->frame, c->span);
		return step == STEP_BAD ? bad(c, view) : step;
	}
	obj_get(o, l->frame.owner, &owner);
	if (!obj_get(o, l->frame.code, &code) || !obj_get(o, l->frame.previous, &previous))
		return bad(c, view);
	if (l->owner_shim && owner >= l->owner_shim)
		return visit_shim(c, view, previous, ret);
	if (owner > l->owner_generator)
		return bad(c, view); /* of a frame object: none that runs */
	/* Frame objects are all of one type. */
	if (l->groups == GROUPS_EACH && obj_get(o, l->object.type, &type)) {
		if (c->frame_type && type != c->frame_type)
			return STEP_BAD;
		c->frame_type = type;
	}
	ret->addr = c->frame;
	ret->code = code & ~(uint64_t)l->tag_mask;
	ret->in_generator = field_known(l->frame.owner) && owner == l->owner_generator;
	return visit_frame(c, view, o, previous, ret);
}
