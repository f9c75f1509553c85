/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <csample/once.h>
#include <csample/unwinder.h>
#include <csample/vec.h>

#define RUNNING_RATE_HZ 1000
#define RUNNING_WAIT_NS 100000000ULL /* for a running thread to meet a tick */
#define ASLEEP_TRIES    5
#define STOPPING_NS     2000000000ULL /* for all threads that have to be stopped */

struct one {
	pid_t tid;
	struct thread *th; /* NULL: it has ended */
	int loss;          /* CAPTURED, or why not */
	char state;
	struct snapshot snap;   /* with bytes of its own */
	struct stack stack;     /* only what it needs */
	struct decoded decoded; /* of it */
};

struct all {
	struct target *target;
	const struct once_config *config;
	struct unwinder *unwinder;
	struct symbols *symbols;
	struct capture capture;
	struct space space;
	struct threads *threads;
	struct stack scratch;
	uint8_t *bytes; /* STACK_MAX_COPY and room for a runtime's regions */
	void *visit_arg;
	uint64_t give_up_ns; /* who has not stopped by then is left alone */
	VEC(struct one) items;
};

static bool lookup_name(void *arg, struct image *img, uint64_t vaddr, const char **name_ret,
                        uint64_t *start_ret)
{
	return symbols_lookup_name(arg, img, vaddr, name_ret, start_ret);
}

