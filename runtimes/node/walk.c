/* SPDX-License-Identifier: Apache-2.0 */
/* The native frames whose code is V8's, and what JavaScript each of them runs:
 *
 *   frame at fp: [fp-8]  context, or the type of a frame without a function
 *                [fp-16] JSFunction → SharedFunctionInfo → name, script
 *                [fp-32] BytecodeArray, [fp-40] offset in it: interpreted; line = positions(offset)
 *                pc → Code → positions(pc): compiled; inlined functions are frames of their own
 *
 * Each such frame is a group, empty where V8's own machinery runs. Offsets from fp are the same in
 * all releases: V8 src/execution/frame-constants.h, x64/frame-constants-x64.h. */
#include <string.h>

#include <csample/clock.h>

#include "node.h"

#define FP_CONTEXT   8
#define FP_FUNCTION  16
#define FP_BYTECODE  32
#define FP_OFFSET    40
#define FRAME_WORDS  7 /* [fp-40, fp+16) */
#define FP_RECEIVER  16
#define MAX_TYPE     128 /* of frames without a function */
#define MAX_INLINING 64
#define TOP_WORDS    8
#define REG_OFFSET   9  /* r9, r12 in the interpreter: kInterpreterBytecodeOffsetRegister, */
#define REG_BYTECODE 12 /* kInterpreterBytecodeArrayRegister of x64 */

/* One native frame in V8's code. */
struct v8_frame {
	uint64_t pc, lookup; /* lookup: of the call, where pc is a return address */
	uint64_t fp, vaddr;  /* vaddr: as linked, 0 in generated code */
	bool is_exact, is_jit, is_top;
	bool has_regs; /* its registers are the thread's: only a builtin without frame is on top */
	uint64_t words[FRAME_WORDS];
};

struct walking {
	struct v8 *v8;
	const struct snapshot *snap;
	struct runtime_stack *out;
	bool full;
};

static void push(struct walking *w, uint32_t entry, uint32_t line, uint32_t column)
{
	struct raw_frame raw = {.kind = RAW_RUNTIME,
	                        .owner = w->v8->base.index,
	                        .addr = entry,
	                        .aux = (uint64_t)line << 32 | column};
	w->v8->stats.frames++;
	if (!runtime_stack_push(w->out, raw))
		w->full = true;
}

/* What is there is no function, or no longer: the collector was faster. */
static void push_unknown(struct walking *w)
{
	w->v8->stats.unnamed++;
	push(w, v8_entry(w->v8, intern(w->v8->strings, "[javascript: unknown]"), NULL), 0, 0);
}

/* A function at a position, -1: not known; then where it begins. */
static void push_at(struct walking *w, uint32_t entry, uint32_t script, int32_t position,
                    uint32_t line, uint32_t column)
{
	if (!v8_script_place(w->v8, script, position, &line, &column))
		w->v8->stats.no_line++;
	push(w, entry, line, column);
}

/* "f [maglev, no lines]" */
static uint32_t without_lines(struct v8 *v8, const struct v8_function *f)
{
	struct strbuf b = {0};
	strbuf_addf(&b, "%s [maglev, no lines]", v8_entry_title(v8, f->entry));
	const char *name = intern_n(v8->strings, b.s, b.len);
	strbuf_free(&b);
	return v8_entry(v8, name, v8_script_name(v8, f->script));
}

/* Innermost first: the chain of inlined functions that the position belongs to, then the function
 * itself. */
static void push_optimized(struct walking *w, const struct v8_code *code, uint64_t lookup,
                           const struct v8_function *f)
{
	const struct v8_position *p =
	        v8_position_at(code->positions, code->n_positions, (int64_t)(lookup - code->start));
	uint64_t value = p ? p->value : 0;
	int32_t last = INT32_MAX;
	for (unsigned i = 0; p && i < MAX_INLINING; i++) {
		int32_t id = v8_position_inlining(value);
		if (id < 0 || id >= last || (size_t)id >= code->n_inlined)
			break;
		const struct v8_inlining *in = &code->inlined[id];
		if (in->entry)
			push_at(w, in->entry, in->script, v8_position_script(value), in->line,
			        in->column);
		value = in->position;
		last = id;
	}
	/* Maglev of V8 12 writes no positions: neither lines, nor what was inlined. */
	if (!code->n_positions && code->kind == w->v8->layout.kind.maglev) {
		push(w, without_lines(w->v8, f), f->line, f->column);
		return;
	}
	push_at(w, f->entry, f->script, p ? v8_position_script(value) : -1, f->line, f->column);
}

