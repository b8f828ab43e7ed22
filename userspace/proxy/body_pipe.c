// SPDX-License-Identifier: Apache-2.0
/*
 * Large answers of known length between two plain sockets: from the host's to the client's through a pipe, past this
 * process (splice). The last bytes go the ordinary way, so that the codecs see the end. A socket of the kernel
 * short-circuit must not be spliced from, so where there may be one, pipes are off.
 */
#include "proxy/stream_priv.h"

#include <errno.h>

#include "proxy/downstream.h"
#include "proxy/http.h"
#include "proxy/upstream.h"
#include "proxy/worker.h"

#define PASS_FROM (64u << 10)                   /* bytes to come for which a pipe is worth its calls */

/* Bytes that may pass by. All but the last of what both codecs call plain. */
static uint64_t passable(const struct stream *s)
{
	const struct codec *from = &s->up->leg.codec, *to = &s->down->leg.codec;
	uint64_t in, out;

	if (!from->ops->plain || !to->ops->plain)
		return 0;
	in = from->ops->plain(from, s->up_id, true);
	out = to->ops->plain(to, s->down_id, false);
	in = in < out ? in : out;
	return in ? in - 1 : 0;
}

/* Both sockets are bare, and nothing lies between them. */
static bool free_way(struct stream *s)
{
	return !s->w->http->pipes.off && s->up && s->down && s->response_said && !s->response_end && !s->response_body.len &&
	       !s->down->leg.codec.out.len && conn_raw_fd(&s->up->leg.conn) >= 0 && conn_raw_fd(&s->down->leg.conn) >= 0;
}

/* False: the client does not take more for now, or never again. */
static bool empty_pipe(struct stream *s)
{
	struct downstream *d = s->down;

	while (s->pipe->len) {
		ssize_t n = relay_splice(s->pipe->out, conn_raw_fd(&d->leg.conn), s->pipe->len);

		if (n == -EAGAIN) {
			s->response_full = true;
			conn_wait_writable(&d->leg.conn);
			return false;
		}
		if (n <= 0) {
			d->leg.broken = true;
			d->leg.on->broken(&d->leg, (int)n);
			return false;
		}
		s->pipe->len -= (size_t)n;
		s->active_ns = s->w->thread.loop.now_ns;
	}
	return true;
}

/* Bytes that came, 0 or -errno as relay_splice(). */
static ssize_t fill_pipe(struct stream *s)
{
	struct codec *from = &s->up->leg.codec, *to = &s->down->leg.codec;
	uint64_t most = passable(s);
	ssize_t n = relay_splice(conn_raw_fd(&s->up->leg.conn), s->pipe->in, most < RELAY_PIPE_BYTES ? most : RELAY_PIPE_BYTES);

	if (n <= 0)
		return n;
	from->ops->passed(from, s->up_id, true, (uint64_t)n);
	to->ops->passed(to, s->down_id, false, (uint64_t)n);
	s->pipe->len += (size_t)n;
	s->info.response_bytes += (uint64_t)n;
	return n;
}

static void let_go(struct stream *s)
{
	relay_pipe_put(&s->w->http->pipes, s->pipe);
	s->pipe = NULL;
}

/* The host's FIN or error is found again by the ordinary read. */
bool stream_response_passes(struct stream *s)
{
	struct upstream *u = s->up;
	ssize_t n = 1;

	if (!s->pipe && (!free_way(s) || passable(s) < PASS_FROM))
		return false;
	if (!s->pipe)
		s->pipe = relay_pipe_get(&s->w->http->pipes);
	for (size_t moved = 0; s->pipe && moved < RELAY_BUDGET; moved += (size_t)n) {
		/* The stream may be gone with its client. */
		if (!empty_pipe(s))
			return true;
		n = passable(s) ? fill_pipe(s) : 0;
		if (n == -EAGAIN) {
			let_go(s);
			return true;
		}
		if (n <= 0) {
			let_go(s);
			return false;
		}
	}
	if (s->pipe)
		leg_again(&u->leg);
	return s->pipe;
}
