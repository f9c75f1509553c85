/* SPDX-License-Identifier: Apache-2.0 */
/* Which file is mapped where in a core, and whether the file of that name still is the one that
 * was: what a file has at an address is believed only then. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csample/hash.h>
#include <csample/log.h>

#include "core_file.h"
#include "maps.h"

#define MAX_HEADERS   64 /* program headers of a mapped file */
#define MAX_NOTE_SIZE 4096
#define MAX_FILES     8192
#define MAX_WARNINGS  8 /* of files; there may be hundreds */

/* A distinct file of the core. */
struct file {
	const char *name;               /* interned */
	const struct core_mapped *base; /* where its beginning is mapped; NULL: nowhere */
	bool executable;
	struct image *image;
};

struct mapper {
	struct core_file *f;
	struct target *t;
	const char *exe;     /* of the user; NULL */
	const char *program; /* name of the main program in the core; NULL: not known */
	VEC(struct file) files;
	struct map64 by_name; /* interned name to index */
	VEC(struct mapping) mappings;
	VEC(size_t) bare; /* which of them the core has no segment for */
	unsigned n_warned;
};

static const struct core_mapped *file_at(const struct core_file *f, uint64_t addr)
{
	size_t lo = 0, hi = f->files.n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (f->files.items[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	const struct core_mapped *m = lo < f->files.n ? &f->files.items[lo] : NULL;
	return m && m->start <= addr ? m : NULL;
}

/* NULL: there are too many. */
static struct file *find_file(struct mapper *mp, const char *name)
{
	const uint64_t *index = map64_get(&mp->by_name, (uintptr_t)name);
	if (index)
		return &mp->files.items[*index];
	if (mp->files.n == MAX_FILES)
		return NULL;
	*map64_put(&mp->by_name, (uintptr_t)name) = mp->files.n;
	struct file *file = vec_add(&mp->files);
	*file = (struct file){.name = name};
	return file;
}

/* A PT_LOAD for each mapping; NT_FILE has names, and mappings that were left out altogether. */
static void list_mappings(struct mapper *mp)
{
	struct core_file *f = mp->f;
	uint64_t end = 0;
	size_t k = 0;
	for (size_t i = 0; i <= f->segments.n; i++) {
		const struct core_segment *s = i < f->segments.n ? &f->segments.items[i] : NULL;
		for (; k < f->files.n && (!s || f->files.items[k].end <= s->addr); k++) {
			const struct core_mapped *m = &f->files.items[k];
			if (m->start < end)
				continue;
			end = m->end;
			*vec_add(&mp->bare) = mp->mappings.n;
			*vec_add(&mp->mappings) = (struct mapping){.start = m->start,
			                                           .end = m->end,
			                                           .offset = m->offset,
			                                           .readable = true,
			                                           .name = m->name};
		}
		if (!s || s->addr < end)
			continue;
		const struct core_mapped *m = file_at(f, s->addr);
		end = s->addr + s->size;
		*vec_add(&mp->mappings) = (struct mapping){
		        .start = s->addr,
		        .end = end,
		        .offset = m ? m->offset + (s->addr - m->start) : 0,
		        .readable = s->readable,
		        .writable = s->writable,
		        .executable = s->executable,
		        .name = m ? m->name : intern(mp->t->strings, ""),
		};
	}
	for (size_t i = 0; i < mp->mappings.n; i++) {
		struct mapping *m = &mp->mappings.items[i];
		if (!*m->name)
			continue;
		struct file *file = find_file(mp, m->name);
		if (!file)
			continue;
		m->inode = (uint64_t)(file - mp->files.items) + 1; /* tells files apart */
		file->executable |= m->executable;
		if (!file->base && !m->offset)
			file->base = file_at(f, m->start);
	}
}

/* len bytes of the beginning of a mapped file, as the core itself has them. */
static const uint8_t *header_bytes(const struct core_file *f, const struct file *file,
                                   uint64_t offset, size_t len)
{
	const uint8_t *p = NULL;
	if (!file->base || offset > file->base->end - file->base->start ||
	    core_bytes(f, file->base->start + offset, len, &p) < len)
		return NULL;
	return p;
}

enum sameness { SAME, DIFFERENT, UNKNOWN };

/* Compares the notes in which a build id is, and where there is none the program headers. */
static enum sameness compare_headers(const struct core_file *f, const struct file *file,
                                     const struct image *img)
{
	Elf64_Ehdr eh;
	const uint8_t *p = header_bytes(f, file, 0, sizeof(eh));
	if (!p)
		return UNKNOWN;
	memcpy(&eh, p, sizeof(eh));
	if (memcmp(p, img->data, sizeof(eh)) != 0) /* images are no smaller */
		return DIFFERENT;
	size_t n = eh.e_phnum < MAX_HEADERS ? eh.e_phnum : MAX_HEADERS;
	size_t size = n * sizeof(Elf64_Phdr);
	p = eh.e_phentsize == sizeof(Elf64_Phdr) ? header_bytes(f, file, eh.e_phoff, size) : NULL;
	if (!p || eh.e_phoff > img->size || size > img->size - eh.e_phoff)
		return UNKNOWN;
	if (memcmp(p, img->data + eh.e_phoff, size) != 0)
		return DIFFERENT;
	enum sameness result = img->build_id_len ? UNKNOWN : SAME;
	for (size_t i = 0; i < n; i++) {
		Elf64_Phdr ph;
		memcpy(&ph, p + i * sizeof(ph), sizeof(ph));
		if (ph.p_type != PT_NOTE || ph.p_filesz > MAX_NOTE_SIZE ||
		    ph.p_offset > img->size || ph.p_filesz > img->size - ph.p_offset)
			continue;
		const uint8_t *note = header_bytes(f, file, ph.p_offset, ph.p_filesz);
		if (!note)
			continue;
		if (memcmp(note, img->data + ph.p_offset, ph.p_filesz) != 0)
			return DIFFERENT;
		result = SAME;
	}
	return result;
}

/* Where the core has nothing to compare with: a file that was changed after it was written is not
 * the one that was mapped. */
static bool is_older(const struct core_file *f, const struct image *img)
{
	struct stat st;
	return !fstat(img->fd, &st) && st.st_mtim.tv_sec <= f->modified &&
	       st.st_ctim.tv_sec <= f->modified;
}

static void warn_file(struct mapper *mp, const char *name, const char *why)
{
	const char *hint = name == mp->program ? "; --exe names the program" : "";
	if (++mp->n_warned <= MAX_WARNINGS)
		log_warn("%s %s%s", name, why, hint);
	else
		log_debug(LOG_TARGET, "%s %s", name, why);
}

/* Names come from the core: a device must not even be opened. */
static int open_regular(const char *path)
{
	struct stat st;
	char self[64];
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static struct err *open_program(struct mapper *mp, struct file *file)
{
	int fd = open_regular(mp->exe);
	if (fd < 0)
		return err_errno(errno, "open the program %s", mp->exe);
	struct err *err = images_add(mp->t->images, fd, mp->exe, -1, &file->image);
	if (err)
		return err;
	if (compare_headers(mp->f, file, file->image) == DIFFERENT)
		return err_new(ERR_FORMAT, "%s is not the program that %s is of (%s)", mp->exe,
		               mp->f->path, file->name);
	return NULL;
}

static const char *undeleted(struct strings *strings, const char *name, bool *deleted)
{
	static const char gone[] = " (deleted)";
	size_t len = strlen(name), n = sizeof(gone) - 1;
	*deleted = len > n && !strcmp(name + len - n, gone);
	return *deleted ? intern_n(strings, name, len - n) : name;
}

static void open_file(struct mapper *mp, struct file *file)
{
	bool deleted;
	const char *path = undeleted(mp->t->strings, file->name, &deleted);
	const uint8_t *magic = header_bytes(mp->f, file, 0, SELFMAG);
	if (*path != '/' || !(magic ? !memcmp(magic, ELFMAG, SELFMAG) : file->executable))
		return; /* data of the program: locales, fonts */
	int fd = open_regular(path);
	if (fd < 0) {
		warn_file(mp, path, "cannot be opened: its functions have no names");
		return;
	}
	struct image *img = NULL;
	struct err *err = images_add(mp->t->images, fd, path, -1, &img);
	if (err) {
		log_debug(LOG_TARGET, "%s", err->msg);
		err_free(err);
		warn_file(mp, path, "is no ELF file any more: its functions have no names");
		return;
	}
	enum sameness same = compare_headers(mp->f, file, img);
	if (same == SAME || (same == UNKNOWN && !deleted && is_older(mp->f, img)))
		file->image = img;
	else
		warn_file(mp, path,
		          "has been replaced since the core was written: it is not used, and "
		          "functions of the old one have no names");
}

static struct err *open_files(struct mapper *mp)
{
	for (size_t i = 0; i < mp->files.n; i++) {
		struct file *file = &mp->files.items[i];
		if (!mp->exe || file->name != mp->program) {
			open_file(mp, file);
			continue;
		}
		struct err *err = open_program(mp, file);
		if (err)
			return err;
	}
	if (mp->n_warned > MAX_WARNINGS)
		log_warn("and %u files more", mp->n_warned - MAX_WARNINGS);
	return NULL;
}

/* gdb leaves out what the file has, and then NT_FILE does not say which mappings are of code. */
static void guess_rights(struct mapper *mp)
{
	for (size_t k = 0; k < mp->bare.n; k++) {
		struct mapping *m = &mp->mappings.items[mp->bare.items[k]];
		const struct image *img = m->inode ? mp->files.items[m->inode - 1].image : NULL;
		for (size_t i = 0; img && i < img->n_segments && !m->executable; i++) {
			const struct image_segment *s = &img->segments[i];
			m->executable = (s->flags & PF_X) &&
			                m->offset >= (s->offset & ~(uint64_t)4095) &&
			                m->offset < s->offset + s->filesz;
		}
	}
}

static void open_vdso(struct mapper *mp)
{
	for (size_t i = 0; i < mp->mappings.n && mp->f->vdso; i++) {
		struct mapping *m = &mp->mappings.items[i];
		size_t size = m->end - m->start;
		const uint8_t *p = NULL;
		if (m->start != mp->f->vdso || size > (size_t)1 << 20)
			continue;
		m->name = intern(mp->t->strings, "[vdso]");
		if (core_bytes(mp->f, m->start, size, &p) < size)
			return;
		struct err *err = images_add_memory(mp->t->images, p, size, m->name, &m->image);
		if (err)
			m->image = NULL;
		else
			m->bias =
			        m->start - (m->image->n_segments ? m->image->segments[0].vaddr : 0);
		err_free(err);
		return;
	}
}

struct err *core_map(struct core_file *f, struct target *t, const char *exe)
{
	struct mapper mp = {.f = f, .t = t, .exe = exe};
	const struct core_mapped *program =
	        file_at(f, f->program_headers ? f->program_headers : f->entry);
	mp.program = program ? program->name : NULL;
	t->exe = mem_strdup(mp.program ? mp.program : "");
	struct err *err = NULL;
	if (exe && !program)
		err = err_new(ERR_FORMAT, "%s does not tell which of its files is the program",
		              f->path);
	list_mappings(&mp);
	if (!err)
		err = open_files(&mp);
	guess_rights(&mp);
	for (size_t i = 0; i < mp.mappings.n && !err; i++) {
		struct mapping *m = &mp.mappings.items[i];
		struct image *img = m->inode ? mp.files.items[m->inode - 1].image : NULL;
		if (img && m->executable && image_bias(img, m->start, m->offset, true, &m->bias))
			m->image = img;
	}
	open_vdso(&mp);
	t->maps = (struct maps){mp.mappings.items, mp.mappings.n, 1};
	maps_share_images(&t->maps);
	vec_free(&mp.files);
	vec_free(&mp.bare);
	map64_free(&mp.by_name);
	return err;
}
