/* SPDX-License-Identifier: Apache-2.0 */
/* Parca: WriteRaw through its JSON gateway. A series always has its labels and a profile its period
 * type: the server falls over without either. */
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "push.h"

static void add_label(struct strbuf *b, const char *name, const char *value)
{
	strbuf_add(b, "{\"name\":");
	strbuf_add_json(b, name);
	strbuf_add(b, ",\"value\":");
	strbuf_add_json(b, value);
	strbuf_addc(b, '}');
}

static struct err *request(const struct sending *s, struct http_request *ret)
{
	const struct entry *e = s->entry;
	struct strbuf b = {0};
	strbuf_add(&b, "{\"series\":[{\"labels\":{\"labels\":[");
	add_label(&b, "__name__", e->type);
	for (size_t i = 0; i < e->n_labels; i++) {
		strbuf_addc(&b, ',');
		add_label(&b, e->labels[i].name, e->labels[i].value);
	}
	strbuf_add(&b, "]},\"samples\":[{\"rawProfile\":\"");
	base64_add(&b, s->pprof, s->pprof_len);
	strbuf_add(&b, "\"}]}],\"normalized\":true}");
	ret->path = mem_strdup("/api/profiles/writeraw");
	ret->content_type = "application/json";
	ret->body = b.s;
	ret->body_len = b.len;
	return NULL;
}

static enum verdict judge(const struct sending *s, const struct http_answer *a)
{
	(void)s;
	return retry_judge(a->status);
}

/* A message may have 64 MiB, and base64 adds a third to what gzip left. */
const struct backend backend_parca = {
        .name = "parca",
        .limits = {.samples = SIZE_MAX, .bytes = (size_t)40 << 20},
        .request = request,
        .judge = judge,
};
