// SPDX-License-Identifier: Apache-2.0
/* Bad paths, and a network that lies: pairing and the way back must live with what packets do. */
#include "path.h"
#include "rig.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAR4	"10.99.0.2" /* pod b by the tun devices */
#define FAR6	"fd00:99::2"
#define NOWHERE "10.99.0.9" /* routed to t0 of either pod */

/*
 * Connections over the path: paths of bytes change at random, so that both kinds are under way
 * together.
 */
static int travel(struct rig *r, int connections, int rounds, size_t most)
{
	struct wire_opts o = {.late = true};
	int err = 0;

	r->dial = r->lay->family == AF_INET6 ? FAR6 : FAR4;
	for (int i = 0; i < connections && !err; i++) {
		struct wire w;

		if ((err = wire_open(r, &w, &o)))
			return err;
		if (!(err = up(r, &w, 1 + draw(&r->seed) % most)) && !(err = up(r, &w, 100)))
			err = wire_accept(r, &w);
		for (int k = 0; k < rounds && !err; k++) {
			if (k % 4 == 1)
				books_flags(&r->books, CTL_KILL, 0);
			if (!(err = up(r, &w, 1 + draw(&r->seed) % most)))
				err = down(r, &w, 1 + draw(&r->seed) % most);
			books_flags(&r->books, 0, CTL_KILL);
			if (!err && !(err = up(r, &w, 10)) && k % 3 != 2)
				err = drain(r, &w);
		}
		if (!err && !(err = drain(r, &w)) && !(err = trips(r, &w, 3, 1000)))
			err = want_both(r, &w);
		wire_close(&w);
	}
	return err;
}

static int over(struct rig *r, const struct path_faults *f, int connections, int rounds,
		size_t most)
{
	unsigned pairs = books_count(r->books.pair);
	struct path *p;
	int err = path_open(&p, &r->pod[POD_A], &r->pod[POD_B], f);

	if (err)
		return fault(r, err, "tun device t0 of the pods");
	err = travel(r, connections * (r->whole ? 5 : 1), rounds, most);
	printf("  %lu packets met a fault\n", path_faulty(p));
	if (!err && (f->loss || f->twice || f->damage) && !path_faulty(p))
		err = fault(r, -EPROTO, "no packet met a fault");
	/* The last FINs need the path. */
	if (!err)
		err = settled(r, pairs);
	path_close(p);
	return err;
}

static int case_delay(struct rig *r)
{
	return over(r, &(struct path_faults){.delay_us = 2000}, 10, 12, 30000);
}

static int case_loss(struct rig *r)
{
	return over(r, &(struct path_faults){.delay_us = 200, .loss = 40}, 6, 12, 30000);
}

static int case_reorder(struct rig *r)
{
	return over(r, &(struct path_faults){.delay_us = 100, .jitter_us = 3000}, 10, 12, 30000);
}

static int case_duplicate(struct rig *r)
{
	return over(r, &(struct path_faults){.delay_us = 100, .jitter_us = 300, .twice = 200}, 10,
		    12, 30000);
}

static int case_damage(struct rig *r)
{
	return over(r, &(struct path_faults){.delay_us = 200, .damage = 40}, 6, 12, 30000);
}

/*
 * ---- somebody who is his own network
 * -------------------------------------------------------------------------
 */

/* Answers SYNs on tun devices with a sequence number of its choice, and nothing else. */
struct liar {
	int tun[2];
	uint32_t isn;
	atomic_bool quit;
	pthread_t thread;
};

