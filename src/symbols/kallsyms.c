/* SPDX-License-Identifier: Apache-2.0 */
#include "kallsyms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>
#include <csample/strbuf.h>
#include <csample/vec.h>

#define MAX_SYMBOLS  ((size_t)1 << 20)
#define MAX_FUNCTION ((uint64_t)1 << 20) /* bytes; beyond lies a gap, not a function */

struct ksym {
	uint64_t addr;
	uint32_t name, module; /* where in the text; module 0: none */
	char type;
};

struct kallsyms {
	VEC(struct ksym) syms;
	struct strbuf text;
};

/* Names of one module come together: its last string serves them all. */
static uint32_t add_module(struct kallsyms *k, const char *name, uint32_t last)
{
	if (last && !strcmp(k->text.s + last, name))
		return last;
	uint32_t at = (uint32_t)k->text.len;
	strbuf_addn(&k->text, name, strlen(name) + 1);
	return at;
}

/* "ffffffff81000000 T _stext" or "ffffffffc0a01000 t nf_hook\t[nf_tables]". */
static bool parse(struct kallsyms *k, char *line, struct ksym *ret, uint32_t last_module)
{
	char *rest;
	ret->addr = strtoull(line, &rest, 16);
	if (rest == line || rest[0] != ' ' || !rest[1] || rest[2] != ' ')
		return false;
	ret->type = rest[1];
	char *name = rest + 3;
	size_t len = strcspn(name, "\t\n");
	char *module = strchr(name + len, '[');
	name[len] = '\0';
	ret->module = 0;
	if (module) {
		module++;
		module[strcspn(module, "]\n")] = '\0';
	}
	if (!len || !strchr("tTwW", ret->type))
		return false;
	if (module)
		ret->module = add_module(k, module, last_module);
	ret->name = (uint32_t)k->text.len;
	strbuf_addn(&k->text, name, len + 1);
	return true;
}

static size_t underscores(const char *name)
{
	return strspn(name, "_");
}

/* By address; of several names the one to show first. */
static int compare(const void *a, const void *b, void *arg)
{
	const struct ksym *x = a, *y = b;
	const char *text = arg;
	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	size_t under_x = underscores(text + x->name), under_y = underscores(text + y->name);
	if (under_x != under_y)
		return under_x < under_y ? -1 : 1;
	if ((x->type == 'T') != (y->type == 'T'))
		return x->type == 'T' ? -1 : 1;
	return strcmp(text + x->name, text + y->name);
}

struct kallsyms *kallsyms_read(const char *path, bool *hidden_ret)
{
	struct kallsyms *k = mem_zalloc(sizeof(*k));
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;
	bool any = false, nonzero = false;
	uint32_t module = 0;
	strbuf_addc(&k->text, '\0'); /* offset 0 means "none" */
	while (f && getline(&line, &cap, f) > 0 && k->syms.n < MAX_SYMBOLS) {
		struct ksym sym;
		if (!parse(k, line, &sym, module))
			continue;
		any = true;
		nonzero |= sym.addr != 0;
		if (sym.module)
			module = sym.module;
		*vec_add(&k->syms) = sym;
	}
	*hidden_ret = !any || !nonzero;
	if (*hidden_ret)
		k->syms.n = 0;
	else
		qsort_r(k->syms.items, k->syms.n, sizeof(*k->syms.items), compare, k->text.s);
	return k;
}

void kallsyms_destroy(struct kallsyms *k)
{
	if (!k)
		return;
	vec_free(&k->syms);
	strbuf_free(&k->text);
	free(k);
}

bool kallsyms_find(const struct kallsyms *k, uint64_t addr, const char **name_ret,
                   const char **module_ret)
{
	size_t lo = 0, hi = k->syms.n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (k->syms.items[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return false;
	const struct ksym *s = &k->syms.items[lo - 1];
	while (s > k->syms.items && s[-1].addr == s->addr)
		s--;
	if (addr - s->addr >= MAX_FUNCTION)
		return false;
	*name_ret = k->text.s + s->name;
	*module_ret = s->module ? k->text.s + s->module : NULL;
	return true;
}
