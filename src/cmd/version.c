/* SPDX-License-Identifier: Apache-2.0 */
/* csample version: what this binary is made of and can read. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <curl/curl.h>
#include <dlfcn.h>
#include <elfutils/libdwfl.h>
#include <jansson.h>
#include <libunwind.h>
#include <lzma.h>
#include <microhttpd.h>
#include <pcre2.h>
#include <protobuf-c/protobuf-c.h>
#include <sqlite3.h>
#include <stdio.h>
#include <zlib.h>

#include <csample/format.h>
#include <csample/mem.h>
#include <csample/outlet.h>
#include <csample/runtime.h>
#include <csample/strbuf.h>

#include "options.h"

const char csample_version[] = "0.1.0";

#if defined(__x86_64__)
static const char machine[] = "x86_64";
#else
static const char machine[] = "aarch64";
#endif

#define TEXT_OF(x)    #x
#define NUMBER_OF(x)  TEXT_OF(x)
#define UNWIND_NUMBER NUMBER_OF(UNW_VERSION_MAJOR) "." NUMBER_OF(UNW_VERSION_MINOR)

static const char *of_elfutils(void)
{
	return dwfl_version(NULL);
}

/* Its headers' version: the library does not tell. */
static const char *of_libunwind(void)
{
	return UNWIND_NUMBER;
}

static const char *of_jansson(void)
{
	return JANSSON_VERSION;
}

static const char *of_pcre2(void)
{
	static char text[64]; /* room for "10.42 2022-12-11" */
	if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) > (int)sizeof(text))
		return "";
	pcre2_config(PCRE2_CONFIG_VERSION, text);
	return text;
}

static const char *of_curl(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}

/* Of the libraries as loaded, which need not be those csample was built with. */
static const struct {
	const char *name;
	const char *(*version)(void);
} libraries[] = {
        {"elfutils", of_elfutils},
        {"libunwind", of_libunwind},
        {"jansson", of_jansson},
        {"protobuf-c", protobuf_c_version},
        {"libcurl", of_curl},
        {"libmicrohttpd", MHD_get_version},
        {"liblzma", lzma_version_string},
        {"zlib", zlibVersion},
        {"sqlite", sqlite3_libversion},
        {"pcre2", of_pcre2},
};

/* It is loaded when first needed, by libdw. */
static bool has_debuginfod(void)
{
	void *handle = dlopen("libdebuginfod.so.1", RTLD_LAZY | RTLD_LOCAL);
	if (handle)
		dlclose(handle);
	return handle;
}

static void print_json(bool debuginfod)
{
	struct strbuf b = {0};
	strbuf_add(&b, "{\"version\": ");
	strbuf_add_json(&b, csample_version);
	strbuf_addf(&b, ", \"machine\": \"%s\", \"runtimes\": [", machine);
	for (size_t i = 0; all_runtimes[i]; i++) {
		char releases[64] = "";
		if (all_runtimes[i]->releases)
			all_runtimes[i]->releases(releases, sizeof(releases));
		strbuf_addf(&b, "%s{\"name\": \"%s\", \"title\": \"%s\", \"releases\": \"%s\"}",
		            i ? ", " : "", all_runtimes[i]->name, all_runtimes[i]->title, releases);
	}
	strbuf_add(&b, "], \"push\": ");
	strbuf_add_json(&b, push_features());
	strbuf_add(&b, ", \"libraries\": {");
	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++) {
		strbuf_addf(&b, "%s\"%s\": ", i ? ", " : "", libraries[i].name);
		strbuf_add_json(&b, libraries[i].version());
	}
	strbuf_addf(&b, "}, \"debuginfod\": %s, \"formats\": [", debuginfod ? "true" : "false");
	for (size_t i = 0; formats[i]; i++)
		strbuf_addf(&b, "%s\"%s\"", i ? ", " : "", formats[i]->name);
	printf("%s]}\n", b.s);
	strbuf_free(&b);
}

static void print_text(bool debuginfod)
{
	printf("csample %s (%s)\n", csample_version, machine);
	for (const struct runtime_ops *const *ops = all_runtimes; *ops; ops++) {
		char releases[64];
		if (!(*ops)->releases)
			continue;
		(*ops)->releases(releases, sizeof(releases));
		printf("%s %s\n", (*ops)->title, releases);
	}
	char list[256];
	format_list(list, sizeof(list));
	printf("\npush %s\nformats: %s\nlibraries: ", push_features(), list);
	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++)
		printf("%s%s %s", i ? ", " : "", libraries[i].name, libraries[i].version());
	printf("\ndebuginfod: %s\n", debuginfod ? "yes, where DEBUGINFOD_URLS is set"
	                                        : "no: libdebuginfod.so.1 is not installed");
}

struct err *cmd_version(const struct options *opt, int *status)
{
	(void)status;
	bool debuginfod = has_debuginfod();
	if (opt->json)
		print_json(debuginfod);
	else
		print_text(debuginfod);
	return NULL;
}
