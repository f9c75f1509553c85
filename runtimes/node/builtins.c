/* SPDX-License-Identifier: Apache-2.0 */
/* Builtins: what JavaScript calls them, and what the native functions of V8 and Node are to us. */
#include <ctype.h>
#include <gelf.h>
#include <stdio.h>
#include <string.h>

#include <csample/mem.h>

#include "node.h"

#define MAX_VERSION 24

/* clang-format off */
/* The builtin's name begins with the class; V8 src/builtins/builtins-definitions.h. Longer ones
 * first where one begins with another. */
static const struct { const char *builtin, *title; } classes[] = {
	{ "ArrayBufferPrototype", "ArrayBuffer.prototype" }, { "ArrayBuffer", "ArrayBuffer" },
	{ "ArrayIteratorPrototype", "ArrayIterator.prototype" },
	{ "ArrayPrototype", "Array.prototype" }, { "Array", "Array.prototype" },
	{ "AsyncGeneratorPrototype", "AsyncGenerator.prototype" },
	{ "Atomics", "Atomics" }, { "BigIntPrototype", "BigInt.prototype" }, { "BigInt", "BigInt" },
	{ "DataViewPrototype", "DataView.prototype" }, { "DatePrototype", "Date.prototype" },
	{ "Date", "Date" }, { "ErrorPrototype", "Error.prototype" }, { "Error", "Error" },
	{ "FunctionPrototype", "Function.prototype" },
	{ "GeneratorPrototype", "Generator.prototype" },
	{ "IteratorPrototype", "Iterator.prototype" }, { "Json", "JSON" },
	{ "MapIteratorPrototype", "MapIterator.prototype" }, { "MapPrototype", "Map.prototype" },
	{ "Math", "Math" }, { "NumberPrototype", "Number.prototype" }, { "Number", "Number" },
	{ "ObjectPrototype", "Object.prototype" }, { "Object", "Object" },
	{ "PromisePrototype", "Promise.prototype" }, { "Promise", "Promise" }, { "Proxy", "Proxy" },
	{ "Reflect", "Reflect" }, { "RegExpPrototype", "RegExp.prototype" },
	{ "SetIteratorPrototype", "SetIterator.prototype" }, { "SetPrototype", "Set.prototype" },
	{ "StringIteratorPrototype", "StringIterator.prototype" },
	{ "StringPrototype", "String.prototype" }, { "String", "String" },
	{ "SymbolPrototype", "Symbol.prototype" }, { "Symbol", "Symbol" },
	{ "TypedArrayPrototype", "TypedArray.prototype" }, { "TypedArray", "TypedArray" },
	{ "WeakMapPrototype", "WeakMap.prototype" }, { "WeakSetPrototype", "WeakSet.prototype" },
};
/* Of Array itself. */
static const char *const array_statics[] = { "isArray", "from", "of", "fromAsync" };

/* Native functions between JavaScript and what it calls, by the beginning of their names. */
static const char *const plumbing[] = {
	"_ZN2v88internal12_GLOBAL__N_16Invoke", "_ZN2v88internal12_GLOBAL__N_118InvokeWithTryCatch",
	"_ZN2v86Object14CallAsFunction", "_ZN2v88internal9Execution",
	"_ZN2v88Function4Call",
	"_ZN2v88internal14MicrotaskQueue", "_ZN2v814MicrotasksScope",
	"_ZN4node21InternalCallbackScope", "_ZN4node12MakeCallback", "_ZN4node20InternalMakeCallback",
	"_ZN2v88internal12_GLOBAL__N_119HandleApiCallHelper", "_ZN2v88internal21Builtin_HandleApiCall",
	"_ZN2v88internal25FunctionCallbackArguments4Call",
	"_ZN2v88internal26Builtin_Impl_HandleApiCall", "_ZN4node9AsyncWrap12MakeCallback",
};
/* clang-format on */

