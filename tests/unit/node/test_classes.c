/* SPDX-License-Identifier: Apache-2.0 */
/* Methods and their classes over a made heap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "heap.h"

#define OBJECT_TYPE     1057
#define DICTIONARY      (1u << 21)
#define PROPERTIES_TYPE 999

static struct heap heap;

static void each_layout(void (*check)(struct heap *h))
{
	for (unsigned i = 0; i < v8_n_layouts; i++) {
		heap_init(&heap, &v8_layouts[i]);
		heap.v8.layout.type.accessor_pair = 998;
		check(&heap);
		heap_deinit(&heap);
	}
}

/* A map of objects of so many words, of which those from first on are properties. */
static uint64_t map_of(struct heap *h, uint32_t type, unsigned words, unsigned first,
                       uint32_t bit_field3, uint64_t prototype)
{
	uint64_t tagged = heap_object(h, 997, 10);
	uint64_t *w = heap_at(h, tagged);
	w[1] = words | (uint64_t)first << 8 | (uint64_t)type << 32;
	w[2] = bit_field3;
	w[3] = prototype;
	return tagged;
}

static uint64_t object_of(struct heap *h, uint64_t map)
{
	unsigned words = heap_at(h, map)[1] & 255;
	uint64_t tagged = heap_alloc(h, words);
	heap_at(h, tagged)[0] = map;
	return tagged;
}

/* A function, with room for a prototype or (methods) without. */
static uint64_t function_of(struct heap *h, const char *name, bool constructs)
{
	const struct v8_layout *l = &h->v8.layout;
	unsigned words = constructs ? 8 : 7;
	uint64_t shared = heap_shared(h, heap_string(h, name), heap_script(h, "f()", "/f.js"));
	uint64_t map = map_of(h, l->type.function_first, words, words, 0, 0);
	uint64_t tagged = object_of(h, map);
	put_field(h, tagged, l->function_shared, shared);
	return tagged;
}

struct made {
	uint64_t class, method, prototype, receiver;
};

/* class Shape { method() }: the prototype has both for properties of its own. */
static struct made class_in(struct heap *h)
{
	struct made m;
	m.class = function_of(h, "Shape", true);
	m.method = function_of(h, "method", false);
	m.prototype = object_of(h, map_of(h, OBJECT_TYPE, 5, 3, 0, 0));
	uint64_t instances = map_of(h, OBJECT_TYPE, 4, 3, 0, m.prototype);
	heap_at(h, m.prototype)[3] = m.class;
	heap_at(h, m.prototype)[4] = m.method;
	heap_at(h, m.class)[7] = instances;
	m.receiver = object_of(h, instances);
	return m;
}

static void check_places(struct heap *h)
{
	struct made m = class_in(h);
	assert_string_equal(v8_class_of(&h->v8, m.method, m.receiver, true), "Shape");
	/* Of a class that was never constructed, the prototype stands for itself. */
	heap_at(h, m.class)[7] = m.prototype;
	assert_string_equal(v8_class_of(&h->v8, m.method, m.receiver, true), "Shape");
	/* Not in the object but in its array of properties. */
	heap_at(h, m.prototype)[4] = smi(1);
	uint64_t more = heap_object(h, PROPERTIES_TYPE, 6);
	heap_at(h, m.prototype)[1] = more;
	heap_at(h, more)[1] = smi(3 | 12345 << 10);
	heap_at(h, more)[4] = m.method;
	assert_string_equal(v8_class_of(&h->v8, m.method, m.receiver, true), "Shape");
	heap_at(h, more)[1] = smi(2 | 12345 << 10);
	assert_null(v8_class_of(&h->v8, m.method, m.receiver, true));
	/* A dictionary: all its words count. */
	uint64_t map = heap_at(h, m.prototype)[0];
	heap_at(h, map)[2] = DICTIONARY;
	heap_at(h, more)[1] = smi(4);
	assert_string_equal(v8_class_of(&h->v8, m.method, m.receiver, true), "Shape");
	/* Among the descriptors: the getter of a pair. */
	heap_at(h, m.prototype)[1] = smi(0);
	heap_at(h, map)[2] = 2u << 10;
	uint64_t pair = heap_object(h, 998, 3), descriptors = heap_object(h, 996, 12);
	heap_at(h, pair)[1] = m.method;
	heap_at(h, descriptors)[8] = pair;
	heap_at(h, map)[5] = descriptors;
	assert_string_equal(v8_class_of(&h->v8, m.method, m.receiver, true), "Shape");
	assert_null(v8_class_of(&h->v8, m.method, m.receiver, false));
	/* What looks like one, but is of another type. */
	heap_at(h, pair)[0] = heap_map(h, 995);
	assert_null(v8_class_of(&h->v8, m.method, m.receiver, true));
}

static void properties_in_all_places(void **state)
{
	(void)state;
	each_layout(check_places);
}

static void check_lineage(struct heap *h)
{
	struct made m = class_in(h);
	/* By an instance of a class that extends it. */
	uint64_t derived = object_of(h, map_of(h, OBJECT_TYPE, 5, 3, 0, m.prototype));
	uint64_t receiver = object_of(h, map_of(h, OBJECT_TYPE, 3, 3, 0, derived));
	assert_string_equal(v8_class_of(&h->v8, m.method, receiver, true), "Shape");
	/* Static: the class itself, or one that it extends, has it. */
	uint64_t base = object_of(h, map_of(h, h->v8.layout.type.function_first, 9, 8, 0, 0));
	uint64_t shared;
	assert_true(v8_shared_of(&h->v8, m.class, &shared));
	put_field(h, base, h->v8.layout.function_shared, shared);
	heap_at(h, base)[8] = m.method;
	assert_string_equal(v8_class_of(&h->v8, m.method, base, true), "Shape");
	uint64_t sub = object_of(h, map_of(h, h->v8.layout.type.function_first, 8, 8, 0, base));
	assert_string_equal(v8_class_of(&h->v8, m.method, sub, true), "Shape");
}

