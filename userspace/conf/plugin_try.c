// SPDX-License-Identifier: Apache-2.0
/* Constructors run before anything can be asked, and pointers of a foreign struct may lead anywhere: so a child goes first. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/plugin.h"

/* What the child says, in memory of both: a crash loses nothing of it. */
struct trial {
	volatile uint32_t phase;                /* enum plugin_phase */
	volatile uint32_t over;                 /* it has looked at all; refused if words are there */
	int code;
	struct err words;
};

static const char *const phase_words[] = {
	[PLUGIN_LOADING] = "while it was loaded",
	[PLUGIN_LOOKING] = "while its extensions were looked at",
	[PLUGIN_ROWS] = "while its settings were tried",
	[PLUGIN_FINE] = "while it was loaded",
};

/* Its own group, so that what it starts ends with it; signals as they come, whatever this process does about them. */
static _Noreturn void child(struct trial *t, const char *path)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGALRM, SIGTERM, SIGPIPE };
	const struct weft_plugin *what;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setpgid(0, 0);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		signal(fatal[i], SIG_DFL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	for (int fd = 0; fd <= 2 && null >= 0; fd++)
		dup2(null, fd);
	t->code = plugin_open(path, &what, &t->phase, &t->words);
	t->over = 1;
	_exit(0);
}

/* The child may have written anything. */
static const char *phase_of(const struct trial *t)
{
	uint32_t phase = t->phase;

	return phase_words[phase <= PLUGIN_FINE ? phase : PLUGIN_LOADING];
}

static int say_end(const struct trial *t, int status, struct err *e)
{
	if (WIFSIGNALED(status))
		return err_add(e, -EFAULT, "it crashed %s: signal %d (%s)", phase_of(t), WTERMSIG(status), strsignal(WTERMSIG(status)));
	return err_add(e, -EFAULT, "it ended the process %s: exit code %d", phase_of(t), WEXITSTATUS(status));
}

/* Until it has ended, by itself or by us; what it left behind ends with it. 0: it is late. */
static int wait_for(pid_t pid, int *status)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0), n;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	do {
		n = fd < 0 ? -1 : poll(&p, 1, PLUGIN_TRY_MS);
	} while (n < 0 && fd >= 0 && errno == EINTR);
	if (fd >= 0)
		close(fd);
	kill(pid, SIGKILL);
	kill(-pid, SIGKILL);
	waitpid(pid, status, 0);
	return n;
}

static int judge(const struct trial *t, pid_t pid, struct err *e)
{
	int status = 0, n = wait_for(pid, &status);

	if (n < 0)
		return err_add(e, -ENOTSUP, "cannot be tried: no pidfd");
	if (n == 0)
		return err_add(e, -ETIMEDOUT, "it did not come back within %d s %s", PLUGIN_TRY_MS / 1000, phase_of(t));
	if (!t->over)
		return say_end(t, status, e);
	if (t->code)
		return err_add(e, -EINVAL, "%.*s", (int)strnlen(t->words.text, sizeof(t->words.text) - 1), t->words.text);
	return 0;
}

int plugin_try(const char *path, struct err *e)
{
	struct trial *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int err;

	if (t == MAP_FAILED)
		return err_errno(e, -errno, "cannot be tried");
	pid = fork();
	if (pid == 0)
		child(t, path);
	err = pid < 0 ? err_errno(e, -errno, "cannot be tried") : judge(t, pid, e);
	munmap(t, sizeof(*t));
	return err;
}
