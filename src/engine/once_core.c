/* SPDX-License-Identifier: Apache-2.0 */
/* Every thread of a core file once: the same line as for a live process, with another reader. */
#include <stdlib.h>
#include <string.h>

#include <csample/capture.h>
#include <csample/mem.h>
#include <csample/once.h>
#include <csample/unwinder.h>

#define MAX_STACK  ((size_t)16 << 20) /* nobody waits for us: as deep as it is */
#define MAX_GATHER ((size_t)16 << 20)
#define MAX_STACKS 4 /* of one thread: signal handlers may have their own */
#define PAGE       4096u

struct post {
	struct core *core;
	const struct once_config *config;
	struct unwinder *unwinder;
	struct gatherer gather;
	struct snapshot snap;
	uint8_t *bytes;
	struct stack stack;
};

static bool lookup_name(void *arg, struct image *img, uint64_t vaddr, const char **name_ret,
                        uint64_t *start_ret)
{
	return symbols_lookup_name(arg, img, vaddr, name_ret, start_ret);
}

/* Adds what can be read of [addr, addr + len), up to the first page that cannot. */
static void add_region(struct post *p, uint64_t addr, size_t len, size_t max)
{
	struct snapshot *snap = &p->snap;
	if (snap->n_regions == SNAPSHOT_MAX_REGIONS)
		return;
	if (len > max - snap->n_bytes)
		len = max - snap->n_bytes;
	struct region *region = &snap->regions[snap->n_regions++];
	*region = (struct region){addr, 0, snap->n_bytes};
	while (region->len < len) {
		size_t n = PAGE - (addr + region->len) % PAGE;
		if (n > len - region->len)
			n = len - region->len;
		if (rmem_read(p->core->target->rm, addr + region->len, snap->bytes + snap->n_bytes,
		              n))
			break;
		region->len += (uint32_t)n;
		snap->n_bytes += (uint32_t)n;
	}
}

/* The stack that sp points into, to the end of its mapping. */
static bool add_stack(struct post *p, uint64_t sp)
{
	const struct mapping *m = maps_find(&p->core->target->maps, sp);
	if (!m || snapshot_at(&p->snap, sp, 8))
		return false;
	uint64_t start = sp - m->start < STACK_RED_ZONE ? m->start : sp - STACK_RED_ZONE;
	add_region(p, start, m->end - start < MAX_STACK ? m->end - start : MAX_STACK,
	           MAX_STACK * MAX_STACKS);
	return p->snap.regions[p->snap.n_regions - 1].len > 0;
}

static void unwind_core(struct post *p)
{
	const struct target *t = p->core->target;
	for (int i = 0; i < MAX_STACKS; i++) {
		stack_reset(&p->stack);
		unwind(p->unwinder, &t->maps, (uint32_t)t->pid, &p->snap, &p->stack);
		if ((p->stack.end != STACK_SHORT && p->stack.end != STACK_NO_MEMORY) || !p->stack.n)
			return;
		/* A signal's handler on a stack of its own: what it interrupted is elsewhere. */
		uint64_t cfa = 0;
		for (size_t k = p->stack.n; k && !cfa; k--)
			cfa = p->stack.cfas[k - 1];
		if (!cfa || !add_stack(p, cfa))
			return;
	}
}

static void gather_core(struct post *p)
{
	struct snapshot *snap = &p->snap;
	for (unsigned round = 0; p->gather.gather && round < GATHER_ROUNDS; round++) {
		struct region more[SNAPSHOT_MAX_REGIONS];
		size_t n = p->gather.gather(p->gather.arg, round, snap, more, SNAPSHOT_MAX_REGIONS);
		unsigned first = snap->n_regions;
		for (size_t i = 0; i < n; i++)
			add_region(p, more[i].addr, more[i].len,
			           MAX_STACK * MAX_STACKS + MAX_GATHER);
		if (snap->n_regions == first)
			return;
	}
}

static void take_thread(struct post *p, const struct core_thread *th)
{
	p->snap = (struct snapshot){
	        .pid = p->core->target->pid,
	        .tid = th->tid,
	        .by = BY_STOP,
	        .syscall = th->syscall,
	        .regs = th->regs,
	        .bytes = p->bytes,
	};
	if (!add_stack(p, th->regs.r[REG_SP])) /* regions[0] is the stack, even if there is none */
		p->snap.regions[0] = (struct region){th->regs.r[REG_SP], 0, 0};
	if (!p->snap.n_regions)
		p->snap.n_regions = 1;
	unwind_core(p);
	gather_core(p);
}

struct err *once_core_threads(struct core *core, struct symbols *symbols,
                              const struct once_config *config, once_visit *visit, void *arg)
{
	struct post p = {.core = core, .config = config};
	p.unwinder = unwinder_create(lookup_name, symbols);
	p.bytes = mem_alloc(MAX_STACK * MAX_STACKS + MAX_GATHER);
	if (config->decoding)
		p.gather = decoding_gatherer(config->decoding);
	stack_init(&p.stack);
	for (size_t i = 0; i < core->n_threads; i++) {
		struct decoded decoded = {0};
		take_thread(&p, &core->threads[i]);
		if (config->decoding)
			decoded = decode(config->decoding, &p.snap, &p.stack);
		visit(arg, core->threads[i].tid, &p.snap, &p.stack, &decoded, NULL);
	}
	stack_deinit(&p.stack);
	free(p.bytes);
	unwinder_destroy(p.unwinder);
	return NULL;
}
