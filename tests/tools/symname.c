/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the names csample gives to addresses of an ELF file, one line a frame, for the tests to
 * compare with what other tools say:
 *
 *   symname [--root DIR] [--as PATH] [--raw] [--time] FILE ADDR...
 *
 * Addresses are hexadecimal, as linked; none: they are read from standard input.
 * Output: "ADDR\tKIND\tFUNCTION\tFILE\tLINE\tCOLUMN", and with --time figures on standard error. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <csample/image.h>
#include <csample/log.h>
#include <csample/symbols.h>

static double now_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void print_memory(const char *when)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "VmHWM", 5) || !strncmp(line, "VmRSS", 5) ||
		    !strncmp(line, "RssAnon", 7))
			fprintf(stderr, "%s: %s", when, line);
	if (f)
		fclose(f);
}

static void name_one(struct symbols *s, const struct image *img, uint64_t addr, bool quiet)
{
	struct frame out[SYMBOLS_MAX_INLINED];
	struct raw_frame raw = {.kind = RAW_NATIVE, .owner = img->id, .addr = addr};
	size_t n = symbols_name(s, raw, out, SYMBOLS_MAX_INLINED);
	for (size_t i = 0; i < n && !quiet; i++)
		printf("%llx\t%s\t%s\t%s\t%u\t%u\n", (unsigned long long)addr,
		       out[i].kind == FRAME_INLINED ? "inlined" : "native", out[i].function,
		       out[i].file ? out[i].file : "?", out[i].line, out[i].column);
}

static void usage(void)
{
	fputs("symname [--root DIR] [--as PATH] [--raw] [--time] FILE ADDR...\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	const char *root = NULL, *as = NULL;
	struct symbols_config config = {0};
	bool timed = false;
	int i = 1;
	for (; i < argc && !strncmp(argv[i], "--", 2); i++) {
		if (!strcmp(argv[i], "--time"))
			timed = true;
		else if (!strcmp(argv[i], "--root") && i + 1 < argc)
			root = argv[++i];
		else if (!strcmp(argv[i], "--as") && i + 1 < argc)
			as = argv[++i];
		else if (!strcmp(argv[i], "--raw"))
			config.no_demangle = true;
		else if (!strcmp(argv[i], "--debug"))
			log_enable("all");
		else
			usage();
	}
	if (i >= argc)
		usage();
	const char *file = argv[i++];
	struct strings *strings = strings_create();
	struct images *images = images_create(strings);
	struct image *img;
	int root_fd = root ? open(root, O_PATH | O_CLOEXEC) : -1;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct err *err = images_add(images, fd, as ? as : file, root_fd, &img);
	if (err) {
		fprintf(stderr, "%s\n", err->msg);
		return 1;
	}
	struct symbols *s = symbols_create(images, strings, &config);
	double start = now_s();
	symbols_prepare_image(s, img);
	double prepared = now_s();
	const char *name;
	uint64_t at;
	symbols_lookup_name(s, img, img->entry, &name, &at);
	double indexed = now_s();
	size_t n = 0;
	uint64_t *addrs = NULL, addr;
	if (i < argc) {
		addrs = calloc((size_t)argc, sizeof(*addrs));
		for (; i < argc; i++)
			addrs[n++] = strtoull(argv[i], NULL, 16);
	} else {
		char line[64];
		while (fgets(line, sizeof(line), stdin) && (addr = strtoull(line, NULL, 16))) {
			if ((n & (n - 1)) == 0) /* full at each power of two */
				addrs = reallocarray(addrs, n ? 2 * n : 1, sizeof(*addrs));
			addrs[n++] = addr;
		}
	}
	double first = now_s();
	for (size_t k = 0; k < n; k++)
		name_one(s, img, addrs[k], timed);
	double cold = now_s();
	if (timed) {
		for (size_t k = 0; k < n; k++)
			name_one(s, img, addrs[k], true);
		double warm = now_s();
		fprintf(stderr,
		        "prepare %.2f ms, index %.2f ms, %zu addresses: first pass %.0f ns, "
		        "second pass %.0f ns each\n",
		        (prepared - start) * 1e3, (indexed - prepared) * 1e3, n,
		        (cold - first) * 1e9 / (double)n, (warm - cold) * 1e9 / (double)n);
		print_memory("end");
	}
	struct symbols_source source;
	symbols_source(s, img, &source);
	fprintf(stderr, "source: %s%s%s\n", source.origin, source.has_lines ? ", lines" : "",
	        source.has_inlines ? ", inlines" : "");
	symbols_destroy(s);
	images_destroy(images);
	strings_destroy(strings);
	free(addrs);
	if (root_fd >= 0)
		close(root_fd);
	return 0;
}
