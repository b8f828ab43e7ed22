// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"

#define die(...)                                                                                                       \
	do {                                                                                                           \
		fprintf(stderr, "rig: " __VA_ARGS__);                                                                  \
		fprintf(stderr, ": %s\n", strerror(errno));                                                            \
		exit(1);                                                                                               \
	} while (0)
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static char root[128], own[PATH_MAX / 2];
static int tcp[2][SERVERS], udp[2][SERVERS];

static bool cgroup2_root(void)
{
	char line[512], dir[128], type[32];
	FILE *f = fopen("/proc/mounts", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %127s %31s", dir, type) == 2 && !strcmp(type, "cgroup2"))
			snprintf(root, sizeof(root), "%s", dir);
	if (f)
		fclose(f);
	return root[0];
}

bool world_possible(const char **why)
{
	*why = geteuid() ? "not root" : !cgroup2_root() ? "no cgroup2 is mounted" : NULL;
	return !*why;
}

uint64_t cgroup_make(const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	for (const char *p = name; p; p = strchr(p + 1, '/')) {
		size_t len = p == name ? 0 : (size_t)(p - name);

		snprintf(path, sizeof(path), "%s/%.*s", own, (int)len, name);
		if (mkdir(path, 0755) && errno != EEXIST)
			die("mkdir %s", path);
	}
	snprintf(path, sizeof(path), "%s/%s", own, name);
	if (mkdir(path, 0755) && errno != EEXIST)
		die("mkdir %s", path);
	if (stat(path, &st))
		die("stat %s", path);
	return st.st_ino;
}

static void enter(const char *dir, const char *name)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/cgroup.procs", dir, name);
	f = fopen(path, "we");
	if (!f || fprintf(f, "%d", getpid()) < 0 || fclose(f))
		die("%s", path);
}

void cgroup_enter(const char *name)
{
	enter(own, name);
}

const char *world_cgroup(void)
{
	return own;
}

uint64_t world_netns(void)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		die("SO_NETNS_COOKIE");
	close(fd);
	return cookie;
}

/* An IPv6 address that was just added is tentative until a kernel worker has looked at it, even on the loopback. */
static int bind_soon(int fd, const struct sockaddr_storage *sa, socklen_t len)
{
	for (int ms = 0; ms < 5000; ms++) {
		if (!bind(fd, (void *)sa, len))
			return 0;
		if (errno != EADDRNOTAVAIL)
			return -1;
		poll(NULL, 0, 1);
	}
	return -1;
}

static int serve(const char *addr, int type)
{
	struct sockaddr_storage sa;
	socklen_t len = sa_make(&sa, addr, SERVER_PORT);
	int one = 1, fd = socket(sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind_soon(fd, &sa, len) || (type == SOCK_STREAM && listen(fd, 4096)))
		die("serve %s", addr);
	return fd;
}

void world_enter(void)
{
	char cmd[256], addr[64];

	if (unshare(CLONE_NEWNET) || system("ip link set lo up"))
		die("network namespace");
	for (int i = 0; i < SERVERS; i++) {
		snprintf(cmd, sizeof(cmd), "ip -6 addr add fd00:1::%d/128 dev lo", 10 + i);
		if (system(cmd))
			die("%s", cmd);
		snprintf(addr, sizeof(addr), "127.0.0.%d", 10 + i);
		tcp[0][i] = serve(addr, SOCK_STREAM);
		udp[0][i] = serve(addr, SOCK_DGRAM);
		snprintf(addr, sizeof(addr), "fd00:1::%d", 10 + i);
		tcp[1][i] = serve(addr, SOCK_STREAM);
		udp[1][i] = serve(addr, SOCK_DGRAM);
	}
	snprintf(own, sizeof(own), "%s/wco-%d", root, getpid());
	/* One of this name was left by a process that was killed. */
	if (mkdir(own, 0755) && errno != EEXIST)
		die("mkdir %s", own);
	enter(own, "");
}

