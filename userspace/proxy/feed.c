/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/magic.h"
#include "base/mem.h"
#include "net/handover.h"
#include "weft/log.h"
#include "weft/str.h"

#define feed_MAGIC 0xfeed1e55u
#define COUNTS_WAITING (1u << 20)               /* bytes */
#define READ_BUDGET (1u << 20)                  /* bytes per wake-up: other work of the loop goes on */

struct feed {
	unsigned magic;
	struct loop *loop;
	struct loop_io io;
	bool open;
	struct store *store;
	struct store_tx *tx;
	struct wire_decoder decoder;
	struct handover way;
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

static int on_beat(void *arg)
{
	struct feed *f = arg;
	int fd = handover_take(&f->way);

	if (fd < 0)
		return -EBADMSG;
	f->on->beat_fd(f->arg, fd);
	return 0;
}

static int on_steer(void *arg)
{
	struct feed *f = arg;
	int fd = handover_take(&f->way);

	if (fd < 0)
		return -EBADMSG;
	f->on->steer_fd(f->arg, fd);
	return 0;
}

static int on_socket(void *arg, struct slice listener, uint32_t index)
{
	struct feed *f = arg;
	int fd = handover_take(&f->way);

	if (fd < 0)
		return -EBADMSG;
	f->on->socket(f->arg, listener, index, fd);
	return 0;
}

static int on_state(void *arg, struct slice key, uint8_t state)
{
	struct feed *f = arg;

	f->on->state(f->arg, f, key, state);
	return 0;
}

static int on_log(void *arg, struct slice format, uint32_t index)
{
	struct feed *f = arg;
	int fd = handover_take(&f->way);

	if (fd < 0)
		return -EBADMSG;
	f->on->log(f->arg, format, index, fd);
	return 0;
}

static int on_sockets(void *arg, uint64_t netns, uint32_t worker, uint8_t family)
{
	struct feed *f = arg;
	int fd = handover_take(&f->way);

	if (fd < 0)
		return -EBADMSG;
	f->on->pod_socket(f->arg, netns, worker, family, fd);
	return 0;
}

static int on_overload(void *arg, const struct overload_limits *l)
{
	struct feed *f = arg;

	f->on->overload(f->arg, l);
	return 0;
}

static int on_tickets(void *arg)
{
	struct feed *f = arg;
	int fd = handover_take(&f->way);

	if (fd < 0)
		return -EBADMSG;
	f->on->tickets(f->arg, fd);
	return 0;
}

static const struct wire_sink sink = { on_begin, on_put, on_del, on_commit, on_snapshot, on_beat, on_socket,
					on_state, on_steer, on_log, on_sockets, on_overload, on_tickets };

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

static void flush(struct feed *f)
{
	if (!f->open)
		return;
	handover_flush(&f->way, NULL);
	loop_want(f->loop, &f->io, LOOP_READ | (f->way.out.len ? LOOP_WRITE : 0));
}

static void on_event(struct loop_io *io, unsigned events)
{
	struct feed *f = CAST(feed, io->arg);
	struct err e = { 0 };
	size_t got = 0;

	if (events & LOOP_WRITE)
		flush(f);
	while (f->open && got < READ_BUDGET) {
		ssize_t n = handover_receive(&f->way);

		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n <= 0) {
			feed_close(f, !n || n == -ECONNRESET ? "the agent is gone" : strerror(-n));
			return;
		}
		got += n;
		if (wire_feed(&f->decoder, &f->way.in, &e)) {
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
	handover_init(&f->way, take_fd);
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
	handover_fini(&f->way);
	store_free(f->store);
	f->magic = 0;
	free(f);
	return true;
}

int feed_report(struct feed *f, const struct report_hello *h, uint64_t snapshot)
{
	int err = h ? report_hello(&f->way.out, h) : report_snapshot(&f->way.out, snapshot);

	flush(f);
	return err;
}

void feed_socket(struct feed *f, struct slice listener, unsigned index, int fd)
{
	/* A name that no frame holds: the agent opens that one anew. */
	int copy = listener.n > REPORT_NAME_MAX ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return;
	handover_give(&f->way, copy);
	report_socket(&f->way.out, listener, index);
}

void feed_tickets(struct feed *f, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return;
	handover_give(&f->way, copy);
	report_tickets(&f->way.out);
}

/* Sent with what feed_alive() says next. An agent that does not read gets no more of them. */
int feed_stat(struct feed *f, const struct stat_desc *d, struct slice name, const uint64_t *v)
{
	return f->open && f->way.out.len < COUNTS_WAITING ? report_stat(&f->way.out, slice_str(d->set), name, v, d->n) : 0;
}

int feed_host(struct feed *f, struct slice host_key, uint32_t for_ms)
{
	int err = f->open ? report_host(&f->way.out, host_key, for_ms) : 0;

	flush(f);
	return err;
}

int feed_want(struct feed *f, const struct report_want *w)
{
	int err = f->open ? report_want(&f->way.out, w) : 0;

	flush(f);
	return err;
}

int feed_alive(struct feed *f, uint32_t stalest_ms)
{
	int err = f->open ? report_alive(&f->way.out, stalest_ms) : 0;

	flush(f);
	return err;
}
