/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket of a connection and its events. Edge-triggered: epoll tells of each change once, and what is known of it since is
 * in `drained` (reading) and `blocked` (writing), which spare the calls that would say EAGAIN.
 */
#include "net/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/list.h"
#include "base/magic.h"
#include "net/conn_priv.h"
#include "net/ktls.h"
#include "net/sock.h"

#define ROOM_FEW 1024u                          /* an empty buf then takes a small chunk */
#define ROOM_MANY 16384u
#define PIECES_READ 4                           /* large rooms filled by one call when much comes */
#define PIECES_WRITTEN 64
#define ASK_PAIRED 32                           /* every so many times that somebody wants to know */
#define GUESS_MS 20u

/* conn.peer, and memory that lives as long. */
struct peer_box {
	struct net_peer peer;
	struct block {
		struct block *next;
		_Alignas(16) char data[];
	} *blocks;
};
_Static_assert(sizeof(struct peer_box) <= 168, "a block of 176 bytes of malloc's: it is there for each idle connection, too");

void *conn_alloc(struct conn *c, size_t n)
{
	struct peer_box *box = container_of(c->peer, struct peer_box, peer);
	struct block *b = calloc(1, sizeof(*b) + n);

	if (!b)
		return NULL;
	b->next = box->blocks;
	box->blocks = b;
	return b->data;
}

