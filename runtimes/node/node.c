/* SPDX-License-Identifier: Apache-2.0 */
/* Wiring only. */
#include "node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <csample/log.h>
#include <csample/mem.h>

/* Is its data there, too? */
static bool is_loaded(const struct target *t, const struct image *img, uint64_t bias)
{
	for (size_t i = 0; i < t->maps.n; i++) {
		const struct mapping *m = &t->maps.items[i];
		if (m->image == img && m->bias == bias && m->writable && !m->executable)
			return true;
	}
	return false;
}

static struct err *attach(struct target *t, struct image *img, uint64_t bias, struct runtime **ret)
{
	struct v8_image image;
	struct v8_layout layout;
	/* The embedded builtins are mapped once more among generated code: same file, other bias.
	 */
	if (!is_loaded(t, img, bias))
		return err_new(ERR_FORMAT, "%s is mapped in part here", img->path);
	struct err *err = v8_image_read(img, &image, &layout);
	if (err) {
		v8_image_deinit(&image);
		return err;
	}
	struct v8 *v8 = mem_zalloc(sizeof(*v8));
	v8->base = (struct runtime){.ops = &node_ops, .target = t, .image = img, .bias = bias};
	v8_node_version(t, img, bias, v8->base.version, sizeof(v8->base.version));
	if (!*v8->base.version)
		snprintf(v8->base.version, sizeof(v8->base.version), "V8 %u.%u.%u.%u",
		         image.version[0], image.version[1], image.version[2], image.version[3]);
	v8->image = image;
	v8->layout = layout;
	v8->strings = t->strings;
	v8->functions = v8_functions_create();
	v8->scripts = v8_scripts_create();
	v8->codes = v8_codes_create();
	v8->predictions = v8_predictions_create();
	log_debug(LOG_DECODE, "%s: V8 %u.%u.%u.%u, %u constants, builtins %#llx-%#llx, %zu named",
	          img->path, image.version[0], image.version[1], image.version[2], image.version[3],
	          image.taken, (unsigned long long)image.code_start,
	          (unsigned long long)image.code_end, image.builtins.n);
	*ret = &v8->base;
	return NULL;
}

/* Caches are emptied between samples: numbers of scripts and functions are valid within one. */
void v8_trim(struct v8 *v8)
{
	bool scripts = v8_scripts_trim(v8);
	v8_functions_trim(v8, scripts);
	v8_codes_trim(v8->codes, scripts);
}

static struct err *refresh(struct runtime *rt)
{
	struct v8 *v8 = v8_of(rt);
	/* Maps of the heap die like other objects; and code that was not found may be there now. */
	map64_clear(&v8->types);
	v8_codes_forget_missing(v8->codes);
	return NULL;
}

static void detach(struct runtime *rt)
{
	struct v8 *v8 = v8_of(rt);
	log_debug(
	        LOG_DECODE,
	        "javascript: %llu frames, %llu without a function, %llu without a line, %llu times "
	        "code was not found, %llu objects had changed",
	        (unsigned long long)v8->stats.frames, (unsigned long long)v8->stats.unnamed,
	        (unsigned long long)v8->stats.no_line, (unsigned long long)v8->stats.codes_missing,
	        (unsigned long long)v8->stats.changed);
	v8->base.target = NULL;
}

static void destroy(struct runtime *rt)
{
	struct v8 *v8 = v8_of(rt);
	v8_functions_destroy(v8->functions);
	v8_scripts_destroy(v8->scripts);
	v8_codes_destroy(v8->codes);
	v8_predictions_destroy(v8->predictions);
	v8_image_deinit(&v8->image);
	map64_free(&v8->types);
	free(v8);
}

/* The major release whose V8 a row was made from. */
static unsigned node_major(const struct v8_layout *l)
{
	const char *p = strstr(l->origin, "Node ");
	return p ? (unsigned)strtoul(p + 5, NULL, 10) : 0;
}

static void releases(char *buf, size_t len)
{
	snprintf(buf, len, "%u to %u", node_major(&v8_layouts[0]),
	         node_major(&v8_layouts[v8_n_layouts - 1]));
}

const struct runtime_ops node_ops = {
        .name = "javascript",
        .title = "Node.js",
        .kind = FRAME_JAVASCRIPT,
        .landmarks = v8_landmarks,
        .recognise = v8_recognise,
        .attach = attach,
        .gather = v8_gather,
        .walk = v8_walk,
        .describe = v8_describe,
        .role = v8_role,
        .refresh = refresh,
        .detach = detach,
        .destroy = destroy,
        .releases = releases,
};
