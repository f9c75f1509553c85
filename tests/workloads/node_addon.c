/* SPDX-License-Identifier: Apache-2.0 */
/* An add-on of Node.js whose only function works for so many milliseconds, three calls deep. What
 * it needs of Node-API is declared here, so that Node's headers are not needed. */
#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef struct napi_env_of *napi_env;
typedef struct napi_value_of *napi_value;
typedef struct napi_info_of *napi_info;

int napi_create_function(napi_env env, const char *name, size_t len,
                         napi_value (*callback)(napi_env env, napi_info info), void *data,
                         napi_value *ret);
int napi_get_cb_info(napi_env env, napi_info info, size_t *n, napi_value *arguments,
                     napi_value *this, void **data);
int napi_get_value_uint32(napi_env env, napi_value value, uint32_t *ret);
napi_value napi_register_module_v1(napi_env env, napi_value exports);

static volatile uint64_t sink;

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

__attribute__((noinline)) static uint64_t addon_mix(uint64_t x)
{
	for (int i = 0; i < 20000; i++)
		x = x * 6364136223846793005u + 1442695040888963407u;
	return x;
}

__attribute__((noinline)) static uint64_t addon_rounds(uint64_t end)
{
	uint64_t x = end;
	while (now_ns() < end)
		x ^= addon_mix(x);
	return x + 1;
}

static napi_value addon_work(napi_env env, napi_info info)
{
	napi_value argument = NULL;
	size_t n = 1;
	uint32_t ms = 0;
	if (!napi_get_cb_info(env, info, &n, &argument, NULL, NULL) && argument)
		(void)napi_get_value_uint32(env, argument, &ms);
	sink = addon_rounds(now_ns() + (uint64_t)ms * 1000000);
	return NULL;
}

napi_value napi_register_module_v1(napi_env env, napi_value exports)
{
	napi_value work = exports;
	(void)napi_create_function(env, "work", 4, addon_work, NULL, &work);
	return work;
}
