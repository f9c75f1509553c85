/* SPDX-License-Identifier: Apache-2.0 */
/* From a snapshot to one thread's frames:
 *
 *   tid -> thread states (threads.c) -> chain of frames (chain.c) -> code objects (code.c)
 *
 * Frames are shown when the whole chain fits together; a chain that leaves what was copied is cut
 * there. What sys._current_frames() hides is hidden here: shims, and frames that are still being
 * set up (the first instruction of the function itself is not reached, co_firsttraceable). */
#include <stdlib.h>
#include <string.h>

#include <csample/clock.h>
#include <csample/vec.h>

#include "chain.h"
#include "gather.h"

/* A frame, or the end of a group. */
struct found {
	struct py_frame_at frame;
	uint64_t marker;
	bool boundary;
};

/* What one thread state runs. */
struct part {
	VEC(struct found) found;
	size_t n_frames;
	enum walk_end end;
	uint64_t first_marker;
};

static void add_frame(struct part *part, const struct py_frame_at *frame)
{
	*vec_add(&part->found) = (struct found){.frame = *frame};
	part->n_frames++;
}

static void add_boundary(struct part *part, uint64_t marker)
{
	*vec_add(&part->found) = (struct found){.marker = marker, .boundary = true};
	if (!part->first_marker)
		part->first_marker = marker;
}

static bool read_live(struct py *py, uint64_t addr, uint64_t *ret)
{
	struct err *err = rmem_read(py->base.target->rm, addr, ret, sizeof(*ret));
	bool ok = !err;
	err_free(err);
	return ok;
}

enum verdict { SHOWN, HIDDEN, NO_FRAME };

/* What the code object says of the frame. */
static enum verdict judge(struct py *py, const struct snapshot *snap, const struct py_link *link,
                          struct py_frame_at *f)
{
	const struct py_layout *l = &py->layout;
	struct py_view view = {.snap = snap};
	struct obj guard;
	uint64_t type = 0;
	f->entry = py_code_entry(py, snap, link->code);
	if (!f->entry && py->roots.code_type &&
	    py_view_obj(&view, link->code, l->object.size, &guard) &&
	    obj_get(guard, l->object.type, &type) && type != py->roots.code_type)
		return NO_FRAME;
	if (link->tlbc && f->entry)
		f->lasti = py_bytecode_offset(py, py->base.target->rm, link->code, f->entry,
		                              link->instr, link->tlbc);
	if (f->entry && field_known(l->code.firsttraceable) && !link->in_generator &&
	    f->lasti != PY_LASTI_UNKNOWN && f->lasti < py_code_first_traceable(py->codes, f->entry))
		return HIDDEN;
	return SHOWN;
}

static void collect(struct py *py, const struct snapshot *snap, struct py_view *view,
                    struct py_chain *chain, uint64_t interp, struct part *part)
{
	struct py_link link;
	for (;;) {
		switch (py_chain_next(chain, view, &link)) {
		case STEP_FRAME: {
			struct py_frame_at f = {.addr = link.addr,
			                        .code = link.code,
			                        .lasti = link.lasti,
			                        .interp = interp,
			                        .in_generator = link.in_generator};
			enum verdict verdict = judge(py, snap, &link, &f);
			if (verdict == SHOWN)
				add_frame(part, &f);
			if (verdict != NO_FRAME)
				break;
			if (py_chain_restart(chain, view))
				break;
			part->end = WALK_TORN;
			return;
		}
		case STEP_BOUNDARY:
			add_boundary(part, link.marker);
			break;
		case STEP_RESTART:
			part->found.n = part->n_frames = 0;
			part->first_marker = 0;
			break;
		case STEP_END:
			part->end = part->found.n ? WALK_WHOLE : WALK_NONE;
			return;
		case STEP_BAD:
			part->end = WALK_TORN;
			return;
		case STEP_MISSING:
			if (!chain->frames && py_chain_restart(chain, view))
				break;
			part->end = WALK_TRUNCATED;
			return;
		}
		if (part->n_frames > RUNTIME_MAX_FRAMES) {
			part->end = WALK_TRUNCATED;
			return;
		}
	}
}

/* 3.10: each frame is one activation, and each activation has a CFrame in a list of its own. Around
 * a call one is a step ahead of the other: paired from the outermost on, an activation without a
 * frame yet is empty, a frame whose activation is over is not shown. */