struct segment {
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

static uint32_t add_up(const void *data, size_t n, uint32_t sum)
{
	const uint8_t *b = data;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += b[i] << 8 | b[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

static void answer(struct liar *l, int tun, const struct segment *in)
{
	struct segment out = {0};
	uint32_t pseudo;

	out.ip = (struct iphdr){.version = 4,
				.ihl = 5,
				.ttl = 64,
				.protocol = IPPROTO_TCP,
				.tot_len = htons(sizeof(out)),
				.saddr = in->ip.daddr,
				.daddr = in->ip.saddr};
	out.tcp.source = in->tcp.dest;
	out.tcp.dest = in->tcp.source;
	out.tcp.seq = htonl(l->isn);
	out.tcp.ack_seq = htonl(ntohl(in->tcp.seq) + 1);
	out.tcp.doff = sizeof(out.tcp) / 4;
	out.tcp.syn = out.tcp.ack = 1;
	out.tcp.window = htons(60000);
	out.ip.check = fold(add_up(&out.ip, sizeof(out.ip), 0));
	pseudo = add_up(&out.ip.saddr, 8, IPPROTO_TCP + sizeof(out.tcp));
	out.tcp.check = fold(add_up(&out.tcp, sizeof(out.tcp), pseudo));
	if (write(tun, &out, sizeof(out)) != sizeof(out))
		perror("liar");
}

static void *lie(void *arg)
{
	struct liar *l = arg;

	while (!atomic_load(&l->quit)) {
		struct pollfd fd[2] = {{.fd = l->tun[0], .events = POLLIN},
				       {.fd = l->tun[1], .events = POLLIN}};

		poll(fd, 2, 50);
		for (int i = 0; i < 2; i++) {
			uint8_t buf[2048];
			struct segment s;

			if (!(fd[i].revents & POLLIN) ||
			    read(l->tun[i], buf, sizeof(buf)) < (ssize_t)sizeof(s))
				continue;
			memcpy(&s, buf, sizeof(s));
			if (s.ip.version == 4 && s.ip.protocol == IPPROTO_TCP && s.tcp.syn &&
			    !s.tcp.ack)
				answer(l, l->tun[i], &s);
		}
	}
	return NULL;
}

/* A client of the pod that dials the liar, with an initial number of its own if isn is not 0. */
static int dial_liar(struct rig *r, int pod, uint32_t isn)
{
	int fd = pod_socket(&r->pod[pod], AF_INET, 0), on = 1, off = -1, queue = 2, err = 0;
	socklen_t n = sizeof(err);
	union address to;

	address_parse(&to, NOWHERE, 9);
	if (isn && (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) ||
		    setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)) ||
		    setsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &isn, sizeof(isn)) ||
		    setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off))))
		return fault(r, -errno, "TCP_REPAIR before connect()");
	if ((connect(fd, &to.sa, sizeof(to.v4)) && errno != EINPROGRESS) ||
	    !ready(fd, POLLOUT, PATIENCE_MS) || getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) ||
	    err)
		return fault(r, -(err ? err : errno), "dial the liar");
	return fd;
}

static int find_wait(struct rig *r, uint64_t cookie, struct wait_key *key)
{
	struct wait wait;

	for (void *from = NULL; !bpf_map_get_next_key(r->books.wait, from, key); from = key)
		if (!bpf_map_lookup_elem(r->books.wait, key, &wait) && wait.cookie == cookie)
			return 0;
	return -ENOENT;
}

/*
 * A socket that never was in TCP_REPAIR when it was established, with exactly the numbers of a
 * client that waits: its owner chose the one before connect(), and answered itself with the other.
 * Neither may be paired from then on.
 */
static int forgery(struct rig *r)
{
	uint64_t cookie;
	socklen_t n = sizeof(cookie);
	struct wait_key key;
	int victim, forger, err = 0;

	victim = dial_liar(r, POD_A, 0);
	if (victim < 0)
		return victim;
	getsockopt(victim, SOL_SOCKET, SO_COOKIE, &cookie, &n);
	if ((err = find_wait(r, cookie, &key)))
		return fault(r, err, "the victim does not wait");
	forger = dial_liar(r, POD_B, key.snd - 1);
	if (forger < 0)
		return forger;
	if (!(err = reason_atleast(r, REASON_FORGED, 1))) {
		struct wait wait;

		if (!bpf_map_lookup_elem(r->books.wait, &key, &wait))
			err = fault(r, -EPROTO, "the fingerprint still waits");
	}
	close(forger);
	close(victim);
	return err;
}

static int case_forgery(struct rig *r)
{
	struct liar l = {.tun = {path_device(&r->pod[POD_A]), path_device(&r->pod[POD_B])},
			 .isn = 0x10203040};
	int err;

	if (l.tun[0] < 0 || l.tun[1] < 0)
		return fault(r, -ENODEV, "tun device t0 of the pods");
	pthread_create(&l.thread, NULL, lie, &l);
	err = forgery(r);
	atomic_store(&l.quit, true);
	pthread_join(l.thread, NULL);
	close(l.tun[0]);
	close(l.tun[1]);
	return err;
}

/* clang-format off */
const struct torture_case path_cases[] = {
	CASE("delay", case_delay, ON_TWO_PODS, "2 ms each way", .limit_long_s = 300),
	CASE("loss", case_loss, ON_TWO_PODS,
	     "4 % of the packets lost", .limit_s = 90, .limit_long_s = 600),
	CASE("reorder", case_reorder, ON_TWO_PODS,
	     "packets up to 3 ms apart in any order", .limit_long_s = 300),
	CASE("duplicate", case_duplicate, ON_TWO_PODS,
	     "every fifth packet twice", .limit_long_s = 300),
	CASE("damage", case_damage, ON_TWO_PODS,
	     "4 % of the packets with a wrong bit", .limit_s = 90, .limit_long_s = 600),
	CASE("forgery", case_forgery, ON_VETH4,
	     "the numbers of another connection, without TCP_REPAIR"),
	{.name = NULL},
};
/* clang-format on */