/* Do all positions that are of the function itself lie in its script? */
static bool are_inside(struct v8 *v8, uint32_t script, const struct v8_position *p, size_t n)
{
	int32_t last = 0;
	for (size_t i = 0; i < n; i++) {
		int32_t at = v8_position_script(p[i].value);
		if (p[i].value >> 47)
			return false;
		if (v8_position_inlining(p[i].value) < 0 && at > last)
			last = at;
	}
	return n && v8_script_holds(v8, script, last);
}

static void push_bytecode(struct walking *w, const struct v8_function *f, uint64_t bytecode,
                          int64_t offset)
{
	size_t n = 0;
	uint32_t length = 0;
	const struct v8_position *table = v8_bytecode_positions(w->v8, bytecode, &n, &length),
	                         *p = NULL;
	if (table && offset >= -1 && offset < (int64_t)length && v8_is_proven(w->v8, V8_BYTECODES))
		p = v8_position_at(table, n, offset);
	if (w->v8->proving)
		v8_check(w->v8, V8_BYTECODES, p && are_inside(w->v8, f->script, table, n));
	push_at(w, f->entry, f->script, p ? v8_position_script(p->value) : -1, f->line, f->column);
}

/* Where the interpreter is. The slot in the frame is written before calls only: in the innermost
 * frame the register is newer, if it holds what it should. */
static int64_t interpreted_offset(struct walking *w, const struct v8_frame *frame)
{
	const struct regs *r = &w->snap->regs;
	int64_t first = (int64_t)w->v8->layout.bytecode.first - 1;
	int32_t slot;
	if (frame->has_regs && regs_known(r, REG_OFFSET) && regs_known(r, REG_BYTECODE) &&
	    r->r[REG_BYTECODE] == frame->words[1] && r->r[REG_OFFSET] >= (uint64_t)first &&
	    r->r[REG_OFFSET] < INT32_MAX)
		return (int64_t)r->r[REG_OFFSET] - first;
	return v8_smi(frame->words[0], &slot) ? slot - first : -2;
}

static bool is_optimized(const struct v8 *v8, const struct v8_code *code)
{
	const struct v8_layout *l = &v8->layout;
	return code->kind && (code->kind == l->kind.turbofan || code->kind == l->kind.maglev ||
	                      code->kind == l->kind.turboprop);
}

/* "Array.prototype.map" where the name of the builtin and that of its function say it together. */
static const char *builtin_name(struct v8 *v8, const struct v8_function *f, uint64_t vaddr)
{
	const struct v8_builtin *b = vaddr ? v8_builtin_at(&v8->image, vaddr) : NULL;
	const char *name = b ? v8_builtin_title(v8, b->name, f->name) : NULL;
	return name ? name : f->name;
}

/* A builtin without a frame of its own, on top, was called by compiled code, whose frame it then
 * is: the return address into that code is among the first words of the stack. */
static const struct v8_code *caller_of_builtin(struct walking *w, const struct v8_frame *frame,
                                               uint64_t *lookup_ret)
{
	const struct regs *r = &w->snap->regs;
	uint64_t words[TOP_WORDS];
	if (!frame->is_top || !regs_known(r, REG_SP) ||
	    (regs_known(r, REG_BYTECODE) && r->r[REG_BYTECODE] == frame->words[1]) ||
	    !v8_read(w->v8, r->r[REG_SP], words, sizeof(words)))
		return NULL;
	for (unsigned i = 0; i < TOP_WORDS; i++) {
		const struct mapping *m = maps_find(&w->v8->base.target->maps, words[i]);
		if (!m || !m->executable || m->image)
			continue;
		*lookup_ret = words[i] - 1;
		return v8_code_find(w->v8, words[i] - 1, frame->words[1]);
	}
	return NULL;
}