static void pair_cframes(struct py *py, struct py_view *view, uint64_t state, struct part *part)
{
	const struct py_layout *l = &py->layout;
	VEC(uint64_t) cframes = {0};
	struct obj o;
	uint64_t cframe = 0, root = state + l->thread.root_cframe.at;
	if (py_view_obj(view, state, l->thread.size, &o))
		obj_get(o, l->thread.cframe, &cframe);
	while (cframe && cframe != root && cframes.n <= part->n_frames + 1) {
		*vec_add(&cframes) = cframe;
		if (!py_view_obj(view, cframe, l->cframe.size, &o) ||
		    !obj_get(o, l->cframe.previous, &cframe))
			cframe = 0;
	}
	size_t skip = cframes.n == part->n_frames + 1, drop = cframes.n + 1 == part->n_frames;
	if (cframe == root && (skip || drop || cframes.n == part->n_frames)) {
		if (drop) {
			part->found.n -= 2;
			part->n_frames--;
			memmove(part->found.items, part->found.items + 2,
			        part->found.n * sizeof(*part->found.items));
		}
		for (size_t i = 0, k = skip; i < part->found.n; i++)
			if (part->found.items[i].boundary)
				part->found.items[i].marker = cframes.items[k++];
		if (skip) {
			add_boundary(part, cframes.items[0]);
			struct found empty = part->found.items[part->found.n - 1];
			memmove(part->found.items + 1, part->found.items,
			        (part->found.n - 1) * sizeof(*part->found.items));
			part->found.items[0] = empty;
		}
		part->first_marker = cframes.n ? cframes.items[0] : 0;
	}
	vec_free(&cframes);
}

/* Do the frames of a state that others may run belong on this stack? */
static bool fits_stack(const struct snapshot *snap, const struct py_layout *l,
                       const struct py_thread *th, struct part *part)
{
	uint64_t frames[8];
	size_t n = 0;
	if (!part->found.n || l->groups != GROUPS_EACH || l->marker != MARKER_NONE)
		return !part->first_marker || py_is_on_stack(snap, part->first_marker);
	for (size_t i = 0; i < part->found.n && n < ARRAY_SIZE(frames); i++)
		if (!part->found.items[i].boundary)
			frames[n++] = part->found.items[i].frame.addr;
	part->first_marker = py_frames_on_stack(snap, th, frames, n);
	return part->first_marker || !regs_known(&snap->regs, REG_SP);
}

/* False: the state is no longer this thread's, runs on another's stack, or was not known when the
 * snapshot was taken. */
static bool walk_state(struct py *py, const struct snapshot *snap, struct py_view *view,
                       const struct py_thread *th, unsigned i, struct part *part, bool *unknown)
{
	const struct py_layout *l = &py->layout;
	struct obj state;
	bool own = i < th->n_own;
	uint64_t interp = 0, ident = 0, native = (uint64_t)th->natives[i];
	*unknown |= !py_view_obj(view, th->states[i], l->thread.size, &state) && own;
	if (!state.bytes)
		return false;
	obj_get(state, l->thread.interp, &interp);
	obj_get(state, l->thread.thread_id, &ident);
	obj_get(state, l->thread.native_thread_id, &native);
	if (interp != th->interps[i] || ident != th->idents[i] ||
	    native != (uint64_t)th->natives[i] || !py_state_usable(l, state))
		return false;
	enum py_place place = th->n_states > 1 && py_states_wander(l)
	                              ? py_place_of(l, view, th, th->states[i], state)
	                              : PLACE_HERE;
	if (place == PLACE_ELSEWHERE || (place == PLACE_IDLE && !own))
		return false;
	struct py_chain chain;
	py_chain_start(&chain, l, th->states[i], state);
	collect(py, snap, view, &chain, interp, part);
	if (l->groups == GROUPS_EACH && l->marker == MARKER_CFRAME && part->end == WALK_WHOLE)
		pair_cframes(py, view, th->states[i], part);
	if (th->n_states == 1 || place == PLACE_IDLE || fits_stack(snap, l, th, part))
		return true;
	vec_free(&part->found);
	*part = (struct part){0};
	return false;
}

/* Whoever was entered last lies lowest on the stack. Without markers the order of the list stands.
 */
static void order_parts(struct part *parts, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		for (unsigned k = i; k && parts[k].first_marker && parts[k - 1].first_marker &&
		                     parts[k].first_marker < parts[k - 1].first_marker;
		     k--) {
			struct part part = parts[k];
			parts[k] = parts[k - 1];
			parts[k - 1] = part;
		}
}

static bool view_word(struct py_view *view, uint64_t addr, size_t width, uint64_t *ret)
{
	struct obj o;
	return addr && py_view_obj(view, addr, width, &o) &&
	       obj_get(o, (struct field){0, (uint8_t)width}, ret);
}

/* Captured with the lock where they lie together; else as it is now, which is a moment later: what
 * was not so at the end of a batch of samples was not so at any of them. */
