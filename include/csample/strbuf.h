/* SPDX-License-Identifier: Apache-2.0 */
/* Text that grows, with the escapes each medium needs: everything from a target is hostile. */
#ifndef CSAMPLE_STRBUF_H
#define CSAMPLE_STRBUF_H

#include <stddef.h>

struct strbuf {
	char *s; /* always NUL-terminated once something was added; NULL before */
	size_t len, cap;
};

void strbuf_free(struct strbuf *b);
void strbuf_clear(struct strbuf *b);
void strbuf_add(struct strbuf *b, const char *s);
void strbuf_addn(struct strbuf *b, const char *s, size_t n);
void strbuf_addc(struct strbuf *b, char c);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Valid UTF-8: broken sequences become U+FFFD, which pprof consumers and XML insist on. */
void strbuf_add_utf8(struct strbuf *b, const char *s);
/* For a terminal: C0, C1 and bidi controls made visible (\n as ^J, others as <U+XXXX>). */
void strbuf_add_terminal(struct strbuf *b, const char *s);
/* A quoted JSON string, quotes included. */
void strbuf_add_json(struct strbuf *b, const char *s);
/* Text or attribute value of XML 1.0: & < > " ' escaped, characters XML forbids replaced. */
void strbuf_add_xml(struct strbuf *b, const char *s);

#endif
