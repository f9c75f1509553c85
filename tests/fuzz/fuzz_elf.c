/* SPDX-License-Identifier: Apache-2.0 */
/* A whole file, as a target may have mapped it: headers, symbol tables, stubs, DWARF. */
#include <stddef.h>
#include <stdint.h>

#include <csample/symbols.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strings *strings = strings_create();
	struct images *images = images_create(strings);
	struct symbols_config config = {.no_debuginfod = true};
	struct symbols *s = symbols_create(images, strings, &config);
	struct image *img;
	struct err *err = size ? images_add_memory(images, data, size, "/f", &img) : &err_fault;
	if (!err) {
		struct frame out[8];
		struct symbols_source source;
		symbols_prepare_image(s, img);
		for (size_t i = 0; i < img->n_segments && i < 4; i++)
			for (uint64_t k = 0; k < 32; k++)
				symbols_name(
				        s,
				        (struct raw_frame){.kind = RAW_NATIVE,
				                           .owner = img->id,
				                           .addr = img->segments[i].vaddr + k * 16},
				        out, 8);
		symbols_name(s,
		             (struct raw_frame){
		                     .kind = RAW_NATIVE, .owner = img->id, .addr = img->entry},
		             out, 8);
		symbols_source(s, img, &source);
	}
	err_free(err);
	symbols_destroy(s);
	images_destroy(images);
	strings_destroy(strings);
	return 0;
}
