/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <csample/mem.h>

#include "push.h"

#define MAGIC      "csample-spool-1 "
#define MAX_HEAD   ((size_t)1 << 20)
#define MAX_LABELS 256

/* A value of JSON of text that may not be UTF-8. */
static json_t *text(const char *s)
{
	struct strbuf b = {0};
	strbuf_add_utf8(&b, s);
	json_t *json = json_string(b.s ? b.s : "");
	strbuf_free(&b);
	return json;
}

void entry_pack(const struct delivery *d, int64_t shift_ns, struct strbuf *b)
{
	json_t *head = json_object(), *labels = json_object();
	for (size_t i = 0; i < d->n_labels; i++)
		json_object_set_new(labels, d->labels[i].name, text(d->labels[i].value));
	json_object_set_new(head, "type", text(d->type));
	json_object_set_new(head, "labels", labels);
	json_object_set_new(head, "start_unix_ns", json_integer(d->profile->meta.start_unix_ns));
	json_object_set_new(head, "shift_ns", json_integer(shift_ns));
	json_object_set_new(head, "unpacked", json_integer((json_int_t)d->pprof_unpacked_len));
	json_object_set_new(head, "crc32",
	                    json_integer((json_int_t)crc32_z(0, d->pprof, d->pprof_len)));
	char *line = json_dumps(head, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(head);
	strbuf_add(b, MAGIC);
	strbuf_add(b, line ? line : "{}");
	strbuf_addc(b, '\n');
	strbuf_addn(b, d->pprof, d->pprof_len);
	free(line);
}

static struct err *read_labels(const json_t *labels, struct entry *e)
{
	size_t n = json_object_size(labels);
	if (!json_is_object(labels) || n > MAX_LABELS)
		return err_new(ERR_FORMAT, "no labels");
	e->labels = mem_zalloc((n + 1) * sizeof(*e->labels));
	const char *name;
	json_t *value;
	/* jansson keeps the order of the text, and entry_pack() has sorted it. */
	json_object_foreach((json_t *)labels, name, value)
	{
		if (!json_is_string(value))
			return err_new(ERR_FORMAT, "a label is not a string");
		e->labels[e->n_labels++] = (struct outlet_label){
		        mem_strdup(name), mem_strdup(json_string_value(value))};
	}
	return NULL;
}

static struct err *read_head(const json_t *head, struct entry *e, json_int_t *crc)
{
	const char *type = json_string_value(json_object_get(head, "type"));
	if (!type || !*type)
		return err_new(ERR_FORMAT, "no type");
	e->type = mem_strdup(type);
	e->start_unix_ns = json_integer_value(json_object_get(head, "start_unix_ns"));
	e->shift_ns = json_integer_value(json_object_get(head, "shift_ns"));
	json_int_t unpacked = json_integer_value(json_object_get(head, "unpacked"));
	e->unpacked_len = unpacked > 0 ? (size_t)unpacked : 0;
	*crc = json_integer_value(json_object_get(head, "crc32"));
	return read_labels(json_object_get(head, "labels"), e);
}

struct err *entry_unpack(const void *bytes, size_t len, struct entry *ret)
{
	const char *s = bytes, *end = memchr(bytes, '\n', len < MAX_HEAD ? len : MAX_HEAD);
	size_t magic = strlen(MAGIC);
	if (len < magic || memcmp(s, MAGIC, magic) != 0 || !end)
		return err_new(ERR_FORMAT, "not a profile of csample's spool, or cut off");
	json_error_t why;
	json_t *head = json_loadb(s + magic, (size_t)(end - s) - magic, 0, &why);
	struct entry e = {0};
	json_int_t crc = 0;
	struct err *err = head ? read_head(head, &e, &crc)
	                       : err_new(ERR_FORMAT, "its first line: %s", why.text);
	json_decref(head);
	if (!err) {
		e.pprof_len = len - (size_t)(end + 1 - s);
		if (crc32_z(0, (const Bytef *)end + 1, e.pprof_len) != (uLong)crc)
			err = err_new(ERR_FORMAT, "cut off or damaged: its checksum differs");
	}
	if (err) {
		entry_free(&e);
		return err;
	}
	e.pprof = mem_alloc(e.pprof_len + 1);
	memcpy(e.pprof, end + 1, e.pprof_len);
	*ret = e;
	return NULL;
}

void entry_free(struct entry *e)
{
	for (size_t i = 0; i < e->n_labels; i++) {
		free((char *)e->labels[i].name);
		free((char *)e->labels[i].value);
	}
	free(e->labels);
	free(e->type);
	free(e->pprof);
	*e = (struct entry){0};
}
