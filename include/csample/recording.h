/* SPDX-License-Identifier: Apache-2.0 */
/* A recording: what decoding the threads of a process touched, in a file, so that the decoders can
 * be run on it where neither that process nor its interpreter is. Tests and fuzzers do.
 *
 * The file is compressed by gzip. Unpacked it is the 8 bytes "CSREC 1\n", then chunks,
 * little-endian, without padding between: u32 tag (four letters), u32 size of what follows, then
 *
 *   PROC  i32 pid  i32 pid in its own namespace  u32 ELF machine  i64 start time
 *         cstr name  cstr command
 *   TIDS  i32 tids[], the main thread first
 *   IMAG  cstr path  an ELF file with only what runtimes asked of the real one: segments, names and
 *         addresses of sections, a few symbols and sections, build id. Numbered from 0.
 *   MAPS  {u64 start  u64 end  u64 offset  u64 bias  u32 image (all ones: none)
 *         u32 rights (1 read, 2 write, 4 execute)  cstr name}[]
 *   NAME  {u32 image  u64 address  u64 start  cstr function}[]: the symbol table's answers
 *   MEMO  u64 address  bytes: memory that was read
 *   SNAP  a record of csample/recorded.h: a thread; the next chunk is its
 *   STAK  u32 enum stack_end  {u8 enum raw_kind  u8 flags  u32 image  u64 address  u64 cfa}[]:
 * native frames, leaf first, as unwound
 */
#ifndef CSAMPLE_RECORDING_H
#define CSAMPLE_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <csample/err.h>
#include <csample/frame.h>
#include <csample/image.h>
#include <csample/rmem.h>
#include <csample/snapshot.h>
#include <csample/target.h>

/* ---- writing ---- */

struct recorder;
/* From now on what is read through t->rm is kept, until recorder_destroy(). */
struct recorder *recorder_create(struct target *t);
void recorder_destroy(struct recorder *r); /* NULL is allowed */
/* Function names that decoding asked for. */
void recorder_add_name(struct recorder *r, const struct image *img, uint64_t vaddr,
                       const char *name, uint64_t start);
/* A thread, and its native frames as unwound, before decoding. Both are copied. */
struct err *recorder_add_thread(struct recorder *r, const struct snapshot *snap,
                                const struct stack *native);
/* symbols: the landmarks of runtimes, NULL-terminated. */
struct err *recorder_write(struct recorder *r, const char *path, const char *const *symbols);

/* ---- reading ---- */

struct recorded_thread {
	struct snapshot snap;
	struct stack stack; /* native frames */
};
struct recording {
	struct target *target; /* proc_fd, root_fd and pid_fd are -1; rm is what was recorded */
	struct recorded_thread *threads;
	size_t n_threads;
	struct recording_data *data; /* private */
};
/* Of unpacked bytes, which are copied where needed. ERR_FORMAT says what is wrong. */
struct err *recording_read(const uint8_t *bytes, size_t len, struct images *images,
                           struct strings *strings, struct recording **ret);
/* Of a file, unpacked or not. */
struct err *recording_load(const char *path, struct images *images, struct strings *strings,
                           struct recording **ret);
void recording_destroy(struct recording *r); /* NULL is allowed */
/* A decoder_namer; arg is the struct recording. */
bool recording_name(void *arg, struct image *img, uint64_t vaddr, const char **name_ret,
                    uint64_t *start_ret);

#endif