static bool finalizes(struct py *py, struct py_view *view)
{
	uint64_t word = py_finalizing_word(py), value = 0, now;
	if (!word || view_word(view, word, 8, &value) ||
	    view->snap->time_ns <= py->not_finalizing_ns)
		return value;
	now = now_ns();
	if (read_live(py, word, &value) && !value)
		py->not_finalizing_ns = now;
	return value;
}

/* Through one of the states that are here. */
static bool has_lock(struct py *py, struct py_view *view, const struct py_thread *th, uint64_t here)
{
	const struct py_layout *l = &py->layout;
	for (unsigned i = 0; i < th->n_states; i++) {
		if (!(here >> i & 1))
			continue;
		uint64_t locked_at, holder_at, locked = 0, holder = 0, holds = 0;
		struct obj state;
		if (field_known(l->thread.holds_lock)) {
			if (py_view_obj(view, th->states[i], l->thread.size, &state))
				obj_get(state, l->thread.holds_lock, &holds);
			if (holds)
				return true;
			continue;
		}
		if (!py_lock_words(py, th, i, &locked_at, &holder_at) ||
		    !view_word(view, holder_at, 8, &holder) || holder != th->states[i])
			continue;
		if (locked_at == holder_at ||
		    (view_word(view, locked_at, 4, &locked) && locked == 1))
			return true;
	}
	return false;
}

static bool emit(const struct part *part, bool (*visit)(void *arg, const struct py_frame_at *f),
                 bool (*end_group)(void *arg, uint64_t marker), void *arg)
{
	bool open = false;
	for (size_t i = 0; i < part->found.n; i++) {
		const struct found *f = &part->found.items[i];
		if (f->boundary ? !end_group(arg, f->marker) : !visit(arg, &f->frame))
			return false;
		open = !f->boundary;
	}
	/* Of a chain that was cut. */
	return !open || end_group(arg, 0);
}

enum walk_end py_walk_frames(struct py *py, const struct snapshot *snap,
                             bool (*visit)(void *arg, const struct py_frame_at *f),
                             bool (*end_group)(void *arg, uint64_t marker), void *arg,
                             bool *holds_lock)
{
	struct py_view view = {.snap = snap};
	struct part parts[PY_MAX_STATES] = {0};
	const struct py_thread *th = py_threads_find(py->threads, snap->tid);
	unsigned n = 0;
	bool unknown = false;
	enum walk_end end = WALK_NONE;
	*holds_lock = false;
	if (!th) {
		py_threads_missing(py, snap->tid);
		return WALK_NONE;
	}
	if (finalizes(py, &view))
		return WALK_STARTING;
	uint64_t here = 0;
	for (unsigned i = 0; i < th->n_states; i++) {
		if (!walk_state(py, snap, &view, th, i, &parts[n], &unknown))
			continue;
		here |= 1ULL << i;
		n++;
	}
	*holds_lock = has_lock(py, &view, th, here);
	if (!n && unknown)
		return WALK_STARTING;
	if (!n)
		py_threads_missing(py, snap->tid);
	order_parts(parts, n);
	for (unsigned i = 0; i < n; i++)
		if (parts[i].end > end)
			end = parts[i].end;
	bool go_on = end == WALK_WHOLE || end == WALK_TRUNCATED;
	for (unsigned i = 0; i < n; i++) {
		go_on = go_on && emit(&parts[i], visit, end_group, arg);
		vec_free(&parts[i].found);
	}
	return end;
}

struct walking {
	struct py *py;
	const struct snapshot *snap;
	struct runtime_stack *out;
	bool full;
};

static bool push_frame(void *arg, const struct py_frame_at *f)
{
	struct walking *w = arg;
	if (f->entry && !field_known(w->py->layout.code.qualname))
		py_code_qualify(w->py, w->snap, f->entry, f->addr);
	uint32_t line = f->entry ? py_code_line(w->py->codes, f->entry, f->lasti) : 0;
	w->full = !runtime_stack_push(w->out, (struct raw_frame){.kind = RAW_RUNTIME,
	                                                         .owner = w->py->base.index,
	                                                         .addr = f->entry,
	                                                         .aux = line});
	return !w->full;
}

static bool push_group(void *arg, uint64_t marker)
{
	struct walking *w = arg;
	w->full = !runtime_stack_close_group(w->out, marker);
	return !w->full;
}

void py_walk(struct runtime *rt, const struct snapshot *snap, struct runtime_stack *out)
{
	struct walking w = {.py = py_of(rt), .snap = snap, .out = out};
	out->end = py_walk_frames(w.py, snap, push_frame, push_group, &w, &out->holds_lock);
	if (w.full) {
		runtime_stack_close_group(out, 0);
		out->end = WALK_TRUNCATED;
	}
}