static bool is_code_of(struct v8 *v8, const struct v8_code *code, const struct v8_function *f,
                       uint64_t bytecode)
{
	return code->kind == v8->layout.kind.baseline
	               ? code->bytecode == bytecode && code->n_pcs
	               : is_optimized(v8, code) && code->shared == f->tagged &&
	                         are_inside(v8, f->script, code->positions, code->n_positions);
}

static void push_function(struct walking *w, const struct v8_frame *frame, uint64_t shared)
{
	struct v8 *v8 = w->v8;
	const struct v8_function *found = v8_function_find(v8, shared);
	if (!found) {
		v8_check(v8, V8_FUNCTIONS, false);
		push_unknown(w);
		return;
	}
	struct v8_function f = *found;
	if (f.is_builtin) {
		if (f.has_name)
			push(w, v8_entry(v8, builtin_name(v8, &f, frame->vaddr), NULL), 0, 0);
		return;
	}
	if (v8->proving)
		v8_check(v8, V8_FUNCTIONS, v8_script_holds(v8, f.script, f.start));
	uint64_t receiver;
	if (v8_read(v8, frame->fp + FP_RECEIVER, &receiver, sizeof(receiver)))
		v8_learn_class(v8, &f, frame->words[3], receiver);
	uint64_t lookup = frame->lookup;
	const struct v8_code *code = frame->is_jit ? v8_code_find(v8, lookup, frame->words[1])
	                                           : caller_of_builtin(w, frame, &lookup);
	if (!v8_is_proven(v8, V8_CODES))
		code = NULL;
	if (v8->proving && frame->is_jit)
		v8_check(v8, V8_CODES, code && is_code_of(v8, code, &f, frame->words[1]));
	if (code && is_optimized(v8, code) && code->shared == f.tagged) {
		push_optimized(w, code, lookup, &f);
	} else if (code && code->kind == v8->layout.kind.baseline &&
	           code->bytecode == frame->words[1]) {
		push_bytecode(w, &f, code->bytecode,
		              v8_pc_offset(code->pcs, code->n_pcs, lookup - code->start));
	} else if (!frame->is_jit) {
		push_bytecode(w, &f, frame->words[1], interpreted_offset(w, frame));
	} else {
		v8->stats.no_line++;
		push(w, f.entry, f.line, f.column);
	}
}

/* Is the native frame one of V8's code? Fills pc and the like. */
static bool classify(struct walking *w, const struct stack *native, size_t i, struct v8_frame *ret)
{
	const struct v8 *v8 = w->v8;
	const struct raw_frame *raw = &native->frames[i];
	*ret = (struct v8_frame){.pc = raw->addr, .is_exact = !(raw->flags & RAW_RETURN)};
	if (raw->kind == RAW_ANON) {
		ret->is_jit = raw->aux != 0; /* a mapping without a file */
	} else if (raw->kind == RAW_NATIVE && raw->owner == v8->base.image->id &&
	           raw->addr - v8->image.code_start < v8->image.code_end - v8->image.code_start) {
		ret->vaddr = raw->addr;
	} else {
		return false;
	}
	ret->lookup = ret->pc - !ret->is_exact;
	return ret->is_jit || ret->vaddr;
}

/* Generated code that has no frame yet, or no longer: the function of its Code, and the frame
 * pointer is its caller's. */
static bool push_frameless(struct walking *w, const struct v8_frame *frame)
{
	const struct v8_code *code =
	        v8_is_proven(w->v8, V8_CODES) ? v8_code_find(w->v8, frame->pc, 0) : NULL;
	if (!code || !is_optimized(w->v8, code) || !code->shared)
		return false;
	const struct v8_function *f = v8_function_find(w->v8, code->shared);
	if (!f)
		return false;
	struct v8_function copy = *f;
	push_optimized(w, code, frame->lookup, &copy);
	return true;
}

static void walk_frame(struct walking *w, struct v8_frame *frame)
{
	struct v8 *v8 = w->v8;
	uint64_t context, shared, marker = frame->fp;
	if (!v8_read(v8, frame->fp - FP_OFFSET, frame->words, sizeof(frame->words)))
		return;
	context = frame->words[4];
	if ((context & 3) == 1 && v8_shared_of(v8, frame->words[3], &shared))
		push_function(w, frame, shared);
	else if ((context & 3) == 1 && v8_is_pointer(frame->words[3])) {
		v8_check(v8, V8_FUNCTIONS, false);
		push_unknown(w);
	} else if (frame->is_jit && context && context == (uint64_t)v8->layout.wasm_frame << 1)
		push(w, v8_entry(v8, intern(v8->strings, "<wasm>"), NULL), 0, 0);
	if (!runtime_stack_close_group(w->out, marker))
		w->full = true;
}

