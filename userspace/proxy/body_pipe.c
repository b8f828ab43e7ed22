// SPDX-License-Identifier: Apache-2.0
/*
 * Large bodies of known length between two plain sockets, either way: through a pipe, past this process (splice). The
 * last bytes go the ordinary way, so that the codecs see the end. A request that could still be sent again is kept as it
 * goes, so it does not pass before that is over. A socket of the kernel short-circuit must not be spliced from: it is asked.
 */
#include "proxy/stream_priv.h"

#include <errno.h>

#include "proxy/downstream.h"
#include "proxy/http.h"
#include "proxy/upstream.h"
#include "proxy/worker.h"

#define PASS_FROM (64u << 10)                   /* bytes to come for which a pipe is worth its calls */

/* One direction of a stream that has both ends. */
struct way {
	struct stream *s;
	struct leg *from, *to;
	uint64_t from_id, to_id;
	struct relay_pipe **pipe;
	uint64_t *bytes;
	bool *full;                             /* `to` takes no more for now */
};

static struct way response_way(struct stream *s)
{
	return (struct way){ s, &s->up->leg, &s->down->leg, s->up_id, s->down_id, &s->response_pipe,
			     &s->info.response_bytes, &s->response_full };
}

static struct way request_way(struct stream *s)
{
	return (struct way){ s, &s->down->leg, &s->up->leg, s->down_id, s->up_id, &s->request_pipe, &s->info.request_bytes,
			     &s->request_full };
}

/* Bytes that may pass by. All but the last of what both codecs call plain. */
static uint64_t passable(const struct way *w)
{
	const struct codec *from = &w->from->codec, *to = &w->to->codec;
	uint64_t in, out;

	if (!from->ops->plain || !to->ops->plain)
		return 0;
	in = from->ops->plain(from, w->from_id, true);
	out = to->ops->plain(to, w->to_id, false);
	in = in < out ? in : out;
	return in ? in - 1 : 0;
}

/* Much is to come, both sockets are bare, and nothing lies between them. */
static bool worth_it(const struct way *w)
{
	return !w->s->w->http->pipes.off && passable(w) >= PASS_FROM && !w->to->codec.out.len && !w->to->broken &&
	       conn_raw_fd(&w->from->conn, NET_WANT_READ) >= 0 && conn_raw_fd(&w->to->conn, NET_WANT_WRITE) >= 0 &&
	       conn_may_splice(&w->from->conn) && conn_may_splice(&w->to->conn);
}

static void let_go(struct relay_pipes *pipes, struct relay_pipe **p)
{
	if (*p)
		relay_pipe_put(pipes, *p);
	*p = NULL;
}

static void give_up(const struct way *w)
{
	let_go(&w->s->w->http->pipes, w->pipe);
}

static void break_leg(const struct way *w, struct leg *l, int err)
{
	give_up(w);
	l->broken = true;
	l->on->broken(l, err);
}

/* False: `to` does not take more for now, or never again, and the stream may be gone with it. */
static bool empty_pipe(const struct way *w)
{
	struct relay_pipe *p = *w->pipe;

	*w->full = false;
	while (p->len) {
		ssize_t n = relay_splice(p->out, conn_raw_fd(&w->to->conn, NET_WANT_WRITE), p->len);

		if (n == -EAGAIN) {
			*w->full = true;
			conn_wait_writable(&w->to->conn);
			return false;
		}
		if (n <= 0) {
			break_leg(w, w->to, (int)n);
			return false;
		}
		p->len -= (size_t)n;
		w->s->active_ns = w->s->w->thread.loop.now_ns;
	}
	return true;
}

/* Bytes that came, 0 or -errno as relay_splice(). */
static ssize_t fill_pipe(const struct way *w)
{
	struct codec *from = &w->from->codec, *to = &w->to->codec;
	uint64_t most = passable(w);
	ssize_t n;

	if (!most)
		return 0;
	n = relay_splice(conn_raw_fd(&w->from->conn, NET_WANT_READ), (*w->pipe)->in,
			 most < RELAY_PIPE_BYTES ? most : RELAY_PIPE_BYTES);
	if (n <= 0)
		return n;
	from->ops->passed(from, w->from_id, true, (uint64_t)n);
	to->ops->passed(to, w->to_id, false, (uint64_t)n);
	(*w->pipe)->len += (size_t)n;
	*w->bytes += (uint64_t)n;
	stat_add(&w->s->w->http->stat.spliced_bytes, (uint64_t)n);
	return n;
}

/* False: what comes is to be read. The sender's FIN or error is found again by the ordinary read. */
static bool pass(const struct way *w)
{
	ssize_t n = 1;

	for (size_t moved = 0; moved < RELAY_BUDGET; moved += (size_t)n) {
		if (!empty_pipe(w))
			return true;
		n = fill_pipe(w);
		if (n <= 0) {
			give_up(w);
			return n == -EAGAIN;
		}
	}
	leg_again(w->from);
	return true;
}

static bool begin(const struct way *w)
{
	if (!*w->pipe && worth_it(w))
		*w->pipe = relay_pipe_get(&w->s->w->http->pipes);
	return *w->pipe;
}

/* No filter looks at it. */
static bool unread(const struct stream *s, enum chain_way way)
{
	return !s->chain || chain_plain(s->chain, way);
}

bool stream_response_passes(struct stream *s)
{
	struct way w;

	if (!s->up || !s->down || !s->response_said || s->response_end || s->response_body.len || !unread(s, CHAIN_RESPONSE))
		return false;
	w = response_way(s);
	return begin(&w) && pass(&w);
}

/* It is on its way to a host, and nobody could send it there again. */
static bool committed(const struct stream *s)
{
	return s->up && s->up_id && !s->request_end && !s->request_body.len && !s->response_end && unread(s, CHAIN_REQUEST) &&
	       (!s->retry.keep || s->retry.lost);
}

bool stream_request_passes(struct stream *s)
{
	struct way w;

	if (!committed(s)) {
		let_go(&s->w->http->pipes, &s->request_pipe);
		return false;
	}
	w = request_way(s);
	if (!begin(&w))
		return false;
	s->body_sent = true;
	return pass(&w);
}