static void inherited_and_static(void **state)
{
	(void)state;
	each_layout(check_lineage);
}

static void check_doubt(struct heap *h)
{
	struct made m = class_in(h);
	/* A receiver that does not lead to the method; none; no object. */
	assert_null(v8_class_of(&h->v8, function_of(h, "borrowed", false), m.receiver, true));
	assert_null(v8_class_of(&h->v8, m.method, 0, true));
	assert_null(v8_class_of(&h->v8, m.method, smi(4), true));
	assert_null(v8_class_of(&h->v8, m.method, HEAP_BASE + sizeof(h->words) + 1, true));
	/* A constructor is no method of its class. */
	assert_null(v8_class_of(&h->v8, m.class, m.receiver, true));
	/* A property of the instance itself. */
	uint64_t own = function_of(h, "own", false);
	heap_at(h, m.receiver)[3] = own;
	assert_null(v8_class_of(&h->v8, own, m.receiver, true));
	/* Its class has another prototype by now. */
	uint64_t instances = heap_at(h, m.class)[7];
	heap_at(h, m.class)[7] = 0;
	assert_null(v8_class_of(&h->v8, m.method, m.receiver, true));
	/* A function without a prototype, and behind it in memory an object of the class. */
	heap_at(h, m.prototype)[3] = function_of(h, "neighbour", false);
	uint64_t behind = heap_alloc(h, 4);
	heap_at(h, behind)[0] = instances;
	assert_null(v8_class_of(&h->v8, m.method, m.receiver, true));
	/* A name that is none of a class. */
	m = class_in(h);
	uint64_t unnamed = function_of(h, "module.exports", true);
	heap_at(h, unnamed)[7] = heap_at(h, m.class)[7];
	heap_at(h, m.prototype)[3] = unnamed;
	assert_null(v8_class_of(&h->v8, m.method, m.receiver, true));
}

static void never_guessed(void **state)
{
	(void)state;
	each_layout(check_doubt);
}

static void check_bounds(struct heap *h)
{
	struct made m = class_in(h);
	uint64_t map = heap_at(h, m.prototype)[0];
	/* Prototypes in a circle; tables of absurd lengths; words that lead nowhere. */
	heap_at(h, map)[3] = m.prototype;
	heap_at(h, m.prototype)[4] = HEAP_BASE + sizeof(h->words) + 9;
	h->reads = 0;
	assert_null(v8_class_of(&h->v8, m.method, m.receiver, true));
	assert_true(h->reads < 300);
	uint64_t table = heap_object(h, PROPERTIES_TYPE, 6);
	heap_at(h, m.prototype)[1] = table;
	heap_at(h, map)[2] = DICTIONARY;
	heap_at(h, table)[1] = smi(INT32_MAX);
	assert_null(v8_class_of(&h->v8, m.method, m.receiver, true));
	heap_at(h, table)[1] = smi(-1);
	assert_null(v8_class_of(&h->v8, m.method, m.receiver, true));
	heap_at(h, map)[2] = 1023u << 10;
	heap_at(h, map)[5] = HEAP_BASE + sizeof(h->words) - 7;
	assert_null(v8_class_of(&h->v8, m.method, m.receiver, true));
}

static void hostile_heaps_are_bounded(void **state)
{
	(void)state;
	each_layout(check_bounds);
}

static void check_learning(struct heap *h)
{
	struct made m = class_in(h);
	struct frame frame;
	uint64_t shared;
	assert_true(v8_shared_of(&h->v8, m.method, &shared));
	struct v8_function f = *v8_function_find(&h->v8, shared);
	struct raw_frame raw = {.addr = f.entry};
	v8_describe(&h->v8.base, raw, &frame);
	assert_string_equal(frame.function, "method");
	/* Frames made before get the name too; once known it is not asked for again. */
	v8_learn_class(&h->v8, &f, m.method, smi(1));
	v8_learn_class(&h->v8, &f, m.method, m.receiver);
	v8_describe(&h->v8.base, raw, &frame);
	assert_string_equal(frame.function, "Shape.method");
	h->reads = 0;
	v8_learn_class(&h->v8, &f, m.method, m.receiver);
	assert_int_equal(h->reads, 0);
	/* Nor is it asked for ever. */
	m = class_in(h);
	uint64_t other = function_of(h, "function", false);
	assert_true(v8_shared_of(&h->v8, other, &shared));
	f = *v8_function_find(&h->v8, shared);
	for (int i = 0; i < 100; i++)
		v8_learn_class(&h->v8, &f, other, m.receiver);
	h->reads = 0;
	v8_learn_class(&h->v8, &f, other, m.receiver);
	assert_int_equal(h->reads, 0);
}

static void learnt_once(void **state)
{
	(void)state;
	each_layout(check_learning);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(properties_in_all_places),
	        cmocka_unit_test(inherited_and_static),
	        cmocka_unit_test(never_guessed),
	        cmocka_unit_test(hostile_heaps_are_bounded),
	        cmocka_unit_test(learnt_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
