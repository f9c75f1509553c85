/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the running kernel's functions, and of its modules', from /proc/kallsyms. */
#ifndef SYMBOLS_KALLSYMS_H
#define SYMBOLS_KALLSYMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kallsyms;
/* Reads the file at path once; never NULL. hidden_ret: the kernel shows addresses as zeros, which
 * it does to those without CAP_SYSLOG, or to all (kernel.kptr_restrict, proc(5)). */
struct kallsyms *kallsyms_read(const char *path, bool *hidden_ret);
void kallsyms_destroy(struct kallsyms *k); /* NULL is allowed */

/* The function that holds addr. Strings live as long as k; *module_ret: without brackets, NULL for
 * the kernel proper. */
bool kallsyms_find(const struct kallsyms *k, uint64_t addr, const char **name_ret,
                   const char **module_ret);

#endif
