/* SPDX-License-Identifier: Apache-2.0 */
/* One V8 in one process, as the files of this folder share it.
 *
 *   metadata.c    image -> V8's version, exported constants, where builtins are     layouts.c
 *   gather.c      which JSFunctions, in the pause
 *   walk.c        snapshot and native frames -> JavaScript frames
 *   objects.c     tagged words, instance types, strings
 *   functions.c   SharedFunctionInfo -> name, script, start     scripts.c  position -> line
 *   proof.c       is a release that is not known laid out as we think?
 *   classes.c     method and receiver -> class
 *   code.c        pc -> Code -> positions, inlined functions    positions.c  the tables, pure
 *
 * Addresses named tagged are as V8 holds them: 1 more than where the object begins. What is read
 * here changes under our hands: every tagged pointer is checked against the instance type it must
 * have, and whatever is cached is compared with the object again in each sample that uses it. */
#ifndef NODE_H
#define NODE_H

#include <csample/hash.h>
#include <csample/intern.h>
#include <csample/runtime.h>
#include <csample/strbuf.h>
#include <csample/vec.h>

#include "layout.h"

/* ---- metadata.c: of the file alone ---- */
struct v8_builtin {
	uint64_t start, end; /* as linked */
	const char *name;    /* without "Builtins_"; in the image */
};
struct v8_image {
	unsigned version[4];           /* of V8 */
	uint64_t code_start, code_end; /* of the embedded builtins, as linked; 0, 0: not known */
	VEC(struct v8_builtin) work; /* functions that do work of their own; named by what it is */
	VEC(struct v8_builtin) builtins; /* sorted; empty when the symbols are stripped */
	unsigned taken;                  /* exported constants that we use */
	bool is_unknown; /* the layout is that of the nearest release, with those constants */
};
/* The symbols that are looked up, as struct runtime_ops has them. */
extern const char *const v8_landmarks[];
bool v8_recognise(struct image *img);
/* ERR_UNSUPPORTED: a V8 we cannot read, with its version. Fills the layout too. */
struct err *v8_image_read(struct image *img, struct v8_image *ret, struct v8_layout *layout);
/* Where a symbol is, as linked. */
bool v8_symbol(struct image *img, const char *name, uint64_t *ret);
void v8_image_deinit(struct v8_image *v);
/* The builtin at an address as linked, or NULL. */
const struct v8_builtin *v8_builtin_at(const struct v8_image *v, uint64_t vaddr);
extern const char v8_idle[]; /* "(idle)": waits for events, when only the C library is on top */
/* "(garbage collector)" and the like, for an address in the function that does it; or NULL. */
const char *v8_work_at(const struct v8_image *v, uint64_t vaddr);

/* ---- positions.c: pure ---- */
struct v8_position {
	int32_t at;     /* code offset, bytes; -1: function entry */
	uint64_t value; /* SourcePosition */
};
#define V8_MAX_POSITIONS (1u << 20)
/* Expands a source position table; returns how many entries were written, at most max. */
size_t v8_positions_expand(enum v8_positions how, const uint8_t *table, size_t len,
                           struct v8_position *ret, size_t max);
/* The last entry at or before offset, NULL: none. */
const struct v8_position *v8_position_at(const struct v8_position *p, size_t n, int64_t offset);
/* Offset in the script, -1: none; and the number of the inlining it belongs to, -1: none. */
int32_t v8_position_script(uint64_t value);
int32_t v8_position_inlining(uint64_t value);

/* A baseline pc table: where the code of each bytecode begins. */
struct v8_pc {
	uint32_t pc;    /* offset in the code */
	int32_t offset; /* of the bytecode; -1: prologue */
};
size_t v8_pcs_expand(const struct v8_layout *l, const uint8_t *table, size_t len,
                     const uint8_t *bytecodes, size_t n_bytecodes, struct v8_pc *ret, size_t max);
int32_t v8_pc_offset(const struct v8_pc *pcs, size_t n, uint64_t pc); /* -1: none */

/* Ends of lines of a source in Latin-1 (unit 1) or UTF-16 (unit 2): appended to ends as positions
 * of the terminators' last units. at is the position of bytes[0]; *cr: the last unit before was a
 * carriage return. */
struct v8_ends {
	uint32_t *items;
	size_t n, cap;
};
void v8_find_line_ends(const uint8_t *bytes, size_t n_units, unsigned unit, uint32_t at, bool *cr,
                       struct v8_ends *ends);

/* ---- the runtime ---- */
struct v8_functions;
struct v8_scripts;
struct v8_codes;
struct v8_predictions;

