/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time on the command line. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <csample/mem.h>

#include "options.h"

#define SECOND 1000000000LL
#define MAX_MS 253402300799999LL /* the end of the year 9999, in ms */

/* 90s 15m 1h 7d 2w; no "unlimited". */
static bool age(const char *s, uint64_t *ns_ret)
{
	size_t len = strlen(s);
	bool days = len && (s[len - 1] == 'd' || s[len - 1] == 'w');
	_cleanup_free_ char *number = mem_strndup(s, len - days);
	if (!len || s[0] < '0' || s[0] > '9' || (days && number[strspn(number, "0123456789.")]))
		return false;
	struct err *err = value_duration(number, ns_ret);
	if (err) {
		err_free(err);
		return false;
	}
	uint64_t times = !days ? 1 : s[len - 1] == 'd' ? 86400 : 7 * 86400;
	if (*ns_ret > INT64_MAX / times)
		return false;
	*ns_ret *= times;
	return true;
}

/* Midnight of the day that is so many days away. */
static int64_t day(int64_t now_ns, int days)
{
	time_t seconds = (time_t)(now_ns / SECOND);
	struct tm tm;
	localtime_r(&seconds, &tm);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_mday += days;
	tm.tm_isdst = -1;
	return (int64_t)mktime(&tm) * SECOND;
}

/* Z, +01:00, -0530 or nothing: then tm is local time. */
static bool zone(const char *s, struct tm *tm, int64_t *ret)
{
	if (!*s) {
		tm->tm_isdst = -1;
		*ret = (int64_t)mktime(tm) * SECOND;
		return true;
	}
	int offset = 0;
	if (strcmp(s, "Z") != 0 && strcmp(s, "z") != 0) {
		struct tm parsed = {0};
		const char *end = *s == '+' || *s == '-' ? strptime(s + 1, "%H:%M", &parsed) : NULL;
		if (!end && (*s == '+' || *s == '-'))
			end = strptime(s + 1, "%H%M", &parsed);
		if (!end || *end)
			return false;
		offset = (parsed.tm_hour * 60 + parsed.tm_min) * (*s == '-' ? -60 : 60);
	}
	*ret = ((int64_t)timegm(tm) - offset) * SECOND;
	return true;
}

/* 2026-11-21, with a time behind it or not. */
static bool date(const char *s, int64_t *ret)
{
	struct tm tm = {0};
	const char *at = strptime(s, "%Y-%m-%d", &tm);
	if (!at || at - s != 10)
		return false;
	if (!*at)
		return zone(at, &tm, ret);
	if (*at != 'T' && *at != 't' && *at != ' ')
		return false;
	at = strptime(at + 1, "%H:%M", &tm);
	if (at && *at == ':')
		at = strptime(at + 1, "%S", &tm);
	if (!at)
		return false;
	int64_t fraction = 0, unit = SECOND;
	if (*at == '.') {
		if (at[1] < '0' || at[1] > '9')
			return false;
		for (at++; *at >= '0' && *at <= '9'; at++) {
			unit /= 10;
			fraction += (*at - '0') * unit;
		}
	}
	if (!zone(at, &tm, ret))
		return false;
	*ret += fraction;
	return true;
}

struct err *value_time(const char *s, int64_t now_ns, int64_t *ret)
{
	uint64_t before = 0;
	int64_t at = now_ns;
	const char *minus = !strncmp(s, "now-", 4) ? s + 3 : s;
	char *end;
	bool ok = true;
	if (!strcmp(s, "today"))
		at = day(now_ns, 0);
	else if (!strcmp(s, "yesterday"))
		at = day(now_ns, -1);
	else if (*minus == '-') {
		ok = age(minus + 1, &before);
		at -= (int64_t)before;
	} else if (*s && strspn(s, "0123456789.") == strlen(s) && strlen(s) >= 9 &&
	           strlen(s) <= 24) {
		double seconds = strtod(s, &end);
		/* 13 digits are milliseconds, as most backends have them. */
		if (seconds > 1e11)
			seconds /= 1000;
		ok = !*end && seconds < (double)MAX_MS / 1000 && seconds * 1e9 < 9e18;
		at = ok ? (int64_t)(seconds * 1e9 + 0.5) : 0;
	} else if (strcmp(s, "now") != 0) {
		ok = date(s, &at);
	}
	if (!ok)
		return err_new(ERR_USAGE,
		               "'%s' is not a time; use now, -1h, now-7d, today, yesterday, "
		               "2026-11-21, 2026-11-21T08:30:00Z or seconds since 1970",
		               s);
	*ret = at > 0 ? at : 0;
	return NULL;
}
