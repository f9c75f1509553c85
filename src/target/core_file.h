/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that make a core file a target share: core.c reads headers and notes, core_maps.c
 * finds the files behind its mappings, rmem_file.c reads its memory. */
#ifndef TARGET_CORE_FILE_H
#define TARGET_CORE_FILE_H

#include <csample/core.h>
#include <csample/vec.h>

struct core_segment {          /* PT_LOAD */
	uint64_t addr, size;   /* in memory */
	uint64_t offset, kept; /* where its bytes are in the file, and how many */
	bool readable, writable, executable;
};

struct core_mapped { /* an entry of NT_FILE */
	uint64_t start, end, offset;
	const char *name; /* interned; as the kernel had it, maybe with " (deleted)" */
};

struct core_file {
	struct rmem rm; /* first: memory of the core, then of verified files */
	const char *path;
	const uint8_t *data;
	size_t size;
	int64_t modified;                  /* seconds after the epoch */
	VEC(struct core_segment) segments; /* sorted by address */
	VEC(struct core_mapped) files;     /* sorted by address */
	VEC(struct core_thread) threads;
	uint64_t vdso, program_headers,
	        entry;           /* AT_SYSINFO_EHDR, AT_PHDR, AT_ENTRY; 0: not known */
	const struct maps *maps; /* whose images serve where the core has no bytes; may be empty */
};

/* Reads a core's memory; what the core leaves out comes from files whose content cannot have
 * differed. */
struct err *core_read(struct rmem *rm, uint64_t addr, void *buf, size_t len);
/* Only what is in the core itself: bytes that can be had at addr, at most len; *ret points to them.
 */
size_t core_bytes(const struct core_file *f, uint64_t addr, size_t len, const uint8_t **ret);
/* Fills t->maps and t->exe from segments and files, and opens images. exe: as core_open(). */
struct err *core_map(struct core_file *f, struct target *t, const char *exe);

#endif
