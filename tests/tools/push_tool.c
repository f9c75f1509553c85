/* SPDX-License-Identifier: Apache-2.0 */
/* Pushes profiles as a continuous recording does, without one.
 *
 * push_tool [options] URL FILE: FILE is in any format that csample reads. It is put --count times
 * (1), each beginning --step seconds (10) after the one before; the last ends now, or --age seconds
 * ago. Then it waits until nothing waits (--wait seconds at most, 0), closes within --close seconds
 * (5), and prints the outlet's counts as JSON: once before closing. A line on stdin while it waits
 * puts another one ("put"), prints counts ("stats"), reopens ("reopen") or ends it ("end").
 *
 * --spool DIR, --spool-size BYTES, --tenant, --user-file, --token-file, --header, --ca, --cert,
 * --key,
 * --insecure, --timeout SECONDS: as push_config. --type NAME, --label NAME=VALUE. With --serve it
 * obeys until "end", even if nothing waits. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <csample/clock.h>
#include <csample/mem.h>
#include <csample/outlet.h>
#include <csample/strbuf.h>

#define MAX_LABELS 64

static struct profile *profile;
static struct push_config config = {.version = "test"};
static struct outlet_label labels[MAX_LABELS];
static size_t n_labels;
static const char *headers[16];
static size_t n_headers;
static const char *type = "process_cpu";
static double step = 10, age, wait_seconds, close_seconds = 5;
static unsigned long count = 1;
static uint64_t sequence, slowest_put_ns;
static struct outlet *outlet;

static void die(struct err *err)
{
	fprintf(stderr, "push_tool: %s\n", err->msg);
	exit(err->kind == ERR_USAGE ? 2 : 1);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct outlet_label *)a)->name,
	              ((const struct outlet_label *)b)->name);
}

static uint64_t unpacked_len(const char *bytes, size_t len)
{
	uint32_t n = 0; /* the last field of gzip */
	memcpy(&n, bytes + len - 4, sizeof(n));
	return n;
}

static void put(int64_t start_unix_ns)
{
	const struct emit_options emit = {0};
	char *bytes = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&bytes, &len);
	profile->meta.start_unix_ns = start_unix_ns;
	profile->meta.duration_ns = (uint64_t)(step * 1e9);
	struct err *err = format_by_name("pprof")->write(profile, &emit, f);
	fclose(f);
	if (err)
		die(err);
	struct delivery d = {.profile = profile,
	                     .sequence = ++sequence,
	                     .type = type,
	                     .labels = labels,
	                     .n_labels = n_labels,
	                     .pprof = bytes,
	                     .pprof_len = len,
	                     .pprof_unpacked_len = unpacked_len(bytes, len)};
	uint64_t before = now_ns();
	err = outlet->ops->put(outlet, &d);
	uint64_t took = now_ns() - before;
	slowest_put_ns = took > slowest_put_ns ? took : slowest_put_ns;
	if (err)
		die(err);
	free(bytes);
}

static int64_t wall_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct outlet_stats print_stats(bool show)
{
	struct outlet_stats s;
	outlet->ops->stats(outlet, &s);
	if (!show)
		return s;
	struct strbuf b = {0};
	strbuf_add_json(&b, s.last_error);
	printf("{\"delivered\": %" PRIu64 ", \"retried\": %" PRIu64 ", \"rejected\": %" PRIu64
	       ", \"dropped\": %" PRIu64 ", \"expired\": %" PRIu64 ", \"waiting\": %" PRIu64
	       ", \"waiting_bytes\": %" PRIu64 ", \"slowest_put_us\": %" PRIu64
	       ", \"name\": \"%s\", \"last_error\": %s}\n",
	       s.delivered, s.retried, s.rejected, s.dropped, s.expired, s.waiting, s.waiting_bytes,
	       slowest_put_ns / 1000, outlet->name, b.s);
	fflush(stdout);
	strbuf_free(&b);
	return s;
}

