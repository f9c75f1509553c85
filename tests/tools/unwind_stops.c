/* SPDX-License-Identifier: Apache-2.0 */
/* Stops a program at many random points, unwinds each stop from a snapshot as csample would, and
 * compares with libunwind reading the stopped process. Prints one JSON object.
 *
 * unwind_stops [--stops N] [--seed N] [--stack BYTES] [--mode step|run|sleep] [--compare] [--alt]
 *              [--after-ms MS] [--chain outer,...,inner] [--shadow] [--no-names] [--repeat N] --
 * CMD ARGS...
 *
 * --shadow: the truth is kept beside the program: each call it makes while it is stepped,
 * instruction by instruction, is written down, and each stack must be exactly that list. Without
 * signals only. step: single steps of one thread, in random strides; run: any thread, at random
 * times; sleep: as run, but of the registers only pc and stack pointer are given to the unwinder.
 * --chain: wherever a function "inner" is on a stack, its callers must be the others, in this
 * order. */
#include <dirent.h>
#include <errno.h>
#include <gelf.h>
#include <getopt.h>
#include <libelf.h>
#include <libunwind-ptrace.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <csample/mem.h>
#include <csample/unwinder.h>

#define MAX_CHAIN    32
#define MAX_FAILURES 4096

struct failure {
	char what[160];
	unsigned n;
};

static struct {
	unsigned stops, seed, after_ms, repeat;
	size_t stack;
	enum { STEP, RUN, SLEEP } mode;
	bool compare, verbose, shadow, no_names;
	char *chain[MAX_CHAIN];
	unsigned n_chain;
} opt = {.stops = 1000, .seed = 1, .stack = 256 * 1024, .mode = STEP};

static struct {
	unsigned stops, ends[STACK_ENDS], same, longer, shorter, differ, in_chain, broken_chain,
	        true_stacks, false_stacks;
	uint64_t frames, ns, deepest, warm_ns, warm_frames;
	struct failure failures[MAX_FAILURES];
	unsigned n_failures;
} sum;

static struct snapshot snap;
static struct stack stack;
static struct unwinder *unwinder;
static struct images *images;
static uint64_t random_state;

/* The calls in progress, outermost first: where on the stack each return address is, and what it
 * is. */
static struct call {
	uint64_t slot, ra;
} * calls;
static size_t n_calls, cap_calls;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void note(const char *kind, const char *detail)
{
	char what[160];
	snprintf(what, sizeof(what), "%s %s", kind, detail);
	for (unsigned i = 0; i < sum.n_failures; i++)
		if (!strcmp(sum.failures[i].what, what)) {
			sum.failures[i].n++;
			return;
		}
	if (sum.n_failures == MAX_FAILURES)
		return;
	struct failure *f = &sum.failures[sum.n_failures++];
	memcpy(f->what, what, sizeof(what));
	f->n = 1;
}

/* The function symbol that covers vaddr, or NULL. */
static const char *symbol_at(const struct image *img, uint64_t vaddr)
{
	for (Elf_Scn *scn = NULL; img && (scn = elf_nextscn(img->elf, scn));) {
		GElf_Shdr sh;
		if (!gelf_getshdr(scn, &sh) ||
		    (sh.sh_type != SHT_SYMTAB && sh.sh_type != SHT_DYNSYM) || !sh.sh_entsize)
			continue;
		Elf_Data *data = elf_getdata(scn, NULL);
		for (size_t i = 0; data && i < sh.sh_size / sh.sh_entsize; i++) {
			GElf_Sym sym;
			if (gelf_getsym(data, (int)i, &sym) && sym.st_shndx &&
			    GELF_ST_TYPE(sym.st_info) == STT_FUNC &&
			    vaddr - sym.st_value < sym.st_size)
				return elf_strptr(img->elf, sh.sh_link, sym.st_name);
		}
	}
	return NULL;
}

static bool namer(void *arg, struct image *img, uint64_t vaddr, const char **name_ret,
                  uint64_t *start_ret)
{
	(void)arg;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(img->elf, scn));) {
		GElf_Shdr sh;
		uint64_t best = 0;
		if (!gelf_getshdr(scn, &sh) ||
		    (sh.sh_type != SHT_SYMTAB && sh.sh_type != SHT_DYNSYM) || !sh.sh_entsize)
			continue;
		Elf_Data *data = elf_getdata(scn, NULL);
		for (size_t i = 0; data && i < sh.sh_size / sh.sh_entsize; i++) {
			GElf_Sym sym;
			if (gelf_getsym(data, (int)i, &sym) && sym.st_shndx &&
			    GELF_ST_TYPE(sym.st_info) <= STT_FUNC &&
			    GELF_ST_TYPE(sym.st_info) != STT_OBJECT && sym.st_value <= vaddr &&
			    sym.st_value > best) {
				best = sym.st_value;
				*name_ret = elf_strptr(img->elf, sh.sh_link, sym.st_name);
			}
		}
		if (best && *name_ret) {
			*start_ret = best;
			return true;
		}
	}
	return false;
}

