/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csample/bytes.h>
#include <csample/image.h>
#include <csample/log.h>
#include <csample/vec.h>

#define MAX_PROGRAM_HEADERS ((size_t)4 * IMAGE_MAX_SEGMENTS)
#define MAX_NOTE_BYTES      ((uint64_t)64 * 1024)

/* What tells two files apart without reading them. */
struct file_id {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

struct entry {
	struct image *img;
	struct file_id id; /* of the first file it was seen in; zero for memory */
};

struct images {
	struct strings *strings;
	VEC(struct entry) entries;
};

struct images *images_create(struct strings *strings)
{
	elf_version(EV_CURRENT);
	struct images *images = mem_zalloc(sizeof(*images));
	images->strings = strings;
	return images;
}

static void image_destroy(struct image *img)
{
	if (img->free_unwind)
		img->free_unwind(img);
	if (img->free_symbols)
		img->free_symbols(img);
	elf_end(img->elf);
	if (img->data)
		image_unmap_file((void *)img->data, img->size);
	if (img->fd >= 0)
		close(img->fd);
	if (img->root_fd >= 0)
		close(img->root_fd);
	free(img);
}

void images_destroy(struct images *images)
{
	if (!images)
		return;
	for (size_t i = 0; i < images->entries.n; i++)
		image_destroy(images->entries.items[i].img);
	vec_free(&images->entries);
	free(images);
}

struct image *images_get(const struct images *images, uint32_t id)
{
	return id && id <= images->entries.n ? images->entries.items[id - 1].img : NULL;
}

size_t images_count(const struct images *images)
{
	return images->entries.n;
}

static void read_segments(struct image *img)
{
	size_t n = 0;
	if (elf_getphdrnum(img->elf, &n))
		return;
	for (size_t i = 0; i < n && i < MAX_PROGRAM_HEADERS; i++) {
		GElf_Phdr ph;
		if (!gelf_getphdr(img->elf, (int)i, &ph))
			break;
		if (ph.p_type == PT_GNU_EH_FRAME)
			img->eh_frame_hdr =
			        (struct image_section){ph.p_vaddr, ph.p_offset, ph.p_filesz};
		if (ph.p_type == PT_LOAD && img->n_segments < IMAGE_MAX_SEGMENTS)
			img->segments[img->n_segments++] = (struct image_segment){
			        ph.p_vaddr, ph.p_offset, ph.p_filesz, ph.p_memsz, ph.p_flags};
	}
}

static void read_sections(struct image *img)
{
	static const struct {
		const char *name;
		size_t at;
	} wanted[] = {
	        {".eh_frame", offsetof(struct image, eh_frame)},
	        {".debug_frame", offsetof(struct image, debug_frame)},
	        {".text", offsetof(struct image, text)},
	        {".plt", offsetof(struct image, plt)},
	        {".plt.sec", offsetof(struct image, plt_sec)},
	};
	size_t shstrndx = 0;
	if (elf_getshdrstrndx(img->elf, &shstrndx))
		return;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(img->elf, scn));) {
		GElf_Shdr sh;
		if (!gelf_getshdr(scn, &sh) || sh.sh_type == SHT_NOBITS)
			continue;
		const char *name = elf_strptr(img->elf, shstrndx, sh.sh_name);
		for (size_t i = 0; name && i < ARRAY_SIZE(wanted); i++) {
			if (strcmp(name, wanted[i].name) != 0 || (sh.sh_flags & SHF_COMPRESSED))
				continue;
			struct image_section *s = (void *)((char *)img + wanted[i].at);
			*s = (struct image_section){sh.sh_addr, sh.sh_offset, sh.sh_size};
		}
	}
}

