/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <csample/mem.h>
#include <csample/outlet.h>

static void is_fine(const char *name, const char *value)
{
	struct err *err = label_check(name, value);
	if (err)
		fail_msg("%s=%s: %s", name, value, err->msg);
}

static void is_refused(const char *name, const char *value, const char *why)
{
	struct err *err = label_check(name, value);
	if (!err)
		fail_msg("%s=%s was taken", name, value);
	assert_int_equal(err->kind, ERR_USAGE);
	if (!strstr(err->msg, why))
		fail_msg("%s=%s: no '%s' in: %s", name, value, why, err->msg);
	err_free(err);
}

static void labels_of_services(void **state)
{
	(void)state;
	is_fine("service_name", "checkout");
	is_fine("version", "v2.4.1");
	is_fine("env", "prod");
	is_fine("region", "eu-west-1");
	is_fine("pid", "4242");
	is_fine("hostname", "a.example.com");
	is_fine("container_id", "8f4b6c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567");
	is_fine("service_instance_id", "550e8400-e29b-41d4-a716-446655440000");
	is_fine("k8s_pod_uid", "550e8400-e29b-41d4-a716-446655440000");
	is_fine("user", "www-data");
	is_fine("git_commit", "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	is_fine("voicemail_server", "a");
	is_fine("team", "\xc3\xa9quipe \xe2\x82\xac");
	is_fine("A_9", "x");
}

static void names(void **state)
{
	(void)state;
	is_refused("", "x", "NAME=VALUE");
	is_refused("service.name", "x", "use 'service_name'");
	is_refused("k8s/pod-name", "x", "use 'k8s_pod_name'");
	is_refused("9lives", "x", "use '_9lives'");
	is_refused("\xc3\xa9", "x", "letters, digits and _");
	is_refused("__name__", "x", "belong to the backends");
	char name[200];
	memset(name, 'a', sizeof(name));
	name[128] = '\0';
	is_fine(name, "x");
	name[128] = 'a';
	name[129] = '\0';
	is_refused(name, "x", "at most 128");
}

static void values(void **state)
{
	(void)state;
	is_refused("env", "", "no value");
	is_refused("env", "\xff", "UTF-8");
	is_refused("env", "\xed\xa0\x80", "UTF-8");
	is_refused("env", "a\nb", "control");
	is_refused("env", "a\x7f", "control");
	char value[1100];
	memset(value, 'a', sizeof(value));
	value[1024] = '\0';
	is_fine("env", value);
	value[1024] = 'a';
	value[1025] = '\0';
	is_refused("env", value, "at most 1024");
}

static void identities(void **state)
{
	(void)state;
	static const char *const always[] = {
	        "request_id", "RequestId", "x_request_id", "http_request_id",
	        "trace_id",   "traceID",   "span_id",      "session",
	        "session_id", "user_id",   "userId",       "user_email",
	        "EMAIL",      "api_key",   "client_ip",    "correlation_id"};
	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		is_refused(always[i], "x", "tells requests or people apart");
	is_refused("user", "ann@example.com", "an address of e-mail");
	is_refused("user", "1234", "a number");
	is_refused("cart_id", "1234", "a number");
	is_refused("cartUUID", "550e8400-e29b-41d4-a716-446655440000", "a UUID");
	is_refused("order", "550e8400e29b41d4a716446655440000", "a UUID");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(labels_of_services),
	        cmocka_unit_test(names),
	        cmocka_unit_test(values),
	        cmocka_unit_test(identities),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