static void describe(const struct raw_frame *raw, char *buf, size_t len)
{
	if (raw->kind != RAW_NATIVE) {
		snprintf(buf, len, "%s", raw->aux ? "(no file)" : "(no mapping)");
		return;
	}
	const struct image *img = images_get(images, raw->owner);
	const char *slash = strrchr(img->path, '/');
	const char *name = symbol_at(img, raw->addr - (raw->flags & RAW_RETURN));
	snprintf(buf, len, "%s+0x%llx%s%s", slash ? slash + 1 : img->path,
	         (unsigned long long)raw->addr, name ? " " : "", name ? name : "");
}

static void copy_regs(const struct user_regs_struct *u, struct regs *r)
{
	const uint64_t in_order[] = {u->rax, u->rdx, u->rcx, u->rbx, u->rsi, u->rdi,
	                             u->rbp, u->rsp, u->r8,  u->r9,  u->r10, u->r11,
	                             u->r12, u->r13, u->r14, u->r15, u->rip};
	*r = (struct regs){0};
	for (unsigned i = 0; i < ARRAY_SIZE(in_order); i++)
		if (opt.mode != SLEEP || i == REG_SP || i == REG_PC)
			regs_set(r, i, in_order[i]);
}

/* As much of the stack as there is, at most opt.stack bytes, from below the red zone on. */
static bool take_snapshot(struct target *t, pid_t tid)
{
	struct user_regs_struct regs;
	struct iovec iov = {&regs, sizeof(regs)};
	if (ptrace(PTRACE_GETREGSET, tid, 1 /* NT_PRSTATUS */, &iov))
		return false;
	copy_regs(&regs, &snap.regs);
	uint64_t from = regs.rsp - 128;
	const struct mapping *m = maps_find(&t->maps, regs.rsp);
	uint64_t to = m ? m->end : regs.rsp + 4096;
	size_t len = to - from < opt.stack ? to - from : opt.stack;
	struct iovec local = {snap.bytes, len}, remote = {(void *)from, len};
	ssize_t n = process_vm_readv(t->pid, &local, 1, &remote, 1, 0);
	if (n <= 0) {
		from += 128;
		remote = (struct iovec){(void *)from, len -= 128};
		n = process_vm_readv(t->pid, &local, 1, &remote, 1, 0);
	}
	if (n <= 0)
		return false;
	snap.pid = t->pid;
	snap.tid = tid;
	snap.n_regions = 1;
	snap.regions[0] = (struct region){from, (uint32_t)n, 0};
	snap.n_bytes = (uint32_t)n;
	return true;
}

static uint64_t absolute(const struct target *t, size_t i)
{
	const struct raw_frame *raw = &stack.frames[i];
	if (raw->kind != RAW_NATIVE)
		return raw->addr;
	for (size_t k = 0; k < t->maps.n; k++) {
		const struct mapping *m = &t->maps.items[k];
		if (m->image && m->image->id == raw->owner && raw->addr + m->bias >= m->start &&
		    raw->addr + m->bias < m->end)
			return raw->addr + m->bias;
	}
	return 0;
}

/* After one step from (old_pc, old_sp): was that a call? */
static void follow_call(pid_t tid, uint64_t old_pc, uint64_t old_sp, uint64_t sp)
{
	while (n_calls && calls[n_calls - 1].slot < sp)
		n_calls--;
	if (sp != old_sp - 8)
		return;
	uint64_t word = (uint64_t)ptrace(PTRACE_PEEKDATA, tid, (void *)sp, NULL);
	if (word - old_pc < 2 || word - old_pc > 9)
		return;
	if (n_calls == cap_calls) {
		cap_calls = cap_calls ? 2 * cap_calls : 1024;
		calls = mem_realloc_array(calls, cap_calls, sizeof(*calls));
	}
	calls[n_calls++] = (struct call){sp, word};
}

