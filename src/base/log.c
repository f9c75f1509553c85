/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <csample/log.h>
#include <csample/mem.h>
#include <csample/strbuf.h>

static bool enabled[LOG_SUBSYSTEMS];
static const char *const names[LOG_SUBSYSTEMS] = {
        [LOG_TARGET] = "target", [LOG_TRIGGER] = "trigger", [LOG_CAPTURE] = "capture",
        [LOG_UNWIND] = "unwind", [LOG_DECODE] = "decode",   [LOG_SYMBOLS] = "symbols",
        [LOG_EMIT] = "emit",
};

static void print(const char *head, const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = NULL;
	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
		return;
	}
	struct strbuf b = {0};
	strbuf_add(&b, "csample: ");
	strbuf_add(&b, head);
	strbuf_add_terminal(&b, text);
	strbuf_addc(&b, '\n');
	fputs(b.s, stderr); /* one call: lines of several threads do not mix */
	strbuf_free(&b);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	print("warning: ", fmt, ap);
	va_end(ap);
}

void log_info(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	print("", fmt, ap);
	va_end(ap);
}

void log_debug(enum log_subsystem subsystem, const char *fmt, ...)
{
	if (!enabled[subsystem])
		return;
	char head[32];
	snprintf(head, sizeof(head), "%s: ", names[subsystem]);
	va_list ap;
	va_start(ap, fmt);
	print(head, fmt, ap);
	va_end(ap);
}

bool log_enabled(enum log_subsystem subsystem)
{
	return enabled[subsystem];
}

struct err *log_enable(const char *subsystems)
{
	for (const char *p = subsystems; *p;) {
		size_t len = strcspn(p, ",");
		bool found = false;
		for (size_t i = 0; i < LOG_SUBSYSTEMS; i++) {
			bool all = len == 3 && !memcmp(p, "all", 3);
			if (all || (strlen(names[i]) == len && !memcmp(p, names[i], len)))
				enabled[i] = found = true;
		}
		if (!found)
			return err_new(
			        ERR_USAGE,
			        "--debug %.*s: not a subsystem; use target, trigger, capture, "
			        "unwind, decode, symbols, emit or all",
			        (int)len, p);
		p += len + (p[len] == ',');
	}
	return NULL;
}
