/* SPDX-License-Identifier: Apache-2.0 */
#include "labels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/log.h>
#include <csample/mem.h>
#include <csample/vec.h>

void labels_free(struct labels *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free((char *)l->items[i].name);
		free((char *)l->items[i].value);
	}
	vec_free(l);
}

static bool has(const struct labels *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->items[i].name, name))
			return true;
	return false;
}

/* What comes first stays. What is not allowed as a label is left out: it was not typed for us. */
static void add(struct labels *l, const char *name, const char *value)
{
	if (!*value || has(l, name))
		return;
	struct err *err = label_check(name, value);
	if (err) {
		log_debug(LOG_TARGET, "no label %s: %s", name, err->msg);
		err_free(err);
		return;
	}
	*vec_add(l) = (struct outlet_label){mem_strdup(name), mem_strdup(value)};
}

static void add_given(struct labels *l, const struct options *opt)
{
	/* The last of one name counts. */
	for (size_t i = opt->n_labels; i-- > 0;) {
		size_t len = strcspn(opt->labels[i], "=");
		_cleanup_free_ char *name = mem_strndup(opt->labels[i], len);
		add(l, name, opt->labels[i] + len + 1);
	}
}

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                              : -1;
}

/* Values are percent-encoded; names have dots, labels underscores. */
static void add_attribute(struct labels *l, const char *pair, size_t len)
{
	_cleanup_free_ char *text = mem_strndup(pair, len);
	char *value = strchr(text, '=');
	if (!value)
		return;
	*value++ = '\0';
	char *out = value;
	for (const char *p = value; *p; p++) {
		bool escape = *p == '%' && hex(p[1]) >= 0 && hex(p[2]) >= 0;
		*out++ = escape ? (char)(hex(p[1]) << 4 | hex(p[2])) : *p;
		p += escape ? 2 : 0;
	}
	*out = '\0';
	char *name = text + strspn(text, " ");
	name[strcspn(name, " ")] = '\0';
	for (char *p = name; *p; p++)
		if (*p == '.' || *p == '-')
			*p = '_';
	add(l, name, value);
}

/* OpenTelemetry's resource SDK: key=value pairs with commas between them. */
static void add_environment(struct labels *l)
{
	const char *service = getenv("OTEL_SERVICE_NAME");
	if (service)
		add(l, "service_name", service);
	const char *attributes = getenv("OTEL_RESOURCE_ATTRIBUTES");
	for (const char *p = attributes; p && *p; p += strspn(p, ",")) {
		size_t len = strcspn(p, ",");
		add_attribute(l, p, len);
		p += len;
	}
}

static void add_process(struct labels *l, const struct options *opt, pid_t pid, const char *comm)
{
	char text[512];
	if (opt->label_from & OPT_LABEL_COMM && comm)
		add(l, "comm", comm);
	if (opt->label_from & OPT_LABEL_PID && pid) {
		snprintf(text, sizeof(text), "%d", (int)pid);
		add(l, "pid", text);
	}
	if (opt->label_from & OPT_LABEL_CGROUP && pid && process_cgroup(pid, text, sizeof(text)))
		add(l, "cgroup", text);
	if (opt->label_from & OPT_LABEL_CONTAINER && pid &&
	    process_container(pid, text, sizeof(text)))
		add(l, "container", text);
	if (opt->label_from & OPT_LABEL_HOSTNAME && !gethostname(text, sizeof(text)))
		add(l, "hostname", text);
}

static int by_name(const void *a, const void *b)
{
	const struct outlet_label *x = a, *y = b;
	return strcmp(x->name, y->name);
}

void labels_make(struct labels *l, const struct options *opt, pid_t pid, const char *comm,
                 const char *name)
{
	labels_free(l);
	add_given(l, opt);
	add_environment(l);
	add_process(l, opt, pid, comm);
	const char *command = opt->child_argv ? opt->child_argv[0] : name;
	const char *slash = command ? strrchr(command, '/') : NULL;
	add(l, "service_name", slash && slash[1] ? slash + 1 : command ? command : "");
	add(l, "service_name", "unknown");
	qsort(l->items, l->n, sizeof(*l->items), by_name);
}
