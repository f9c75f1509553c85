/* SPDX-License-Identifier: Apache-2.0 */
/* A core file's headers and notes: Linux fs/binfmt_elf.c writes them, gdb's gcore the same. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csample/bytes.h>
#include <csample/log.h>

#include "core_file.h"
#include "name.h"

#define MAX_SEGMENTS ((size_t)1 << 20)
#define MAX_THREADS  ((size_t)1 << 16)

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#else
#define OWN_MACHINE EM_AARCH64
#endif

/* What is known only once all notes are read. */
struct notes {
	struct core_file *f;
	struct core *core;
	struct strings *strings;
	bool has_process;
	struct elf_prpsinfo process;
};

static void set_registers(const struct elf_prstatus *st, struct core_thread *ret)
{
	struct user_regs_struct u;
	_Static_assert(sizeof(u) == sizeof(st->pr_reg), "pr_reg is what ptrace gives");
	memcpy(&u, &st->pr_reg, sizeof(u));
	ret->regs.valid = 0;
#if defined(__x86_64__)
	const uint64_t by_number[] = {u.rax, u.rdx, u.rcx, u.rbx, u.rsi, u.rdi, u.rbp, u.rsp, u.r8,
	                              u.r9,  u.r10, u.r11, u.r12, u.r13, u.r14, u.r15, u.rip};
	for (unsigned i = 0; i < sizeof(by_number) / sizeof(*by_number); i++)
		regs_set(&ret->regs, i, by_number[i]);
	ret->syscall = (int64_t)u.orig_rax >= 0 && u.orig_rax < 4096 ? (int32_t)u.orig_rax : -1;
#else
	for (unsigned i = 0; i < 31; i++)
		regs_set(&ret->regs, i, u.regs[i]);
	regs_set(&ret->regs, REG_SP, u.sp);
	regs_set(&ret->regs, REG_PC, u.pc);
	ret->syscall = -1; /* x8 keeps the number of the last system call, in it or not */
#endif
}

static void read_thread(struct notes *n, const uint8_t *desc, size_t len)
{
	struct elf_prstatus st;
	if (len < sizeof(st) || n->f->threads.n >= MAX_THREADS)
		return;
	memcpy(&st, desc, sizeof(st));
	if (st.pr_pid <= 0)
		return;
	struct core_thread th = {.tid = st.pr_pid};
	set_registers(&st, &th);
	/* The kernel writes the thread that received the signal first; a debugger gives a core of a
	 * living process none, or SIGTRAP where it had stopped it. */
	if (!n->f->threads.n && st.pr_cursig > 0 && st.pr_cursig < 128) {
		n->core->signal = st.pr_cursig;
		n->core->signal_tid = st.pr_pid;
	}
	*vec_add(&n->f->threads) = th;
}

static void read_auxv(struct core_file *f, const uint8_t *desc, size_t len)
{
	struct bytes b = bytes_over(desc, len);
	while (bytes_left(&b) >= 16) {
		uint64_t type = bytes_u64(&b), value = bytes_u64(&b);
		if (type == AT_SYSINFO_EHDR)
			f->vdso = value;
		else if (type == AT_PHDR)
			f->program_headers = value;
		else if (type == AT_ENTRY)
			f->entry = value;
		else if (type == AT_NULL)
			break;
	}
}

/* count, page size, count times {start, end, offset in pages}, count names: fill_files_note() of
 * fs/binfmt_elf.c. */
static void read_files(struct notes *n, const uint8_t *desc, size_t len)
{
	struct bytes b = bytes_over(desc, len);
	uint64_t count = bytes_u64(&b), page = bytes_u64(&b);
	if (b.bad || count > bytes_left(&b) / 24 || count > MAX_SEGMENTS)
		return;
	struct bytes names = bytes_over(b.p + 24 * count, bytes_left(&b) - 24 * count);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t start = bytes_u64(&b), end = bytes_u64(&b), pages = bytes_u64(&b);
		const char *name = bytes_cstr(&names);
		if (!name)
			break;
		if (start < end)
			*vec_add(&n->f->files) = (struct core_mapped){start, end, pages * page,
			                                              intern(n->strings, name)};
	}
}

static void read_note(struct notes *n, uint32_t type, const uint8_t *desc, size_t len)
{
	switch (type) {
	case NT_PRSTATUS:
		read_thread(n, desc, len);
		break;
	case NT_PRPSINFO:
		n->has_process = n->has_process || len >= sizeof(n->process);
		if (len >= sizeof(n->process))
			memcpy(&n->process, desc, sizeof(n->process));
		break;
	case NT_AUXV:
		read_auxv(n->f, desc, len);
		break;
	case NT_FILE:
		read_files(n, desc, len);
		break;
	default:
		break;
	}
}

