/* SPDX-License-Identifier: Apache-2.0 */
/* csample list: who is there, what each runs, how busy it is, and whether csample could look. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <csample/clock.h>
#include <csample/find.h>
#include <csample/mem.h>
#include <csample/strbuf.h>
#include <csample/vec.h>

#include "inspect.h"
#include "options.h"

#define COMMAND_COLUMN 46
#define MAX_COMMAND    4096
#define BETWEEN_NS     500000000ULL  /* at least, between the two looks at CPU time */
#define BUDGET_NS      5000000000ULL /* for looking into all processes */

struct row {
	struct process process;
	char *command, *why; /* owned; why: it cannot be read; NULL: it can */
	char *runtimes;      /* owned; for people; NULL: not looked at */
	char *runtimes_json; /* owned; its elements */
	enum err_kind kind;  /* of why */
	uid_t uid;
	double cpu_percent;
};

struct listing {
	VEC(struct row) rows;
	struct strings *strings;
	struct images *images;
	struct decoder *decoder;
	uint64_t deadline_ns;
	size_t n_hurried; /* read, but not looked into any more */
};

static void look_for_runtimes(struct listing *l, struct target *target, struct row *row)
{
	struct inspected found[INSPECT_MAX];
	struct strbuf text = {0}, json = {0};
	size_t n = inspect(l->decoder, target, 0, found);
	for (size_t i = 0; i < n; i++) {
		const char *more = *found[i].why ? found[i].why : "(not started)";
		strbuf_addf(&text, "%s%s %s", i ? ", " : "", found[i].ops->title,
		            *found[i].version ? found[i].version : more);
		strbuf_add(&json, i ? ", " : "");
		inspected_json(&found[i], &json);
	}
	row->runtimes = text.s ? text.s : mem_strdup("native");
	row->runtimes_json = json.s ? json.s : mem_strdup("");
}

/* What it runs, or why that is not to be seen. False: it is gone. */
static bool look_into(struct listing *l, struct row *row)
{
	struct target *target = NULL;
	bool hurry = now_ns() > l->deadline_ns;
	struct err *err = hurry ? process_check(row->process.pid)
	                        : target_open(row->process.pid, l->images, l->strings, &target);
	bool gone = err && err->kind == ERR_GONE;
	if (err) {
		row->kind = err->kind;
		row->why = mem_strdup(err->msg);
		err_free(err);
		return !gone;
	}
	l->n_hurried += hurry;
	if (target)
		look_for_runtimes(l, target, row);
	target_close(target);
	return true;
}

static void row_free(struct row *row)
{
	free(row->command);
	free(row->why);
	free(row->runtimes);
	free(row->runtimes_json);
}

static void add_process(struct listing *l, const struct process *p)
{
	char command[MAX_COMMAND];
	if (p->kernel || p->state == 'Z' || p->state == 'X' || p->pid == getpid())
		return;
	struct row row = {.process = *p, .uid = process_uid(p->pid)};
	if (!look_into(l, &row)) {
		row_free(&row);
		return;
	}
	bool has = process_command(p->pid, command, sizeof(command)) && *command;
	row.command = has ? mem_strdup(command) : mem_asprintf("[%s]", p->comm);
	*vec_add(&l->rows) = row;
}

static int by_id(const void *key, const void *item)
{
	pid_t a = *(const pid_t *)key, b = ((const struct process *)item)->pid;
	return (a > b) - (a < b);
}

/* What each has used since the first look. */
static void measure(struct listing *l, uint64_t since_ns)
{
	uint64_t past = now_ns() - since_ns;
	if (past < BETWEEN_NS)
		usleep((useconds_t)((BETWEEN_NS - past) / 1000));
	struct process *now;
	size_t n = processes_list(&now);
	double ticks = (double)(now_ns() - since_ns) / 1e9 * (double)sysconf(_SC_CLK_TCK);
	for (size_t i = 0; i < l->rows.n; i++) {
		struct row *row = &l->rows.items[i];
		const struct process *p =
		        n ? bsearch(&row->process.pid, now, n, sizeof(*now), by_id) : NULL;
		if (p && p->start_time == row->process.start_time &&
		    p->cpu_ticks > row->process.cpu_ticks)
			row->cpu_percent =
			        100.0 * (double)(p->cpu_ticks - row->process.cpu_ticks) / ticks;
	}
	free(now);
}

static int busiest_first(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	if (x->cpu_percent != y->cpu_percent)
		return x->cpu_percent < y->cpu_percent ? 1 : -1;
	return (x->process.pid > y->process.pid) - (x->process.pid < y->process.pid);
}

/* The user's name, or number. */
static void user_name(uid_t uid, char *buf, size_t len)
{
	struct passwd pwd, *found = NULL;
	char text[4096];
	if (getpwuid_r(uid, &pwd, text, sizeof(text), &found) || !found)
		snprintf(buf, len, "%u", uid);
	else
		snprintf(buf, len, "%s", pwd.pw_name);
}

static const char *why_word(enum err_kind kind)
{
	return kind == ERR_PERM          ? "(not permitted)"
	       : kind == ERR_UNSUPPORTED ? "(32-bit)"
	                                 : "(unreadable)";
}

/* Where a line of text ends that is to be len bytes at most: between characters. */
static int cut_at(const char *text, size_t len)
{
	size_t n = strnlen(text, len + 1);
	if (n <= len)
		return (int)n;
	for (n = len; n && ((unsigned char)text[n] & 0xc0) == 0x80;)
		n--;
	return (int)n;
}