/* The files of a cgroup go with it. */
static int remove_dir(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_DP && rmdir(path) ? -1 : 0;
}

void world_leave(void)
{
	enter(root, "");
	if (nftw(own, remove_dir, 16, FTW_DEPTH | FTW_PHYS))
		fprintf(stderr, "rig: %s is left behind: %s\n", own, strerror(errno));
}

socklen_t sa_make(struct sockaddr_storage *sa, const char *addr, int port)
{
	struct sockaddr_in *in = (void *)sa;
	struct sockaddr_in6 *in6 = (void *)sa;

	memset(sa, 0, sizeof(*sa));
	if (inet_pton(AF_INET, addr, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		return sizeof(*in);
	}
	if (inet_pton(AF_INET6, addr, &in6->sin6_addr) != 1)
		die("address %s", addr);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	return sizeof(*in6);
}

int sock(const char *addr, int type)
{
	struct sockaddr_storage sa;

	sa_make(&sa, addr, 0);
	return socket(sa.ss_family, type | SOCK_CLOEXEC, 0);
}

int dial_on(int fd, const char *addr, int port)
{
	struct sockaddr_storage sa;
	socklen_t len = sa_make(&sa, addr, port);

	return connect(fd, (void *)&sa, len) ? -errno : 0;
}

int dial(const char *addr, int port, int type)
{
	int fd = sock(addr, type), err = dial_on(fd, addr, port);

	if (!err)
		return fd;
	close(fd);
	return err;
}

/* The index of a server with something to read within a second; -1 = none. */
static int ready(const int *fds)
{
	struct pollfd p[SERVERS];

	for (int i = 0; i < SERVERS; i++)
		p[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	if (poll(p, SERVERS, 1000) <= 0)
		return -1;
	for (int i = 0; i < SERVERS; i++)
		if (p[i].revents)
			return i;
	return -1;
}

int accepted(bool six)
{
	int i = ready(tcp[six]);

	if (i >= 0)
		close(accept(tcp[six][i], NULL, NULL));
	return i;
}

static bool is_six(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	getsockname(fd, (void *)&sa, &len);
	return sa.ss_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&((struct sockaddr_in6 *)&sa)->sin6_addr);
}

int ask_udp(int fd, const char *addr, int port)
{
	struct sockaddr_storage sa;
	socklen_t len = addr ? sa_make(&sa, addr, port) : 0;
	bool six = addr ? strchr(addr, ':') && !strstr(addr, "::ffff:") : is_six(fd);
	char byte = 'q';
	int i;

	if (sendto(fd, &byte, 1, 0, addr ? (void *)&sa : NULL, len) != 1)
		return -errno;
	i = ready(udp[six]);
	if (i < 0)
		return -ETIMEDOUT;
	len = sizeof(sa);
	if (recvfrom(udp[six][i], &byte, 1, 0, (void *)&sa, &len) != 1 ||
	    sendto(udp[six][i], &byte, 1, 0, (void *)&sa, len) != 1)
		return -errno;
	return i;
}

static const char *text(const struct sockaddr_storage *sa)
{
	static char out[2][80], addr[64];
	static int turn;
	const struct sockaddr_in *in = (void *)sa;
	const struct sockaddr_in6 *in6 = (void *)sa;
	bool six = sa->ss_family == AF_INET6;

	turn = !turn;
	inet_ntop(sa->ss_family, six ? (void *)&in6->sin6_addr : (void *)&in->sin_addr, addr, sizeof(addr));
	snprintf(out[turn], sizeof(out[0]), "%s %d", addr, ntohs(six ? in6->sin6_port : in->sin_port));
	return out[turn];
}

const char *from_of(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char byte;

	if (poll(&p, 1, 1000) != 1 || recvfrom(fd, &byte, 1, 0, (void *)&sa, &len) != 1)
		return "nothing";
	return text(&sa);
}

const char *peer_of(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	return getpeername(fd, (void *)&sa, &len) ? strerror(errno) : text(&sa);
}
