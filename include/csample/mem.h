/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of our own: scope-bound cleanup, allocation that does not return NULL, the arena. */
#ifndef CSAMPLE_MEM_H
#define CSAMPLE_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

void mem_cleanup_free(void *pp);   /* pp is a T ** */
void mem_cleanup_close(int *fd);   /* closes fds >= 0 */
void mem_cleanup_fclose(FILE **f); /* closes non-NULL streams */
#define _cleanup_free_   __attribute__((cleanup(mem_cleanup_free)))
#define _cleanup_close_  __attribute__((cleanup(mem_cleanup_close)))
#define _cleanup_fclose_ __attribute__((cleanup(mem_cleanup_fclose)))

/* These never return NULL: without memory csample says so and exits with 1, which the target does
 * not notice (nothing of it is held while the worker runs). Samplers never call them. */
void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);
void *mem_realloc_array(void *old, size_t n, size_t size); /* n * size is checked */
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
char *mem_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* An arena: many small allocations, freed at once. */
struct arena;
struct arena *arena_create(void);
void arena_destroy(struct arena *a);
void *arena_alloc(struct arena *a, size_t size); /* aligned to 16, not zeroed, never NULL */
void arena_reset(struct arena *a);               /* forgets all, keeps the memory */
size_t arena_bytes(const struct arena *a);       /* held from the system */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
