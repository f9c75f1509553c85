/* SPDX-License-Identifier: Apache-2.0 */
/* What a recording tells of itself when it ends. */
#ifndef CMD_SUMMARY_H
#define CMD_SUMMARY_H

#include <csample/err.h>
#include <csample/stats.h>
#include <csample/strbuf.h>

/* "1000 samples in 10.0 s, 3 lost (2 late, 1 moved); ...": one line. */
void summary_line(const struct stats *s, struct strbuf *ret);
/* The object that --stats-json writes; README describes its members. */
void summary_json(const struct stats *s, const char *note, struct strbuf *ret);
/* Why there is not one sample, and what to do. */
struct err *summary_nothing(const struct stats *s, bool wall);

#endif
