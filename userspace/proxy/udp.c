/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/magic.h"
#include "base/rand.h"
#include "base/table.h"
#include "net/addr.h"
#include "proxy/cluster.h"
#include "proxy/overload.h"
#include "proxy/record.h"
#include "proxy/record_line.h"
#include "proxy/stream_rule.h"
#include "weft/log.h"
#include "weft/str.h"

#define udp_MAGIC 0x0d9d0d9u
#define udp_session_MAGIC 0x5e5510u
#define BATCH 32                                /* datagrams of one call */
#define BATCHES 8                               /* of one socket at one go: other work of the loop goes on */
#define DATAGRAM 65536
#define CONTROL 64

struct udp_key {                                /* all bytes count: no padding */
	uint8_t client[16], local[16];
	uint16_t client_port, pad;
	uint32_t interface;                     /* of a link-local address; else 0 */
};

struct udp_session {
	unsigned magic;
	struct udp_key key;
	struct list node;                       /* in the order of last use */
	struct udp *udp;
	struct loop_io io;                      /* connected to the host */
	struct sockaddr_storage client;
	socklen_t client_len;
	struct pick pick;
	uint16_t port;                          /* that was asked */
	uint64_t began_ns, last_ns;
	uint64_t bytes_in, bytes_out;           /* that the socket took */
	struct loop_deferred later;             /* more to read, or its end */
};

/* One socket of a listener. */
struct udp {
	unsigned magic;
	struct listener_socket *socket;
	struct udps *all;
	struct table sessions;
	struct list by_use;                     /* oldest first */
	struct timer idle;
};

struct udps {
	struct worker *worker;
	struct rand rand;
	struct mmsghdr in[BATCH], out[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_storage name[BATCH];
	_Alignas(struct cmsghdr) char control[BATCH][CONTROL];
	char (*bytes)[DATAGRAM];
};

static struct loop *loop_of(const struct udp *d)
{
	return &d->all->worker->thread.loop;
}

static struct listener_use *use_of(const struct udp *d)
{
	return d->socket->use;
}

/* ---- batches ------------------------------------------------------------------------------------------------ */

static struct udps *udps_of(struct worker *w)
{
	struct udps *all = w->udps;

