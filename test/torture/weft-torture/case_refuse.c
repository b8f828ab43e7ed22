// SPDX-License-Identifier: Apache-2.0
/*
 * Connections that must not be short-circuited, or not any more: refused for the right reason, and
 * still without fault.
 */
#include "rig.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

/* Bytes both ways, no new pair while the wire is open, and the reason afterwards. */
static int refused(struct rig *r, const struct wire_opts *o, enum reason why)
{
	unsigned pairs = books_count(r->books.pair);
	struct wire w;
	int err = wire_open(r, &w, o);

	if (err)
		return err;
	if (!(err = trips(r, &w, 10, 20000)) && books_count(r->books.pair) != pairs)
		err = fault(r, -EPROTO, "paired though it should be refused");
	if (!err)
		err = want_refused(r, &w, why);
	wire_close(&w);
	return err;
}

static int case_unmanaged(struct rig *r)
{
	static const struct wire_opts o[] = {
		{.from = POD_UNMANAGED, .to = POD_A},
		{.from = POD_A, .to = POD_UNMANAGED},
		{.from = POD_PAUSED, .to = POD_A},
		{.from = POD_A, .to = POD_PAUSED},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(o) / sizeof(o[0]) && !err; i++)
		err = refused(r, &o[i], REASON_UNMANAGED);
	return err ? err : reason_atleast(r, REASON_UNMANAGED, sizeof(o) / sizeof(o[0]));
}

static int case_not_local(struct rig *r)
{
	return refused(r, NULL, REASON_NOT_LOCAL);
}

static bool has_mptcp(struct rig *r)
{
	int fd = pod_socket(&r->pod[r->lay->from], AF_INET, IPPROTO_MPTCP);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int case_mptcp(struct rig *r)
{
	const struct wire_opts client = {.dial_protocol = IPPROTO_MPTCP},
			       server = {.listen_protocol = IPPROTO_MPTCP},
			       both = {.dial_protocol = IPPROTO_MPTCP,
				       .listen_protocol = IPPROTO_MPTCP};
	int err;

	if (!has_mptcp(r)) {
		fault(r, 0, "this kernel has no MPTCP");
		return SKIP;
	}
	if ((err = refused(r, &client, REASON_MPTCP)) ||
	    (err = refused(r, &server, REASON_MPTCP)) || (err = refused(r, &both, REASON_MPTCP)))
		return err;
	return reason_atleast(r, REASON_MPTCP, 3);
}

static int ulp(int fd)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 4) ? -errno : 0;
}

/*
 * Redirected to already: ENOPROTOOPT, and libraries do TLS in user space. Not yet: granted, and by
 * the stack for good.
 */
static int case_ulp(struct rig *r)
{
	uint64_t tx, rx;
	struct wire w;
	struct pair p;
	int err = wire_open(r, &w, NULL), got;

	if (err)
		return err;
	if (!(err = trips(r, &w, 3, 5000)) && !(err = want_all(r, &w)) &&
	    (got = ulp(w.s)) != -ENOPROTOOPT)
		err = fault(r, got, "TCP_ULP after redirected bytes is not ENOPROTOOPT");
	tx = w.up.off;
	rx = w.down.off;
	if (!err && !(err = trips(r, &w, 5, 5000)) && !(err = pair_of(r, &w, &p)) &&
	    (p.end[0].bytes != tx || p.end[1].bytes != rx || p.end[1].reason != REASON_ULP))
		err = fault(r, -EPROTO, "redirected after TCP_ULP, or reason %s",
			    reason_label(p.end[1].reason));
	wire_close(&w);
	if (err || (err = wire_open(r, &w, NULL)))
		return err;
	got = ulp(w.s);
	if (got == -ENOPROTOOPT)
		err = fault(r, got, "TCP_ULP refused before any byte was redirected");
	if (got && !err && !(err = trips(r, &w, 5, 5000)) && !(err = pair_of(r, &w, &p)) &&
	    (p.end[0].bytes || p.end[1].bytes))
		err = fault(r, -EPROTO, "redirected after TCP_ULP");
	wire_close(&w);
	return err ? err : reason_atleast(r, REASON_ULP, 1);
}

static void fast_listener(int fd)
{
	int n = 16;

	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &n, sizeof(n));
}

static void fast_client(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one));
}

/* Linux refuses to say more than: the SYN carried bytes and they were acknowledged. */
static bool had_syn_data(int fd)
{
	struct tcp_info info = {0};
	socklen_t n = sizeof(info);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) &&
	       info.tcpi_options & TCPI_OPT_SYN_DATA;
}

/*
 * The first connection fetches a cookie; with the cookie bytes travel in the SYN. None is paired.
 */
static int case_fast_open(struct rig *r)
{
	struct wire_opts o = {.listening = fast_listener, .dialling = fast_client, .late = true};
	int err = 0, fast = 0;
	struct wire w;

	for (int i = 0; i < 6 && !err; i++) {
		if ((err = wire_open(r, &w, &o)))
			return err;
		if ((err = up(r, &w, 900)) || (err = wire_accept(r, &w)) || (err = drain(r, &w)) ||
		    (err = trips(r, &w, 4, 9000)))
			break;
		fast += had_syn_data(w.c);
		err = want_refused(r, &w, REASON_FASTOPEN);
	}
	wire_close(&w);
	if (!err && !fast)
		return fault(r, -EPROTO, "no SYN carried bytes: is net.ipv4.tcp_fastopen set?");
	return err ? err : reason_atleast(r, REASON_FASTOPEN, 6);
}

