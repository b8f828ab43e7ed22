/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Everything else answers EPERM: a library that tries something new gets an error, not a dead proxy. */
static const int allowed[] = {
	/* bytes and events */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(recvfrom), SCMP_SYS(sendto),
	SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(recvmmsg), SCMP_SYS(sendmmsg), SCMP_SYS(splice), SCMP_SYS(pipe2),
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
	SCMP_SYS(eventfd2), SCMP_SYS(poll), SCMP_SYS(ppoll),
	/* sockets; descriptors of other namespaces are handed over by the agent */
	SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(connect), SCMP_SYS(accept4),
	SCMP_SYS(shutdown), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(close), SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(ioctl),
	/* memory and threads */
	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(brk),
	SCMP_SYS(futex), SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity),
	SCMP_SYS(getcpu), SCMP_SYS(membarrier), SCMP_SYS(restart_syscall),
	/* time, signals, identity of its own */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(tgkill),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getrandom), SCMP_SYS(getrusage),
	/* files it was told of: certificates, logs */
	SCMP_SYS(openat), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(lseek), SCMP_SYS(pread64),
};

/* A build with AddressSanitizer, and no other, looks for leaks at its end: by a process beside it that traces it. */
#ifdef __SANITIZE_ADDRESS__
static const int allowed_for_leaks[] = {
	SCMP_SYS(ptrace), SCMP_SYS(wait4), SCMP_SYS(prctl), SCMP_SYS(getppid), SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(open),
	SCMP_SYS(getdents), SCMP_SYS(getdents64), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(stat), SCMP_SYS(lstat),
};
#else
static const int allowed_for_leaks[0];
#endif

static int allow(scmp_filter_ctx f, const int *calls, size_t n)
{
	int err = 0;

	for (size_t i = 0; !err && i < n; i++)
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
	return err;
}

static int filter_calls(struct err *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err = f ? allow(f, allowed, sizeof(allowed) / sizeof(allowed[0])) : -ENOMEM;

	if (!err)
		err = allow(f, allowed_for_leaks, sizeof(allowed_for_leaks) / sizeof(int));
	if (!err)
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	if (!err)
		err = seccomp_load(f);
	if (f)
		seccomp_release(f);
	return err ? err_errno(e, err, "system call filter") : 0;
}

static int become_nobody(struct err *e)
{
	const struct passwd *pw = getpwnam("weft");

	if (!pw)
		pw = getpwnam("nobody");
	if (!pw)
		return err_add(e, -ENOENT, "neither user weft nor user nobody exists");
	if (setgroups(0, NULL) || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid))
		return err_errno(e, -errno, "becoming user %s", pw->pw_name);
	return 0;
}

static int drop_capabilities(struct err *e)
{
	cap_t none = cap_init();
	int err = none && !cap_set_proc(none) ? 0 : -errno;

	if (none)
		cap_free(none);
	return err ? err_errno(e, err, "dropping capabilities") : 0;
}

int sandbox_enter(struct err *e)
{
	int err = geteuid() == 0 ? become_nobody(e) : 0;

	if (!err)
		err = drop_capabilities(e);
	if (!err && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		err = err_errno(e, -errno, "no_new_privs");
	return err ? err : filter_calls(e);
}