/* Looks for NT_GNU_BUILD_ID among the notes in [offset, offset + size) of the file. */
static bool read_build_id(struct image *img, uint64_t offset, uint64_t size)
{
	if (offset > img->size || size > img->size - offset)
		return false;
	struct bytes b =
	        bytes_over(img->data + offset, size < MAX_NOTE_BYTES ? size : MAX_NOTE_BYTES);
	while (!b.bad && bytes_left(&b) >= 12) {
		uint32_t name_size = bytes_u32(&b), desc_size = bytes_u32(&b), type = bytes_u32(&b);
		const uint8_t *name = bytes_take(&b, ((size_t)name_size + 3) & ~(size_t)3);
		const uint8_t *desc = bytes_take(&b, ((size_t)desc_size + 3) & ~(size_t)3);
		if (!name || !desc || type != NT_GNU_BUILD_ID || name_size != 4 ||
		    memcmp(name, "GNU", 4) != 0 || !desc_size || desc_size > BUILD_ID_MAX)
			continue;
		memcpy(img->build_id, desc, desc_size);
		img->build_id_len = desc_size;
		for (size_t i = 0; i < desc_size; i++)
			sprintf(img->build_id_hex + 2 * i, "%02x", desc[i]);
		return true;
	}
	return false;
}

static void find_build_id(struct image *img)
{
	size_t n = 0;
	if (elf_getphdrnum(img->elf, &n))
		n = 0;
	for (size_t i = 0; i < n && i < MAX_PROGRAM_HEADERS; i++) {
		GElf_Phdr ph;
		if (gelf_getphdr(img->elf, (int)i, &ph) && ph.p_type == PT_NOTE &&
		    read_build_id(img, ph.p_offset, ph.p_filesz))
			return;
	}
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(img->elf, scn));) {
		GElf_Shdr sh;
		if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_NOTE &&
		    read_build_id(img, sh.sh_offset, sh.sh_size))
			return;
	}
}

static struct err *parse(struct image *img)
{
	const unsigned char *ident = img->data;
	if (img->size < sizeof(Elf64_Ehdr) || memcmp(ident, ELFMAG, SELFMAG) != 0)
		return err_new(ERR_FORMAT, "%s: not an ELF file", img->path);
	if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB)
		return err_new(ERR_FORMAT, "%s: not a 64-bit little-endian ELF file", img->path);
	img->elf = elf_memory((char *)img->data, img->size);
	GElf_Ehdr eh;
	if (!img->elf || !gelf_getehdr(img->elf, &eh))
		return err_new(ERR_FORMAT, "%s: %s", img->path, elf_errmsg(-1));
	img->machine = eh.e_machine;
	img->is_exec = eh.e_type == ET_EXEC;
	img->entry = eh.e_entry;
	read_segments(img);
	read_sections(img);
	find_build_id(img);
	return NULL;
}

/* The same content seen before under another device, inode or address. */
static struct image *find_equal(const struct images *images, const struct image *img)
{
	for (size_t i = 0; i < images->entries.n && img->build_id_len; i++) {
		struct image *other = images->entries.items[i].img;
		if (other->size == img->size && other->build_id_len == img->build_id_len &&
		    !memcmp(other->build_id, img->build_id, img->build_id_len))
			return other;
	}
	return NULL;
}

static struct image *add_entry(struct images *images, struct image *img, struct file_id id)
{
	struct image *equal = find_equal(images, img);
	if (equal) {
		image_destroy(img);
		return equal;
	}
	*vec_add(&images->entries) = (struct entry){img, id};
	img->id = (uint32_t)images->entries.n;
	log_debug(LOG_TARGET, "image %u: %s, build id %s", img->id, img->path,
	          img->build_id_len ? img->build_id_hex : "none");
	return img;
}