	if (all)
		return all;
	all = w->udps = mem_alloc(sizeof(*all));
	all->worker = w;
	/* Pages are taken as datagrams need them. */
	all->bytes = mem_alloc(BATCH * sizeof(*all->bytes));
	rand_init(&all->rand);
	return all;
}

void udps_free(struct udps *all)
{
	if (!all)
		return;
	free(all->bytes);
	free(all);
}

/* Datagrams that are there, 0: none, -errno. */
static int receive(struct udps *b, int fd, bool with_names)
{
	int n;

	for (int i = 0; i < BATCH; i++) {
		b->iov[i] = (struct iovec){ b->bytes[i], DATAGRAM };
		b->in[i].msg_hdr = (struct msghdr){ .msg_iov = &b->iov[i], .msg_iovlen = 1 };
		if (!with_names)
			continue;
		b->in[i].msg_hdr.msg_name = &b->name[i];
		b->in[i].msg_hdr.msg_namelen = sizeof(b->name[i]);
		b->in[i].msg_hdr.msg_control = b->control[i];
		b->in[i].msg_hdr.msg_controllen = CONTROL;
	}
	do
		n = recvmmsg(fd, b->in, BATCH, MSG_DONTWAIT, NULL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	for (int i = 0; i < n; i++)
		b->iov[i].iov_len = b->in[i].msg_len;
	return n;
}

/* b->out[0..n); how many went, the rest is lost as on any network. *err: why the first of them did not. */
static int transmit(struct udps *b, int fd, int n, int *err)
{
	int sent = 0;

	*err = 0;
	while (sent < n) {
		int k = sendmmsg(fd, b->out + sent, n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0) {
			*err = -errno;
			break;
		}
		sent += k;
	}
	return sent;
}

static uint64_t bytes_of(const struct mmsghdr *m, int n)
{
	uint64_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += m[i].msg_hdr.msg_iov->iov_len;
	return sum;
}

/* ---- sessions ----------------------------------------------------------------------------------------------- */

static void session_free(struct loop_deferred *later)
{
	struct udp_session *s = container_of(later, struct udp_session, later);

	s->magic = 0;
	free(s);
}

static void record(const struct udp_session *s, bool ok)
{
	const struct listener_use *u = use_of(s->udp);
	struct net_addr client = { .port = s->key.client_port }, original = { .port = s->port };
	struct record r = {
		.protocol = SLICE_LIT("udp"), .flags = ok ? SLICE_LIT("-") : SLICE_LIT("UC"),
		.detail = ok ? (struct slice){ 0 } : SLICE_LIT("nobody listens at the host's port"),
		.bytes_in = s->bytes_in, .bytes_out = s->bytes_out, .total_ns = loop_of(s->udp)->now_ns - s->began_ns,
		.termination = { ok ? '-' : 'S', ok ? '-' : 'T' }, .listener = slice_str(u->name),
		.cluster = cluster_conf(s->pick.use)->name, .host = &s->pick.addr, .tries = 1,
		.client = &client, .original = &original,
	};

	memcpy(client.ip.b, s->key.client, 16);
	memcpy(original.ip.b, s->key.local, 16);
	record_put(s->udp->all->worker, &r);
}

static void session_end(struct udp_session *s, bool ok)
{
	struct udp *d = s->udp;
	struct loop *l = loop_of(d);
	struct lb_result r = { .now_ns = l->now_ns, .ok = ok };

	if (record_wanted(d->all->worker))
		record(s, ok);
	loop_del(l, &s->io);
	close(s->io.fd);
	if (!ok)
		pick_flag(&s->pick, STREAM_UPSTREAM_CLOSED);
	pick_done(&s->pick, &r);
	table_del(&d->sessions, (struct slice){ (const char *)&s->key, sizeof(s->key) });
	list_del(&s->node);
	loop_defer(l, &s->later, session_free);
	listener_leave(use_of(d));
}

static uint64_t idle_ns(const struct udp *d)
{
	return (uint64_t)use_of(d)->conf->idle_ms * MSEC;
}

static void sweep(struct timer *t)
{
	struct udp *d = CAST(udp, t->arg);
	uint64_t now = loop_of(d)->now_ns, idle = idle_ns(d);

	while (idle && !list_empty(&d->by_use)) {
		struct udp_session *s = container_of(d->by_use.next, struct udp_session, node);

		if (now - s->last_ns < idle) {
			timer_arm(loop_of(d), &d->idle, idle - (now - s->last_ns), sweep, d);
			return;
		}
		stat_add(&use_of(d)->stat->idle, 1);
		session_end(s, true);
	}
}

static void used(struct udp_session *s)
{
	struct udp *d = s->udp;

	s->last_ns = loop_of(d)->now_ns;
	list_del(&s->node);
	list_add_tail(&d->by_use, &s->node);
	if (idle_ns(d) && !timer_armed(&d->idle))
		timer_arm(loop_of(d), &d->idle, idle_ns(d), sweep, d);
}

/* ---- answers ------------------------------------------------------------------------------------------------ */

/* From the address that was asked, whichever of this machine's that is. */
static void source_put(struct msghdr *m, const struct udp_key *k, char *control)
{
	struct cmsghdr *c;
	struct ip local;

	memcpy(local.b, k->local, 16);
	m->msg_control = control;
	m->msg_controllen = CONTROL;
	memset(control, 0, CONTROL);
	c = CMSG_FIRSTHDR(m);
	if (addr_is_v4(&local)) {
		struct in_pktinfo p = { 0 };

		memcpy(&p.ipi_spec_dst, local.b + 12, 4);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(p));
		memcpy(CMSG_DATA(c), &p, sizeof(p));
		m->msg_controllen = CMSG_SPACE(sizeof(p));
	} else {
		struct in6_pktinfo p = { .ipi6_ifindex = k->interface };

		memcpy(&p.ipi6_addr, local.b, 16);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(p));
		memcpy(CMSG_DATA(c), &p, sizeof(p));
		m->msg_controllen = CMSG_SPACE(sizeof(p));
	}
}

static void answer(struct udp_session *s, int n)
{
	struct udps *b = s->udp->all;
	struct listener_use *u = use_of(s->udp);
	int sent, err;

	for (int i = 0; i < n; i++) {
		b->out[i].msg_hdr = (struct msghdr){ .msg_name = &s->client, .msg_namelen = s->client_len,
						     .msg_iov = &b->iov[i], .msg_iovlen = 1 };
		source_put(&b->out[i].msg_hdr, &s->key, b->control[i]);
	}
	sent = transmit(b, s->udp->socket->fd, n, &err);
	s->bytes_out += bytes_of(b->out, sent);
	stat_add(&u->stat->sent, bytes_of(b->out, sent));
	stat_add(&u->stat->dropped, n - sent);
	used(s);
}