static void read_notes(struct notes *n, uint64_t offset, uint64_t size)
{
	struct core_file *f = n->f;
	if (offset > f->size)
		return;
	if (size > f->size - offset)
		size = f->size - offset;
	struct bytes b = bytes_over(f->data + offset, size);
	while (bytes_left(&b) >= 12) {
		uint32_t name_size = bytes_u32(&b), desc_size = bytes_u32(&b), type = bytes_u32(&b);
		const uint8_t *name = bytes_take(&b, ((size_t)name_size + 3) & ~(size_t)3);
		const uint8_t *desc = bytes_take(&b, ((size_t)desc_size + 3) & ~(size_t)3);
		if (!name || !desc)
			break;
		if (name_size == 5 && !memcmp(name, "CORE", 5))
			read_note(n, type, desc, desc_size);
	}
}

static struct err *check_header(const struct core_file *f)
{
	static const struct {
		const char *name, *magic;
		size_t len;
	} packed[] = {{"zstd", "\x28\xb5\x2f\xfd", 4},
	              {"lz4", "\x04\x22\x4d\x18", 4},
	              {"xz",
	               "\xfd"
	               "7zXZ",
	               5},
	              {"gzip", "\x1f\x8b", 2}};
	for (size_t i = 0; i < ARRAY_SIZE(packed); i++)
		if (f->size > packed[i].len && !memcmp(f->data, packed[i].magic, packed[i].len))
			return err_new(ERR_FORMAT,
			               "%s is compressed with %s: unpack it first (coredumpctl "
			               "dump does so by itself)",
			               f->path, packed[i].name);
	Elf64_Ehdr eh;
	if (f->size < sizeof(eh) || memcmp(f->data, ELFMAG, SELFMAG) != 0)
		return err_new(ERR_FORMAT, "%s is not a core file", f->path);
	memcpy(&eh, f->data, sizeof(eh));
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh.e_machine != OWN_MACHINE)
		return err_new(ERR_UNSUPPORTED, "%s is of another machine (ELF machine %u)",
		               f->path, eh.e_machine);
	if (eh.e_type != ET_CORE)
		return err_new(ERR_FORMAT, "%s is %s, not a core file", f->path,
		               eh.e_type == ET_EXEC || eh.e_type == ET_DYN
		                       ? "a program or library"
		                       : "another kind of ELF file");
	return NULL;
}

static void add_segment(struct notes *n, const GElf_Phdr *ph)
{
	if (!ph->p_memsz || ph->p_vaddr + ph->p_memsz < ph->p_vaddr)
		return;
	uint64_t kept = ph->p_filesz < ph->p_memsz ? ph->p_filesz : ph->p_memsz;
	n->core->is_cut |= kept && (ph->p_offset > n->f->size || kept > n->f->size - ph->p_offset);
	*vec_add(&n->f->segments) = (struct core_segment){
	        .addr = ph->p_vaddr,
	        .size = ph->p_memsz,
	        .offset = ph->p_offset,
	        .kept = kept,
	        .readable = ph->p_flags & PF_R,
	        .writable = ph->p_flags & PF_W,
	        .executable = ph->p_flags & PF_X,
	};
}

static int compare_segments(const void *a, const void *b)
{
	const struct core_segment *x = a, *y = b;
	return (x->addr > y->addr) - (x->addr < y->addr);
}

static int compare_files(const void *a, const void *b)
{
	const struct core_mapped *x = a, *y = b;
	return (x->start > y->start) - (x->start < y->start);
}

static struct err *read_headers(struct notes *n)
{
	struct core_file *f = n->f;
	struct err *err = check_header(f);
	if (err)
		return err;
	Elf *elf = elf_memory((char *)f->data, f->size);
	size_t count = 0;
	if (!elf || elf_getphdrnum(elf, &count) || count > MAX_SEGMENTS)
		count = 0;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr ph;
		if (!gelf_getphdr(elf, (int)i, &ph))
			break;
		if (ph.p_type == PT_LOAD)
			add_segment(n, &ph);
		else if (ph.p_type == PT_NOTE)
			read_notes(n, ph.p_offset, ph.p_filesz);
	}
	elf_end(elf);
	if (!f->threads.n)
		return err_new(ERR_FORMAT, "%s has no threads: it is cut or damaged", f->path);
	if (f->segments.n)
		qsort(f->segments.items, f->segments.n, sizeof(*f->segments.items),
		      compare_segments);
	if (f->files.n)
		qsort(f->files.items, f->files.n, sizeof(*f->files.items), compare_files);
	return NULL;
}

static int compare_threads(const void *a, const void *b)
{
	const struct core_thread *x = a, *y = b;
	return (x->tid > y->tid) - (x->tid < y->tid);
}

