/* SPDX-License-Identifier: Apache-2.0 */
/* --push and what belongs to it. */
#include <string.h>

#include <csample/log.h>
#include <csample/outlet.h>

#include "options.h"

#define PYROSCOPE_MAX_NS 3000000000000ULL /* it takes nothing that began an hour ago */

/* The arguments of a process are everybody's to read. */
static void hide_password(const char *url)
{
	char *start = strstr(url, "://"), *at = strrchr(url, '@');
	for (char *c = start ? start + 3 : NULL; c && at && c < at; c++)
		*c = '*';
}

struct err *pushing_outlets(const struct options *opt, struct outlet **outlets, size_t max,
                            size_t *n)
{
	struct push_config config = opt->push_config;
	config.headers = opt->push_headers;
	config.version = csample_version;
	for (size_t i = 0; i < opt->n_push; i++) {
		if (*n == max)
			return err_new(ERR_USAGE, "profiles go to more than %zu places", max);
		struct err *err = outlet_push(opt->push[i], &config, &outlets[*n]);
		hide_password(opt->push[i]);
		if (err)
			return err;
		if (opt->loop_ns > PYROSCOPE_MAX_NS && !strncmp(opt->push[i], "pyroscope", 9))
			log_warn("%s takes nothing that began more than an hour ago, unless its "
			         "limits "
			         "were changed: --loop 10m or less is safe",
			         outlets[*n]->name);
		++*n;
	}
	return NULL;
}