/* The event loop calls back from where it waits: it is idle only when nothing of Node is on top. */
static bool is_called_back(const struct v8 *v8, const struct stack *native, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		const struct raw_frame *raw = &native->frames[k];
		if (raw->kind == RAW_ANON ||
		    (raw->kind == RAW_NATIVE && raw->owner == v8->base.image->id))
			return true;
	}
	return false;
}

/* A native function that is shown as what it does for the program. */
static bool push_work(struct walking *w, const struct stack *native, size_t i)
{
	struct v8 *v8 = w->v8;
	const struct raw_frame *raw = &native->frames[i];
	if (raw->kind != RAW_NATIVE || raw->owner != v8->base.image->id || !native->cfas[i])
		return false;
	const char *title = v8_work_at(&v8->image, raw->addr - (raw->flags & RAW_RETURN ? 1 : 0));
	if (!title || (title == v8_idle && is_called_back(v8, native, i)))
		return false;
	size_t before = w->out->n;
	push(w, v8_entry(v8, intern(v8->strings, title), NULL), 0, 0);
	if (w->out->n > before)
		w->out->frames[before].flags |= RAW_CATEGORY;
	w->out->end = WALK_WHOLE;
	/* Where its return address is. */
	return runtime_stack_close_group(w->out, native->cfas[i] - 8);
}

static void walk_stack(struct v8 *v8, const struct snapshot *snap, struct runtime_stack *out)
{
	const struct stack *native = out->native;
	struct walking w = {v8, snap, out, false};
	struct v8_frame frame;
	bool top_is_builtin = false;
	for (size_t i = 0; i < native->n && !w.full; i++) {
		if (push_work(&w, native, i) || !classify(&w, native, i, &frame))
			continue;
		uint64_t cfa = native->cfas[i];
		bool is_top = i == 0 && frame.is_exact;
		frame.is_top = is_top;
		top_is_builtin |= is_top && frame.vaddr;
		if (cfa && (!is_top || !regs_known(&snap->regs, REG_FP) ||
		            cfa == snap->regs.r[REG_FP] + 16)) {
			frame.fp = cfa - 16;
			/* Handlers of bytecodes are called by the interpreter, in its frame. */
			frame.has_regs = i <= 1 && top_is_builtin &&
			                 regs_known(&snap->regs, REG_FP) &&
			                 frame.fp == snap->regs.r[REG_FP];
			walk_frame(&w, &frame);
			out->end = WALK_WHOLE;
		} else if (is_top && frame.is_jit && push_frameless(&w, &frame)) {
			runtime_stack_close_group(out, snap->regs.r[REG_SP]);
			out->end = WALK_WHOLE;
		}
	}
	if (w.full)
		out->end = WALK_TRUNCATED;
}

/* What is cached is compared with the process once after a snapshot was taken. That serves all
 * snapshots taken before it, which wait in the queue meanwhile: what was there when it was cached,
 * and is there still, was there at their time. */
static void begin(struct v8 *v8, const struct snapshot *snap)
{
	const struct target *t = v8->base.target;
	bool is_live = t && t->rm == &t->mem.rm;
	v8->snap = snap;
	v8->walk++;
	if (is_live && snap->time_ns <= v8->checked_ns)
		return;
	v8->serial++;
	v8->checked_ns = is_live ? now_ns() : 0;
}

void v8_walk(struct runtime *rt, const struct snapshot *snap, struct runtime_stack *out)
{
	struct v8 *v8 = v8_of(rt);
	if (!out->native)
		return;
	begin(v8, snap);
	v8_trim(v8);
	if (v8->image.is_unknown && !v8_is_all_judged(v8)) {
		v8->proving = true;
		walk_stack(v8, snap, out);
		v8->proving = false;
		v8_judge(v8);
		runtime_stack_reset(out);
	}
	if (v8_is_proven(v8, V8_FUNCTIONS))
		walk_stack(v8, snap, out);
	v8->snap = NULL;
}
