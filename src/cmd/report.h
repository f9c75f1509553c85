/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of csample report. */
#ifndef CMD_REPORT_H
#define CMD_REPORT_H

#include <regex.h>
#include <stdint.h>
#include <stdio.h>

#include <csample/err.h>
#include <csample/view.h>

struct report {
	const struct profile *p;
	struct view *view;
	size_t value; /* which of the values is shown: time, or samples where there is none */
	bool by_total;
	size_t n_rows; /* at most */
	FILE *out;
};

/* The tables that the options ask for, of a profile, on stdout. */
struct options;
struct err *report_print(const struct profile *p, const struct options *opt);

/* "1.25s", "30.00ms", or a count; in text, which it returns. */
const char *report_value(const struct report *r, uint64_t value, char text[static 32]);
double report_share(const struct report *r, uint64_t value); /* of all, in percent */
/* A row's name, fit for a terminal. */
void report_name(const struct report *r, const struct view_row *row);
/* Lines of functions that match, with source where the file is here; how many functions. */
size_t report_list(const struct report *r, const regex_t *pattern);

#endif
