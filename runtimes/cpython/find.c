/* SPDX-License-Identifier: Apache-2.0 */
/* From an ELF file that a process has mapped to the interpreter in it: which release, where its
 * roots are.
 *
 *   _PyRuntime   in .dynsym or .symtab; at the start of the section .PyRuntime (3.10 on); by the
 *                cookie it begins with (3.13 on); else by looking through the data of the file for
 *                a word that points to an interpreter
 *   release      the word beside that cookie; Py_Version (3.11 on); the text that Py_GetVersion()
 *                left in .bss; the name of the file
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <csample/log.h>
#include <csample/mem.h>

#include "cpython.h"
#include "landmarks.h"
#include "version.h"

#define COOKIE            "xdebugpy"
#define MAX_DATA          (64u << 20) /* bytes of a file's data looked through */
#define CHUNK             65536
#define MIN_ADDRESS       0x10000
#define MAX_ADDRESS       (1ull << 56)
#define SETTLED_AFTER_SEC 5 /* a process this old does not start up any more */
#define FOREIGN_LOOKS     3
#define FOREIGN_WAIT_NS   20000000

/* Reads that must not fail quietly: false when the word is not to be had. */
static bool read_word(struct target *t, uint64_t addr, uint64_t *ret)
{
	struct err *err = rmem_read(t->rm, addr, ret, sizeof(*ret));
	err_free(err);
	return !err;
}

static bool read_field(struct target *t, uint64_t addr, struct field f, uint64_t *ret)
{
	uint64_t v = 0;
	if (!field_known(f) || f.width > sizeof(v))
		return false;
	struct err *err = rmem_read(t->rm, addr + f.at, &v, f.width);
	err_free(err);
	if (err)
		return false;
	*ret = v;
	return true;
}

/* May an object of the interpreter be there? The heap may be younger than our list of mappings, so
 * only what is known to be something else is not. */
static bool may_be_object(const struct target *t, uint64_t addr)
{
	if (addr % 8 || addr < MIN_ADDRESS || addr >= MAX_ADDRESS)
		return false;
	const struct mapping *m = maps_find(&t->maps, addr);
	return !m || m->writable;
}

/* ---- the data of the file, as it is in the process ---- */

struct span {
	uint64_t start, size;
};
#define MAX_SPANS 8

/* Where the file's variables are: .bss if there is one, else what it maps writable. */
static size_t data_spans(const struct image *img, uint64_t bias, bool bss_only,
                         struct span spans[MAX_SPANS])
{
	struct image_section bss;
	if (bss_only && landmarks_section(img, ".bss", &bss)) {
		spans[0] = (struct span){bss.vaddr + bias, bss.size};
		return 1;
	}
	size_t n = 0;
	for (size_t i = 0; i < img->n_segments && n < MAX_SPANS; i++)
		if (img->segments[i].flags & PF_W)
			spans[n++] = (struct span){img->segments[i].vaddr + bias,
			                           img->segments[i].memsz};
	return n;
}

/* Shows the data piece by piece, each beginning on a multiple of 8 and with the first `overlap`
 * bytes of the next; what cannot be read is left out. */
static bool look_through(struct target *t, const struct span *spans, size_t n, size_t overlap,
                         bool (*visit)(void *arg, uint64_t addr, const uint8_t *bytes, size_t len),
                         void *arg)
{
	_cleanup_free_ uint8_t *buf = mem_alloc(CHUNK + overlap);
	uint64_t budget = MAX_DATA;
	for (size_t i = 0; i < n; i++) {
		uint64_t start = (spans[i].start + 7) & ~7ull, end = spans[i].start + spans[i].size;
		for (uint64_t at = start; at < end && budget; at += CHUNK) {
			uint64_t left = end - at;
			size_t len = left < CHUNK + overlap ? left : CHUNK + overlap;
			struct err *err = rmem_read(t->rm, at, buf, len);
			if (!err && visit(arg, at, buf, len))
				return true;
			err_free(err);
			budget -= budget < CHUNK ? budget : CHUNK;
		}
	}
	return false;
}

static uint64_t uptime_ticks(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * (uint64_t)sysconf(_SC_CLK_TCK);
}

