/* SPDX-License-Identifier: Apache-2.0 */
/* Values on the command line: durations, rates, process ids. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "options.h"

#define MAX_RATE_HZ      10000
#define MAX_DURATION_SEC 1e9 /* 31 years: far below the range of 64-bit nanoseconds */

/* A decimal number at s, without sign, exponent or blanks. Returns its end, NULL if there is none.
 */
static const char *decimal(const char *s, double *ret)
{
	size_t len = strspn(s, "0123456789.");
	char buf[32];
	if (!len || len >= sizeof(buf))
		return NULL;
	memcpy(buf, s, len);
	buf[len] = '\0';
	char *end;
	*ret = strtod(buf, &end);
	return end == buf + len ? s + len : NULL;
}

struct err *value_duration(const char *s, uint64_t *ns_ret)
{
	static const struct {
		const char *unit;
		double sec;
	} units[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"m", 60}, {"h", 3600}};
	if (!strcmp(s, "unlimited")) {
		*ns_ret = 0;
		return NULL;
	}
	double number;
	const char *unit = decimal(s, &number);
	for (size_t i = 0; unit && i < ARRAY_SIZE(units); i++) {
		if (strcmp(unit, units[i].unit) != 0)
			continue;
		if (number * units[i].sec > MAX_DURATION_SEC)
			return err_new(ERR_USAGE, "'%s' is too long; use 'unlimited'", s);
		*ns_ret = (uint64_t)(number * units[i].sec * 1e9 + 0.5);
		if (!*ns_ret && number > 0)
			*ns_ret = 1; /* 0 would be without end */
		return NULL;
	}
	return err_new(ERR_USAGE, "'%s' is not a duration; use 30, 30s, 5m, 1h, 250ms or unlimited",
	               s);
}

struct err *value_rate(const char *s, double *hz_ret)
{
	double hz;
	const char *end = decimal(s, &hz);
	if (!end || *end)
		return err_new(ERR_USAGE, "'%s' is not a rate; use a number of samples a second",
		               s);
	if (!(hz > 0) || hz > MAX_RATE_HZ)
		return err_new(ERR_USAGE, "%s is out of range; use more than 0 and at most %d", s,
		               MAX_RATE_HZ);
	*hz_ret = hz;
	return NULL;
}

struct err *value_pid(const char *s, pid_t *ret)
{
	bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	const char *digits = hex ? "0123456789abcdefABCDEFxX" : "0123456789";
	char *end;
	errno = 0;
	long value = strtol(s, &end, hex ? 16 : 10);
	if (!*s || *end || s[strspn(s, digits)])
		return err_new(ERR_USAGE, "'%s' is not a process id", s);
	if (errno || value <= 0 || value > INT_MAX)
		return err_new(ERR_USAGE, "%s cannot be a process id", s);
	*ret = (pid_t)value;
	return NULL;
}
