/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <csample/mem.h>
#include <csample/recorded.h>

#define MAGIC            0x31535343u /* "CSS1" */
#define MAX_RECORD_BYTES ((uint32_t)64 << 20)

struct head {
	uint32_t magic, size;
	int32_t pid, tid;
	uint64_t time_ns, pause_ns, cpu_ns, wall_ns;
	uint32_t way;
	int32_t syscall;
	uint32_t n_regs, n_regions, n_bytes, reserved;
	uint64_t valid;
};
_Static_assert(sizeof(struct head) == 80, "as csample/recorded.h describes it");
_Static_assert(sizeof(struct region) == 16, "as csample/recorded.h describes it");

struct err *recorded_write(FILE *out, const struct snapshot *snap)
{
	struct head head = {
	        .magic = MAGIC,
	        .pid = snap->pid,
	        .tid = snap->tid,
	        .time_ns = snap->time_ns,
	        .pause_ns = snap->pause_ns,
	        .cpu_ns = snap->cpu_ns,
	        .wall_ns = snap->wall_ns,
	        .way = snap->by,
	        .syscall = snap->syscall,
	        .n_regs = REGS_MAX,
	        .n_regions = snap->n_regions,
	        .n_bytes = snap->n_bytes,
	        .valid = snap->regs.valid,
	};
	size_t regions = snap->n_regions * sizeof(*snap->regions);
	head.size = (uint32_t)(sizeof(head) + sizeof(snap->regs.r) + regions + snap->n_bytes);
	if (fwrite(&head, sizeof(head), 1, out) != 1 ||
	    fwrite(snap->regs.r, sizeof(snap->regs.r), 1, out) != 1 ||
	    (regions && fwrite(snap->regions, regions, 1, out) != 1) ||
	    (snap->n_bytes && fwrite(snap->bytes, snap->n_bytes, 1, out) != 1))
		return err_errno(errno, "write a snapshot");
	return NULL;
}

struct err *recorded_read(FILE *in, struct snapshot *ret, uint8_t **ret_bytes)
{
	struct head head;
	size_t got = fread(&head, 1, sizeof(head), in);
	if (got == 0 && feof(in))
		return &err_gone;
	if (got != sizeof(head) || head.magic != MAGIC || head.n_regs != REGS_MAX ||
	    head.way >= CAPTURED_WAYS || head.n_regions > SNAPSHOT_MAX_REGIONS ||
	    head.n_bytes > MAX_RECORD_BYTES)
		return err_new(ERR_FORMAT, "not a snapshot of this machine");
	struct snapshot snap = {
	        .pid = head.pid,
	        .tid = head.tid,
	        .time_ns = head.time_ns,
	        .pause_ns = head.pause_ns,
	        .cpu_ns = head.cpu_ns,
	        .wall_ns = head.wall_ns,
	        .by = (enum captured_by)head.way,
	        .syscall = head.syscall,
	        .n_regions = (uint16_t)head.n_regions,
	        .n_bytes = head.n_bytes,
	        .regs.valid = head.valid,
	};
	_cleanup_free_ uint8_t *bytes = mem_alloc(head.n_bytes);
	if (fread(snap.regs.r, sizeof(snap.regs.r), 1, in) != 1 ||
	    fread(snap.regions, sizeof(*snap.regions), head.n_regions, in) != head.n_regions ||
	    fread(bytes, 1, head.n_bytes, in) != head.n_bytes)
		return err_new(ERR_FORMAT, "the file of snapshots is cut");
	for (size_t i = 0; i < snap.n_regions; i++)
		if (snap.regions[i].at > snap.n_bytes ||
		    snap.regions[i].len > snap.n_bytes - snap.regions[i].at)
			return err_new(ERR_FORMAT, "a snapshot's region lies outside its bytes");
	snap.bytes = bytes;
	*ret = snap;
	*ret_bytes = bytes;
	bytes = NULL;
	return NULL;
}
