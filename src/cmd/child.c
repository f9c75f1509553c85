/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csample/log.h>

/* sudo tells who called it. A command that we start is that user's, not root's. */
static int become_caller(void)
{
	const char *uid_text = getenv("SUDO_UID"), *gid_text = getenv("SUDO_GID");
	const char *user = getenv("SUDO_USER");
	if (geteuid() != 0 || !uid_text || !gid_text)
		return 0;
	char *end;
	unsigned long uid = strtoul(uid_text, &end, 10);
	if (!*uid_text || *end)
		return 0;
	unsigned long gid = strtoul(gid_text, &end, 10);
	if (!*gid_text || *end)
		return 0;
	if (uid == 0)
		return 0;
	if (user ? initgroups(user, (gid_t)gid) : setgroups(0, NULL))
		return -1;
	if (setresgid((gid_t)gid, (gid_t)gid, (gid_t)gid) ||
	    setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid))
		return -1;
	const struct passwd *pw = getpwuid((uid_t)uid);
	if (pw)
		setenv("HOME", pw->pw_dir, 1);
	return 0;
}

static void redirect(const struct child_config *config)
{
	int null = config->own_group ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	if (config->own_group)
		setpgid(0, 0);
	if (config->output_fd < 0)
		return;
	dup2(config->output_fd, STDOUT_FILENO);
	dup2(config->output_fd, STDERR_FILENO);
}

__attribute__((noreturn)) static void run_child(char **argv, const struct child_config *config,
                                                int go_fd, int error_fd, const struct rlimit *files)
{
	char go;
	ssize_t n;
	do
		n = read(go_fd, &go, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(127); /* csample has ended before it let us go */
	close(go_fd);
	redirect(config);
	/* What csample changes for itself is not the command's. */
	setrlimit(RLIMIT_NOFILE, files);
	signal(SIGPIPE, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (!become_caller())
		execvp(argv[0], argv);
	int errnum = errno;
	if (write(error_fd, &errnum, sizeof(errnum)) < 0)
		_exit(126); /* csample has gone meanwhile */
	_exit(127);
}

struct err *child_start(char **argv, const struct child_config *config, struct child *ret)
{
	int go[2], error[2];
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	if (pipe2(go, O_CLOEXEC))
		return err_errno(errno, "create a pipe");
	if (pipe2(error, O_CLOEXEC)) {
		close(go[0]);
		close(go[1]);
		return err_errno(errno, "create a pipe");
	}
	pid_t pid = fork();
	if (pid == 0) {
		close(go[1]);
		close(error[0]);
		run_child(argv, config, go[0], error[1], &files);
	}
	int errnum = errno;
	close(go[0]);
	close(error[1]);
	if (pid < 0) {
		close(go[1]);
		close(error[0]);
		return err_errno(errnum, "start %s", argv[0]);
	}
	*ret = (struct child){.pid = pid, .go_fd = go[1], .error_fd = error[0]};
	return NULL;
}

struct err *child_go(struct child *c, const char *name)
{
	int errnum = 0;
	ssize_t n;
	if (write(c->go_fd, "", 1) != 1)
		log_debug(LOG_TARGET, "the child has gone before its exec");
	close(c->go_fd);
	c->go_fd = -1;
	/* Closed by a successful exec; else the reason comes. */
	do
		n = read(c->error_fd, &errnum, sizeof(errnum));
	while (n < 0 && errno == EINTR);
	close(c->error_fd);
	c->error_fd = -1;
	if (n != sizeof(errnum))
		return NULL;
	child_reap(c, true);
	return err_errno(errnum, "cannot run '%s'", name);
}

void child_cancel(struct child *c)
{
	if (c->go_fd < 0)
		return;
	close(c->go_fd);
	close(c->error_fd);
	c->go_fd = c->error_fd = -1;
	child_reap(c, true);
}

bool child_reap(struct child *c, bool block)
{
	while (!c->ended) {
		pid_t got = waitpid(c->pid, &c->status, block ? 0 : WNOHANG);
		if (got == 0)
			return false;
		if (got < 0 && errno == EINTR)
			continue;
		c->ended = true;
	}
	return true;
}

int child_exit_code(const struct child *c)
{
	return WIFEXITED(c->status) ? WEXITSTATUS(c->status) : 128 + WTERMSIG(c->status);
}