/* Too young a process may simply not be ready; a core file changes no more. */
static bool has_settled(const struct target *t)
{
	if (t->proc_fd < 0)
		return true;
	uint64_t since = t->start_time + SETTLED_AFTER_SEC * (uint64_t)sysconf(_SC_CLK_TCK);
	return uptime_ticks() > since;
}

/* ---- which release ---- */

static bool visit_version(void *arg, uint64_t addr, const uint8_t *bytes, size_t len)
{
	(void)addr;
	return py_version_search(bytes, len, arg);
}

/* By order of trust, below _Py_DebugOffsets; 0: not to be told yet. */
static uint32_t find_version(struct target *t, struct image *img, uint64_t bias,
                             const struct landmarks *marks)
{
	uint32_t hex = 0;
	uint64_t constant = 0;
	if (marks->version) { /* a constant: in the file as in memory */
		const uint8_t *bytes = image_bytes(img, marks->version, sizeof(hex));
		if (bytes)
			memcpy(&hex, bytes, sizeof(hex));
		if (!py_version_plausible(hex) && read_word(t, marks->version + bias, &constant))
			hex = (uint32_t)constant;
		if (py_version_plausible(hex))
			return hex;
	}
	struct span spans[MAX_SPANS];
	size_t n = data_spans(img, bias, true, spans);
	if (look_through(t, spans, n, PY_VERSION_TEXT_MAX, visit_version, &hex))
		return hex;
	/* The text is there as soon as sys is; the name is for files whose .bss is not what we
	 * think. */
	return has_settled(t) && py_version_of_path(img->path, &hex) ? hex : 0;
}

static struct err *unsupported(uint32_t hex, bool free_threaded, const char *why)
{
	char version[48], releases[32];
	py_version_text(hex, free_threaded, version, sizeof(version));
	py_layout_releases(releases, sizeof(releases));
	if (why)
		return err_new(ERR_UNSUPPORTED, "CPython %s: %s; native frames only", version, why);
	return err_new(ERR_UNSUPPORTED, "CPython %s: csample knows %s; native frames only", version,
	               releases);
}

/* ---- where the roots are ---- */

/* Does the word at head point to an interpreter, in whose newest thread it is named in turn? */
static bool is_head(struct target *t, const struct py_layout *l, uint64_t interp, bool *has_threads)
{
	uint64_t thread, back;
	*has_threads = true;
	if (!may_be_object(t, interp) || !read_field(t, interp, l->interp.threads_head, &thread))
		return false;
	if (!thread) {
		*has_threads = false;
		return false;
	}
	return may_be_object(t, thread) && read_field(t, thread, l->thread.interp, &back) &&
	       back == interp;
}

/* What find_head() looks for and has found. */
struct search {
	struct target *target;
	const struct py_layout *layout;
	uint64_t found;
	unsigned budget; /* reads */
};

/* Beyond is_head(): that thread is the list's first, and its thread_id is what pthread_self() gives
 * with glibc and musl, a pointer to itself. */
static bool visit_head(void *arg, uint64_t addr, const uint8_t *bytes, size_t len)
{
	struct search *s = arg;
	const struct py_layout *l = s->layout;
	for (size_t i = 0; i + 8 <= len && s->budget; i += 8) {
		uint64_t interp, thread, prev, id, self;
		bool has_threads;
		memcpy(&interp, bytes + i, sizeof(interp));
		if (!may_be_object(s->target, interp))
			continue;
		s->budget--;
		if (!is_head(s->target, l, interp, &has_threads) ||
		    !read_field(s->target, interp, l->interp.threads_head, &thread) ||
		    !read_field(s->target, thread, l->thread.prev, &prev) || prev ||
		    !read_field(s->target, thread, l->thread.thread_id, &id) ||
		    !read_word(s->target, id, &self) || self != id)
			continue;
		s->found = addr + i;
		return true;
	}
	return false;
}

/* The address of the first word of the data that points to an interpreter; 0: none. For 3.7 on it
 * is interpreters.head, before other words that point there. */
static uint64_t find_head(struct target *t, struct image *img, uint64_t bias,
                          const struct py_layout *l)
{
	struct span spans[MAX_SPANS];
	struct search s = {.target = t, .layout = l, .budget = 200000};
	size_t n =
	        data_spans(img, bias, l->lock_at != LOCK_INTERP && l->groups == GROUPS_EACH, spans);
	look_through(t, spans, n, 0, visit_head, &s);
	return s.found;
}