/* What has to be proven of a release we do not know; see proof.c. */
enum v8_kind { V8_FUNCTIONS, V8_BYTECODES, V8_CODES, V8_PROOFS };
struct v8_proof {
	enum { V8_UNPROVEN, V8_PROVEN, V8_REFUSED } state;
	unsigned passed, failed; /* checks */
};

struct v8 {
	struct runtime base; /* first */
	struct v8_layout layout;
	struct v8_image image;
	struct strings *strings;
	const struct snapshot *snap; /* the walk that runs now; read before the process is */
	uint64_t walk;               /* its number */
	uint64_t serial; /* of a check: what was read since checked_ns is not read again */
	uint64_t checked_ns;
	struct map64 types; /* map -> instance type + 1 */
	struct v8_functions *functions;
	struct v8_scripts *scripts;
	struct v8_codes *codes;
	struct v8_predictions *predictions; /* the samplers' */
	struct v8_proof proofs[V8_PROOFS];
	bool proving; /* this walk is for the proofs alone */
	struct {      /* counts, for --debug decode */
		uint64_t frames, unnamed, no_line, codes_missing, changed;
	} stats;
};
static inline struct v8 *v8_of(struct runtime *rt)
{
	return (struct v8 *)rt;
}

/* ---- objects.c ---- */
#define V8_ADDR_MAX (1ULL << 47)
static inline bool v8_is_pointer(uint64_t w)
{
	return (w & 7) == 1 && w > 4096 && w < V8_ADDR_MAX;
}
/* A Smi's value; false: it is a pointer. */
static inline bool v8_smi(uint64_t w, int32_t *ret)
{
	if (w & 0xffffffff)
		return false;
	*ret = (int32_t)(w >> 32);
	return true;
}
/* Exactly len bytes at addr, of the snapshot or else of the process. */
bool v8_read(struct v8 *v8, uint64_t addr, void *buf, size_t len);
/* Copies the first len bytes of an object and tells its instance type. A forwarding address left by
 * the collector is followed, and *tagged is then the new place. */
bool v8_copy(struct v8 *v8, uint64_t *tagged, uint32_t *type_ret, void *buf, size_t len);
/* The same of an object that must be of a type from first to last; first 0: no object is. */
bool v8_object(struct v8 *v8, uint64_t *tagged, uint32_t first, uint32_t last, void *buf,
               size_t len);
bool v8_type_of(struct v8 *v8, uint64_t tagged, uint32_t *ret);
#define V8_MAX_NAME   1024u       /* characters */
#define V8_MAX_SOURCE (16u << 20) /* bytes */
/* Characters of a string; false: it is none. */
bool v8_string_length(struct v8 *v8, uint64_t tagged, uint32_t *ret);
/* A string as UTF-8, cut at V8_MAX_NAME; interned. NULL: it is no string. */
const char *v8_string(struct v8 *v8, uint64_t tagged);
/* Calls visit with the pieces of a flat or composed string, in order; false: not readable whole. */
typedef void v8_visit_piece(void *arg, const uint8_t *bytes, size_t n_units, unsigned unit);
bool v8_string_pieces(struct v8 *v8, uint64_t tagged, size_t max_bytes, v8_visit_piece *visit,
                      void *arg);
/* The elements of a FixedArray or bytes of a ByteArray, at most max bytes, malloc()ed; NULL: none.
 */
uint8_t *v8_array_bytes(struct v8 *v8, uint64_t tagged, size_t max, size_t *len_ret);
uint8_t *v8_array_words(struct v8 *v8, uint64_t tagged, size_t max, size_t *n_ret);

/* ---- scripts.c ---- */
struct v8_scripts *v8_scripts_create(void);
/* True: all were forgotten, there were too many. */
bool v8_scripts_trim(struct v8 *v8);
void v8_scripts_destroy(struct v8_scripts *s);
/* A number for the script, checked against what is there now; 0: it is none. */
uint32_t v8_script_find(struct v8 *v8, uint64_t tagged);
/* Is the position in its source? */
bool v8_script_holds(struct v8 *v8, uint32_t script, int32_t position);
const char *v8_script_name(struct v8 *v8, uint32_t script); /* NULL: it has none */
/* What is behind the last slash. */
const char *v8_base_name(const char *path);
/* Line and column, from 1, of a position; false: no source. */
bool v8_script_place(struct v8 *v8, uint32_t script, int32_t position, uint32_t *line_ret,
                     uint32_t *column_ret);