static char read_state(const struct thread *th)
{
	char text[512];
	ssize_t n = pread(th->stat_fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	const char *p = strrchr(text, ')');
	return p && p[1] == ' ' ? p[2] : 0;
}

static void keep(struct one *one, const struct snapshot *snap, const struct stack *stack,
                 const struct decoded *decoded)
{
	free(one->snap.bytes);
	stack_deinit(&one->stack);
	one->stack.n = one->stack.cap = stack->n;
	one->stack.end = stack->end;
	one->stack.frames = mem_realloc_array(NULL, stack->n, sizeof(*stack->frames));
	one->stack.cfas = mem_realloc_array(NULL, stack->n, sizeof(*stack->cfas));
	memcpy(one->stack.frames, stack->frames, stack->n * sizeof(*stack->frames));
	memcpy(one->stack.cfas, stack->cfas, stack->n * sizeof(*stack->cfas));
	one->snap = *snap;
	one->snap.bytes = mem_alloc(snap->n_bytes);
	memcpy(one->snap.bytes, snap->bytes, snap->n_bytes);
	one->decoded = *decoded;
	one->loss = CAPTURED;
}

static void free_one(struct one *one)
{
	stack_deinit(&one->stack);
	free(one->snap.bytes);
}

static void unwind_one(struct all *all, const struct snapshot *snap)
{
	stack_reset(&all->scratch);
	unwind(all->unwinder, &all->target->maps, (uint32_t)all->target->pid, snap, &all->scratch);
}

static void while_held(void *arg, const struct snapshot *snap)
{
	struct all *all = arg;
	unwind_one(all, snap);
	struct decoded decoded = decode(all->config->decoding, snap, &all->scratch);
	if (decoded.n_frames)
		all->config->while_held(all->visit_arg, snap, &decoded);
}

/* On a machine with more to do than CPUs, a thread stops when it is its turn to run. */
static int stop_at_last(struct all *all, struct one *one, struct snapshot *snap, uint32_t capacity)
{
	int result;
	do
		result = capture_stop(&all->capture, one->tid, one->th, snap, capacity);
	while (result == LOSS_TIMEOUT && now_ns() < all->give_up_ns);
	return result;
}

/* What unwinding and decoding need that is not known yet takes longest: not with a thread held. */
static void warm_up(struct all *all, struct one *one, struct snapshot *snap, uint32_t capacity)
{
	all->capture.while_held = NULL;
	if (stop_at_last(all, one, snap, capacity) == CAPTURED) {
		unwind_one(all, snap);
		decode(all->config->decoding, snap, &all->scratch);
	}
	all->capture.while_held = while_held;
}

/* Captures with one way until the stack is whole: once more with all that may be, if it is not. */
static void capture_one(struct all *all, struct one *one, bool stop)
{
	for (int again = 0; again < 2; again++) {
		struct snapshot snap = {.bytes = all->bytes};
		atomic_store(&one->th->copy_bytes, again ? STACK_MAX_COPY : STACK_FIRST_COPY);
		uint32_t capacity = STACK_MAX_COPY + GATHER_MAX_COPY;
		if (stop && all->capture.while_held)
			warm_up(all, one, &snap, capacity);
		int result = stop ? stop_at_last(all, one, &snap, capacity)
		                  : capture_asleep(&all->capture, one->th, &snap, capacity);
		if (result != CAPTURED) {
			if (!again)
				one->loss = result;
			return;
		}
		unwind_one(all, &snap);
		struct decoded decoded = {0};
		bool is_short = all->scratch.end == STACK_SHORT;
		if (all->config->decoding)
			decoded = decode(all->config->decoding, &snap, &all->scratch);
		keep(one, &snap, &all->scratch, &decoded);
		if (!is_short)
			return;
	}
}

/* A thread halted in the midst of its code is read like one that sleeps, of which only two
 * registers are known. Where that does not do, a stop gives all, and does no harm: there is no
 * system call to interrupt. */
static void retake_halted(struct all *all, struct one *one)
{
	if (one->loss != CAPTURED || one->state != 'T' || one->stack.end == STACK_ROOT)
		return;
	capture_one(all, one, true);
	if (one->loss != LOSS_GONE)
		one->loss = CAPTURED; /* as before, at least */
}

static size_t capture_sleepers(struct all *all)
{
	size_t left = 0;
	for (size_t i = 0; i < all->items.n; i++) {
		struct one *one = &all->items.items[i];
		if (one->loss == CAPTURED || one->loss == LOSS_GONE)
			continue;
		capture_one(all, one, false);
		left += one->loss != CAPTURED && one->loss != LOSS_GONE;
	}
	return left;
}

static void on_stack(void *arg, const struct snapshot *snap, const struct stack *stack,
                     const struct decoded *decoded)
{
	struct all *all = arg;
	for (size_t i = 0; i < all->items.n; i++) {
		struct one *one = &all->items.items[i];
		if (one->tid == snap->tid &&
		    (one->loss != CAPTURED || one->stack.end == STACK_SHORT))
			keep(one, snap, stack, decoded);
	}
}

static void on_repeat(void *arg, pid_t tid, uint64_t n, uint64_t wall_ns)
{
	(void)arg, (void)tid, (void)n, (void)wall_ns;
}

static bool complete(const struct all *all)
{
	for (size_t i = 0; i < all->items.n; i++) {
		const struct one *one = &all->items.items[i];
		if (one->loss != LOSS_GONE &&
		    (one->loss != CAPTURED || one->stack.end == STACK_SHORT))
			return false;
	}
	return true;
}

/* Lets the running threads tick for a moment; those that fall asleep meanwhile are read so. */
static void capture_running(struct all *all)
{
	struct engine_config config = {
	        .event = ENGINE_CPU,
	        .capture = ENGINE_PREEMPT,
	        .rate_hz = RUNNING_RATE_HZ,
	        .launched_ns = now_ns(),
	        .decoding = all->config->decoding,
	};
	struct sink sink = {.arg = all, .on_stack = on_stack, .on_repeat = on_repeat};
	struct engine *e = NULL;
	struct err *err = engine_create(&all->target, 1, all->symbols, &config, &sink, &e);
	if (!err)
		err = engine_start(e);
	uint64_t end = now_ns() + RUNNING_WAIT_NS;
	while (!err && now_ns() < end && engine_poll(e, 4) && !complete(all))
		capture_sleepers(all);
	err_free(err); /* not permitted: they are stopped instead */
	engine_destroy(e);
}

static struct err *list(struct all *all)
{
	pid_t *tids = NULL;
	size_t n = 0;
	struct err *err = target_threads(all->target, &tids, &n);
	for (size_t i = 0; i < n; i++) {
		bool full = false;
		struct thread *th = threads_add(all->threads, &all->space, all->target->proc_fd,
		                                tids[i], false, &full);
		if (!th && full)
			err = err_new(ERR_SYS,
			              "too many threads for the limit of open files: raise "
			              "ulimit -n");
		if (!th)
			continue;
		*vec_add(&all->items) =
		        (struct one){.tid = tids[i], .th = th, .loss = LOSS_RUNNING};
	}
	free(tids);
	return err;
}

static const char *explain(const struct one *one, const struct once_config *config)
{
	switch (one->loss) {
	case LOSS_TRACED:
		return "it runs, and another tracer (gdb, strace, ...) has it";
	case LOSS_RUNNING:
	case LOSS_MOVED:
		return config->nonblocking ? "it runs, and --nonblocking forbids to stop it"
		                           : "it runs, and could not be stopped";
	case LOSS_TIMEOUT:
		return "it did not stop in time";
	case LOSS_MEMORY:
		return "its stack cannot be read";
	default:
		return "it cannot be stopped with the present privileges; see csample doctor";
	}
}

static void visit_all(struct all *all, once_visit *visit, void *arg)
{
	for (size_t i = 0; i < all->items.n; i++) {
		struct one *one = &all->items.items[i];
		if (one->loss == LOSS_GONE)
			continue;
		one->snap.tid = one->tid;
		if (one->state)
			one->snap.state = one->state;
		bool captured = one->loss == CAPTURED;
		if (captured && one->snap.by == BY_PREEMPT)
			one->snap.state = 'R';
		visit(arg, one->tid, &one->snap, captured ? &one->stack : NULL, &one->decoded,
		      captured ? NULL : explain(one, all->config));
	}
}

/* Ctrl-Z has to wait: a thread that is held would be suspended with us. */
static void put_off_suspension(sigset_t *old_ret)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGTTIN);
	sigaddset(&set, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &set, old_ret);
}