static void print_cell(const char *text, int width)
{
	struct strbuf b = {0};
	strbuf_add_terminal(&b, text);
	int len = cut_at(b.len ? b.s : "", (size_t)width);
	printf("%.*s%*s", len, b.len ? b.s : "", width - len, "");
	strbuf_free(&b);
}

/* On a terminal a row is a line; elsewhere all is shown. */
static size_t command_width(void)
{
	struct winsize size;
	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col < 80)
		return isatty(STDOUT_FILENO) ? 80 - COMMAND_COLUMN : MAX_COMMAND;
	return size.ws_col - COMMAND_COLUMN;
}

static void print_text(const struct listing *l)
{
	size_t width = command_width();
	const struct row *refused = NULL;
	size_t n_refused = 0;
	struct strbuf b = {0};
	printf("%7s %-10s %6s  %-18s %s\n", "PID", "USER", "CPU%", "RUNTIME", "COMMAND");
	for (size_t i = 0; i < l->rows.n; i++) {
		const struct row *row = &l->rows.items[i];
		char user[64];
		user_name(row->uid, user, sizeof(user));
		printf("%7d ", (int)row->process.pid);
		print_cell(user, 10);
		printf(" %6.1f  ", row->cpu_percent);
		print_cell(row->why        ? why_word(row->kind)
		           : row->runtimes ? row->runtimes
		                           : "?",
		           18);
		strbuf_clear(&b);
		strbuf_add_terminal(&b, row->command);
		printf(" %.*s\n", cut_at(b.s, width), b.s);
		n_refused += row->why && row->kind == ERR_PERM;
		if (row->why && row->kind == ERR_PERM && !refused)
			refused = row;
	}
	strbuf_clear(&b);
	if (refused) {
		strbuf_add_terminal(&b, refused->why);
		printf("\n%zu cannot be read: %s\n", n_refused, b.s);
	}
	if (l->n_hurried)
		printf("\n?: not looked into, there was no time for %zu of them; csample list -p "
		       "PID\n",
		       l->n_hurried);
	strbuf_free(&b);
}

static void add_json_row(struct strbuf *b, const struct row *row)
{
	char user[64], container[129], name[64];
	user_name(row->uid, user, sizeof(user));
	strbuf_addf(b, "{\"pid\": %d, \"ppid\": %d, \"uid\": %u, \"user\": ", (int)row->process.pid,
	            (int)row->process.ppid, row->uid);
	strbuf_add_json(b, user);
	strbuf_add(b, ", \"name\": ");
	bool named = process_name(row->process.pid, name, sizeof(name));
	strbuf_add_json(b, named ? name : row->process.comm);
	strbuf_add(b, ", \"comm\": ");
	strbuf_add_json(b, row->process.comm);
	strbuf_add(b, ", \"command\": ");
	strbuf_add_json(b, row->command);
	strbuf_addf(b, ", \"cpu_percent\": %.1f", row->cpu_percent);
	if (process_container(row->process.pid, container, sizeof(container))) {
		strbuf_add(b, ", \"container\": ");
		strbuf_add_json(b, container);
	}
	strbuf_addf(b, ", \"usable\": %s", row->why ? "false" : "true");
	if (row->why) {
		strbuf_add(b, ", \"why_not\": ");
		strbuf_add_json(b, row->why);
	}
	if (row->runtimes_json)
		strbuf_addf(b, ", \"runtimes\": [%s]", row->runtimes_json);
	strbuf_addc(b, '}');
}

static void print_json(const struct listing *l)
{
	struct strbuf b = {0};
	for (size_t i = 0; i < l->rows.n; i++) {
		strbuf_add(&b, i ? ",\n " : "[");
		add_json_row(&b, &l->rows.items[i]);
	}
	printf("%s]\n", l->rows.n ? b.s : "[");
	strbuf_free(&b);
}

/* All, or those of the command line. */
static size_t first_look(const struct options *opt, struct process **ret)
{
	size_t n = processes_list(ret), kept = 0;
	if (!opt->n_pids)
		return n;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < opt->n_pids; k++)
			if ((*ret)[i].pid == opt->pids[k])
				(*ret)[kept++] = (*ret)[i];
	return kept;
}

struct err *cmd_list(const struct options *opt, int *status)
{
	(void)status;
	struct listing l = {.strings = strings_create()};
	l.images = images_create(l.strings);
	l.decoder = decoder_create(l.strings, NATIVE_OWN, NULL, NULL);
	decoder_warn(l.decoder, false);
	struct process *all;
	uint64_t start = now_ns();
	l.deadline_ns = start + BUDGET_NS;
	size_t n = first_look(opt, &all);
	for (size_t i = 0; i < n; i++)
		add_process(&l, &all[i]);
	free(all);
	measure(&l, start);
	if (l.rows.n)
		qsort(l.rows.items, l.rows.n, sizeof(*l.rows.items), busiest_first);
	if (opt->json)
		print_json(&l);
	else
		print_text(&l);
	for (size_t i = 0; i < l.rows.n; i++)
		row_free(&l.rows.items[i]);
	vec_free(&l.rows);
	decoder_destroy(l.decoder);
	images_destroy(l.images);
	strings_destroy(l.strings);
	struct err *err = NULL;
	if (opt->n_pids && !n)
		err = err_new(ERR_GONE, "no process with pid %d; see: csample list", (int)opt->pid);
	return err;
}
