/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <csample/mem.h>

#include "../../../src/push/push.h"
#include "../../../src/push/secret.h"

#define S UINT64_C(1000000000)

static enum verdict of(const struct backend *b, long status, const char *body, bool other_way)
{
	struct http_answer a = {.status = status, .body_len = strlen(body)};
	strcpy(a.body, body);
	struct sending s = {.other_way = other_way};
	return b->judge(&s, &a);
}

static void statuses_mean_what_each_backend_means(void **state)
{
	(void)state;
	const struct backend *all[] = {&backend_pyroscope, &backend_parca, &backend_otlp};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(of(all[i], 200, "", false), PUSH_DELIVERED);
		static const long later[] = {0, 408, 429, 502, 503, 504};
		for (size_t k = 0; k < ARRAY_SIZE(later); k++)
			assert_int_equal(of(all[i], later[k], "", false), PUSH_RETRY);
		static const long never[] = {301, 308, 400, 401, 403, 415};
		for (size_t k = 0; k < ARRAY_SIZE(never); k++)
			assert_int_equal(of(all[i], never[k], "", false), PUSH_REJECTED);
		assert_int_equal(of(all[i], 500, "", false), PUSH_RETRY_FEW);
		assert_int_equal(of(all[i], 413, "", false), PUSH_SMALLER);
	}
	assert_int_equal(of(&backend_parca, 404, "", false), PUSH_REJECTED);
	assert_int_equal(of(&backend_otlp, 404, "", false), PUSH_REJECTED);
}

static void pyroscope_says_more_in_words(void **state)
{
	(void)state;
	const struct backend *p = &backend_pyroscope;
	static const long unknown[] = {404, 405, 501};
	for (size_t k = 0; k < ARRAY_SIZE(unknown); k++)
		assert_int_equal(of(p, unknown[k], "", false), PUSH_OTHER_WAY);
	assert_int_equal(of(p, 404, "", true), PUSH_REJECTED);
	assert_int_equal(of(p, 422, "", true), PUSH_RETRY_FEW);
	assert_int_equal(of(p, 422, "", false), PUSH_REJECTED);
	const char *late = "{\"code\":\"invalid_argument\",\"message\":\"profile with labels '{}' "
	                   "is outside of ingestion window (profile timestamp: ...)\"}";
	assert_int_equal(of(p, 400, late, false), PUSH_EXPIRED);
	assert_int_equal(of(p, 422, late, true), PUSH_EXPIRED);
	assert_int_equal(
	        of(p, 400, "... exceeds the size limit (max_profile_size_byte, ...", false),
	        PUSH_SMALLER);
	assert_int_equal(of(p, 400, "... exceeds the samples count limit (max_...", false),
	                 PUSH_SMALLER);
}

static void a_collector_may_refuse_a_part(void **state)
{
	(void)state;
	/* partial_success { rejected_profiles: 2 } */
	assert_int_equal(of(&backend_otlp, 200, "\x0a\x02\x08\x02", false), PUSH_REJECTED);
	/* partial_success { error_message: "x" } is a warning */
	assert_int_equal(of(&backend_otlp, 200, "\x0a\x03\x12\x01x", false), PUSH_DELIVERED);
	assert_int_equal(of(&backend_otlp, 200, "<html>", false), PUSH_DELIVERED);
}

static void delays_grow_and_jitter(void **state)
{
	(void)state;
	uint64_t expected[] = {1, 2, 4, 8, 16, 32, 60, 60};
	for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
		uint64_t least = UINT64_MAX, most = 0;
		for (uint64_t random = 0; random < 100; random++) {
			uint64_t d = retry_delay_ns(i + 1, 0, random * (UINT64_MAX / 99));
			least = d < least ? d : least;
			most = d > most ? d : most;
		}
		assert_in_range(least, expected[i] * S * 8 / 10, expected[i] * S * 9 / 10);
		assert_in_range(most, expected[i] * S * 11 / 10, expected[i] * S * 12 / 10);
	}
	assert_in_range(retry_delay_ns(1000000, 0, 7), 48 * S, 72 * S);
	for (uint64_t random = 0; random < 1000; random++)
		assert_in_range(retry_delay_ns(1, 30, random * 12345678901), 30 * S, 33 * S);
	assert_in_range(retry_delay_ns(1, UINT64_MAX, 0), 3600 * S, 3960 * S);
}