struct err *once_all_threads(struct target *target, struct symbols *symbols,
                             const struct once_config *config, once_visit *visit, void *arg)
{
	struct all all = {.target = target, .config = config, .symbols = symbols, .visit_arg = arg};
	char byte;
	if (target->maps.n) /* finds out whether the mem file must serve */
		err_free(rmem_read(&target->mem.rm, target->maps.items[0].start, &byte, 1));
	all.space = (struct space){.pid = target->pid, .mem_fd = target->mem.mem_fd};
	if (config->decoding)
		all.space.gather = decoding_gatherer(config->decoding);
	capture_init(&all.capture);
	capture_aim(&all.capture, &all.space);
	if (config->while_held && config->decoding) {
		all.capture.while_held = while_held;
		all.capture.while_held_arg = &all;
	}
	all.threads = threads_create();
	all.unwinder = unwinder_create(lookup_name, symbols);
	all.bytes = mem_alloc((size_t)STACK_MAX_COPY + GATHER_MAX_COPY);
	stack_init(&all.scratch);
	struct err *err = list(&all);
	sigset_t signals;
	put_off_suspension(&signals);
	if (!err)
		err = capture_prepare_stop(&all.capture);
	if (!err) {
		size_t left = capture_sleepers(&all);
		for (int i = 1; i < ASLEEP_TRIES && left; i++)
			left = capture_sleepers(&all);
		for (size_t i = 0; i < all.items.n; i++)
			all.items.items[i].state = read_state(all.items.items[i].th);
		/* Read by preempt, a thread runs on at once. */
		if (left && !(all.capture.while_held && !config->nonblocking))
			capture_running(&all);
		all.give_up_ns = now_ns() + STOPPING_NS;
		for (size_t i = 0; i < all.items.n && !config->nonblocking; i++) {
			struct one *one = &all.items.items[i];
			retake_halted(&all, one);
			if (one->loss == CAPTURED || one->loss == LOSS_GONE)
				continue;
			/* Asleep after all? A stop could make its system call fail with EINTR. */
			capture_one(&all, one, false);
			if (one->loss != CAPTURED && one->loss != LOSS_GONE)
				capture_one(&all, one, true);
		}
		visit_all(&all, visit, arg);
	}
	capture_deinit(&all.capture);
	pthread_sigmask(SIG_SETMASK, &signals, NULL);
	for (size_t i = 0; i < all.items.n; i++)
		free_one(&all.items.items[i]);
	vec_free(&all.items);
	threads_destroy(all.threads);
	unwinder_destroy(all.unwinder);
	stack_deinit(&all.scratch);
	free(all.bytes);
	return err;
}
