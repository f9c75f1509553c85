/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csample/log.h>
#include <csample/mem.h>

#define MAX_CONFIG 65536

/* Which process, and whether there are defaults at all, is said each time. */
static const char *const not_here[] = {"pid",  "comm", "cmdline", "cgroup", "container", "pidfile",
                                       "core", "exe",  "tid",     "help",   "no-config", NULL};

char *config_path(void)
{
	const char *file = getenv("CSAMPLE_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME"),
	           *home = getenv("HOME");
	if (file)
		return *file ? mem_strdup(file) : NULL;
	if (xdg && *xdg == '/')
		return mem_asprintf("%s/csample/config", xdg);
	return home && *home == '/' ? mem_asprintf("%s/.config/csample/config", home) : NULL;
}

/* Under sudo the home may still be that of another user, who shall not command root. */
static bool may_command(const char *path, const struct stat *st)
{
	if (st->st_uid != geteuid() && st->st_uid != 0) {
		log_warn("%s is not used: it belongs to user %u, and csample runs as %u", path,
		         st->st_uid, geteuid());
		return false;
	}
	if (st->st_mode & (S_IWGRP | S_IWOTH)) {
		log_warn("%s is not used: others may write to it; chmod go-w %s", path, path);
		return false;
	}
	return true;
}

struct err *config_read(const char *path, char **ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
		return NULL;
	if (fd < 0 || fstat(fd, &st))
		return err_errno(errno, "read %s", path);
	if (!may_command(path, &st))
		return NULL;
	if (!S_ISREG(st.st_mode))
		return err_new(ERR_USAGE, "%s is not a regular file", path);
	if (st.st_size >= MAX_CONFIG)
		return err_new(ERR_USAGE, "%s is larger than %d bytes", path, MAX_CONFIG);
	char *text = mem_alloc(MAX_CONFIG);
	size_t len = 0;
	ssize_t n;
	while (len < MAX_CONFIG - 1 && (n = read(fd, text + len, MAX_CONFIG - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	*ret = text;
	return NULL;
}

static bool is_name_of(const struct option_row *row, const char *name)
{
	return !strcmp(row->name, name) || (row->alias && !strcmp(row->alias, name));
}

/* The option of that name, of one command or, with NULL, any. */
static const struct option_row *find_row(const char *name, const struct command *command)
{
	for (size_t i = 0; i < n_option_rows; i++)
		if (option_rows[i].group && is_name_of(&option_rows[i], name) &&
		    (!command || option_rows[i].commands & command->bit))
			return &option_rows[i];
	return NULL;
}

static struct err *unknown(const char *name)
{
	const char *names[MAX_OPTION_ROWS];
	size_t n = 0;
	for (size_t i = 0; i < n_option_rows; i++)
		if (option_rows[i].group)
			names[n++] = option_rows[i].name;
	const char *near = suggest(name, names, n);
	return near ? err_new(ERR_USAGE, "no option '%s'; did you mean '%s'?", name, near)
	            : err_new(ERR_USAGE, "no option '%s'", name);
}

static bool is_one_of(const char *value, const char *const *words)
{
	while (*words && strcmp(*words, value) != 0)
		words++;
	return *words;
}

static struct err *set(const struct option_row *row, const char *value, struct options *opt)
{
	static const char *const yes[] = {"", "yes", "true", "on", "1", NULL}, *const no[] = {
	                                                                               "no",
	                                                                               "false",
	                                                                               "off", "0",
	                                                                               NULL};
	if (row->arg && !*value && row->value)
		value = row->value;
	if (row->arg)
		return row->set(row, value, opt);
	if (is_one_of(value, no))
		return NULL;
	if (!is_one_of(value, yes))
		return err_new(ERR_USAGE, "'%s' is neither yes nor no", value);
	return row->set(row, NULL, opt);
}

/* One line's name, with its command if it has one, and value. */
struct entry {
	const struct command *of; /* NULL: of all */
	const char *name, *value;
};

static char *trim(char *s)
{
	s += strspn(s, " \t\r");
	for (size_t len = strlen(s); len && strchr(" \t\r", s[len - 1]);)
		s[--len] = '\0';
	return s;
}

/* Cuts a line up; name stays NULL for an empty one. */
static struct err *parse_line(char *line, struct entry *ret)
{
	*ret = (struct entry){.value = ""};
	char *name = trim(line);
	if (!*name || *name == '#')
		return NULL;
	char *equals = strchr(name, '=');
	if (equals) {
		*equals = '\0';
		ret->value = trim(equals + 1);
		name = trim(name);
	}
	char *dot = strchr(name, '.');
	if (dot) {
		*dot = '\0';
		struct err *err = command_find(name, &ret->of);
		if (err)
			return err;
		name = dot + 1;
	}
	name += strspn(name, "-"); /* "--rate = 5" is what was meant */
	ret->name = name;
	if (is_one_of(name, not_here))
		return err_new(ERR_USAGE, "%s belongs on the command line", name);
	if (find_row(name, ret->of))
		return NULL;
	return ret->of && find_row(name, NULL)
	               ? err_new(ERR_USAGE, "%s has no option '%s'", ret->of->name, name)
	               : unknown(name);
}

static struct err *apply_entry(const struct entry *e, const struct command *command, bool own,
                               struct options *opt)
{
	const struct option_row *row = e->name ? find_row(e->name, command) : NULL;
	if (!row || own != (e->of == command) || (e->of && e->of != command))
		return NULL;
	struct err *err = set(row, e->value, opt);
	return err ? err_wrap(err, "%s", e->name) : NULL;
}

struct err *config_apply(char *text, const char *path, const struct command *command,
                         struct options *opt)
{
	size_t n_lines = 1;
	for (const char *p = text; *p; p++)
		n_lines += *p == '\n';
	_cleanup_free_ struct entry *entries = mem_realloc_array(NULL, n_lines, sizeof(*entries));
	struct err *err = NULL;
	size_t line = 0;
	for (char *p = text; line < n_lines && !err; line++) {
		char *end = p + strcspn(p, "\n");
		*end = '\0';
		err = parse_line(p, &entries[line]);
		p = end + 1;
	}
	for (int own = 0; own < 2 && !err; own++)
		for (line = 0; line < n_lines && !err; line++)
			err = apply_entry(&entries[line], command, own, opt);
	return err ? err_wrap(err, "%s:%zu", path, line) : NULL;
}