/* The main thread first, the others by number, each once. */
static void order_threads(struct core *c, pid_t pid)
{
	struct core_file *f = c->file;
	struct core_thread *th = f->threads.items;
	qsort(th, f->threads.n, sizeof(*th), compare_threads);
	size_t n = 0;
	for (size_t i = 0; i < f->threads.n; i++)
		if (!n || th[n - 1].tid != th[i].tid)
			th[n++] = th[i];
	for (size_t i = 1; i < n; i++) {
		struct core_thread main_thread = th[i];
		if (main_thread.tid != pid)
			continue;
		memmove(th + 1, th, i * sizeof(*th));
		th[0] = main_thread;
		break;
	}
	c->threads = th;
	c->n_threads = n;
	c->target->tids = mem_realloc_array(NULL, n, sizeof(pid_t));
	c->target->n_tids = n;
	for (size_t i = 0; i < n; i++)
		c->target->tids[i] = th[i].tid;
}

/* NT_PRPSINFO: the name, and the first 80 bytes of the arguments, blanks between. */
static void set_process(struct target *t, const struct notes *n)
{
	const struct elf_prpsinfo *p = &n->process;
	size_t len = strnlen(p->pr_psargs, sizeof(p->pr_psargs));
	while (len && p->pr_psargs[len - 1] == ' ')
		len--;
	t->pid = n->has_process && p->pr_pid > 0 ? p->pr_pid : n->f->threads.items[0].tid;
	t->ns_pid = t->pid;
	t->uid = n->has_process ? p->pr_uid : 0;
	memcpy(t->comm, p->pr_fname, sizeof(p->pr_fname));
	t->command = mem_strndup(p->pr_psargs, len);
	t->argv = mem_zalloc(2 * sizeof(*t->argv));
	if (!len) {
		free(t->command);
		t->command = mem_strdup(t->comm);
	}
	t->argv[0] = mem_strdup(t->command);
	t->argc = 1;
	name_of_process(t->comm, "", t->argv, t->name, sizeof(t->name));
}

static struct err *open_core(struct core *c, int fd, const char *exe, struct images *images,
                             struct strings *strings)
{
	struct core_file *f = c->file;
	struct stat st;
	if (fstat(fd, &st))
		return err_errno(errno, "open %s", f->path);
	if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		return err_new(ERR_FORMAT, "%s is not a core file", f->path);
	f->size = (size_t)st.st_size;
	f->modified = st.st_mtim.tv_sec;
	f->data = image_map_file(fd, f->size);
	if (!f->data)
		return err_errno(errno, "map %s", f->path);
	struct notes n = {.f = f, .core = c, .strings = strings};
	struct err *err = read_headers(&n);
	if (err)
		return err;
	struct target *t = c->target = mem_zalloc(sizeof(*t));
	t->proc_fd = t->root_fd = t->pid_fd = -1;
	t->images = images;
	t->strings = strings;
	rmem_live_init(&t->mem, -1);
	t->rm = &f->rm;
	f->maps = &t->maps;
	set_process(t, &n);
	order_threads(c, t->pid);
	if (c->is_cut)
		log_warn("%s is cut: it ends before the memory it announces", f->path);
	return core_map(f, t, exe);
}

struct err *core_open_fd(int fd, const char *path, const char *exe, struct images *images,
                         struct strings *strings, struct core **ret)
{
	struct core *c = mem_zalloc(sizeof(*c));
	c->file = mem_zalloc(sizeof(*c->file));
	c->file->rm.read = core_read;
	c->file->path = intern(strings, path);
	struct err *err = open_core(c, fd, exe, images, strings);
	close(fd);
	if (err) {
		core_close(c);
		return err;
	}
	*ret = c;
	return NULL;
}

struct err *core_open(const char *path, const char *exe, struct images *images,
                      struct strings *strings, struct core **ret)
{
	/* O_NONBLOCK: a FIFO of that name must not hold us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_errno(errno, "open %s", path);
	return core_open_fd(fd, path, exe, images, strings, ret);
}

/* signal(7): those whose action is to write a core. A debugger that makes one of a living process
 * gives whatever it stopped it with. */
const char *core_signal_name(const struct core *c, pid_t tid)
{
	static const struct {
		int number;
		const char *name;
	} names[] = {
	        {SIGQUIT, "SIGQUIT"}, {SIGILL, "SIGILL"},   {SIGTRAP, "SIGTRAP"},
	        {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},
	        {SIGSEGV, "SIGSEGV"}, {SIGXCPU, "SIGXCPU"}, {SIGXFSZ, "SIGXFSZ"},
	        {SIGSYS, "SIGSYS"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (c->signal_tid == tid && names[i].number == c->signal)
			return names[i].name;
	return NULL;
}

void core_close(struct core *c)
{
	if (!c)
		return;
	target_close(c->target);
	vec_free(&c->file->segments);
	vec_free(&c->file->files);
	vec_free(&c->file->threads);
	if (c->file->data)
		image_unmap_file((void *)c->file->data, c->file->size);
	free(c->file);
	free(c);
}