static void check_url(const char *url, const char *backend, const char *base, const char *user,
                      bool in_clear)
{
	struct push_url u;
	struct err *err = push_url_parse(url, &u);
	assert_null(err);
	assert_string_equal(u.backend->name, backend);
	assert_string_equal(u.base, base);
	if (user)
		assert_string_equal(u.user, user);
	else
		assert_null(u.user);
	assert_int_equal(u.secret_in_clear, in_clear);
	push_url_free(&u);
}

static void urls_are_taken_apart(void **state)
{
	(void)state;
	check_url("pyroscope+http://localhost:4040", "pyroscope", "http://localhost:4040", NULL,
	          false);
	check_url("parca+http://[::1]:7070/", "parca", "http://[::1]:7070", NULL, false);
	check_url("otlp+https://c.example:4318/a/b//", "otlp", "https://c.example:4318/a/b", NULL,
	          false);
	check_url("pyroscope+http://me:p%40ss@h.example:4040/x", "pyroscope",
	          "http://h.example:4040/x", "me:p@ss", true);
	check_url("parca+https://me:x@h.example", "parca", "https://h.example", "me:x", false);
}

static void wrong_urls_are_refused_without_their_secrets(void **state)
{
	(void)state;
	static const char *const wrong[] = {
	        "",
	        "http://localhost:4040",
	        "pyroscope://user:secret@host",
	        "pyroscope+ftp://user:secret@host/",
	        "jaeger+http://user:secret@host/",
	        "parca+http://user:secret@",
	        "parca+http://user:secret@host:99999/",
	        "otlp+http://user:secret@host/?token=x",
	        "otlp+http://user:secret@host/#x",
	        "otlp+http://user:sec\nret@host/",
	};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct push_url u;
		struct err *err = push_url_parse(wrong[i], &u);
		assert_non_null(err);
		assert_int_equal(err->kind, ERR_USAGE);
		assert_null(strstr(err->msg, "sec"));
		err_free(err);
	}
}

static void secrets_do_not_show(void **state)
{
	(void)state;
	char *headers[] = {"X-Key:  hush-hush"};
	struct secrets s = {
	        .user = "me:pass word", .token = "tokentoken", .headers = headers, .n_headers = 1};
	char text[] =
	        "pass word, me:pass word, tokentokentoken, hush-hush, Basic bWU6cGFzcyB3b3Jk, me";
	secrets_mask(&s, text);
	assert_string_equal(text, "*********, ************, **********token, *********, Basic "
	                          "****************, me");
	secrets_mask(&s, NULL);
}

static void headers_are_checked(void **state)
{
	(void)state;
	static const char *const wrong[] = {"secret", ": secret", "a b: secret",
	                                    "a: secret\r\nx: y"};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct push_config push = {.headers = (const char *const[]){wrong[i], NULL}};
		struct http_config config = {.base = "http://h", .push = &push};
		struct secrets s = {0};
		struct err *err = secrets_init(&s, &config);
		assert_non_null(err);
		assert_int_equal(err->kind, ERR_USAGE);
		assert_null(strstr(err->msg, "secret"));
		err_free(err);
		secrets_deinit(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(statuses_mean_what_each_backend_means),
	        cmocka_unit_test(pyroscope_says_more_in_words),
	        cmocka_unit_test(a_collector_may_refuse_a_part),
	        cmocka_unit_test(delays_grow_and_jitter),
	        cmocka_unit_test(urls_are_taken_apart),
	        cmocka_unit_test(wrong_urls_are_refused_without_their_secrets),
	        cmocka_unit_test(secrets_do_not_show),
	        cmocka_unit_test(headers_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
