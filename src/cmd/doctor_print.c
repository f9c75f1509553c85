/* SPDX-License-Identifier: Apache-2.0 */
/* The page that doctor prints, and the same as JSON. */
#include <string.h>

#include <csample/strbuf.h>

#include "doctor.h"
#include "options.h"

static const char *const marks[LEVELS] = {"ok", "", "less", "NO"};

static void print_fixes(FILE *out, const struct diagnosis *d)
{
	bool told[FIXES] = {false}, any = false;
	for (size_t i = 0; i < d->checks.n; i++) {
		const struct check *c = &d->checks.items[i];
		const struct fix_text *fix = &fix_texts[c->fix];
		if (c->fix == FIX_NONE || c->level < LEVEL_DEGRADED || told[c->fix])
			continue;
		const char *const where[] = {"host", "Docker", "Kubernetes"};
		const char *const how[] = {fix->host, fix->docker, fix->kubernetes};
		fprintf(out, "%s\n  %s\n", any ? "" : "\nWhat would help", fix->what);
		for (size_t w = 0; w < 3; w++) {
			fprintf(out, "    %-12s", where[w]);
			print_wrapped(out, how[w], 16);
		}
		told[c->fix] = any = true;
	}
}

void doctor_print_text(FILE *out, const struct diagnosis *d)
{
	struct strbuf b = {0};
	fprintf(out, "csample %s, ", csample_version);
	if (d->pid)
		fprintf(out, "on process %d", (int)d->pid);
	else
		fputs("on a child of its own (-p PID looks at a process)", out);
	if (d->command) {
		strbuf_add_terminal(&b, d->command);
		fprintf(out, ": %s", b.s);
	}
	fputs("\n\n", out);
	for (size_t i = 0; i < d->checks.n; i++) {
		const struct check *c = &d->checks.items[i];
		fprintf(out, "  %-5s %-20s", marks[c->level], c->name);
		strbuf_clear(&b);
		strbuf_add_terminal(&b, c->found);
		print_wrapped(out, b.s, 28);
	}
	fputs("\nHow threads are read\n", out);
	for (size_t i = 0; i < OUTLOOKS; i++)
		fprintf(out, "  %-17s %-8s %s\n", d->outlooks[i].name, d->outlooks[i].way,
		        d->outlooks[i].how);
	strbuf_free(&b);
	print_fixes(out, d);
	if (!d->usable)
		fprintf(out, "\ncsample cannot sample %s.\n", d->pid ? "this process" : "here");
}

static void add_member(struct strbuf *b, const char *before, const char *key, const char *value)
{
	strbuf_addf(b, "%s\"%s\": ", before, key);
	strbuf_add_json(b, value);
}

static void add_check(struct strbuf *b, const struct check *c)
{
	add_member(b, "    {", "name", c->name);
	add_member(b, ", ", "level", level_names[c->level]);
	add_member(b, ", ", "found", c->found);
	if (c->fix != FIX_NONE && c->level != LEVEL_OK) {
		const struct fix_text *fix = &fix_texts[c->fix];
		add_member(b, ", \"fix\": {", "what", fix->what);
		add_member(b, ", ", "host", fix->host);
		add_member(b, ", ", "docker", fix->docker);
		add_member(b, ", ", "kubernetes", fix->kubernetes);
		strbuf_addc(b, '}');
	}
	strbuf_addc(b, '}');
}

void doctor_print_json(FILE *out, const struct diagnosis *d)
{
	struct strbuf b = {0};
	add_member(&b, "{\n  ", "version", csample_version);
	if (d->pid)
		strbuf_addf(&b, ",\n  \"pid\": %d", (int)d->pid);
	if (d->command)
		add_member(&b, ",\n  ", "command", d->command);
	if (d->pid)
		strbuf_add(&b, ",\n  \"runtimes\": [");
	for (size_t i = 0; i < d->n_runtimes; i++) {
		strbuf_add(&b, i ? ", " : "");
		inspected_json(&d->runtimes[i], &b);
	}
	strbuf_add(&b, d->pid ? "]" : "");
	strbuf_addf(&b, ",\n  \"usable\": %s,\n  \"capture\": {", d->usable ? "true" : "false");
	for (size_t i = 0; i < OUTLOOKS; i++) {
		strbuf_addf(&b, "%s\n    \"%s\": ", i ? "," : "", d->outlooks[i].key);
		add_member(&b, "{", "way", d->outlooks[i].way);
		add_member(&b, ", ", "how", d->outlooks[i].how);
		strbuf_addc(&b, '}');
	}
	strbuf_add(&b, "\n  },\n  \"checks\": [\n");
	for (size_t i = 0; i < d->checks.n; i++) {
		add_check(&b, &d->checks.items[i]);
		strbuf_add(&b, i + 1 < d->checks.n ? ",\n" : "\n");
	}
	strbuf_add(&b, "  ]\n}\n");
	fputs(b.s, out);
	strbuf_free(&b);
}
