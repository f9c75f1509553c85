/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect.h"

#include <stdio.h>
#include <unistd.h>

#include <csample/clock.h>

size_t inspect(struct decoder *decoder, struct target *target, uint64_t wait_ns,
               struct inspected *ret)
{
	struct runtime *rt[INSPECT_MAX];
	struct unattached rest[INSPECT_MAX];
	uint64_t end = now_ns() + wait_ns;
	struct decoding *p = decoding_open(decoder, target);
	decoding_refresh(p);
	while (decoding_is_starting(p) && now_ns() < end) {
		usleep(1000);
		decoding_refresh(p);
	}
	size_t n = decoding_runtimes(p, rt, INSPECT_MAX);
	for (size_t i = 0; i < n; i++) {
		ret[i] = (struct inspected){.ops = rt[i]->ops};
		snprintf(ret[i].version, sizeof(ret[i].version), "%s", rt[i]->version);
	}
	size_t n_rest = decoding_unattached(p, rest, INSPECT_MAX - n);
	for (size_t i = 0; i < n_rest; i++) {
		ret[n + i] = (struct inspected){.ops = rest[i].ops};
		snprintf(ret[n + i].why, sizeof(ret[n + i].why), "%s",
		         rest[i].why ? rest[i].why : "");
	}
	decoding_close(p);
	return n + n_rest;
}

void inspected_json(const struct inspected *one, struct strbuf *b)
{
	strbuf_add(b, "{\"name\": ");
	strbuf_add_json(b, one->ops->name);
	const char *value = *one->version ? one->version : one->why;
	if (*value) {
		strbuf_add(b, *one->version ? ", \"version\": " : ", \"why_not\": ");
		strbuf_add_json(b, value);
	}
	strbuf_addc(b, '}');
}
