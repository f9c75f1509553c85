/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots in a file: what a test needs to check capture, or to repeat decoding without a process.
 *
 * The file is a sequence of records, little-endian, without padding between:
 *   u32 magic "CSS1"   u32 size of the whole record
 *   i32 pid   i32 tid   u64 time_ns   u64 pause_ns   u64 cpu_ns   u64 wall_ns
 *   u32 way (0 preempt, 1 asleep, 2 stop)   i32 syscall
 *   u32 n_regs   u32 n_regions   u32 n_bytes   u32 reserved (0)
 *   u64 valid registers, one bit each   u64 registers[n_regs] by DWARF number
 *   {u64 addr, u32 len, u32 at} regions[n_regions]   u8 bytes[n_bytes]
 */
#ifndef CSAMPLE_RECORDED_H
#define CSAMPLE_RECORDED_H

#include <stdio.h>

#include <csample/err.h>
#include <csample/snapshot.h>

struct err *recorded_write(FILE *out, const struct snapshot *snap);
/* The next record; *ret_bytes is allocated for it and holds snap->bytes: free it. ERR_GONE at the
 * end of the file, ERR_FORMAT for what is none of ours. */
struct err *recorded_read(FILE *in, struct snapshot *ret, uint8_t **ret_bytes);

#endif