static bool visit_cookie(void *arg, uint64_t addr, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i + 8 <= len; i += 8)
		if (memcmp(bytes + i, COOKIE, 8) == 0) {
			*(uint64_t *)arg = addr + i;
			return true;
		}
	return false;
}

/* Does _PyRuntime begin with its own description? Then where it is; the section or symbol may be
 * missing. */
static uint64_t find_self_described(struct target *t, struct image *img, uint64_t bias,
                                    const struct landmarks *marks)
{
	struct image_section section;
	uint64_t at = 0, word, cookie;
	memcpy(&cookie, COOKIE, sizeof(cookie));
	if (marks->runtime)
		at = marks->runtime + bias;
	else if (landmarks_section(img, ".PyRuntime", &section))
		at = section.vaddr + bias;
	if (at)
		return read_word(t, at, &word) && word == cookie ? at : 0;
	struct span spans[MAX_SPANS];
	size_t n = data_spans(img, bias, false, spans);
	look_through(t, spans, n, 0, visit_cookie, &at);
	return at;
}

/* Builds with Py_TRACE_REFS put two pointers before each object: PyCode_Type's type, PyType_Type,
 * is then not where it should be. */
static bool has_other_objects(struct target *t, const struct py_layout *l,
                              const struct landmarks *marks, uint64_t bias)
{
	uint64_t type;
	return marks->code_type && marks->type_type &&
	       read_field(t, marks->code_type + bias, l->object.type, &type) && type &&
	       type != marks->type_type + bias;
}

/* What the roots lead to. */
enum state {
	NOT_YET, /* or no more */
	READY,
	FOREIGN, /* what they lead to is not what the layout says */
};

static enum state look_at_roots(struct target *t, const struct py_roots *roots,
                                const struct py_layout *l)
{
	uint64_t interp, finalizing = 0, modules = 0;
	bool has_threads;
	if (roots->runtime && read_field(t, roots->runtime, l->runtime.finalizing, &finalizing) &&
	    finalizing)
		return NOT_YET;
	if (!read_word(t, roots->head, &interp) || !interp)
		return NOT_YET;
	if (!is_head(t, l, interp, &has_threads))
		return has_threads ? FOREIGN : NOT_YET;
	/* Without modules nothing of Python runs yet. In a process that is no longer young they are
	 * there, and it must be that field which moved in a patch release. */
	if ((read_field(t, interp, l->interp.modules, &modules) && modules) || has_settled(t))
		return READY;
	return NOT_YET;
}

/* Not ready is no error, unless the process is old enough that it will not become so. It may have
 * called exec a moment ago, so that what is foreign must stay foreign for a while. */
static struct err *check_roots(struct target *t, const struct py_roots *roots,
                               const struct py_layout *l, bool *ready)
{
	enum state state = look_at_roots(t, roots, l);
	for (unsigned i = 0; state == FOREIGN && t->proc_fd >= 0 && i < FOREIGN_LOOKS; i++) {
		if (!has_settled(t))
			return NULL;
		nanosleep(&(struct timespec){.tv_nsec = FOREIGN_WAIT_NS}, NULL);
		state = look_at_roots(t, roots, l);
	}
	*ready = state == READY;
	if (state != FOREIGN)
		return NULL;
	return unsupported(roots->hexversion, l->free_threaded,
	                   "its memory is not laid out as that of this release");
}

static struct err *use_self_description(struct target *t, struct py_roots *roots,
                                        struct py_layout *l, bool *known)
{
	uint8_t bytes[PY_MAX_SELF_DESCRIPTION];
	struct err *err = rmem_read(t->rm, roots->runtime, bytes, sizeof(bytes));
	if (err)
		return err;
	err = py_describe_self(bytes, sizeof(bytes), l, &roots->hexversion, known);
	if (err && roots->hexversion) {
		struct err *better = unsupported(roots->hexversion, false, err->msg);
		err_free(err);
		return better;
	}
	if (!err)
		roots->head = roots->runtime + l->runtime.interpreters_head.at;
	return err;
}

