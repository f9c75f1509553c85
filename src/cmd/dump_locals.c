/* SPDX-License-Identifier: Apache-2.0 */
#include "dump_locals.h"

#include <csample/clock.h>
#include <csample/vec.h>

#define MAX_HELD_NS 20000000ULL

struct local {
	size_t frame;
	char *name, *value;
	bool is_argument;
};

/* Of one thread. */
struct page {
	pid_t tid;
	uint64_t time_ns; /* of the snapshot they belong to */
	size_t cut;       /* the first frame that was not read */
	VEC(struct local) locals;
};

struct locals_book {
	VEC(struct page) pages;
	size_t frame; /* being read */
	size_t page;
};

struct locals_book *locals_create(void)
{
	return mem_zalloc(sizeof(struct locals_book));
}

static void clear(struct page *page)
{
	for (size_t i = 0; i < page->locals.n; i++) {
		free(page->locals.items[i].name);
		free(page->locals.items[i].value);
	}
	page->locals.n = 0;
}

void locals_destroy(struct locals_book *book)
{
	if (!book)
		return;
	for (size_t i = 0; i < book->pages.n; i++) {
		clear(&book->pages.items[i]);
		vec_free(&book->pages.items[i].locals);
	}
	vec_free(&book->pages);
	free(book);
}

static size_t page_of(struct locals_book *book, pid_t tid)
{
	for (size_t i = 0; i < book->pages.n; i++)
		if (book->pages.items[i].tid == tid)
			return i;
	*vec_add(&book->pages) = (struct page){.tid = tid};
	return book->pages.n - 1;
}

static void keep(void *arg, const char *name, const char *repr, bool is_argument)
{
	struct locals_book *book = arg;
	struct page *page = &book->pages.items[book->page];
	*vec_add(&page->locals) =
	        (struct local){book->frame, mem_strdup(name), mem_strdup(repr), is_argument};
}

void locals_collect(struct locals_book *book, const struct snapshot *snap,
                    const struct decoded *decoded, bool held)
{
	struct runtime *rt = decoded->runtime;
	uint64_t end = held ? now_ns() + MAX_HELD_NS : UINT64_MAX;
	book->page = page_of(book, snap->tid);
	struct page *page = &book->pages.items[book->page];
	clear(page);
	page->time_ns = snap->time_ns;
	page->cut = SIZE_MAX;
	if (!rt || !rt->ops->locals)
		return;
	for (size_t i = 0; i < decoded->n_frames; i++) {
		if (now_ns() > end) {
			page->cut = i;
			break;
		}
		book->frame = i;
		rt->ops->locals(rt, snap, i, keep, book);
	}
}

static void print_json(const struct local *l, bool first, struct strbuf *b)
{
	strbuf_add(b, first ? ", \"locals\": [{\"name\": " : ", {\"name\": ");
	strbuf_add_json(b, l->name);
	strbuf_add(b, ", \"value\": ");
	strbuf_add_json(b, l->value);
	strbuf_add(b, l->is_argument ? ", \"argument\": true}" : "}");
}

static void print_text(const struct local *l, const struct local *before, struct strbuf *b)
{
	if (!before || before->is_argument != l->is_argument)
		strbuf_add(b, l->is_argument ? "        Arguments:\n" : "        Locals:\n");
	strbuf_add(b, "            ");
	strbuf_add_terminal(b, l->name);
	strbuf_add(b, ": ");
	strbuf_add_terminal(b, l->value);
	strbuf_addc(b, '\n');
}

void locals_print(const struct locals_book *book, const struct snapshot *snap, size_t i, bool json,
                  struct strbuf *ret)
{
	const struct page *page = NULL;
	for (size_t k = 0; k < book->pages.n; k++)
		if (book->pages.items[k].tid == snap->tid &&
		    book->pages.items[k].time_ns == snap->time_ns)
			page = &book->pages.items[k];
	if (!page)
		return;
	const struct local *before = NULL;
	for (size_t k = 0; k < page->locals.n; k++) {
		const struct local *l = &page->locals.items[k];
		if (l->frame != i)
			continue;
		if (json)
			print_json(l, !before, ret);
		else
			print_text(l, before, ret);
		before = l;
	}
	if (json && before)
		strbuf_addc(ret, ']');
	if (!json && i == page->cut)
		strbuf_add(ret, "        ... (the thread was held long enough)\n");
}
