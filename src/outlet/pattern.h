/* SPDX-License-Identifier: Apache-2.0 */
/* Names of files with a time, a process id or a number in them: "prof-%t-%p-%n.pb.gz". */
#ifndef OUTLET_PATTERN_H
#define OUTLET_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/err.h>

#define PATTERN_MAX_NAME 255

/* What stands for a conversion. */
struct pattern_values {
	int64_t unix_ns;
	int64_t pid;
	uint64_t sequence;
	unsigned again; /* 0; 2 and more: the name with %t in it was taken that many times less one
	                 */
};

struct pattern;
/* ERR_USAGE: a conversion that is not known, one in a directory's name, no name. */
struct err *pattern_parse(const char *text, struct pattern **ret);
void pattern_free(struct pattern *p);
const char *pattern_dir(const struct pattern *p); /* with its "/" at the end, or "" */
bool pattern_varies(const struct pattern *p);     /* there is a conversion */
bool pattern_has_time(const struct pattern *p);   /* there is a %t */
/* The name, without directory. ERR_SYS: too long. */
struct err *pattern_expand(const struct pattern *p, const struct pattern_values *v,
                           char ret[static PATTERN_MAX_NAME + 1]);
/* Whether this can be a name of the pattern, of any time, process and number. */
bool pattern_matches(const struct pattern *p, const char *name);

#endif
