/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <csample/format.h>
#include <csample/log.h>
#include <csample/mem.h>

#include "internal.h"

void deliverer_init(struct deliverer *d, struct outlet *const *outlets, size_t n)
{
	d->outlets = outlets;
	d->n = n;
	d->told = mem_zalloc((n + 1) * sizeof(*d->told));
	d->errors = mem_zalloc((n + 1) * sizeof(*d->errors));
}

void deliverer_deinit(struct deliverer *d)
{
	free(d->told);
	free(d->errors);
}

/* File names have times and numbers in them. */
static bool same_trouble(const char *told, const char *now)
{
	for (;;) {
		told += strspn(told, "0123456789");
		now += strspn(now, "0123456789");
		if (!*told || *told != *now)
			return *told == *now;
		told++;
		now++;
	}
}

/* Said when it begins and when it changes, not each minute for a month. */
static void tell(struct deliverer *d, size_t i, struct err *err)
{
	const char *name = d->outlets[i]->name;
	if (!err) {
		struct outlet_stats stats = {0};
		if (d->told[i][0])
			d->outlets[i]->ops->stats(d->outlets[i], &stats);
		/* One that writes on a thread of its own tells of trouble once: it lasts until
		 * nothing waits any more but what was put just now. */
		if (stats.waiting > 1)
			return;
		if (d->told[i][0])
			log_info("%s: takes profiles again", name);
		d->told[i][0] = '\0';
		return;
	}
	d->errors[i]++;
	if (!same_trouble(d->told[i], err->msg))
		log_warn("%s: %s", name, err->msg);
	snprintf(d->told[i], sizeof(*d->told), "%.*s", (int)sizeof(*d->told) - 1, err->msg);
	err_free(err);
}

void deliverer_put(struct deliverer *d, const struct delivery *what)
{
	for (size_t i = 0; i < d->n; i++)
		tell(d, i, d->outlets[i]->ops->put(d->outlets[i], what));
}

void deliverer_reopen(struct deliverer *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->outlets[i]->ops->reopen)
			d->outlets[i]->ops->reopen(d->outlets[i]);
}

struct err *encode_pprof(const struct profile *p, void **bytes_ret, size_t *len_ret,
                         size_t *unpacked_ret)
{
	static const struct emit_options plain;
	char *bytes = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&bytes, &len);
	if (!out)
		return err_errno(errno, "encode a profile");
	struct err *err = format_by_name("pprof")->write(p, &plain, out);
	if (fclose(out) && !err)
		err = err_errno(errno, "encode a profile");
	if (err) {
		free(bytes);
		return err;
	}
	/* The last four bytes of gzip: the length before, little-endian (RFC 1952, 2.3.1). */
	const uint8_t *tail = (const uint8_t *)bytes + len - 4;
	if (unpacked_ret)
		*unpacked_ret = tail[0] | (size_t)tail[1] << 8 | (size_t)tail[2] << 16 |
		                (size_t)tail[3] << 24;
	*bytes_ret = bytes;
	*len_ret = len;
	return NULL;
}