/* True: it is to end. */
static bool obey(void)
{
	char line[64];
	if (!fgets(line, sizeof(line), stdin))
		return true;
	line[strcspn(line, "\n")] = '\0';
	if (!strcmp(line, "put"))
		put(wall_ns() - (int64_t)(step * 1e9));
	else if (!strcmp(line, "stats"))
		print_stats(true);
	else if (!strcmp(line, "reopen"))
		outlet->ops->reopen(outlet);
	return !strcmp(line, "end");
}

static void wait_for_end(void)
{
	uint64_t until = now_ns() + (uint64_t)(wait_seconds * 1e9);
	bool commands = true;
	while (now_ns() < until && print_stats(false).waiting) {
		struct pollfd p = {.fd = 0, .events = POLLIN};
		if (poll(&p, commands, 10) > 0)
			commands = !obey();
	}
}

static const struct option options[] = {
        {"count", 1, NULL, 'n'},      {"step", 1, NULL, 's'},   {"age", 1, NULL, 'a'},
        {"wait", 1, NULL, 'w'},       {"close", 1, NULL, 'c'},  {"spool", 1, NULL, 'S'},
        {"spool-size", 1, NULL, 'z'}, {"tenant", 1, NULL, 'T'}, {"user-file", 1, NULL, 'u'},
        {"token-file", 1, NULL, 't'}, {"header", 1, NULL, 'H'}, {"ca", 1, NULL, 'A'},
        {"cert", 1, NULL, 'C'},       {"key", 1, NULL, 'K'},    {"insecure", 0, NULL, 'k'},
        {"type", 1, NULL, 'y'},       {"label", 1, NULL, 'l'},  {"serve", 0, NULL, 'v'},
        {"timeout", 1, NULL, 'o'},    {NULL, 0, NULL, 0}};

static bool serve; /* commands until "end", whatever waits */

static void add_label(char *text)
{
	char *equals = strchr(text, '=');
	if (!equals || n_labels == MAX_LABELS)
		exit(2);
	*equals = '\0';
	labels[n_labels++] = (struct outlet_label){text, equals + 1};
}

static void parse(int argc, char **argv)
{
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'n':
			count = strtoul(optarg, NULL, 10);
			break;
		case 's':
			step = strtod(optarg, NULL);
			break;
		case 'a':
			age = strtod(optarg, NULL);
			break;
		case 'w':
			wait_seconds = strtod(optarg, NULL);
			break;
		case 'c':
			close_seconds = strtod(optarg, NULL);
			break;
		case 'S':
			config.spool_dir = optarg;
			break;
		case 'z':
			config.spool_max_bytes = strtoull(optarg, NULL, 10);
			break;
		case 'T':
			config.tenant = optarg;
			break;
		case 'u':
			config.user_file = optarg;
			break;
		case 't':
			config.token_file = optarg;
			break;
		case 'H':
			headers[n_headers++ % 15] = optarg;
			break;
		case 'A':
			config.ca_file = optarg;
			break;
		case 'C':
			config.cert_file = optarg;
			break;
		case 'K':
			config.key_file = optarg;
			break;
		case 'k':
			config.insecure = true;
			break;
		case 'y':
			type = optarg;
			break;
		case 'l':
			add_label(optarg);
			break;
		case 'o':
			config.timeout_ns = (uint64_t)(strtod(optarg, NULL) * 1e9);
			break;
		case 'v':
			serve = true;
			break;
		default:
			exit(2);
		}
	}
	if (argc - optind != 2)
		exit(2);
	config.headers = headers;
	qsort(labels, n_labels, sizeof(labels[0]), by_name);
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	struct strings *strings = strings_create();
	profile = profile_create(strings);
	struct err *err = profile_read(argv[optind + 1], profile);
	if (!err)
		err = outlet_push(argv[optind], &config, &outlet);
	if (err)
		die(err);
	int64_t first = wall_ns() - (int64_t)(age * 1e9) - (int64_t)((double)count * step * 1e9);
	for (unsigned long i = 0; i < count; i++)
		put(first + (int64_t)((double)i * step * 1e9));
	if (serve)
		while (!obey())
			;
	wait_for_end();
	print_stats(true);
	outlet->ops->close(outlet, now_ns() + (uint64_t)(close_seconds * 1e9));
	profile_destroy(profile);
	strings_destroy(strings);
	return 0;
}