static void read_host(struct udp_session *s, bool until_empty);

static void read_more(struct loop_deferred *d)
{
	read_host(container_of(d, struct udp_session, later), true);
}

/* Nobody listens there, says the host's machine: the client's next datagram goes to a host that is picked anew. */
static void host_broke(struct udp_session *s)
{
	stat_add(&use_of(s->udp)->stat->host_broke, 1);
	session_end(s, false);
}

static void read_host(struct udp_session *s, bool until_empty)
{
	for (int i = 0; i < BATCHES; i++) {
		int n = receive(s->udp->all, s->io.fd, false);

		if (!n)
			return;
		if (n < 0) {
			host_broke(s);
			return;
		}
		answer(s, n);
		if (n < BATCH && !until_empty)
			return;
	}
	loop_defer(loop_of(s->udp), &s->later, read_more);
}

static void on_host(struct loop_io *io, unsigned events)
{
	/* An error behind datagrams is told by the call after theirs. */
	read_host(CAST(udp_session, io->arg), events & (LOOP_ERR | LOOP_HUP));
}

/* ---- questions ---------------------------------------------------------------------------------------------- */

static bool key_of(const struct msghdr *m, struct udp_key *k)
{
	struct net_addr from = addr_from_sockaddr(m->msg_name);

	*k = (struct udp_key){ .client_port = from.port };
	memcpy(k->client, from.ip.b, 16);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR((struct msghdr *)m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			const struct in_pktinfo *p = (const void *)CMSG_DATA(c);

			k->local[10] = k->local[11] = 0xff;
			memcpy(k->local + 12, &p->ipi_spec_dst, 4);
			return true;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			const struct in6_pktinfo *p = (const void *)CMSG_DATA(c);

			memcpy(k->local, &p->ipi6_addr, 16);
			k->interface = IN6_IS_ADDR_LINKLOCAL(&p->ipi6_addr) ? p->ipi6_ifindex : 0;
			return true;
		}
	}
	return false;
}

static int pick_host(struct udp *d, const struct net_peer *peer, struct pick *out)
{
	const struct listener *conf = use_of(d)->conf;
	const struct stream_rule *r = stream_rule_find(conf, peer);
	const struct route_backend *b = r ? stream_rule_backend(r, rand_u64(&d->all->rand)) : NULL;
	struct cluster_ask ask = {
		.lb = { .now_ns = loop_of(d)->now_ns, .has_hash = true, .original = &peer->original },
		.backend = b, .listener = conf, .local = &peer->original,
	};

	if (!b)
		return -ENOTDIR;
	ask.lb.hash = hash_bytes((struct slice){ (const char *)peer->source.ip.b, 16 }, HASH_STABLE);
	return cluster_pick(d->all->worker->clusters, &ask, CLUSTER_CONNECTION, out);
}

static void count_refusal(struct listener_stat *s, int err)
{
	stat_add(err == -ENOTDIR   ? &s->no_rule
		 : err == -ENOENT  ? &s->no_cluster
		 : err == -EBUSY || err == -ENOSPC ? &s->overflow
		 : err == -EHOSTUNREACH ? &s->no_host
				   : &s->connect_failed, 1);
}

static int dial(const struct pick *pick)
{
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(&pick->addr, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&ss, n))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* take_fd is connected, pick is the session's now. */
static struct udp_session *session_new(struct udp *d, const struct udp_key *k, const struct msghdr *m, int take_fd,
				       const struct pick *pick)
{
	struct udp_session *s = mem_alloc(sizeof(*s));

	s->magic = udp_session_MAGIC;
	s->key = *k;
	s->udp = d;
	s->pick = *pick;
	s->port = use_of(d)->conf->port;
	s->began_ns = loop_of(d)->now_ns;
	memcpy(&s->client, m->msg_name, m->msg_namelen);
	s->client_len = m->msg_namelen;
	list_add_tail(&d->by_use, &s->node);
	table_put(&d->sessions, (struct slice){ (const char *)&s->key, sizeof(s->key) }, s);
	stat_add(&use_of(d)->stat->accepted, 1);
	if (!loop_add_edge(loop_of(d), &s->io, take_fd, on_host, s))
		return s;
	s->io.fd = take_fd;
	session_end(s, false);
	return NULL;
}

