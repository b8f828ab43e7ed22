/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SERVERS_MAX 128
#define ARRIVES_MS 1000

const uint16_t world_ports[] = { 53, 80, 443, 7000, 7001, 0 };
struct client world_clients[CLIENTS] = {
	[CLIENT_PLAIN] = { .cgroup = "plain" },     /* no workload */
	[CLIENT_POD] = { .cgroup = "pod" },
	[CLIENT_DEEP] = { .cgroup = "pod/a/b" },    /* the same workload */
	[CLIENT_EXEMPT] = { .cgroup = "exempt/a" },
	[CLIENT_OWN] = { .cgroup = "own/a" },
};

static struct server {
	struct dial_target at;
	int fd, type;
} servers[SERVERS_MAX];
static unsigned nservers;
static int epfd;

struct request {
	uint32_t kind;
	struct dial_target to;
};

void world_broken(const char *what)
{
	fprintf(stderr, "explain_property: %s: %s\n", what, strerror(errno));
	exit(1);
}

struct addr16 world_host(bool six, unsigned i)
{
	struct addr16 v4 = { .b = { [10] = 0xff, [11] = 0xff, 127, 0, 0, (uint8_t)(11 + i) } };
	struct addr16 v6 = { .b = { 0xfd, 0, 0, 1, [15] = (uint8_t)(0x11 + i) } };

	return six ? v6 : v4;
}

static bool is_v4(const struct addr16 *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };

	return !memcmp(a->b, mapped, sizeof(mapped));
}

static socklen_t sockaddr_of(const struct dial_target *t, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (void *)out;
	struct sockaddr_in6 *v6 = (void *)out;

	memset(out, 0, sizeof(*out));
	if (is_v4(&t->addr)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(t->port);
		memcpy(&v4->sin_addr, t->addr.b + 12, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(t->port);
	memcpy(&v6->sin6_addr, t->addr.b, 16);
	return sizeof(*v6);
}

static struct dial_target target_of(const struct sockaddr_storage *in)
{
	const struct sockaddr_in *v4 = (const void *)in;
	const struct sockaddr_in6 *v6 = (const void *)in;
	struct dial_target t = { .addr = { .b = { [10] = 0xff, [11] = 0xff } } };

	if (in->ss_family == AF_INET) {
		memcpy(t.addr.b + 12, &v4->sin_addr, 4);
		t.port = ntohs(v4->sin_port);
	} else {
		memcpy(t.addr.b, &v6->sin6_addr, 16);
		t.port = ntohs(v6->sin6_port);
	}
	return t;
}

/* ---- servers ------------------------------------------------------------------------------------------------ */

static void listen_at(struct addr16 addr, uint16_t port, int type)
{
	struct server *s = &servers[nservers];
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = nservers };
	struct sockaddr_storage sa;
	int one = 1;

	*s = (struct server){ .at = { addr, port }, .type = type };
	socklen_t n = sockaddr_of(&s->at, &sa);

	s->fd = socket(sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) || bind(s->fd, (void *)&sa, n) ||
	    (type == SOCK_STREAM && listen(s->fd, 64)) || epoll_ctl(epfd, EPOLL_CTL_ADD, s->fd, &ev))
		world_broken("server");
	if (++nservers == SERVERS_MAX)
		world_broken("too many servers");
}

static void open_servers(void)
{
	struct addr16 four = { .b = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 } }, six = { .b = { [15] = 1 } };

	epfd = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < WORLD_HOSTS; i++)
		for (unsigned p = 0; world_ports[p]; p++)
			for (unsigned k = 0; k < 4; k++)
				listen_at(world_host(k & 1, i), world_ports[p], k & 2 ? SOCK_DGRAM : SOCK_STREAM);
	listen_at(four, WORLD_PROXY_PORT, SOCK_STREAM);
	listen_at(six, WORLD_PROXY_PORT, SOCK_STREAM);
}

/* Source port of what waits at a server; 0 = nothing. */
static uint16_t take(const struct server *s)
{
	struct sockaddr_storage from = { 0 };
	socklen_t n = sizeof(from);
	char byte;

	if (s->type == SOCK_DGRAM)
		return recvfrom(s->fd, &byte, 1, 0, (void *)&from, &n) < 0 ? 0 : target_of(&from).port;
	int fd = accept4(s->fd, (void *)&from, &n, SOCK_CLOEXEC);

	if (fd < 0)
		return 0;
	close(fd);
	return target_of(&from).port;
}

