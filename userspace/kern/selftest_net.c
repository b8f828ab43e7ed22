// SPDX-License-Identifier: Apache-2.0
/* Connections of the self-test: both ends in one process, non-blocking, every byte of every stream predictable. */
#include "kern/selftest_priv.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif
#define PATIENCE_MS 2000

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t loopback(union address *a, int family)
{
	memset(a, 0, sizeof(*a));
	a->sa.sa_family = family;
	if (family == AF_INET6) {
		a->v6.sin6_addr = in6addr_loopback;
		return sizeof(a->v6);
	}
	a->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sizeof(a->v4);
}

static int listen_on(union address *a, socklen_t len, bool defer)
{
	int s = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), seconds = 5;

	if (s < 0)
		return -errno;
	if (defer)
		setsockopt(s, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
	if (bind(s, &a->sa, len) || listen(s, 8) || getsockname(s, &a->sa, &len)) {
		int err = -errno;

		close(s);
		return err;
	}
	return s;
}

/* As the connect program leaves it of a client that dialled a service and is sent to a. */
static int dialled(const struct duo *d, const union address *a, const struct duo_opts *o)
{
	struct flow f = {.peer[0] = *o->dialled};
	struct origin *to = &f.peer[0];

	if (a->sa.sa_family == AF_INET6) {
		memcpy(to->backend_addr.b, &a->v6.sin6_addr, 16);
		to->backend_port = a->v6.sin6_port;
	} else {
		to->backend_addr.w[2] = htonl(0xffff);
		to->backend_addr.w[3] = a->v4.sin_addr.s_addr;
		to->backend_port = a->v4.sin_port;
	}
	return bpf_map_update_elem(o->flow_map, &d->client, &f, BPF_ANY) ? -errno : 0;
}

static int dial(struct duo *d, const union address *a, socklen_t len, const struct duo_opts *o)
{
	socklen_t n = sizeof(d->cookie);
	int one = 1, mark = (int)SELFTEST_MARK, err;

	d->client = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (d->client < 0)
		return -errno;
	setsockopt(d->client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(d->client, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	if (o->dialled && (err = dialled(d, a, o)))
		return err;
	do
		err = connect(d->client, &a->sa, len) ? -errno : 0;
	while (err == -EINTR);
	if (err)
		return err;
	fcntl(d->client, F_SETFL, O_NONBLOCK);
	return getsockopt(d->client, SOL_SOCKET, SO_COOKIE, &d->cookie, &n) ? -errno : 0;
}

int duo_open(struct duo *d, const struct duo_opts *o)
{
	union address a;
	socklen_t len = loopback(&a, o->family ? o->family : AF_INET);
	int err;

	*d = (struct duo){.listener = -1, .client = -1, .server = -1};
	d->listener = listen_on(&a, len, o->defer);
	if (d->listener < 0)
		return d->listener;
	if (!(err = dial(d, &a, len, o)) && !o->early && !o->defer)
		err = duo_accept(d);
	if (err)
		duo_close(d);
	return err;
}

int duo_accept(struct duo *d)
{
	int one = 1;

	if (!readable(d->listener, PATIENCE_MS))
		return -ETIMEDOUT;
	d->server = accept4(d->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (d->server < 0)
		return -errno;
	setsockopt(d->server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return 0;
}

void duo_close(struct duo *d)
{
	int *fd[] = {&d->client, &d->server, &d->listener};

	for (int i = 0; i < 3; i++)
		if (*fd[i] >= 0) {
			close(*fd[i]);
			*fd[i] = -1;
		}
}

int duo_pair(const struct kit *k, const struct duo *d, struct pair *p)
{
	return bpf_map_lookup_elem(k->map[KIT_PAIR], &d->cookie, p) ? -ENOENT : 0;
}

static uint8_t stream_byte(uint64_t off)
{
	return (off * 0x9e3779b97f4a7c15ull) >> 56;
}

void stream_fill(uint8_t *buf, size_t n, uint64_t off)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = stream_byte(off + i);
}

size_t stream_check(const uint8_t *buf, size_t n, uint64_t off)
{
	for (size_t i = 0; i < n; i++)
		if (buf[i] != stream_byte(off + i))
			return i;
	return n;
}

bool readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) > 0;
}

int stream_write(int fd, size_t n, uint64_t *off)
{
	static uint8_t buf[65536];

	while (n) {
		size_t part = n < sizeof(buf) ? n : sizeof(buf);
		ssize_t w;

		stream_fill(buf, part, *off);
		w = send(fd, buf, part, MSG_NOSIGNAL);
		if (w < 0 && errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = POLLOUT};

			if (poll(&p, 1, PATIENCE_MS) <= 0)
				return -ETIMEDOUT;
			continue;
		}
		if (w < 0)
			return -errno;
		*off += w;
		n -= w;
	}
	return 0;
}

int stream_read(int fd, size_t n, uint64_t *off)
{
	static uint8_t buf[65536];

	while (n) {
		ssize_t r = recv(fd, buf, n < sizeof(buf) ? n : sizeof(buf), 0);

		if (r < 0 && errno == EAGAIN) {
			if (!readable(fd, PATIENCE_MS))
				return -ETIMEDOUT;
			continue;
		}
		if (r < 0)
			return -errno;
		if (!r)
			return -ENODATA;
		if (stream_check(buf, r, *off) != (size_t)r)
			return -EILSEQ;
		*off += r;
		n -= r;
	}
	return 0;
}
