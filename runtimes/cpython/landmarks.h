/* SPDX-License-Identifier: Apache-2.0 */
/* What an ELF file says of an interpreter in it. Looks at the file only. */
#ifndef CPYTHON_LANDMARKS_H
#define CPYTHON_LANDMARKS_H

#include <stdbool.h>

#include <csample/image.h>

/* Addresses as linked, of symbols that the file defines; 0: not there. */
struct landmarks {
	uint64_t runtime;    /* _PyRuntime: 3.7 on */
	uint64_t version;    /* Py_Version: 3.11 on */
	uint64_t code_type;  /* PyCode_Type */
	uint64_t type_type;  /* PyType_Type */
	uint64_t current;    /* _PyThreadState_Current: up to 3.6 */
	uint64_t head;       /* interp_head, in .symtab only: up to 3.6 */
	uint64_t first_call; /* PyInterpreterState_Head(): all releases */
};
void landmarks_find(struct image *img, struct landmarks *ret);
/* The same without .symtab, which may be long: what others may link to. */
void landmarks_find_exported(struct image *img, struct landmarks *ret);

/* A section by its name, with an address; size is that in memory. */
bool landmarks_section(const struct image *img, const char *name, struct image_section *ret);

/* A program (no library) without names that holds strings which every interpreter has. */
bool landmarks_look_like_interpreter(struct image *img);

#endif
