/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/magic.h"
#include "base/mem.h"
#include "weft/log.h"
#include "weft/str.h"

#define feed_MAGIC 0xfeed1e55u
#define READ_BUDGET (1u << 20)                  /* bytes per wake-up: other work of the loop goes on */

struct feed {
	unsigned magic;
	struct loop *loop;
	struct loop_io io;
	bool open;
	struct store *store;
	struct store_tx *tx;
	struct wire_decoder decoder;
	struct buf in, out;
	const struct feed_events *on;
	void *arg;
};

static int on_begin(void *arg)
{
	struct feed *f = arg;

	f->tx = store_begin(f->store, (struct slice){ 0 });
	return 0;
}

static int on_put(void *arg, struct fact *take_f)
{
	store_put(((struct feed *)arg)->tx, take_f);
	return 0;
}

static int on_del(void *arg, enum fact_kind kind, struct slice key)
{
	store_del(((struct feed *)arg)->tx, kind, key);
	return 0;
}

/* The agent accepted these facts by the same code: a refusal here means that the two disagree, and the feed ends. */
static int on_commit(void *arg, uint64_t version)
{
	struct feed *f = arg;
	struct registry_verdict v;
	bool taken = store_commit(f->tx, version, &v);

	if (!taken && v.nrefused)
		log_error("proxy", "facts refused that the agent had accepted: %s", v.refused[0].why);
	store_end(f->tx);
	f->tx = NULL;
	return taken ? 0 : -EBADMSG;
}

static int on_snapshot(void *arg, uint64_t number)
{
	struct feed *f = arg;

	f->on->snapshot(f->arg, f, store_build(f->store, number));
	store_bury(f->store);
	return 0;
}

static const struct wire_sink sink = { on_begin, on_put, on_del, on_commit, on_snapshot };

static void feed_close(struct feed *f, const char *why)
{
	if (!f->open)
		return;
	f->open = false;
	loop_del(f->loop, &f->io);
	close(f->io.fd);
	store_end(f->tx);
	f->tx = NULL;
	if (why)
		f->on->closed(f->arg, f, why);
}

static void take_descriptors(struct feed *f, struct msghdr *mh)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n = c->cmsg_len > CMSG_LEN(0) ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			f->on->beat_fd(f->arg, fd);
		}
	}
}

static ssize_t receive(struct feed *f)
{
	char control[CMSG_SPACE(4 * sizeof(int))];
	struct msghdr mh = { .msg_control = control, .msg_controllen = sizeof(control), .msg_iovlen = 1 };
	struct iovec iov;
	ssize_t n;

	iov.iov_base = buf_room(&f->in, 1, &iov.iov_len);
	if (!iov.iov_base)
		return -ENOMEM;
	mh.msg_iov = &iov;
	n = recvmsg(f->io.fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0) {
		int err = -errno;

		buf_commit(&f->in, 0);
		return err;
	}
	take_descriptors(f, &mh);
	buf_commit(&f->in, n);
	return n ? n : -ECONNRESET;
}

static void flush(struct feed *f)
{
	while (f->open && f->out.len) {
		struct slice s = buf_head(&f->out);
		ssize_t n = send(f->io.fd, s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			break;
		buf_drop(&f->out, n);
	}
	if (f->open)
		loop_want(f->loop, &f->io, LOOP_READ | (f->out.len ? LOOP_WRITE : 0));
}

static void on_event(struct loop_io *io, unsigned events)
{
	struct feed *f = CAST(feed, io->arg);
	struct err e = { 0 };
	size_t got = 0;

	if (events & LOOP_WRITE)
		flush(f);
	while (f->open && got < READ_BUDGET) {
		ssize_t n = receive(f);

		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n < 0) {
			feed_close(f, n == -ECONNRESET ? "the agent is gone" : strerror(-n));
			return;
		}
		got += n;
		if (wire_feed(&f->decoder, &f->in, &e)) {
			feed_close(f, err_text(&e));
			return;
		}
	}
}

struct feed *feed_new(struct loop *l, int take_fd, const struct feed_events *on, void *arg)
{
	struct feed *f = mem_alloc(sizeof(*f));

	f->magic = feed_MAGIC;
	f->loop = l;
	f->on = on;
	f->arg = arg;
	f->store = store_new();
	buf_init(&f->in);
	buf_init(&f->out);
	wire_decoder_init(&f->decoder, &sink, f);
	if (loop_add(l, &f->io, take_fd, LOOP_READ, on_event, f)) {
		close(take_fd);
		store_free(f->store);
		free(f);
		return NULL;
	}
	f->open = true;
	return f;
}

bool feed_free(struct feed *f)
{
	const struct store_stat *s;

	feed_close(f, NULL);
	store_bury(f->store);
	s = store_stats(f->store);
	if (stat_get(&s->snapshots_built) != stat_get(&s->snapshots_buried))
		return false;
	buf_fini(&f->in);
	buf_fini(&f->out);
	store_free(f->store);
	f->magic = 0;
	free(f);
	return true;
}

int feed_report(struct feed *f, const struct report_hello *h, uint64_t snapshot)
{
	int err = h ? report_hello(&f->out, h) : report_snapshot(&f->out, snapshot);

	flush(f);
	return err;
}

int feed_alive(struct feed *f, uint32_t stalest_ms)
{
	int err = f->open ? report_alive(&f->out, stalest_ms) : 0;

	flush(f);
	return err;
}
