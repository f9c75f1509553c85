/* SPDX-License-Identifier: Apache-2.0 */
/* libiberty does the work; here it is kept within bounds. Names come from targets, and a few
 * hundred bytes of mangled name can stand for more text than there are atoms: substitutions refer
 * to what was said before, which refers to what was said before. */
#include <ctype.h>
#include <libiberty/demangle.h>
#undef ARRAY_SIZE
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <csample/hash.h>
#include <csample/mem.h>
#include <csample/strbuf.h>
#include <csample/symbols.h>

#include "demangle-kinds.inc"

#define MAX_MANGLED   ((size_t)16 * 1024)
#define MAX_DEMANGLED ((size_t)64 * 1024)
#define MAX_TREE      200000              /* nodes of a C++ name, written out in full */
#define MAX_DEPTH     1000                /* of that tree */
#define MAX_COPIES    ((size_t)64 * 1024) /* templates times scopes: see tree_is_small() */
#define MAX_BACKREFS  100000              /* of a D name, followed */
#define MAX_MANGLED_D ((size_t)4 * 1024)
#define MAX_CAST_OPS  8

/* The one place that says how names look: without parameter lists, since file and line tell
 * overloads apart and a flame graph has room for little; without rustc's hashes. Template arguments
 * stay, being part of which function it is. */
static const int parse_options = DMGL_PARAMS | DMGL_ANSI;
static const int print_options = DMGL_ANSI;

struct sink {
	struct strbuf text;
	jmp_buf full;
};

/* Out of the library by longjmp(): it has no other way to be told that it is enough. It keeps
 * nothing on the heap while it prints (but for a buffer when it decodes a punycode identifier). */
static void take(const char *text, size_t len, void *arg)
{
	struct sink *sink = arg;
	if (!len)
		return;
	if (sink->text.len + len > MAX_DEMANGLED)
		longjmp(sink->full, 1);
	strbuf_addn(&sink->text, text, len);
}

static const char *suffix_of(const char *name)
{
	return name + strcspn(name, ".@"); /* @plt: of a stub */
}

/* Appends what compilers add to names of parts and copies (.cold, .part.0, .constprop.1) as it is,
 * but for the hash that LLVM's ThinLTO adds. */
static void add_suffix(struct strbuf *text, const char *suffix)
{
	const char *llvm = strstr(suffix, ".llvm.");
	strbuf_addn(text, suffix, llvm ? (size_t)(llvm - suffix) : strlen(suffix));
}

static bool print_rust(struct sink *sink, const char *name)
{
	if (setjmp(sink->full))
		return false;
	return rust_demangle_callback(name, 0, take, sink) && sink->text.len;
}

static char *demangle_rust(const char *name)
{
	struct sink sink = {0};
	_cleanup_free_ char *copy = mem_strdup(name);
	char *llvm = strstr(copy, ".llvm.");
	if (llvm)
		*llvm = '\0';
	if (print_rust(&sink, copy))
		return sink.text.s;
	strbuf_free(&sink.text);
	return NULL;
}

struct tree_size {
	struct map64 seen; /* node to its size when written out */
	size_t templates, scopes;
	bool too_big;
};

static uint64_t size_of(struct tree_size *t, const struct demangle_component *dc, unsigned depth)
{
	const struct demangle_component *left = NULL, *right = NULL;
	if (!dc || t->too_big)
		return 0;
	if (depth > MAX_DEPTH) {
		t->too_big = true;
		return 0;
	}
	uint64_t *known = map64_get(&t->seen, (uintptr_t)dc);
	if (known)
		return *known;
	switch ((int)dc->type) { /* as in the header's union */
	case DEMANGLE_COMPONENT_NAME:
	case DEMANGLE_COMPONENT_OPERATOR:
	case DEMANGLE_COMPONENT_BUILTIN_TYPE:
#ifdef HAVE_DEMANGLE_COMPONENT_EXTENDED_BUILTIN_TYPE /* not in Ubuntu 22.04's */
	case DEMANGLE_COMPONENT_EXTENDED_BUILTIN_TYPE:
#endif
	case DEMANGLE_COMPONENT_SUB_STD:
	case DEMANGLE_COMPONENT_TEMPLATE_PARAM:
	case DEMANGLE_COMPONENT_FUNCTION_PARAM:
	case DEMANGLE_COMPONENT_CHARACTER:
	case DEMANGLE_COMPONENT_NUMBER:
	case DEMANGLE_COMPONENT_UNNAMED_TYPE:
#ifdef HAVE_DEMANGLE_COMPONENT_TEMPLATE_TYPE_PARM
	case DEMANGLE_COMPONENT_TEMPLATE_TYPE_PARM:
#endif
		break;
	case DEMANGLE_COMPONENT_EXTENDED_OPERATOR:
		left = dc->u.s_extended_operator.name;
		break;
	case DEMANGLE_COMPONENT_FIXED_TYPE:
		left = dc->u.s_fixed.length;
		break;
	case DEMANGLE_COMPONENT_CTOR:
	case DEMANGLE_COMPONENT_DTOR:
		left = dc->u.s_ctor.name; /* s_dtor has the same shape */
		break;
	case DEMANGLE_COMPONENT_LAMBDA:
	case DEMANGLE_COMPONENT_DEFAULT_ARG:
		left = dc->u.s_unary_num.sub;
		break;
	default:
		left = dc->u.s_binary.left;
		right = dc->u.s_binary.right;
	}
	t->templates += dc->type == DEMANGLE_COMPONENT_TEMPLATE;
	t->scopes += dc->type == DEMANGLE_COMPONENT_REFERENCE ||
	             dc->type == DEMANGLE_COMPONENT_RVALUE_REFERENCE;
	uint64_t size = 1 + size_of(t, left, depth + 1) + size_of(t, right, depth + 1);
	t->too_big |= size > MAX_TREE;
	*map64_put(&t->seen, (uintptr_t)dc) = size;
	return size;
}