static void peer_free(struct conn *c)
{
	struct peer_box *box = container_of(c->peer, struct peer_box, peer);
	struct block *next;

	for (struct block *b = box->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
	free(box);
	c->peer = NULL;
}

/* ---- the socket --------------------------------------------------------------------------------------------- */

/*
 * A short read means that the queue is empty, but for one case: behind redirected bytes of the kernel short-circuit may lie
 * bytes that came through the TCP stack, which the kernel gives by the next call only, and whose event may have been the
 * same. So what a short read says is believed, and once it has been quiet for a while, asked after.
 */
static void guess(struct timer *t)
{
	struct conn *c = t->arg;
	uint8_t quiet = (uint8_t)(c->loop->now_ns / MSEC - c->guess_ms);

	if (c->denied) {
		c->denied = c->blocked = false;
		if (c->guessed)
			timer_arm(c->loop, t, GUESS_MS * MSEC, guess, c);
		conn_wake(c);
		return;
	}
	if (!c->guessed)
		return;
	if (quiet < GUESS_MS) {
		timer_arm(c->loop, t, (GUESS_MS - quiet) * MSEC, guess, c);
		return;
	}
	c->guessed = c->drained = false;
	c->on->readable(c);
}

static void ask_later(struct conn *c)
{
	c->guess_ms = (uint8_t)(c->loop->now_ns / MSEC);
	if (!timer_armed(&c->timer))
		timer_arm_at(c->loop, &c->timer, c->loop->now_ns + GUESS_MS * MSEC, guess, c);
}

/*
 * A short-circuited socket gets EAGAIN also when the machine's TCP memory is gone (docs/kernel.md). It is writable then, and no
 * event says when there is memory again.
 */
static void check_denied(struct conn *c)
{
	struct pollfd p = { .fd = c->io.fd, .events = POLLOUT };

	if (!c->opened || poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
		return;
	c->denied = true;
	if (!timer_armed(&c->timer))
		timer_arm(c->loop, &c->timer, GUESS_MS * MSEC, guess, c);
}

static ssize_t receive(struct conn *c, struct iovec *v, unsigned n, size_t room)
{
	struct msghdr mh = { .msg_iov = v, .msg_iovlen = n };
	ssize_t got;

	if (c->drained)
		return -EAGAIN;
	do
		got = n == 1 ? recv(c->io.fd, v->iov_base, v->iov_len, 0) : recvmsg(c->io.fd, &mh, 0);
	while (got < 0 && errno == EINTR);
	c->guessed = false;
	if (got < 0) {
		c->drained = errno == EAGAIN;
		got = -errno;
		if (c->drained)
			conn_watch(c);
		return got;
	}
	c->many = (size_t)got == room;
	if (got && !c->many && !c->hup) {
		c->drained = c->guessed = true;
		if (c->opened)
			ask_later(c);
	}
	return got;
}

ssize_t socket_recv(struct conn *c, void *p, size_t n)
{
	struct iovec v = { p, n };

	return receive(c, &v, 1, n);
}

static ssize_t read_few(struct conn *c, struct buf *dst, size_t most)
{
	struct iovec v;
	ssize_t n;

	v.iov_base = buf_room(dst, ROOM_FEW, &v.iov_len);
	if (!v.iov_base)
		return -ENOMEM;
	if (v.iov_len > most)
		v.iov_len = most;
	n = receive(c, &v, 1, v.iov_len);
	buf_commit(dst, n > 0 ? (size_t)n : 0);
	return n;
}

static ssize_t read_many(struct conn *c, struct buf *dst, unsigned pieces)
{
	struct buf more[PIECES_READ] = { 0 };
	struct iovec v[PIECES_READ];
	size_t room = 0, left;
	unsigned n = 0;
	ssize_t got;

	for (; n < pieces; n++) {
		v[n].iov_base = buf_room(&more[n], ROOM_MANY, &v[n].iov_len);
		if (!v[n].iov_base)
			break;
		room += v[n].iov_len;
	}
	got = n ? receive(c, v, n, room) : -ENOMEM;
	left = got > 0 ? (size_t)got : 0;
	for (unsigned i = 0; i < n; i++) {
		size_t k = left < v[i].iov_len ? left : v[i].iov_len;

		buf_commit(&more[i], k);
		buf_move(dst, &more[i]);
		left -= k;
	}
	return got;
}

/* One call. Nothing is touched, nor memory taken, when it is known that nothing is there. */
ssize_t socket_read(struct conn *c, struct buf *dst, size_t most)
{
	size_t pieces = most / ROOM_MANY;

	if (c->drained)
		return -EAGAIN;
	if (!c->many || !pieces)
		return read_few(c, dst, most);
	return read_many(c, dst, pieces < PIECES_READ ? pieces : PIECES_READ);
}

ssize_t socket_send(struct conn *c, const struct iovec *v, unsigned n)
{
	struct msghdr mh = { .msg_iov = (struct iovec *)v, .msg_iovlen = n };
	ssize_t sent;

	if (c->blocked)
		return -EAGAIN;
	do
		sent = n == 1 ? send(c->io.fd, v->iov_base, v->iov_len, MSG_NOSIGNAL) :
				sendmsg(c->io.fd, &mh, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return sent;
	c->blocked = errno == EAGAIN;
	sent = -errno;
	if (c->blocked) {
		conn_watch(c);
		check_denied(c);
	}
	return sent;
}

ssize_t socket_write(struct conn *c, struct buf *src)
{
	struct iovec v[PIECES_WRITTEN];
	size_t total = 0;
	ssize_t n = 0;

	while (src->len) {
		n = socket_send(c, v, buf_iov(src, v, PIECES_WRITTEN));
		if (n < 0)
			break;
		buf_drop(src, (size_t)n);
		total += (size_t)n;
	}
	return n < 0 && (n != -EAGAIN || !total) ? n : (ssize_t)total;
}

int socket_shut(struct conn *c)
{
	return shutdown(c->io.fd, SHUT_WR) ? -errno : 0;
}

/* ---- events ------------------------------------------------------------------------------------------------- */

static void fail(struct conn *c, int err)
{
	loop_del(c->loop, &c->io);
	timer_disarm(c->loop, &c->timer);
	c->on->failed(c, err);
}

static void too_late(struct timer *t)
{
	struct conn *c = t->arg;
	const char *what = c->connected ? stack_opening(c) : "TCP connect";

	if (!c->detail && what)
		c->detail = what;
	fail(c, -ETIMEDOUT);
}

static void learn_addresses(struct conn *c)
{
	struct net_peer *p = c->peer;

	sock_local(c->io.fd, &p->local);
	sock_remote(c->io.fd, &p->remote);
}

/* -EAGAIN: not yet */
static int finish_connect(struct conn *c, unsigned events)
{
	int err = 0;
	socklen_t n = sizeof(err);

	if (events & (LOOP_ERR | LOOP_HUP))
		getsockopt(c->io.fd, SOL_SOCKET, SO_ERROR, &err, &n);
	else if (!(events & LOOP_WRITE))
		return -EAGAIN;
	if (err) {
		c->detail = "TCP connect";
		return -err;
	}
	c->connected = true;
	learn_addresses(c);
	return 0;
}

/* True: open, and the owner knows. The owner may have closed it meanwhile. */
static bool opening(struct conn *c, unsigned events)
{
	int err = c->connected ? 0 : finish_connect(c, events);

	if (!err && c->stack)
		err = stack_open(c);
	/* A layer that waits for something else than the socket does not see that the peer is gone. */
	if (err == -EAGAIN && c->connected && events & LOOP_ERR)
		err = -ECONNRESET;
	if (err) {
		if (err != -EAGAIN)
			fail(c, err);
		return false;
	}
	timer_disarm(c->loop, &c->timer);
	c->opened = true;
	if (c->guessed)
		ask_later(c);
	if (c->stack)
		stack_thin(c);
	c->on->open(c);
	return conn_is_open(c);
}

/* A layer may read in order to write, and write in order to read. */
static void tell(struct conn *c, bool read, bool write)
{
	unsigned want = c->stack ? stack_want(c) : 0;

	if (c->shutting && write)
		conn_shut(c);
	if (c->wait && (write || want & NET_WANT_READ)) {
		c->wait = false;
		c->on->writable(c);
	}
	if (conn_is_open(c) && (read || want & NET_WANT_WRITE))
		c->on->readable(c);
}

static void on_event(struct loop_io *io, unsigned events)
{
	struct conn *c = container_of(io, struct conn, io);
	bool read = events & (LOOP_READ | LOOP_HUP | LOOP_ERR), write = events & (LOOP_WRITE | LOOP_ERR);

	if (events & (LOOP_HUP | LOOP_ERR))
		c->hup = true;
	if (read)
		c->drained = c->guessed = false;
	if (write)
		c->blocked = c->denied = false;
	if (c->opened) {
		tell(c, read, write);
	} else if (opening(c, events) && (read || c->stack)) {
		/* What the layers took from the socket and did not use is told of by no event. */
		c->on->readable(c);
	}
}

void conn_wake(struct conn *c)
{
	if (!c->io.active)
		return;
	if (c->opened)
		tell(c, true, true);
	else if (opening(c, 0))
		c->on->readable(c);
}

/* ---- for the owner ------------------------------------------------------------------------------------------ */

static void begin(struct conn *c, struct loop *l, int take_fd, bool server, const struct conn_events *on)
{
	struct peer_box *box = calloc(1, sizeof(*box));

	assert_always(!conn_is_open(c));
	*c = (struct conn){ .loop = l, .io = { .fd = take_fd }, .on = on, .server = server, .connected = server };
	if (!box)
		return;
	c->peer = &box->peer;
	c->peer->server = server;
}

static int set_up(struct conn *c, const struct net_layer *layers, unsigned nlayers)
{
	int err = c->peer ? 0 : -ENOMEM;

	if (!err && nlayers)
		err = stack_new(c, layers, nlayers);
	if (err)
		return err;
	if (!c->server || !c->on->late || c->stack)
		return loop_add_edge(c->loop, &c->io, c->io.fd, on_event, c);
	loop_add_late(c->loop, &c->io, c->io.fd, on_event, c);
	return 0;
}

static int go(struct conn *c, const struct net_layer *layers, unsigned nlayers, uint32_t open_ms)
{
	int err = set_up(c, layers, nlayers), fd = c->io.fd;

	if (err) {
		conn_close(c);
		if (c->io.fd >= 0)
			close(fd);
		return err;
	}
	/* Without layers what was accepted is open with its first event, which is here. */
	if (open_ms && (!c->server || c->stack))
		timer_arm(c->loop, &c->timer, open_ms * MSEC, too_late, c);
	return 0;
}

int conn_open_accepted(struct conn *c, struct loop *l, int take_fd, const struct net_addr *remote, const struct net_addr *local,
		       const struct net_layer *layers, unsigned nlayers, uint32_t open_ms, const struct conn_events *on)
{
	struct net_peer *p;

	begin(c, l, take_fd, true, on);
	p = c->peer;
	if (p && remote)
		p->remote = *remote;
	else if (p)
		sock_remote(take_fd, &p->remote);
	if (p && local)
		p->local = *local;
	else if (p)
		sock_local(take_fd, &p->local);
	if (p) {
		p->source = p->remote;
		p->original = p->local;
	}
	return go(c, layers, nlayers, open_ms);
}

int conn_open(struct conn *c, struct loop *l, int take_fd, bool server, const struct net_layer *layers, unsigned nlayers,
	      uint32_t open_ms, const struct conn_events *on)
{
	if (server)
		return conn_open_accepted(c, l, take_fd, NULL, NULL, layers, nlayers, open_ms, on);
	begin(c, l, take_fd, false, on);
	return go(c, layers, nlayers, open_ms);
}

void conn_watch(struct conn *c)
{
	loop_watch(c->loop, &c->io);
}

int conn_ask_for(struct conn *c, struct slice sni)
{
	char *copy;

	if (!sni.n || c->peer->sni.n)
		return 0;
	copy = conn_alloc(c, sni.n);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, sni.p, sni.n);
	c->peer->sni = (struct slice){ copy, sni.n };
	return 0;
}

static ssize_t keep_read(struct conn *c, ssize_t n)
{
	if (!n)
		c->eof = true;
	else if (n < 0 && n != -EAGAIN)
		c->read_err = (int16_t)n;
	return n;
}

ssize_t conn_read(struct conn *c, struct buf *dst, size_t most)
{
	size_t total = 0;
	ssize_t n = -EAGAIN;

	assert_hot(conn_is_open(c));
	if (c->read_err || c->eof)
		return c->read_err;
	while (total < most) {
		n = keep_read(c, c->stack ? stack_read(c, dst) : socket_read(c, dst, most - total));
		if (n <= 0)
			break;
		total += (size_t)n;
		if (conn_drained(c))
			break;
	}
	if (c->stack && c->opened)
		stack_thin(c);
	return total ? (ssize_t)total : n;
}

static ssize_t write_stack(struct conn *c, struct buf *src)
{
	size_t total = 0;
	ssize_t n = 0;

	while (src->len) {
		n = stack_write(c, src);
		if (n <= 0)
			break;
		total += (size_t)n;
	}
	return n < 0 && n != -EAGAIN ? n : (ssize_t)total;
}

ssize_t conn_write(struct conn *c, struct buf *src)
{
	ssize_t n;

	assert_hot(conn_is_open(c));
	if (c->write_err)
		return c->write_err;
	if (!src->len)
		return 0;
	n = c->stack ? write_stack(c, src) : socket_write(c, src);
	if (n < 0 && n != -EAGAIN)
		return c->write_err = (int16_t)n;
	c->wait = src->len > 0;
	return n < 0 ? 0 : n;
}

void conn_wait_writable(struct conn *c)
{
	c->blocked = c->wait = true;
	conn_watch(c);
}

int conn_shut(struct conn *c)
{
	int err = c->stack ? stack_shut(c) : socket_shut(c);

	c->shutting = err == -EAGAIN;
	return c->shutting ? 0 : err;
}

void conn_reset(struct conn *c)
{
	struct linger l = { .l_onoff = 1 };

	setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	c->shutting = false;
}

void conn_close(struct conn *c)
{
	if (!conn_is_open(c))
		return;
	stack_free(c);
	timer_disarm(c->loop, &c->timer);
	loop_del(c->loop, &c->io);
	if (c->shutting && c->peer->kernel_out)
		ktls_close_later(c->loop, c->io.fd);
	else
		close(c->io.fd);
	c->io.fd = -1;
	peer_free(c);
}

bool conn_is_open(const struct conn *c)
{
	return c->peer != NULL;
}

const char *conn_opening(const struct conn *c)
{
	return stack_opening(c);
}

int conn_raw_fd(struct conn *c, unsigned want)
{
	return c->opened && (!c->stack || stack_passes(c, want)) ? c->io.fd : -1;
}

bool conn_was_reset(const struct conn *c)
{
	int err = 0;
	socklen_t n = sizeof(err);

	return c->hup && (getsockopt(c->io.fd, SOL_SOCKET, SO_ERROR, &err, &n) || err);
}

bool conn_may_splice(struct conn *c)
{
	/* One that is may cease to be, which a long stream does soon. */
	if (!c->bare && c->asked++ % ASK_PAIRED == 0)
		c->bare = !sock_paired(c->io.fd);
	return c->bare;
}
