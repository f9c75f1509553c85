/* SPDX-License-Identifier: Apache-2.0 */
/* The class that a method is of. V8 keeps it nowhere; but the receiver of a call leads there:
 *
 *   frame: [fp+16] receiver → map → prototype P, one of whose properties is the frame's function
 *   P      one of whose properties is a function C, of which P is the prototype: C is the class
 *
 * or, of a static method, a function among the receiver and its prototypes has it for a property.
 * Names of properties are not looked at: that these objects refer to one another as they do is what
 * makes it true, even of memory that changes while it is read. The class is the one that defines
 * the method, whatever the receiver's own is. Offsets are the same in all releases: V8
 * src/objects/map.tq, js-objects.tq, js-function.tq, property-array.h. */
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>

#include "node.h"

#define MAX_PROTOTYPES 12
#define MAX_WORDS      8192 /* properties of one object, with what stands between them */
#define MAX_CLASS_NAME 128

#define FUNCTION_PROTOTYPE 56 /* JSFunction.prototype_or_initial_map */
#define FUNCTION_BYTES     64 /* of those that have it */
#define MAP_PROTOTYPE      24
#define DESCRIPTORS        24 /* behind the header, or in it */
/* Map.bit_field3 */
#define IS_DICTIONARY      (1u << 21)
#define OWN_DESCRIPTORS(b) ((b) >> 10 & 1023)

struct map_words {
	uint64_t map;
	uint8_t size, first_property, unused[2]; /* in words */
	uint16_t type, bits;
	uint32_t bit_field3, padding;
	uint64_t prototype, constructor, descriptors;
};

/* An object, and every word that may be a property of its own. */
struct holder {
	uint64_t tagged;
	uint32_t type;
	struct map_words map;
	VEC(uint64_t) words;
};

static bool read_map(struct v8 *v8, uint64_t *tagged, uint32_t *type, struct map_words *ret)
{
	uint64_t map;
	return v8_copy(v8, tagged, type, &map, sizeof(map)) &&
	       v8_read(v8, map - 1, ret, sizeof(*ret)) && ret->type == *type;
}

static void add_words(struct v8 *v8, struct holder *h, uint64_t addr, size_t n)
{
	if (!n || n > MAX_WORDS)
		return;
	size_t before = h->words.n;
	for (size_t i = 0; i < n; i++)
		*vec_add(&h->words) = 0;
	if (!v8_read(v8, addr, h->words.items + before, n * 8))
		h->words.n = before;
}

/* A PropertyArray, whose length shares its word with a hash, or a dictionary. */
static void add_table(struct v8 *v8, struct holder *h, uint64_t tagged, bool is_dictionary)
{
	uint64_t head[2];
	uint32_t type;
	int32_t n;
	if (!v8_copy(v8, &tagged, &type, head, sizeof(head)) || !v8_smi(head[1], &n) || n <= 0)
		return;
	if (!is_dictionary)
		n &= 1023;
	add_words(v8, h, tagged - 1 + sizeof(head), (size_t)n);
}

static bool read_holder(struct v8 *v8, uint64_t tagged, struct holder *h)
{
	uint64_t properties;
	h->words.n = 0;
	h->tagged = tagged;
	if (!read_map(v8, &h->tagged, &h->type, &h->map))
		return false;
	const struct map_words *m = &h->map;
	bool is_dictionary = m->bit_field3 & IS_DICTIONARY;
	if (m->first_property < m->size)
		add_words(v8, h, h->tagged - 1 + 8 * (uint64_t)m->first_property,
		          (size_t)m->size - m->first_property);
	if (v8_read(v8, h->tagged - 1 + 8, &properties, sizeof(properties)))
		add_table(v8, h, properties, is_dictionary);
	if (!is_dictionary && v8_is_pointer(m->descriptors) && OWN_DESCRIPTORS(m->bit_field3))
		add_words(v8, h, m->descriptors - 1 + DESCRIPTORS,
		          3 * (size_t)OWN_DESCRIPTORS(m->bit_field3) + 1);
	return true;
}

static bool is_accessor_of(struct v8 *v8, uint64_t pair, uint64_t function)
{
	uint64_t words[3];
	uint32_t type = v8->layout.type.accessor_pair;
	return v8_is_pointer(pair) && v8_object(v8, &pair, type, type, words, sizeof(words)) &&
	       (words[1] == function || words[2] == function);
}

static bool has_property(struct v8 *v8, const struct holder *h, uint64_t function, bool is_accessor)
{
	for (size_t i = 0; i < h->words.n; i++)
		if (h->words.items[i] == function)
			return true;
	for (size_t i = 0; is_accessor && i < h->words.n; i++)
		if (is_accessor_of(v8, h->words.items[i], function))
			return true;
	return false;
}

/* Is it the constructor whose instances have this prototype? */
static bool constructs(struct v8 *v8, uint64_t function, uint64_t prototype)
{
	const struct v8_layout *l = &v8->layout;
	struct map_words map, initial;
	uint32_t type;
	uint64_t has;
	return v8_is_pointer(function) && read_map(v8, &function, &type, &map) &&
	       type >= l->type.function_first && type <= l->type.function_last &&
	       map.size >= FUNCTION_BYTES / 8 &&
	       v8_read(v8, function - 1 + FUNCTION_PROTOTYPE, &has, sizeof(has)) &&
	       v8_is_pointer(has) &&
	       (has == prototype || (v8_read(v8, has - 1, &initial, sizeof(initial)) &&
	                             v8_is_pointer(initial.map) && initial.prototype == prototype));
}

static bool is_function(const struct v8 *v8, const struct holder *h)
{
	return h->type >= v8->layout.type.function_first &&
	       h->type <= v8->layout.type.function_last;
}

/* The class, or 0, given the object that has the method. */
static uint64_t class_of_holder(struct v8 *v8, const struct holder *h, uint64_t function)
{
	if (is_function(v8, h))
		return h->tagged;
	for (size_t i = 0; i < h->words.n; i++)
		/* A constructor's own function is no method. */
		if (h->words.items[i] != function && constructs(v8, h->words.items[i], h->tagged))
			return h->words.items[i];
	return 0;
}

/* Names that V8 makes up ("module.exports") are none of classes. */
static const char *name_of_class(struct v8 *v8, uint64_t function)
{
	uint64_t shared;
	const struct v8_function *f =
	        v8_shared_of(v8, function, &shared) ? v8_function_find(v8, shared) : NULL;
	if (!f || !f->has_name || strlen(f->name) > MAX_CLASS_NAME ||
	    f->name[strcspn(f->name, ". ()[]<>")])
		return NULL;
	return f->name;
}

const char *v8_class_of(struct v8 *v8, uint64_t function, uint64_t receiver, bool is_accessor)
{
	struct holder h = {0};
	const char *name = NULL;
	uint64_t at = receiver;
	for (unsigned i = 0; i < MAX_PROTOTYPES && v8_is_pointer(at); i++) {
		if (!read_holder(v8, at, &h))
			break;
		/* What an instance has for itself is no method of its class. */
		if ((i || is_function(v8, &h)) && h.tagged != function &&
		    has_property(v8, &h, function, is_accessor)) {
			uint64_t constructor = class_of_holder(v8, &h, function);
			name = constructor ? name_of_class(v8, constructor) : NULL;
			break;
		}
		at = h.map.prototype;
	}
	vec_free(&h.words);
	return name;
}
