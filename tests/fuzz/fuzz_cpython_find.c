/* SPDX-License-Identifier: Apache-2.0 */
/* A file that claims to be an interpreter, and a process that has nothing but this file in its
 * memory: what is looked for in it, and what it says of itself. */
#include <string.h>

#include <csample/mem.h>

#include "../../runtimes/cpython/cpython.h"
#include "../../runtimes/cpython/version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory {
	struct rmem rm; /* first */
	const struct image *img;
	uint64_t budget; /* bytes */
};

static struct err *read_image(struct rmem *rm, uint64_t addr, void *buf, size_t len)
{
	struct memory *m = (struct memory *)rm;
	const uint8_t *bytes = image_bytes(m->img, addr, len);
	if (!bytes || len > m->budget)
		return &err_fault;
	m->budget -= len;
	memcpy(buf, bytes, len);
	return NULL;
}

static void find(struct image *img, struct strings *strings)
{
	struct memory memory = {{.read = read_image}, img, 64 << 20};
	struct mapping mappings[IMAGE_MAX_SEGMENTS];
	struct target t = {.rm = &memory.rm, .strings = strings, .proc_fd = -1};
	struct py py = {.base = {.target = &t, .image = img}};
	bool ready;
	t.maps.items = mappings;
	for (size_t i = 0; i < img->n_segments; i++) {
		const struct image_segment *s = &img->segments[i];
		uint64_t after = t.maps.n ? mappings[t.maps.n - 1].end : 0;
		if (s->vaddr < after || s->vaddr + s->memsz <= s->vaddr)
			continue;
		mappings[t.maps.n++] = (struct mapping){.start = s->vaddr,
		                                        .end = s->vaddr + s->memsz,
		                                        .writable = true,
		                                        .name = "",
		                                        .image = img};
	}
	if (!py_recognise(img))
		return;
	struct err *err = py_find(&t, img, 0, &py.roots, &py.layout, &ready);
	if (!err && ready && py_layout_missing(&py.layout) && py.layout.version != PYVER(3, 7))
		__builtin_trap();
	err_free(err);
	py_find_asyncio(&py);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strings *strings = strings_create();
	struct images *images = images_create(strings);
	struct image *img;
	struct py_layout l = {0};
	uint32_t hexversion;
	bool known;
	struct err *err =
	        size ? images_add_memory(images, data, size, "/python3.9", &img) : &err_fault;
	if (!err)
		find(img, strings);
	err_free(err);
	err_free(py_describe_self(data, size, &l, &hexversion, &known));
	py_describe_asyncio(data, size, &l);
	py_version_search(data, size, &hexversion);
	images_destroy(images);
	strings_destroy(strings);
	return 0;
}
