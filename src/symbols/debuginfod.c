/* SPDX-License-Identifier: Apache-2.0 */
/* The client library is loaded when it is there and DEBUGINFOD_URLS is set: most machines have
 * neither, and it brings a web client along. */
#include <dlfcn.h>
#include <elfutils/debuginfod.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <csample/log.h>
#include <csample/mem.h>

#include "debugfile.h"

/* A server that answers slowly costs some names, not the profile. */
#define ANSWER_SECONDS   8 /* without a byte; then no server is asked again */
#define SMALLEST_FILE    1000
#define FILE_SECONDS     60
#define ALL_SECONDS      120
#define PATIENCE_SECONDS 2 /* before the user is told what takes so long */

static struct {
	bool loaded, usable;
	double spent_s;
	debuginfod_client *(*begin)(void);
	void (*end)(debuginfod_client *);
	int (*find)(debuginfod_client *, const unsigned char *, int, char **);
	void (*set_progressfn)(debuginfod_client *, debuginfod_progressfn_t);
	void (*set_user_data)(debuginfod_client *, void *);
	void *(*get_user_data)(debuginfod_client *);
} lib;

static double now_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static bool load(void)
{
	if (lib.loaded)
		return lib.usable;
	lib.loaded = true;
	void *so = dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!so) {
		log_info(
		        "DEBUGINFOD_URLS is set, but libdebuginfod.so.1 is not installed: no debug "
		        "information is fetched");
		return false;
	}
	const struct {
		const char *name;
		void *at;
	} wanted[] = {
	        {"debuginfod_begin", &lib.begin},
	        {"debuginfod_end", &lib.end},
	        {"debuginfod_find_debuginfo", &lib.find},
	        {"debuginfod_set_progressfn", &lib.set_progressfn},
	        {"debuginfod_set_user_data", &lib.set_user_data},
	        {"debuginfod_get_user_data", &lib.get_user_data},
	};
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		void *p = dlsym(so, wanted[i].name);
		if (!p)
			return false;
		memcpy(wanted[i].at, &p, sizeof(p)); /* ISO C has no cast for this */
	}
	return lib.usable = true;
}

bool debuginfod_configured(void)
{
	const char *urls = secure_getenv("DEBUGINFOD_URLS");
	return urls && urls[strspn(urls, " ")] && lib.spent_s < ALL_SECONDS;
}

struct wait {
	double start_s, limit_s;
	bool said, silent;
	const char *what;
};

/* Called by the library while it waits, with the bytes that came and the bytes to come; non-zero
 * ends the wait. */
static int progress(debuginfod_client *client, long done, long all)
{
	(void)all;
	struct wait *w = lib.get_user_data(client);
	double waited_s = now_s() - w->start_s;
	if (waited_s > PATIENCE_SECONDS && !w->said) {
		log_info("fetching debug information of %s", w->what);
		w->said = true;
	}
	w->silent = done < SMALLEST_FILE && waited_s > ANSWER_SECONDS;
	return w->silent || waited_s > w->limit_s;
}

struct elf_file *debuginfod_find(const uint8_t *build_id, size_t len, const char *what)
{
	if (!len || !debuginfod_configured() || !load())
		return NULL;
	debuginfod_client *client = lib.begin();
	if (!client)
		return NULL;
	double left_s = ALL_SECONDS - lib.spent_s;
	struct wait w = {.start_s = now_s(),
	                 .limit_s = left_s < FILE_SECONDS ? left_s : FILE_SECONDS,
	                 .what = what};
	char *path = NULL;
	lib.set_user_data(client, &w);
	lib.set_progressfn(client, progress);
	int fd = lib.find(client, build_id, (int)len, &path);
	lib.end(client);
	lib.spent_s = w.silent ? ALL_SECONDS : lib.spent_s + now_s() - w.start_s;
	log_debug(LOG_SYMBOLS, "debuginfod: %s: %s", what, fd < 0 ? strerror(-fd) : path);
	if (!debuginfod_configured())
		log_info("the servers of DEBUGINFOD_URLS are too slow: no more is fetched");
	struct elf_file *f = fd < 0 ? NULL : elf_file_open(fd, path);
	free(path);
	if (f && (f->build_id_len != len || memcmp(f->build_id, build_id, len) != 0)) {
		elf_file_close(f);
		f = NULL;
	}
	return f;
}
