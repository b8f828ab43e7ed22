// SPDX-License-Identifier: Apache-2.0
#include "pod.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct order {
	int family, protocol;
};

int pod_parse(struct pod *p, const char *text)
{
	char copy[512], *at = copy;
	const struct {
		char *to;
		size_t room;
	} part[] = {{p->name, sizeof(p->name)},
		    {p->netns, sizeof(p->netns)},
		    {p->cgroup, sizeof(p->cgroup)},
		    {p->v4, sizeof(p->v4)},
		    {p->v6, sizeof(p->v6)}};

	memset(p, 0, sizeof(*p));
	p->ask = -1;
	snprintf(copy, sizeof(copy), "%s", text);
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		char *word = strsep(&at, ",");

		if (!word || (size_t)snprintf(part[i].to, part[i].room, "%s", word) >= part[i].room)
			return -EINVAL;
	}
	return 0;
}

int pod_enter(const struct pod *p)
{
	char path[300], pid[16];
	int fd, n = snprintf(pid, sizeof(pid), "%d", getpid()), err = 0;

	if (p->cgroup[0]) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", p->cgroup);
		if ((fd = open(path, O_WRONLY | O_CLOEXEC)) < 0)
			return -errno;
		err = write(fd, pid, n) == n ? 0 : -errno;
		close(fd);
	}
	if (err || !p->netns[0])
		return err;
	if ((fd = open(p->netns, O_RDONLY | O_CLOEXEC)) < 0)
		return -errno;
	err = setns(fd, CLONE_NEWNET) ? -errno : 0;
	close(fd);
	return err;
}

static int fd_send(int to, int fd, int err)
{
	char room[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = &err, .iov_len = sizeof(err)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *c;

		m.msg_control = room;
		m.msg_controllen = sizeof(room);
		c = CMSG_FIRSTHDR(&m);
		*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
				      .cmsg_level = SOL_SOCKET,
				      .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(to, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void lend(const struct pod *p, int from)
{
	struct order o;
	int err = pod_enter(p), fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (recv(from, &o, sizeof(o), 0) == sizeof(o)) {
		fd = err ? -1
			 : socket(o.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, o.protocol);
		if (fd_send(from, fd, err ? err : fd < 0 ? -errno : 0))
			break;
		if (fd >= 0)
			close(fd);
	}
	_exit(0);
}

int pod_start(struct pod *p)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	p->pid = fork();
	if (!p->pid) {
		close(pair[0]);
		lend(p, pair[1]);
	}
	close(pair[1]);
	p->ask = pair[0];
	return p->pid < 0 ? -EAGAIN : 0;
}

void pod_stop(struct pod *p)
{
	if (p->ask < 0)
		return;
	close(p->ask);
	p->ask = -1;
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
}

int pod_socket(struct pod *p, int family, int protocol)
{
	struct order o = {.family = family, .protocol = protocol};
	char room[CMSG_SPACE(sizeof(int))] = {0};
	int err = -EPROTO, fd = -1;
	struct iovec iov = {.iov_base = &err, .iov_len = sizeof(err)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = room,
			   .msg_controllen = sizeof(room)};
	struct cmsghdr *c;

	if (send(p->ask, &o, sizeof(o), MSG_NOSIGNAL) != sizeof(o) ||
	    recvmsg(p->ask, &m, MSG_CMSG_CLOEXEC) != sizeof(err))
		return -EPIPE;
	if ((c = CMSG_FIRSTHDR(&m)) && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return err ? err : fd;
}

socklen_t address_parse(union address *a, const char *text, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
		a->v4.sin_family = AF_INET;
		a->v4.sin_port = htons(port);
		return sizeof(a->v4);
	}
	if (inet_pton(AF_INET6, text, &a->v6.sin6_addr) == 1) {
		a->v6.sin6_family = AF_INET6;
		a->v6.sin6_port = htons(port);
		return sizeof(a->v6);
	}
	return 0;
}

uint16_t address_port(const union address *a)
{
	return ntohs(a->sa.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}