/* ---- functions.c ---- */
#define V8_SHARED_BYTES 48 /* of a SharedFunctionInfo: all fields that are read */
struct v8_function {
	uint64_t tagged;   /* SharedFunctionInfo */
	uint64_t words[6]; /* of it, as read */
	uint64_t walk;
	uint32_t entry;  /* name and file; see v8_describe() */
	uint32_t script; /* 0: none */
	int32_t start;   /* of its parameters; -1: not known */
	uint32_t line, column;
	bool is_builtin, has_name;
	const char *name;
};
struct v8_functions *v8_functions_create(void);
void v8_functions_destroy(struct v8_functions *f);
void v8_functions_trim(struct v8 *v8, bool all);
/* What a SharedFunctionInfo says, as it is now; valid until the next call. NULL: it is none. */
const struct v8_function *v8_function_find(struct v8 *v8, uint64_t tagged);
/* The SharedFunctionInfo of a JSFunction; false: it is none. */
bool v8_shared_of(struct v8 *v8, uint64_t function, uint64_t *ret);
/* An entry by itself: builtins, marks. */
uint32_t v8_entry(struct v8 *v8, const char *name, const char *file);
const char *v8_entry_title(struct v8 *v8, uint32_t entry); /* NULL: there is none */
/* Looks for the class of f, of which this JSFunction runs for this receiver; tries a few times.
 * From then on its frames, earlier ones too, are described with it. */
void v8_learn_class(struct v8 *v8, const struct v8_function *f, uint64_t function,
                    uint64_t receiver);
void v8_describe(struct runtime *rt, struct raw_frame raw, struct frame *out);
/* Positions of a BytecodeArray, cached; NULL: none. */
const struct v8_position *v8_bytecode_positions(struct v8 *v8, uint64_t tagged, size_t *n_ret,
                                                uint32_t *length_ret);

/* ---- classes.c ---- */
/* The name of the class that defines the method, proven by the objects around the receiver; NULL:
 * not known. is_accessor: it may be half of a pair, which costs a read for each property. */
const char *v8_class_of(struct v8 *v8, uint64_t function, uint64_t receiver, bool is_accessor);

/* ---- code.c ---- */
struct v8_inlining {
	uint64_t position; /* of the call */
	uint32_t entry, script;
	uint32_t line, column; /* of the function */
};
struct v8_code {
	uint64_t start, tagged; /* first instruction; Code object */
	uint32_t size, kind;
	uint64_t deopt, table, flags; /* words of the object, as read */
	uint64_t serial;
	uint64_t shared; /* outer function, tagged; 0: not known */
	uint64_t bytecode;
	struct v8_position *positions;
	size_t n_positions;
	struct v8_pc *pcs;
	size_t n_pcs;
	struct v8_inlining *inlined;
	size_t n_inlined;
};
struct v8_codes *v8_codes_create(void);
void v8_codes_destroy(struct v8_codes *c);
void v8_codes_clear(struct v8_codes *c);
void v8_codes_trim(struct v8_codes *c, bool all);
void v8_codes_forget_missing(struct v8_codes *c);
/* The Code whose instructions hold pc, as it is now; valid until the next call. NULL: none.
 * in_frame: the BytecodeArray of pc's frame, if it is of baseline code. */
const struct v8_code *v8_code_find(struct v8 *v8, uint64_t pc, uint64_t in_frame);

/* ---- proof.c ---- */
/* May it be used? Always of releases we know, and while proving. */
bool v8_is_proven(const struct v8 *v8, enum v8_kind kind);
bool v8_is_all_judged(const struct v8 *v8);
/* The outcome of a check; counted while proving. */
void v8_check(struct v8 *v8, enum v8_kind kind, bool passed);
/* After a stack: what has been proven by now, or refused, which is told once. */
void v8_judge(struct v8 *v8);

/* ---- builtins.c ---- */
/* "Array.prototype.map" for the function "map" that runs as the builtin "ArrayMap"; NULL: the names
 * do not fit together. */
const char *v8_builtin_title(struct v8 *v8, const char *builtin, const char *function);
/* Of Node, from its own words in the process or the file; "" if it says none. */
void v8_node_version(struct target *t, struct image *img, uint64_t bias, char *buf, size_t len);

/* ---- gather.c, walk.c ---- */
void v8_trim(struct v8 *v8);
struct v8_predictions *v8_predictions_create(void);
void v8_predictions_destroy(struct v8_predictions *p);
size_t v8_gather(struct runtime *rt, unsigned round, const struct snapshot *snap,
                 struct region *more, size_t max);
void v8_walk(struct runtime *rt, const struct snapshot *snap, struct runtime_stack *out);
enum native_role v8_role(struct runtime *rt, const struct image *img, const char *name,
                         uint64_t start);

extern const struct runtime_ops node_ops;

#endif
