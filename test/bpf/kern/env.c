/* SPDX-License-Identifier: Apache-2.0 */
#include "env.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kern/cgroup.h"
#include "kern/detach.h"
#include "kern/features.h"

static struct env the_env;

struct env *env(void)
{
	return &the_env;
}

static void give_up(const char *why)
{
	printf("skipped: %s\n", why);
	fflush(stdout);
	_exit(77);
}

static void enter(const char *cgroup)
{
	char path[700];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0 && write(fd, "0", 1) == 1);
	close(fd);
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(s, SIOCSIFFLAGS, &ifr), 0);
	close(s);
}

static void dflt_conf(struct env *v)
{
	v->conf = (struct kern_conf){
		.mode = KERN_AUTO, .cgroup = v->cgroup, .bpffs = v->dir, .connect = true, .unmanaged_ok = true,
		.maps = { .frontends = 1024, .services = 1024, .backends = 4096, .slots = 65536, .sockets = 4096,
			  .affinity = 1024, .workloads = 256 },
	};
}

int env_setup(void **state)
{
	struct env *v = &the_env;
	const char *id = getenv("WEFT_TEST_ID");
	struct features f;
	struct err e = { 0 };
	char pid[16];

	(void)state;
	if (geteuid())
		give_up("needs root");
	if (cgroup_root(v->root, &e))
		give_up(err_text(&e));
	features_probe(&f);
	if (features_missing(&f, FEATURES_SHORT_CIRCUIT))
		give_up(features_missing(&f, FEATURES_SHORT_CIRCUIT)->name);
	if (unshare(CLONE_NEWNS | CLONE_NEWNET))
		give_up("namespaces are denied");
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	strcpy(v->dir, "/tmp/weft-test-XXXXXX");
	assert_non_null(mkdtemp(v->dir));
	assert_int_equal(mount("bpf", v->dir, "bpf", 0, "mode=0700"), 0);
	loopback_up();
	assert_int_equal(cgroup_of_self(v->root, v->home), 0);
	/* The name by which the runner finds and removes what a killed test leaves. */
	snprintf(pid, sizeof(pid), "%d", getpid());
	snprintf(v->cgroup, sizeof(v->cgroup), "%.511s/weft-test-%.60s", v->root, id ? id : pid);
	assert_int_equal(mkdir(v->cgroup, 0755), 0);
	enter(v->cgroup);
	signal(SIGPIPE, SIG_IGN);
	kit_init(&v->kit);
	dflt_conf(v);
	return 0;
}

/* Ends what still runs there, and returns when the cgroup is empty. */
static void empty_cgroup(const char *cgroup)
{
	char path[700], text[128];
	int fd;

	snprintf(path, sizeof(path), "%.600s/cgroup.kill", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0 && write(fd, "1", 1) == 1);
	close(fd);
	snprintf(path, sizeof(path), "%.600s/cgroup.events", cgroup);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLPRI };
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

		text[n > 0 ? n : 0] = '\0';
		if (!strstr(text, "populated 1") || poll(&p, 1, 5000) <= 0)
			break;
	}
	close(fd);
}

int env_teardown(void **state)
{
	struct env *v = &the_env;

	(void)state;
	kit_fini(&v->kit);
	enter(v->home);
	empty_cgroup(v->cgroup);
	assert_int_equal(rmdir(v->cgroup), 0);
	umount2(v->dir, MNT_DETACH);
	rmdir(v->dir);
	return 0;
}

int env_clean(void **state)
{
	struct env *v = &the_env;
	struct detach_report r;

	(void)state;
	env_close();
	v->conf.abi = 0;
	detach_run(&v->conf, 2000, &r, NULL);
	kit_fini(&v->kit);
	kit_init(&v->kit);
	dflt_conf(v);
	return 0;
}

void env_open(void)
{
	struct err e = { 0 };

	if (kern_open(&the_env.kern, NULL, &the_env.conf, &e))
		fail_msg("kern_open: %s", err_text(&e));
}

void env_close(void)
{
	kern_close(the_env.kern);
	the_env.kern = NULL;
}

void env_sync(void)
{
	struct env *v = &the_env;
	struct err e = { 0 };
	struct kern_status s;
	struct diff d;

	assert_true(kit_commit(&v->kit));
	diff_init(&d, v->kit.prev, v->kit.snap);
	if (kern_sync(v->kern, v->kit.snap, &d, &e))
		fail_msg("kern_sync: %s", err_text(&e));
	diff_fini(&d);
	kern_status(v->kern, &s);
	assert_int_equal(s.snapshot, snapshot_number(v->kit.snap));
}

void env_judge(void)
{
	struct kern_verdict ok = { .usable = true, .splice_safe = true, .leave_map = true, .credit = CREDIT_MSG_TOT_LEN };

	assert_int_equal(kern_judge(the_env.kern, &ok, NULL), 0);
}

uint64_t env_stat(const char *name)
{
	const _Atomic uint64_t *w = (const void *)kern_stats(the_env.kern);

	for (size_t i = 0; i < kern_stat_desc.n; i++)
		if (!strcmp(kern_stat_desc.rows[i].name, name))
			return stat_get(&w[i]);
	fail_msg("no counter %s", name);
	return 0;
}

/* ---- traffic ----------------------------------------------------------------------------------------------- */

static socklen_t address(const char *ip, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (void *)out;
	struct sockaddr_in6 *v6 = (void *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof(*v4);
	}
	assert_int_equal(inet_pton(AF_INET6, ip, &v6->sin6_addr), 1);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	return sizeof(*v6);
}

int env_listen(const char *ip, uint16_t port)
{
	struct sockaddr_storage a;
	socklen_t n = address(ip, port, &a);
	int s = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	assert_true(s >= 0);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(s, (void *)&a, n), 0);
	assert_int_equal(listen(s, 256), 0);
	return s;
}

int env_dial(const char *ip, uint16_t port)
{
	struct sockaddr_storage a;
	socklen_t n = address(ip, port, &a);
	int s = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval t = { .tv_sec = 60 };

	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
	if (!connect(s, (void *)&a, n))
		return s;
	int err = -errno;

	close(s);
	return err;
}

int env_ask(const char *ip, uint16_t port)
{
	int s = env_dial(ip, port);
	unsigned char c;

	if (s < 0)
		return s;
	ssize_t n = read(s, &c, 1);

	close(s);
	return n == 1 ? c : -EPIPE;
}

static void serve_one(int s, char greeting)
{
	char buf[65536];
	ssize_t n;

	if (write(s, &greeting, 1) != 1)
		_exit(0);
	while ((n = read(s, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < n;) {
			ssize_t w = write(s, buf + at, (size_t)(n - at));

			if (w <= 0)
				_exit(0);
			at += w;
		}
	_exit(0);
}

pid_t env_serve(const char *ip, uint16_t port, char greeting)
{
	int s = env_listen(ip, port);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid) {
		close(s);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	assert_true(s < 60 && dup2(s, 60) == 60);
	s = 60;
	close_range(3, 59, 0);                          /* what the agent holds */
	close_range(61, ~0u, 0);
	for (;;) {
		int c = accept4(s, NULL, NULL, SOCK_CLOEXEC);

		if (c >= 0 && !fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve_one(c, greeting);
		}
		if (c >= 0)
			close(c);
	}
}

void env_reap(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