/* Parts of a tree are shared, and printing and searching it visit them once for each use. The
 * printer also takes templates times references to parameters entries of its stack. */
static bool tree_is_small(const struct demangle_component *dc)
{
	struct tree_size t = {0};
	size_of(&t, dc, 0);
	map64_free(&t.seen);
	return !t.too_big && t.templates * t.scopes <= MAX_COPIES;
}

/* Without const, volatile, & and && of a member function. */
static struct demangle_component *without_qualifiers(struct demangle_component *dc)
{
	while (dc && (dc->type == DEMANGLE_COMPONENT_CONST_THIS ||
	              dc->type == DEMANGLE_COMPONENT_VOLATILE_THIS ||
	              dc->type == DEMANGLE_COMPONENT_RESTRICT_THIS ||
	              dc->type == DEMANGLE_COMPONENT_REFERENCE_THIS ||
	              dc->type == DEMANGLE_COMPONENT_RVALUE_REFERENCE_THIS))
		dc = dc->u.s_binary.left;
	return dc;
}

/* From "name as function of these types" to the name. */
static struct demangle_component *without_parameters(struct demangle_component *dc)
{
	if (dc->type != DEMANGLE_COMPONENT_TYPED_NAME)
		return dc;
	dc = without_qualifiers(dc->u.s_binary.left);
	if (dc && dc->type == DEMANGLE_COMPONENT_LOCAL_NAME)
		dc->u.s_binary.right = without_qualifiers(dc->u.s_binary.right);
	return dc;
}

static bool print(struct sink *sink, struct demangle_component *dc)
{
	if (setjmp(sink->full))
		return false;
	return dc && cplus_demangle_print_callback(print_options, dc, take, sink) && sink->text.len;
}

/* The parser tries conversion operators to templates twice, and nested ones twice each time. */
static bool has_many_casts(const char *name)
{
	size_t n = 0;
	while ((name = strstr(name, "cv")))
		n++, name += 2;
	return n > MAX_CAST_OPS;
}

/* libiberty's way to a tree knows only one of two old readings of names qualified by a type that
 * depends on template parameters (sr); its way to text tries both. It also refuses names of more
 * than 1024 bytes, so what remains to fear is text without end, and searching for parameter packs.
 */
static bool print_directly(struct sink *sink, const char *name)
{
	if (!strstr(name, "sr") || strstr(name, "Dp") || strstr(name, "sp"))
		return false;
	if (setjmp(sink->full))
		return false;
	return cplus_demangle_v3_callback(name, print_options, take, sink) && sink->text.len;
}

static bool print_tree(struct sink *sink, struct demangle_component *dc)
{
	if (!tree_is_small(dc))
		return false;
	if (print(sink, without_parameters(dc)))
		return true;
	if (sink->text.len > MAX_DEMANGLED / 2)
		return false;
	/* Some names only make sense with their types. */
	strbuf_clear(&sink->text);
	return print(sink, dc);
}

static char *demangle_cpp(const char *name)
{
	_cleanup_free_ char *base = mem_strndup(name, (size_t)(suffix_of(name) - name));
	void *mem = NULL;
	if (has_many_casts(base))
		return NULL;
	struct demangle_component *dc = cplus_demangle_v3_components(base, parse_options, &mem);
	struct sink sink = {0};
	bool ok = dc ? print_tree(&sink, dc) : print_directly(&sink, base);
	free(mem);
	if (!ok) {
		strbuf_free(&sink.text);
		return NULL;
	}
	add_suffix(&sink.text, suffix_of(name));
	return sink.text.s;
}

/* How often references back would be followed at most, counting each one that lies between a
 * reference and its goal; the library follows them without a limit. */
static bool d_is_small(const char *name)
{
	struct {
		size_t at;
		uint64_t cost;
	} refs[MAX_MANGLED_D / 2];
	size_t n = 0;
	uint64_t total = 0;
	for (size_t i = 0; name[i]; i++) {
		if (name[i] != 'Q' || n == ARRAY_SIZE(refs))
			continue;
		uint64_t back = 0;
		size_t k = i + 1;
		while (isupper((unsigned char)name[k]) && back < MAX_MANGLED_D)
			back = back * 26 + (uint64_t)(name[k++] - 'A');
		back = back * 26 + (uint64_t)(name[k] - 'a');
		size_t goal = back > i ? 0 : i - (size_t)back;
		uint64_t cost = 1;
		for (size_t r = n; r-- > 0 && refs[r].at >= goal && cost <= MAX_BACKREFS;)
			cost += refs[r].cost;
		refs[n].at = i;
		refs[n++].cost = cost;
		total += cost;
		if (total > MAX_BACKREFS)
			return false;
	}
	return true;
}

static char *demangle_d(const char *name)
{
	if (strlen(name) > MAX_MANGLED_D || !d_is_small(name))
		return NULL;
	char *text = dlang_demangle(name, print_options);
	if (text && strlen(text) > MAX_DEMANGLED) {
		free(text);
		return NULL;
	}
	return text;
}

char *demangle(const char *name)
{
	if (strnlen(name, MAX_MANGLED) == MAX_MANGLED)
		return NULL;
	if (name[0] != '_')
		return NULL;
	if (name[1] == 'R')
		return demangle_rust(name);
	if (name[1] == 'Z') {
		char *rust =
		        demangle_rust(name); /* legacy: C++'s form, told by the hash at its end */
		return rust ? rust : demangle_cpp(name);
	}
	if (name[1] == 'D')
		return demangle_d(name);
	return NULL;
}
