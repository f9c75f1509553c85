/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "blob.h"

void facts_labels_json(const struct store_profile *p, struct strbuf *b)
{
	strbuf_addc(b, '{');
	for (size_t i = 0; i < p->n_labels; i++) {
		if (i)
			strbuf_addc(b, ',');
		strbuf_add_json(b, p->labels[i].name);
		strbuf_addc(b, ':');
		strbuf_add_json(b, p->labels[i].value);
	}
	strbuf_addc(b, '}');
}

static int by_name(const void *a, const void *b)
{
	const struct outlet_label *x = a, *y = b;
	return strcmp(x->name, y->name);
}

struct err *facts_parse_labels(const char *json, struct facts *ret)
{
	json_error_t why;
	json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &why), *value;
	const char *name;
	memset(ret, 0, sizeof(*ret));
	ret->root = root;
	bool ok = json_is_object(root) && json_object_size(root) <= STORE_MAX_LABELS;
	json_object_foreach(ok ? root : NULL, name, value)
	{
		ok = ok && name[0] && json_is_string(value);
		ret->labels[ret->p.n_labels++] =
		        (struct outlet_label){name, ok ? json_string_value(value) : ""};
	}
	if (!ok) {
		facts_free(ret);
		return err_new(ERR_FORMAT, "its labels are damaged");
	}
	qsort(ret->labels, ret->p.n_labels, sizeof(*ret->labels), by_name);
	ret->p.labels = ret->labels;
	ret->labels_json = mem_strdup(json);
	return NULL;
}

void facts_free(struct facts *f)
{
	json_decref(f->root);
	free(f->labels_json);
	f->root = f->labels_json = NULL;
}
