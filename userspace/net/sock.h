/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets as the proxy wants them: non-blocking, close-on-exec, with their options. Any thread. 0 or -errno. */
#pragma once
#include "weft/net_filter.h"

struct sock_options {
	bool nodelay;                           /* TCP_NODELAY: every write is a message of its own */
	uint32_t keepalive_s;                   /* first probe after so long; 0: no keepalive. Then every tenth of it, 9 times */
	uint32_t user_timeout_ms;               /* TCP_USER_TIMEOUT: unacknowledged for longer = dead; 0: the kernel's */
	uint32_t mark;                          /* SO_MARK, needs CAP_NET_ADMIN; 0: none */
	bool reuse_port;                        /* SO_REUSEPORT: one socket per worker */
	bool transparent;                       /* IP_TRANSPARENT, IP_FREEBIND: addresses that are not this machine's */
	bool free_bind;                         /* IP_FREEBIND: an address that comes later */
	bool v6_only;                           /* listener on ::, without IPv4 */
};

/* Sets what o names; the first error ends it. */
int sock_configure(int fd, const struct sock_options *o);
/* Bound and listening, TCP. The descriptor or -errno. */
int sock_listen(const struct net_addr *a, const struct sock_options *o, int backlog);
/* Bound, UDP. The descriptor or -errno. */
int sock_udp(const struct net_addr *a, const struct sock_options *o);
/*
 * TCP connect() begun: the descriptor, whose result comes with the first event (conn_open() looks at it), or -errno at
 * once. from: source address to bind, port 0 = any; NULL: the kernel's choice.
 */
int sock_connect(const struct net_addr *to, const struct net_addr *from, const struct sock_options *o);
/* The same with a non-blocking socket that is there already, still the caller's afterwards. 0 or -errno. */
int sock_connect_by(int fd, const struct net_addr *to, const struct sock_options *o);
/* The descriptor or -errno; *from is who dialled. -EAGAIN: nobody waits. */
int sock_accept(int listen_fd, struct net_addr *from);
/* May redirected bytes be in its queue, or come? False also where there is no short-circuit. */
bool sock_paired(int fd);
/* Is it an address of this machine, as its routes say? Asked of the kernel, by a socket that sends nothing. */
bool sock_is_here(const struct ip *ip);
int sock_local(int fd, struct net_addr *out);
int sock_remote(int fd, struct net_addr *out);
void sock_reset(int take_fd);                   /* closed with RST: what was sent and not read is lost */
/* Where the client dialled to before REDIRECT or the eBPF capture (SO_ORIGINAL_DST). -ENOENT: nobody knows. */
int sock_original(int fd, struct net_addr *out);