/* Up to 3.12: the layout is the row of the release. */
static struct err *use_row(struct target *t, struct image *img, uint64_t bias,
                           const struct landmarks *marks, struct py_roots *roots,
                           struct py_layout *l)
{
	struct image_section section;
	roots->hexversion = find_version(t, img, bias, marks);
	if (!roots->hexversion)
		return NULL;
	uint16_t release = py_release_of(roots->hexversion);
	const struct py_layout *row = py_layout_find(release, false);
	if (!row)
		return unsupported(roots->hexversion, false, NULL);
	*l = *row;
	if (row->instr == INSTR_CURRENT) /* it describes itself, but not yet */
		return NULL;
	if (release == PYVER(3, 7) && (roots->hexversion >> 8 & 255) < 4) {
		/* 3.7.4 moved these; where they were before is not verified. */
		l->runtime.lock_locked = l->runtime.lock_holder = l->runtime.tstate_current =
		        (struct field){0};
	}
	if (l->lock_at == LOCK_CURRENT) {
		roots->current = marks->current ? marks->current + bias : 0;
		roots->head = marks->head ? marks->head + bias : find_head(t, img, bias, l);
		return NULL;
	}
	if (marks->runtime)
		roots->runtime = marks->runtime + bias;
	else if (landmarks_section(img, ".PyRuntime", &section))
		roots->runtime = section.vaddr + bias;
	else if ((roots->head = find_head(t, img, bias, l)))
		roots->runtime = roots->head - l->runtime.interpreters_head.at;
	if (roots->runtime)
		roots->head = roots->runtime + l->runtime.interpreters_head.at;
	return NULL;
}

/* ---- what the rest of csample calls ---- */

bool py_recognise(struct image *img)
{
	struct landmarks marks;
	struct image_section section;
	landmarks_find_exported(img, &marks);
	if (marks.runtime || marks.first_call || landmarks_section(img, ".PyRuntime", &section))
		return true;
	landmarks_find(img, &marks);
	return marks.runtime || marks.first_call || landmarks_look_like_interpreter(img);
}

struct err *py_find(struct target *t, struct image *img, uint64_t bias, struct py_roots *ret,
                    struct py_layout *layout, bool *ready)
{
	struct landmarks marks;
	struct py_roots roots = {0};
	struct py_layout l;
	bool known = true;
	*ready = false;
	landmarks_find(img, &marks);
	roots.runtime = find_self_described(t, img, bias, &marks);
	struct err *err = roots.runtime ? use_self_description(t, &roots, &l, &known)
	                                : use_row(t, img, bias, &marks, &roots, &l);
	if (err || !roots.head)
		return err;
	err = check_roots(t, &roots, &l, ready);
	if (err || !*ready)
		return err;
	/* Not before: while the dynamic linker works, types point nowhere. */
	if (has_other_objects(t, &l, &marks, bias)) {
		*ready = false;
		return unsupported(roots.hexversion, l.free_threaded,
		                   "a build with Py_TRACE_REFS, which csample does not read");
	}
	if (marks.code_type)
		roots.code_type = marks.code_type + bias;
	static bool told; /* once in a run, not for each process */
	if (!known && !told) {
		char version[48];
		told = true;
		py_version_text(roots.hexversion, l.free_threaded, version, sizeof(version));
		log_warn("CPython %s is newer than csample, or no final release: "
		         "its frames are shown as far as it describes itself",
		         version);
	}
	*ret = roots;
	*layout = l;
	return NULL;
}

bool py_find_asyncio(struct py *py)
{
	const struct maps *maps = &py->base.target->maps;
	for (size_t i = 0; i < maps->n; i++) {
		struct image *img = maps->items[i].image;
		struct image_section section;
		if (!img || (i && img == maps->items[i - 1].image) ||
		    (img != py->base.image && !strstr(img->path, "_asyncio")) ||
		    !landmarks_section(img, ".AsyncioDebug", &section))
			continue;
		uint8_t copy[ASYNCIO_DESCRIPTION_BYTES]; /* constants: in the file as in memory */
		const uint8_t *bytes = image_bytes(img, section.vaddr, sizeof(copy));
		if (bytes && py_describe_asyncio(bytes, sizeof(copy), &py->layout))
			return true;
		struct err *err =
		        rmem_read(py->base.target->rm, section.vaddr + maps->items[i].bias, copy,
		                  sizeof(copy));
		if (!err && py_describe_asyncio(copy, sizeof(copy), &py->layout))
			return true;
		err_free(err);
	}
	return false;
}