struct err *images_add(struct images *images, int fd, const char *path, int root_fd,
                       struct image **ret)
{
	struct stat st;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0) {
		close(fd);
		return err_new(ERR_FORMAT, "%s: not a regular file", path);
	}
	struct file_id id = {st.st_dev, st.st_ino, st.st_size, st.st_mtim};
	for (size_t i = 0; i < images->entries.n; i++) {
		const struct file_id *o = &images->entries.items[i].id;
		if (o->ino == id.ino && o->dev == id.dev && o->size == id.size &&
		    o->mtime.tv_sec == id.mtime.tv_sec && o->mtime.tv_nsec == id.mtime.tv_nsec) {
			close(fd);
			*ret = images->entries.items[i].img;
			return NULL;
		}
	}
	struct image *img = mem_zalloc(sizeof(*img));
	img->fd = fd;
	img->root_fd = -1;
	img->path = intern(images->strings, path);
	img->size = (size_t)st.st_size;
	img->data = image_map_file(fd, img->size);
	struct err *err = img->data ? parse(img) : err_errno(errno, "map %s", path);
	if (err) {
		image_destroy(img);
		return err;
	}
	img->root_fd = root_fd >= 0 ? fcntl(root_fd, F_DUPFD_CLOEXEC, 0) : -1;
	*ret = add_entry(images, img, id);
	return NULL;
}

struct err *images_add_memory(struct images *images, const void *bytes, size_t size,
                              const char *path, struct image **ret)
{
	struct image *img = mem_zalloc(sizeof(*img));
	img->fd = img->root_fd = -1;
	img->path = intern(images->strings, path);
	img->size = size;
	/* A mapping as for files, so that both end the same way. */
	void *copy = image_map_file(-1, size);
	struct err *err;
	if (!copy) {
		err = err_errno(errno, "map %s", path);
	} else {
		memcpy(copy, bytes, size);
		img->data = copy;
		err = parse(img);
	}
	if (err) {
		image_destroy(img);
		return err;
	}
	*ret = add_entry(images, img, (struct file_id){0});
	return NULL;
}

bool image_offset_to_vaddr(const struct image *img, uint64_t offset, uint64_t *ret)
{
	for (size_t i = 0; i < img->n_segments; i++) {
		const struct image_segment *s = &img->segments[i];
		if (offset - s->offset < s->filesz) {
			*ret = s->vaddr + (offset - s->offset);
			return true;
		}
	}
	return false;
}

bool image_vaddr_to_offset(const struct image *img, uint64_t vaddr, uint64_t *ret)
{
	for (size_t i = 0; i < img->n_segments; i++) {
		const struct image_segment *s = &img->segments[i];
		if (vaddr - s->vaddr < s->filesz) {
			*ret = s->offset + (vaddr - s->vaddr);
			return true;
		}
	}
	return false;
}

bool image_bias(const struct image *img, uint64_t start, uint64_t offset, bool executable,
                uint64_t *ret)
{
	/* The kernel maps whole pages, so a mapping may begin before its segment in the file; and
	 * neighbouring segments may share a page of it: the one with the same rights is meant. */
	const uint64_t page = 4096;
	for (int exact = 1; exact >= 0; exact--) {
		for (size_t i = 0; i < img->n_segments; i++) {
			const struct image_segment *s = &img->segments[i];
			uint64_t first = s->offset & ~(page - 1);
			if (exact && !!(s->flags & PF_X) != executable)
				continue;
			if (offset < first || offset >= s->offset + s->filesz)
				continue;
			*ret = start - (s->vaddr - s->offset + offset);
			return true;
		}
	}
	return false;
}

const uint8_t *image_bytes(const struct image *img, uint64_t vaddr, size_t len)
{
	for (size_t i = 0; i < img->n_segments; i++) {
		const struct image_segment *s = &img->segments[i];
		uint64_t at = vaddr - s->vaddr;
		if (at >= s->filesz || len > s->filesz - at)
			continue;
		if (s->offset > img->size || at + len > img->size - s->offset)
			return NULL;
		return img->data + s->offset + at;
	}
	return NULL;
}

const uint8_t *image_section_bytes(const struct image *img, const struct image_section *section)
{
	if (!section->size || section->offset > img->size ||
	    section->size > img->size - section->offset)
		return NULL;
	return img->data + section->offset;
}