static void check_against_calls(const struct target *t)
{
	bool same = stack.n == n_calls + 1;
	size_t i = 1;
	for (; i < stack.n && i <= n_calls; i++)
		if (absolute(t, i) != calls[n_calls - i].ra)
			break;
	same &= i == stack.n;
	sum.true_stacks += same;
	sum.false_stacks += !same;
	if (same)
		return;
	char where[128] = "", line[156];
	describe(&stack.frames[i - 1], where, sizeof(where));
	snprintf(line, sizeof(line), "(%s) %s caller of %s", stack_end_names[stack.end],
	         i == stack.n ? "no" : "false", where);
	note("untrue:", line);
}

static void print_stack(void)
{
	for (size_t i = 0; i < stack.n; i++) {
		char buf[160];
		describe(&stack.frames[i], buf, sizeof(buf));
		fprintf(stderr, "  %s\n", buf);
	}
	fprintf(stderr, "  = %s\n", stack_end_names[stack.end]);
}

static void compare(const struct target *t, pid_t tid, unw_addr_space_t as)
{
	void *ui = _UPT_create(tid);
	unw_cursor_t c;
	size_t i = 0;
	bool differ = false;
	if (!ui || unw_init_remote(&c, as, ui))
		return;
	int more;
	unw_word_t pc = 0;
	do {
		if (unw_get_reg(&c, UNW_REG_IP, &pc) || !pc || i == stack.n)
			break;
		if (absolute(t, i) != pc) {
			differ = true;
			break;
		}
		i++;
		more = unw_step(&c);
		pc = 0;
	} while (more > 0);
	_UPT_destroy(ui);
	char where[128] = "", line[156];
	if (differ) {
		sum.differ++;
		describe(&stack.frames[i ? i - 1 : 0], where, sizeof(where));
		snprintf(line, sizeof(line), "caller of %s", where);
		note("differs:", line);
		if (opt.verbose) {
			fprintf(stderr, "frame %zu is %llx for libunwind\n", i,
			        (unsigned long long)pc);
			print_stack();
		}
	} else if (i < stack.n) {
		sum.longer++;
	} else if (pc) {
		sum.shorter++;
		describe(&stack.frames[stack.n - 1], where, sizeof(where));
		snprintf(line, sizeof(line), "(%s) %s", stack_end_names[stack.end], where);
		note("shorter:", line);
	} else {
		sum.same++;
	}
}

static void check_chain(void)
{
	for (size_t i = 0; i < stack.n; i++) {
		for (unsigned k = 0; k < opt.n_chain; k++) {
			const struct raw_frame *raw = i + k < stack.n ? &stack.frames[i + k] : NULL;
			const char *name = NULL;
			if (raw && raw->kind == RAW_NATIVE)
				name = symbol_at(images_get(images, raw->owner),
				                 raw->addr - (raw->flags & RAW_RETURN));
			bool equal = name && !strcmp(name, opt.chain[opt.n_chain - 1 - k]);
			if (!k && !equal)
				break;
			if (!equal) {
				sum.broken_chain++;
				note("chain: no", opt.chain[opt.n_chain - 1 - k]);
				return;
			}
			if (k == opt.n_chain - 1) {
				sum.in_chain++;
				return;
			}
		}
	}
}

static void examine(struct target *t, pid_t tid, unw_addr_space_t as)
{
	err_free(target_refresh_maps(t));
	if (!take_snapshot(t, tid))
		return;
	stack_reset(&stack);
	uint64_t begin = now_ns();
	unwind(unwinder, &t->maps, (uint32_t)t->pid, &snap, &stack);
	sum.ns += now_ns() - begin;
	begin = now_ns();
	for (unsigned i = 0; i < opt.repeat; i++) {
		stack_reset(&stack);
		unwind(unwinder, &t->maps, (uint32_t)t->pid, &snap, &stack);
		sum.warm_frames += stack.n;
	}
	sum.warm_ns += now_ns() - begin;
	sum.frames += stack.n;
	if (stack.n > sum.deepest)
		sum.deepest = stack.n;
	sum.stops++;
	sum.ends[stack.end]++;
	if (stack.end != STACK_ROOT && stack.n) {
		char where[128];
		describe(&stack.frames[stack.n - 1], where, sizeof(where));
		note(stack_end_names[stack.end], where);
		if (opt.verbose)
			print_stack();
	}
	if (opt.n_chain)
		check_chain();
	if (opt.compare)
		compare(t, tid, as);
	if (opt.shadow)
		check_against_calls(t);
}

