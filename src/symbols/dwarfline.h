/* SPDX-License-Identifier: Apache-2.0 */
/* The line table of one unit, DWARF 2 to 5. libdw keeps each row of each unit it was asked about
 * (100 bytes and more while it reads; large Rust units have millions); this keeps one mark for many
 * rows and runs the line program again from there. */
#ifndef SYMBOLS_DWARFLINE_H
#define SYMBOLS_DWARFLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/bytes.h>
#include <csample/strbuf.h>

/* The bytes of the sections; empty where there is none. They live longer than the tables. */
struct line_sections {
	struct bytes line, line_str, str;
};

struct line_table;

/* The table at offset (DW_AT_stmt_list). Sequences below min_addr belong to code that the linker
 * dropped. NULL: damaged, or a version that is not known. */
struct line_table *line_table_create(const struct line_sections *sections, uint64_t offset,
                                     uint64_t min_addr);
void line_table_destroy(struct line_table *t); /* NULL is allowed */
size_t line_table_bytes(const struct line_table *t);

struct line_row {
	uint32_t file, line, column; /* line 0: code that belongs to no line */
};
/* The row that addr (as linked) belongs to. */
bool line_table_find(const struct line_table *t, uint64_t addr, struct line_row *ret);

/* Appends the path of a file of the table, made absolute with comp_dir (NULL: not known). */
bool line_table_file(const struct line_table *t, uint32_t file, const char *comp_dir,
                     struct strbuf *ret);

#endif