/* Any key that waits: a client whose server is not managed. */
static int waiting(struct rig *r, struct wire *w, struct wait_key *key)
{
	const struct wire_opts o = {.from = POD_A, .to = POD_UNMANAGED};
	int err = wire_open(r, w, &o);
	struct wait wait;

	if (err)
		return err;
	for (void *from = NULL; !bpf_map_get_next_key(r->books.wait, from, key); from = key)
		if (!bpf_map_lookup_elem(r->books.wait, key, &wait) && wait.cookie == w->cookie)
			return 0;
	wire_close(w);
	return fault(r, -ENOENT, "the client does not wait");
}

static int queue_seq(int fd, int queue, uint32_t seq)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)) ||
			       setsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, sizeof(seq))
		       ? -errno
		       : 0;
}

/* A socket that is established by decree, with the numbers of somebody else's connection. */
static int forge(struct rig *r, const struct wait_key *key, int *out)
{
	int fd = pod_socket(&r->pod[POD_B], AF_INET, 0), on = 1, err = 0;
	union address own, far;

	*out = fd;
	address_parse(&own, r->pod[POD_B].v4, 0);
	address_parse(&far, r->pod[POD_A].v4, 9);
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) ||
	    (err = queue_seq(fd, 2, key->snd)) || (err = queue_seq(fd, 1, key->rcv)) ||
	    bind(fd, &own.sa, sizeof(own.v4)) || connect(fd, &far.sa, sizeof(far.v4)))
		return fault(r, err ? err : -errno, "TCP_REPAIR");
	return 0;
}

static int case_repair_forgery(struct rig *r)
{
	unsigned pairs = books_count(r->books.pair), socks = books_count(r->books.sock);
	struct wait_key key;
	struct wait wait;
	struct wire w;
	int err, fd = -1;

	if ((err = waiting(r, &w, &key)))
		return err;
	if (!(err = forge(r, &key, &fd)) && !(err = reason_atleast(r, REASON_REPAIR, 1))) {
		if (bpf_map_lookup_elem(r->books.wait, &key, &wait) || wait.cookie != w.cookie)
			err = fault(r, -EPROTO, "the forged socket touched the fingerprint");
		else if (books_count(r->books.pair) != pairs ||
			 books_count(r->books.sock) != socks + 1)
			err = fault(r, -EPROTO, "the forged socket is in the maps");
	}
	if (fd >= 0)
		close(fd);
	if (!err && !(err = trips(r, &w, 5, 5000)))
		err = want_refused(r, &w, REASON_UNMANAGED);
	wire_close(&w);
	return err;
}

/*
 * TCP_REPAIR on a live socket (a checkpoint) would miss redirected bytes: refused once there were
 * any.
 */
static int case_repair(struct rig *r)
{
	int on = 1, off = 0, err;
	struct wire w;
	struct pair p;

	if ((err = wire_open(r, &w, NULL)))
		return err;
	if (!(err = trips(r, &w, 3, 5000)) && !(err = want_all(r, &w)) &&
	    (!setsockopt(w.s, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) || errno != EPERM))
		err = fault(r, -EPROTO, "TCP_REPAIR after redirected bytes is not EPERM");
	if (!err)
		err = trips(r, &w, 3, 5000);
	wire_close(&w);
	if (err || (err = wire_open(r, &w, NULL)))
		return err;
	if (setsockopt(w.s, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) ||
	    setsockopt(w.s, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)))
		err = fault(r, -errno, "TCP_REPAIR before any redirected byte");
	if (!err && !(err = trips(r, &w, 3, 5000)) && !(err = pair_of(r, &w, &p)) &&
	    (p.end[0].bytes || p.end[1].bytes))
		err = fault(r, -EPROTO, "redirected after TCP_REPAIR");
	wire_close(&w);
	return err;
}

/* clang-format off */
const struct torture_case refuse_cases[] = {
	CASE("unmanaged", case_unmanaged, ON_VETH4 | ON_VETH6,
	     "an end of no workload, or of a paused one"),
	CASE("not-local", case_not_local, ON_VETH4,
	     "the numbers differ on the way (SYN proxy)", .asked = true),
	CASE("mptcp", case_mptcp, ON_ALL, "MPTCP client, listener, both"),
	CASE("ulp", case_ulp, ON_ALL, "TCP_ULP before and after redirected bytes"),
	CASE("fast-open", case_fast_open, ON_VETH4 | ON_VETH6 | ON_LO4, "bytes in the SYN"),
	CASE("repair-forgery", case_repair_forgery, ON_VETH4,
	     "a TCP_REPAIR socket with another connection's numbers"),
	CASE("repair", case_repair, ON_TWO, "TCP_REPAIR on a short-circuited socket"),
	{.name = NULL},
};
/* clang-format on */