/* Lets the stopped thread go on for one step or stride; false when it has ended. */
static bool stride(pid_t tid, int *sig)
{
	/* Mostly short strides, so that prologues, PLT stubs and the resolver are met; a few long
	 * ones to get about. */
	unsigned kind = (unsigned)(random_next() % 100);
	unsigned n =
	        kind < 70 ? (unsigned)(random_next() % 40) + 1 : (unsigned)(random_next() % 1500);
	struct user_regs_struct before, after;
	if (opt.shadow && ptrace(PTRACE_GETREGS, tid, NULL, &before))
		return false;
	if (kind >= 97 && !opt.shadow) {
		int status;
		ptrace(PTRACE_CONT, tid, NULL, (void *)(long)*sig);
		struct timespec ts = {0, (long)(random_next() % 3000000)};
		nanosleep(&ts, NULL);
		ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
		if (waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status))
			return false;
		*sig = status >> 16 ? 0 : WSTOPSIG(status);
		n = 0;
	}
	for (unsigned i = 0; i < n; i++) {
		int status;
		if (ptrace(PTRACE_SINGLESTEP, tid, NULL, (void *)(long)*sig))
			return false;
		if (waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status))
			return false;
		*sig = status >> 16 || WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
		if (opt.shadow) {
			if (ptrace(PTRACE_GETREGS, tid, NULL, &after))
				return false;
			follow_call(tid, before.rip, before.rsp, after.rsp);
			before = after;
		}
	}
	return true;
}

static pid_t random_thread(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *dir = opendir(path);
	pid_t tids[256];
	size_t n = 0;
	for (struct dirent *e; dir && n < ARRAY_SIZE(tids) && (e = readdir(dir));)
		if (*e->d_name != '.')
			tids[n++] = atoi(e->d_name);
	if (dir)
		closedir(dir);
	return n ? tids[random_next() % n] : pid;
}

static void stop_at_random_times(struct target *t, unw_addr_space_t as)
{
	for (unsigned i = 0; i < opt.stops; i++) {
		struct timespec ts = {0, (long)(random_next() % 2000000)};
		int status;
		nanosleep(&ts, NULL);
		if (waitpid(t->pid, &status, WNOHANG) == t->pid)
			return;
		pid_t tid = random_thread(t->pid);
		if (ptrace(PTRACE_SEIZE, tid, NULL, NULL))
			continue;
		ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
		if (waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status))
			continue;
		examine(t, tid, as);
		ptrace(PTRACE_DETACH, tid, NULL,
		       (void *)(long)(status >> 16 ? 0 : WSTOPSIG(status)));
	}
}

static bool hold(pid_t pid)
{
	int status;
	return !ptrace(PTRACE_SEIZE, pid, NULL, NULL) &&
	       !ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) && waitpid(pid, &status, __WALL) == pid &&
	       WIFSTOPPED(status);
}

static void stop_after_strides(struct target *t, unw_addr_space_t as, bool is_held)
{
	int sig = 0;
	if (!is_held && !hold(t->pid))
		return;
	for (unsigned i = 0; i < opt.stops && stride(t->pid, &sig); i++)
		examine(t, t->pid, as);
	ptrace(PTRACE_DETACH, t->pid, NULL, NULL);
}

static void print_sum(void)
{
	struct unwinder_stats s;
	unwinder_get_stats(unwinder, &s);
	printf("{\"stops\": %u, \"frames\": %llu, \"deepest\": %llu, \"ns_per_frame\": %.1f",
	       sum.stops, (unsigned long long)sum.frames, (unsigned long long)sum.deepest,
	       (double)sum.ns / (double)(sum.frames ? sum.frames : 1));
	printf(", \"steps\": %llu, \"by_rule\": %llu, \"by_libunwind\": %llu, "
	       "\"by_frame_pointer\": "
	       "%llu, \"rules_made\": %llu, \"cache_bytes\": %zu",
	       (unsigned long long)s.steps, (unsigned long long)s.by_rule,
	       (unsigned long long)s.by_libunwind, (unsigned long long)s.by_frame_pointer,
	       (unsigned long long)s.rules_made, s.bytes);
	if (sum.warm_frames)
		printf(", \"ns_per_warm_frame\": %.1f",
		       (double)sum.warm_ns / (double)sum.warm_frames);
	printf(", \"ends\": {");
	for (unsigned i = 0; i < STACK_ENDS; i++)
		printf("%s\"%s\": %u", i ? ", " : "", stack_end_names[i], sum.ends[i]);
	printf("}, \"same\": %u, \"longer\": %u, \"shorter\": %u, \"differ\": %u, \"in_chain\": "
	       "%u, "
	       "\"broken_chain\": %u, \"true\": %u, \"false\": %u, \"failures\": {",
	       sum.same, sum.longer, sum.shorter, sum.differ, sum.in_chain, sum.broken_chain,
	       sum.true_stacks, sum.false_stacks);
	for (unsigned i = 0; i < sum.n_failures; i++)
		printf("%s\n  \"%s\": %u", i ? "," : "", sum.failures[i].what, sum.failures[i].n);
	printf("}}\n");
}

