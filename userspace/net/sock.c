/* SPDX-License-Identifier: Apache-2.0 */
#include "net/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>
#include "kern/sockopt.h"
#include "net/addr.h"

/* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST, whose kernel headers clash with netinet/in.h. */
#define ORIGINAL_DST 80
#define PROBES 9

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) ? -errno : 0;
}

static bool is_v6(int fd)
{
	int family = AF_INET;
	socklen_t n = sizeof(family);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &n);
	return family == AF_INET6;
}

static int set_keepalive(int fd, uint32_t idle_s)
{
	int err = set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);

	if (!err)
		err = set(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)idle_s);
	if (!err)
		err = set(fd, IPPROTO_TCP, TCP_KEEPINTVL, idle_s < 10 ? 1 : (int)(idle_s / 10));
	if (!err)
		err = set(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
	return err;
}

/* A socket of IPv6 that takes IPv4 as well needs both families' word. */
static int set_foreign(int fd, const struct sock_options *o)
{
	bool v6 = is_v6(fd);
	int err = 0;

	if (o->transparent)
		err = set(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
	if (!err && o->transparent && v6)
		err = set(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1);
	if (!err)
		err = set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	if (!err && v6)
		err = set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	return err;
}

int sock_configure(int fd, const struct sock_options *o)
{
	int err = 0;

	if (o->reuse_port)
		err = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!err && (o->transparent || o->free_bind))
		err = set_foreign(fd, o);
	if (!err && o->mark)
		err = set(fd, SOL_SOCKET, SO_MARK, (int)o->mark);
	if (!err && o->nodelay)
		err = set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (!err && o->keepalive_s)
		err = set_keepalive(fd, o->keepalive_s);
	if (!err && o->user_timeout_ms)
		err = set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)o->user_timeout_ms);
	return err;
}

static int open_socket(const struct net_addr *a, int type)
{
	int fd = socket(addr_is_v4(&a->ip) ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

static int bind_to(int fd, const struct net_addr *a)
{
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(a, &ss);

	return bind(fd, (struct sockaddr *)&ss, n) ? -errno : 0;
}

static int open_bound(const struct net_addr *a, const struct sock_options *o, int type)
{
	int fd = open_socket(a, type), err;

	if (fd < 0)
		return fd;
	err = set(fd, SOL_SOCKET, SO_REUSEADDR, type == SOCK_STREAM);
	if (!err && !addr_is_v4(&a->ip))
		err = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, o->v6_only);
	if (!err)
		err = sock_configure(fd, o);
	if (!err)
		err = bind_to(fd, a);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int sock_listen(const struct net_addr *a, const struct sock_options *o, int backlog)
{
	int fd = open_bound(a, o, SOCK_STREAM), err;

	if (fd < 0 || !listen(fd, backlog))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int sock_udp(const struct net_addr *a, const struct sock_options *o)
{
	return open_bound(a, o, SOCK_DGRAM);
}

/* The port of a source address is found at connect(): then only the whole four-tuple has to be free. */
static int bind_source(int fd, const struct net_addr *from)
{
	int err = from->port ? set(fd, SOL_SOCKET, SO_REUSEADDR, 1) : set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);

	return err ? err : bind_to(fd, from);
}

static int begin_connect(int fd, const struct net_addr *to)
{
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(to, &ss);

	return connect(fd, (struct sockaddr *)&ss, n) && errno != EINPROGRESS ? -errno : 0;
}

int sock_connect_by(int fd, const struct net_addr *to, const struct sock_options *o)
{
	int err = sock_configure(fd, o);

	return err ? err : begin_connect(fd, to);
}

int sock_connect(const struct net_addr *to, const struct net_addr *from, const struct sock_options *o)
{
	int fd = open_socket(to, SOCK_STREAM), err;

	if (fd < 0)
		return fd;
	err = sock_configure(fd, o);
	if (!err && from)
		err = bind_source(fd, from);
	if (!err)
		err = begin_connect(fd, to);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int sock_accept(int listen_fd, struct net_addr *from)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t n = sizeof(ss);
	int fd = accept4(listen_fd, (struct sockaddr *)&ss, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	*from = addr_from_sockaddr(&ss);
	return fd;
}

void sock_reset(int take_fd)
{
	struct linger l = { .l_onoff = 1 };

	setsockopt(take_fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(take_fd);
}

static int ask(int fd, int (*get)(int, struct sockaddr *, socklen_t *), struct net_addr *out)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t n = sizeof(ss);

	if (get(fd, (struct sockaddr *)&ss, &n))
		return -errno;
	*out = addr_from_sockaddr(&ss);
	return 0;
}

static int local_name(int fd, struct sockaddr *sa, socklen_t *n)
{
	return getsockname(fd, sa, n);
}

static int remote_name(int fd, struct sockaddr *sa, socklen_t *n)
{
	return getpeername(fd, sa, n);
}

static int original_name(int fd, struct sockaddr *sa, socklen_t *n)
{
	int err = getsockopt(fd, SOL_IP, ORIGINAL_DST, sa, n);

	if (!err || errno == EBADF)
		return err;
	*n = sizeof(struct sockaddr_storage);
	return getsockopt(fd, SOL_IPV6, ORIGINAL_DST, sa, n);
}

int sock_local(int fd, struct net_addr *out)
{
	return ask(fd, local_name, out);
}

int sock_remote(int fd, struct net_addr *out)
{
	return ask(fd, remote_name, out);
}

/* Who sends to himself sends from where he sends to. */
bool sock_is_here(const struct ip *ip)
{
	const struct net_addr to = { *ip, 9 };
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(&to, &ss);
	struct net_addr from;
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool here = fd >= 0 && !connect(fd, (struct sockaddr *)&ss, n) && !sock_local(fd, &from) &&
		    !memcmp(&from.ip, ip, sizeof(*ip));

	if (fd >= 0)
		close(fd);
	return here;
}

int sock_original(int fd, struct net_addr *out)
{
	int err = ask(fd, original_name, out);

	/* No hook and no conntrack answer differently; to the caller it is one thing. */
	return !err || err == -EBADF ? err : -ENOENT;
}

bool sock_paired(int fd)
{
	int paired = WEFT_PAIRED_NO;
	socklen_t n = sizeof(paired);

	return !getsockopt(fd, SOL_WEFT, SO_WEFT_PAIRED, &paired, &n) && paired != WEFT_PAIRED_NO;
}