const char *v8_builtin_title(struct v8 *v8, const char *builtin, const char *function)
{
	const char *title = NULL, *rest = NULL;
	size_t len = strlen(function);
	for (size_t i = 0; i < ARRAY_SIZE(classes) && !title; i++) {
		size_t n = strlen(classes[i].builtin);
		if (strncmp(builtin, classes[i].builtin, n) != 0)
			continue;
		rest = builtin + n;
		/* "ArrayMap" runs map(); "ArrayForEachLoopContinuation" has no function. */
		if (strncasecmp(rest, function, len) != 0 || (rest[len] && islower(rest[len])))
			continue;
		title = classes[i].title;
	}
	if (!title)
		return NULL;
	if (!strcmp(title, "Array.prototype"))
		for (size_t i = 0; i < ARRAY_SIZE(array_statics); i++)
			if (!strcmp(function, array_statics[i]))
				title = "Array";
	struct strbuf b = {0};
	strbuf_addf(&b, "%s.%s", title, function);
	const char *name = intern_n(v8->strings, b.s, b.len);
	strbuf_free(&b);
	return name;
}

enum native_role v8_role(struct runtime *rt, const struct image *img, const char *name,
                         uint64_t start)
{
	const struct v8 *v8 = v8_of(rt);
	if (!img || img != rt->image)
		return ROLE_NONE;
	if (start - v8->image.code_start < v8->image.code_end - v8->image.code_start)
		return ROLE_PLUMBING;
	for (size_t i = 0; name && i < ARRAY_SIZE(plumbing); i++)
		if (!strncmp(name, plumbing[i], strlen(plumbing[i])))
			return ROLE_PLUMBING;
	return ROLE_NONE;
}

static size_t version_length(const char *s, size_t max)
{
	size_t n = 0;
	while (n < max && ((s[n] >= '0' && s[n] <= '9') || s[n] == '.'))
		n++;
	return n;
}

/* The name of its own executable's directory for headers, "node.js/v20.1.2", is in the file. */
static bool version_of_file(const struct image *img, char *buf, size_t len)
{
	static const char mark[] = "node.js/v";
	for (size_t i = 0; i < img->n_segments; i++) {
		const struct image_segment *s = &img->segments[i];
		const uint8_t *p = (s->flags & PF_W) ? NULL : image_bytes(img, s->vaddr, s->filesz);
		const uint8_t *at = p ? memmem(p, s->filesz, mark, sizeof(mark) - 1) : NULL;
		if (!at)
			continue;
		at += sizeof(mark) - 1;
		size_t left = (size_t)(p + s->filesz - at);
		size_t n =
		        version_length((const char *)at, left < MAX_VERSION ? left : MAX_VERSION);
		if (n >= 5 && n < len) {
			memcpy(buf, at, n);
			buf[n] = '\0';
			return true;
		}
	}
	return false;
}

/* node::per_process::metadata, whose first member is the std::string versions.node: Node 18 on. */
static bool version_of_process(struct target *t, struct image *img, uint64_t bias, char *buf,
                               size_t len)
{
	uint64_t vaddr, words[2];
	char text[MAX_VERSION];
	if (!v8_symbol(img, "_ZN4node11per_process8metadataE", &vaddr))
		return false;
	struct err *err = rmem_read(t->rm, bias + vaddr, words, sizeof(words));
	bool ok = !err && words[1] >= 5 && words[1] < sizeof(text) && words[1] < len;
	err_free(err);
	if (!ok)
		return false;
	err = rmem_read(t->rm, words[0], text, words[1]);
	ok = !err && version_length(text, words[1]) == words[1];
	err_free(err);
	if (ok) {
		memcpy(buf, text, words[1]);
		buf[words[1]] = '\0';
	}
	return ok;
}

void v8_node_version(struct target *t, struct image *img, uint64_t bias, char *buf, size_t len)
{
	*buf = '\0';
	if (!version_of_process(t, img, bias, buf, len))
		(void)version_of_file(img, buf, len);
}
