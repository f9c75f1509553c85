/* SPDX-License-Identifier: Apache-2.0 */
/* An ELF file that a target has mapped: opened when first seen, identified by its content, and kept
 * mapped, so that it can be read when the file is replaced and the target gone. */
#ifndef CSAMPLE_IMAGE_H
#define CSAMPLE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <csample/err.h>
#include <csample/intern.h>

#define BUILD_ID_MAX       64
#define IMAGE_MAX_SEGMENTS 64

struct Elf; /* of libelf */

struct image_segment { /* PT_LOAD */
	uint64_t vaddr, offset, filesz, memsz;
	uint32_t flags; /* PF_R | PF_W | PF_X */
};

struct image_section {
	uint64_t vaddr; /* address as linked; 0: not there */
	uint64_t offset, size;
};

struct image {
	uint32_t id;      /* dense, from 1, unique in the run */
	const char *path; /* interned: as the target knows it, "[vdso]" for the vdso */
	uint8_t build_id[BUILD_ID_MAX];
	size_t build_id_len; /* 0: none */
	char build_id_hex[2 * BUILD_ID_MAX + 1];
	const uint8_t *data; /* the file, mapped read-only; holes read as zeros if it is cut */
	size_t size;
	struct Elf *elf;  /* over data; used by the worker only */
	int fd;           /* of the file itself; -1 for the vdso */
	int root_fd;      /* O_PATH of the target's root directory, for debug files; -1: none */
	uint16_t machine; /* EM_X86_64, EM_AARCH64 */
	bool is_exec;     /* ET_EXEC */
	uint64_t entry;   /* e_entry, as linked */
	size_t n_segments;
	struct image_segment segments[IMAGE_MAX_SEGMENTS];
	struct image_section eh_frame_hdr, eh_frame, debug_frame, text, plt, plt_sec;
	void *unwind_data;  /* owned by unwind/, freed by the hook below */
	void *symbols_data; /* owned by symbols/ */
	void (*free_unwind)(struct image *img);
	void (*free_symbols)(struct image *img);
};

/* All images of a run. One file mapped in two processes or twice is one image. */
struct images;
struct images *images_create(struct strings *strings);
void images_destroy(struct images *images);
/* The image of an open file; takes fd over, even on failure. root_fd is duplicated. Equal
 * (device, inode, size, mtime) or equal build id and size give the same image. ERR_FORMAT when it
 * is not an ELF file of this machine's class and byte order. */
struct err *images_add(struct images *images, int fd, const char *path, int root_fd,
                       struct image **ret);
/* An image whose bytes we hold (the vdso, a test); copied. */
struct err *images_add_memory(struct images *images, const void *bytes, size_t size,
                              const char *path, struct image **ret);
struct image *images_get(const struct images *images, uint32_t id); /* NULL: no such id */
size_t images_count(const struct images *images);                   /* ids are 1..count */

/* File offset to address as linked, and back; false if no PT_LOAD covers it. */
bool image_offset_to_vaddr(const struct image *img, uint64_t offset, uint64_t *ret);
bool image_vaddr_to_offset(const struct image *img, uint64_t vaddr, uint64_t *ret);
/* Address in the process less address as linked, for a mapping of this file at start with this file
 * offset; false if no PT_LOAD fits. */
bool image_bias(const struct image *img, uint64_t start, uint64_t offset, bool executable,
                uint64_t *ret);
/* The bytes of the file behind [vaddr, vaddr + len), NULL if not wholly in one segment's file part.
 */
const uint8_t *image_bytes(const struct image *img, uint64_t vaddr, size_t len);
/* The bytes of a section; NULL if absent or outside the file. */
const uint8_t *image_section_bytes(const struct image *img, const struct image_section *section);

/* Any file mapped read-only with holes for what is cut off later: a target that truncates its file
 * under us gives zeros, not SIGBUS. NULL and errno on failure. */
void *image_map_file(int fd, size_t size);
void image_unmap_file(void *data, size_t size);

#endif
