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

/* One of 100, 7d, 2G. */
static struct err *keep_one(const char *s, struct retention *ret)
{
	static const struct {
		const char *unit;
		uint64_t sec, bytes; /* both 0: a count */
	} units[] = {{"", 0, 0},
	             {"s", 1, 0},
	             {"m", 60, 0},
	             {"h", 3600, 0},
	             {"d", 86400, 0},
	             {"w", 7 * 86400, 0},
	             {"k", 0, 1 << 10},
	             {"K", 0, 1 << 10},
	             {"kB", 0, 1 << 10},
	             {"KiB", 0, 1 << 10},
	             {"M", 0, 1 << 20},
	             {"MB", 0, 1 << 20},
	             {"MiB", 0, 1 << 20},
	             {"G", 0, 1 << 30},
	             {"GB", 0, 1 << 30},
	             {"GiB", 0, 1 << 30},
	             {"g", 0, 1 << 30},
	             {"T", 0, 1ULL << 40},
	             {"TB", 0, 1ULL << 40},
	             {"TiB", 0, 1ULL << 40}};
	double number;
	const char *unit = decimal(s, &number);
	for (size_t i = 0; unit && number > 0 && i < ARRAY_SIZE(units); i++) {
		if (strcmp(unit, units[i].unit) != 0)
			continue;
		if (units[i].sec && number * (double)units[i].sec <= MAX_DURATION_SEC)
			ret->age_ns = (uint64_t)(number * (double)units[i].sec * 1e9 + 0.5);
		else if (units[i].bytes && number * (double)units[i].bytes < 1e18)
			ret->bytes = (uint64_t)(number * (double)units[i].bytes + 0.5);
		else if (!unit[0] && number < 1e15 && number == (double)(uint64_t)number)
			ret->count = (uint64_t)number;
		else
			break;
		return NULL;
	}
	return err_new(ERR_USAGE,
	               "'%s' does not say how much to keep; use a number of profiles (100), an age "
	               "(12h, 7d) or a size (500M, 2G), or several: 7d,2G",
	               s);
}

struct err *value_keep(const char *s, struct retention *ret)
{
	struct retention keep = {0};
	for (const char *p = s; p; p = *p ? p + 1 : NULL) {
		size_t len = strcspn(p, ",");
		_cleanup_free_ char *one = mem_strndup(p, len);
		struct err *err = keep_one(one, &keep);
		if (err)
			return err;
		p += len;
	}
	*ret = keep;
	return NULL;
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