static struct udp_session *session_open(struct udp *d, const struct udp_key *k, const struct msghdr *m)
{
	struct listener_use *u = use_of(d);
	struct net_peer peer = { .server = true, .source = { .port = k->client_port },
				 .original = { .port = u->conf->port } };
	struct pick pick = { 0 };
	int fd;

	memcpy(peer.source.ip.b, k->client, 16);
	memcpy(peer.original.ip.b, k->local, 16);
	if (!listener_admits(u) || !listener_enter(u)) {
		stat_add(&u->stat->full, 1);
		return NULL;
	}
	fd = pick_host(d, &peer, &pick);
	if (!fd) {
		fd = overload_fd(u->worker->overload, dial(&pick));
		if (fd >= 0)
			return session_new(d, k, m, fd, &pick);
		pick_flag(&pick, STREAM_CONNECT_FAILED);
		pick_done(&pick, &(struct lb_result){ .now_ns = loop_of(d)->now_ns });
	}
	count_refusal(u->stat, fd);
	listener_leave(u);
	return NULL;
}

/* One session's datagrams, which stand one behind the other. */
static void ask(struct udp_session *s, int first, int n)
{
	struct udps *b = s->udp->all;
	struct listener_use *u = use_of(s->udp);
	int sent, err;

	for (int i = 0; i < n; i++)
		b->out[i].msg_hdr = (struct msghdr){ .msg_iov = &b->iov[first + i], .msg_iovlen = 1 };
	sent = transmit(b, s->io.fd, n, &err);
	s->bytes_in += bytes_of(b->out, sent);
	stat_add(&u->stat->dropped, n - sent);
	if (err == -ECONNREFUSED)
		host_broke(s);
	else
		used(s);
}

static struct udp_session *session_of(struct udp *d, int i)
{
	const struct msghdr *m = &d->all->in[i].msg_hdr;
	struct udp_session *s;
	struct udp_key k;

	if (!key_of(m, &k))
		return NULL;
	s = table_get(&d->sessions, (struct slice){ (const char *)&k, sizeof(k) });
	return s ? s : session_open(d, &k, m);
}

static void take_batch(struct udp *d, int n)
{
	struct listener_stat *stat = use_of(d)->stat;
	struct udp_session *s = NULL;
	int first = 0;

	stat_add(&stat->received, bytes_of(d->all->in, n));
	for (int i = 0; i < n; i++) {
		struct udp_session *of = session_of(d, i);

		if (!of)
			stat_add(&stat->dropped, 1);
		if (of == s)
			continue;
		if (s)
			ask(s, first, i - first);
		s = of;
		first = i;
	}
	if (s)
		ask(s, first, n - first);
}

static void read_clients_more(struct loop_deferred *x);

static void read_clients(struct udp *d)
{
	for (int i = 0; i < BATCHES; i++) {
		int n = receive(d->all, d->socket->fd, true);

		if (n <= 0)
			return;
		take_batch(d, n);
		if (n < BATCH)
			return;
	}
	loop_defer(loop_of(d), &d->socket->more, read_clients_more);
}

static void read_clients_more(struct loop_deferred *x)
{
	read_clients(CAST(udp, container_of(x, struct listener_socket, more)->udp));
}

static void on_clients(struct loop_io *io, unsigned events)
{
	(void)events;
	read_clients(CAST(udp, ((struct listener_socket *)io->arg)->udp));
}

/* ---- one socket --------------------------------------------------------------------------------------------- */

/* "Which of our addresses was asked" comes with each datagram. */
static int ask_for_addresses(int fd)
{
	int one = 1;

	if (!setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one)))
		return 0;
	return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)) ? -errno : 0;
}

int udp_start(struct listener_socket *s)
{
	struct udp *d = mem_alloc(sizeof(*d));
	int err = ask_for_addresses(s->fd);

	d->magic = udp_MAGIC;
	d->socket = s;
	d->all = udps_of(s->use->worker);
	table_init(&d->sessions, 0);
	list_init(&d->by_use);
	s->udp = d;
	if (!err)
		err = loop_add_edge(loop_of(d), &s->io, s->fd, on_clients, s);
	if (err)
		udp_stop(s);
	return err;
}

void udp_stop(struct listener_socket *s)
{
	struct udp *d = CAST(udp, s->udp);

	loop_del(loop_of(d), &s->io);
	list_for(p, &d->by_use)
		session_end(container_of(p, struct udp_session, node), true);
	timer_disarm(loop_of(d), &d->idle);
	table_fini(&d->sessions);
	s->udp = NULL;
	d->magic = 0;
	free(d);
}