static bool arrived(uint16_t from_port, struct dial_target *where)
{
	struct epoll_event ev;

	while (epoll_wait(epfd, &ev, 1, ARRIVES_MS) == 1) {
		const struct server *s = &servers[ev.data.u32];

		if (take(s) != from_port)
			continue;
		*where = s->at;
		return true;
	}
	return false;
}

/* ---- dialers ------------------------------------------------------------------------------------------------ */

static void name_peer(int fd, struct dial_result *r)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);

	if (!getpeername(fd, (void *)&sa, &n))
		r->peer = target_of(&sa);
}

static int dial(const struct request *q, struct dial_result *r)
{
	static const struct linger reset = { 1, 0 };
	struct sockaddr_storage sa;
	socklen_t n = sockaddr_of(&q->to, &sa);
	int fd = socket(sa.ss_family, (q->kind == DIAL_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	bool failed = q->kind == DIAL_SENDTO ? sendto(fd, "?", 1, 0, (void *)&sa, n) < 0 : connect(fd, (void *)&sa, n);

	*r = (struct dial_result){ .err = failed ? -errno : 0 };
	if (failed)
		return fd;
	if (q->kind == DIAL_TCP)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (q->kind != DIAL_SENDTO)
		name_peer(fd, r);
	if (q->kind == DIAL_UDP && send(fd, "?", 1, 0) != 1)
		r->err = -errno;
	n = sizeof(sa);
	if (!getsockname(fd, (void *)&sa, &n))
		r->local_port = target_of(&sa).port;
	return fd;
}

/* Each socket stays open until the next one: least-request has something to count. */
static _Noreturn void dialer(int channel)
{
	struct dial_result r;
	struct request q;
	int last = -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (recv(channel, &q, sizeof(q), 0) == sizeof(q)) {
		int fd = dial(&q, &r);

		if (last >= 0)
			close(last);
		last = fd;
		if (send(channel, &r, sizeof(r), 0) != sizeof(r))
			break;
	}
	_exit(0);
}

static void write_pid(const char *cgroup)
{
	char path[1100];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	f = fopen(path, "we");
	if (!f || fprintf(f, "%d", getpid()) < 0 || fclose(f))
		world_broken(path);
}

/* Makes root/a/b/c and notes the ids of a, b and c. */
static void make_cgroup(struct client *c, const char *root, const char *path)
{
	unsigned level = 0;
	char part[1024];
	struct stat st;

	for (const char *p = path + strlen(root) + 1; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
		snprintf(part, sizeof(part), "%.*s", (int)(strcspn(p, "/") + (size_t)(p - path)), path);
		if ((mkdir(part, 0755) && errno != EEXIST) || stat(part, &st) || level == CGROUP_LEVELS)
			world_broken(part);
		c->lineage[level++] = st.st_ino;
	}
}

static void start_dialer(struct client *c, const char *root, const char *captured)
{
	char path[1024];
	int pair[2];

	snprintf(path, sizeof(path), "%s/%s", captured, c->cgroup);
	make_cgroup(c, root, path);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		world_broken("socketpair");
	pid_t pid = fork();

	if (pid < 0)
		world_broken("fork");
	if (!pid) {
		close(pair[0]);
		write_pid(path);
		dialer(pair[1]);
	}
	close(pair[1]);
	c->channel = pair[0];
}

void world_enter(const char *root, const char *captured)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		start_dialer(&world_clients[i], root, captured);
	open_servers();
}

struct dial_result world_dial(unsigned client, enum dial_kind kind, struct dial_target to, struct dial_target *where)
{
	const struct client *c = &world_clients[client];
	struct request q = { .kind = kind, .to = to };
	struct dial_result r;

	memset(where, 0, sizeof(*where));
	if (send(c->channel, &q, sizeof(q), 0) != sizeof(q) || recv(c->channel, &r, sizeof(r), 0) != sizeof(r))
		world_broken("dialer");
	if (!r.err && !arrived(r.local_port, where))
		fprintf(stderr, "explain_property: a connection arrived nowhere\n");
	return r;
}