static void parse_args(int argc, char **argv)
{
	static const struct option longs[] = {
	        {"stops", 1, NULL, 'n'},    {"seed", 1, NULL, 's'},     {"stack", 1, NULL, 'b'},
	        {"mode", 1, NULL, 'm'},     {"compare", 0, NULL, 'c'},  {"chain", 1, NULL, 'f'},
	        {"verbose", 0, NULL, 'v'},  {"after-ms", 1, NULL, 'a'}, {"shadow", 0, NULL, 'w'},
	        {"no-names", 0, NULL, 'N'}, {"repeat", 1, NULL, 'r'},   {0}};
	for (int c; (c = getopt_long(argc, argv, "+", longs, NULL)) != -1;) {
		switch (c) {
		case 'n':
			opt.stops = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 's':
			opt.seed = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'b':
			opt.stack = strtoul(optarg, NULL, 10);
			break;
		case 'a':
			opt.after_ms = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'm':
			opt.mode = !strcmp(optarg, "run")     ? RUN
			           : !strcmp(optarg, "sleep") ? SLEEP
			                                      : STEP;
			break;
		case 'c':
			opt.compare = true;
			break;
		case 'r':
			opt.repeat = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'w':
			opt.shadow = true;
			break;
		case 'N':
			opt.no_names = true;
			break;
		case 'v':
			opt.verbose = true;
			break;
		case 'f':
			for (char *p = strtok(optarg, ","); p && opt.n_chain < MAX_CHAIN;
			     p = strtok(NULL, ","))
				opt.chain[opt.n_chain++] = p;
			break;
		default:
			exit(2);
		}
	}
}

/* A traced process, stopped right after its exec; -1: it cannot be run. */
static pid_t start(char **argv)
{
	int status;
	pid_t pid = fork();
	if (!pid) {
		dup2(STDERR_FILENO, STDOUT_FILENO); /* ours has the result alone */
		raise(SIGSTOP);
		execvp(argv[0], argv);
		_exit(127);
	}
	waitpid(pid, &status, WUNTRACED);
	if (!WIFSTOPPED(status) ||
	    ptrace(PTRACE_SEIZE, pid, NULL, (void *)(long)PTRACE_O_TRACEEXEC))
		return -1;
	kill(pid, SIGCONT);
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8))
			return pid;
		ptrace(PTRACE_CONT, pid, NULL,
		       (void *)(long)(status >> 16 || WSTOPSIG(status) == SIGSTOP
		                              ? 0
		                              : WSTOPSIG(status)));
	}
	return -1;
}

int main(int argc, char **argv)
{
	parse_args(argc, argv);
	if (optind == argc || opt.stack < 4096)
		return 2;
	random_state = opt.seed * 0x9e3779b97f4a7c15ULL + 1;
	pid_t pid = start(argv + optind);
	if (pid < 0) {
		fprintf(stderr, "%s: cannot run\n", argv[optind]);
		return 1;
	}
	/* Held at its first instruction; otherwise it runs. */
	bool from_start = !opt.after_ms && opt.mode == STEP;
	if (!from_start)
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
	usleep(opt.after_ms * 1000);
	struct strings *strings = strings_create();
	struct target *t;
	images = images_create(strings);
	struct err *err = target_open(pid, images, strings, &t);
	if (err) {
		fprintf(stderr, "%s\n", err->msg);
		kill(pid, SIGKILL);
		return 1;
	}
	snap.bytes = mem_alloc(opt.stack);
	stack_init(&stack);
	unwinder = unwinder_create(opt.no_names ? NULL : namer, NULL);
	unw_addr_space_t as = unw_create_addr_space(&_UPT_accessors, 0);
	if (opt.mode == STEP) {
		stop_after_strides(t, as, from_start);
	} else {
		stop_at_random_times(t, as);
	}
	kill(pid, SIGKILL);
	print_sum();
	unwinder_destroy(unwinder);
	target_close(t);
	images_destroy(images);
	strings_destroy(strings);
	stack_deinit(&stack);
	unw_destroy_addr_space(as);
	free(snap.bytes);
	free(calls);
	return 0;
}
