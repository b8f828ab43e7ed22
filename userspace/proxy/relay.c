/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "proxy/overload.h"

#define PIPES_IDLE 16                           /* kept by one worker */

/* ---- pipes -------------------------------------------------------------------------------------------------- */

static struct relay_pipe *pipe_new(struct overload *o)
{
	struct relay_pipe *p;
	int fd[2];

	if (pipe2(fd, O_NONBLOCK | O_CLOEXEC))
		return NULL;
	fd[0] = overload_fd(o, fd[0]);
	fd[1] = overload_fd(o, fd[1]);
	if (fd[0] < 0 || fd[1] < 0) {
		for (int i = 0; i < 2; i++)
			if (fd[i] >= 0)
				close(fd[i]);
		return NULL;
	}
	/* Refused when this user has many pipes already: a small one works as well. */
	fcntl(fd[1], F_SETPIPE_SZ, RELAY_PIPE_BYTES);
	p = mem_alloc(sizeof(*p));
	p->in = fd[1];
	p->out = fd[0];
	return p;
}

static void pipe_free(struct relay_pipe *p)
{
	close(p->in);
	close(p->out);
	free(p);
}

struct relay_pipe *relay_pipe_get(struct relay_pipes *pool)
{
	return pool->idle.n ? pool->idle.v[--pool->idle.n] : pipe_new(pool->overload);
}

void relay_pipe_put(struct relay_pipes *pool, struct relay_pipe *p)
{
	if (p->len || pool->idle.n >= PIPES_IDLE)
		pipe_free(p);
	else
		vec_push(&pool->idle, p);
}

void relay_pipes_fini(struct relay_pipes *p)
{
	while (p->idle.n)
		pipe_free(p->idle.v[--p->idle.n]);
	vec_fini(&p->idle);
}

void relay_fini(struct relay *r, struct relay_pipes *pipes)
{
	buf_fini(&r->buf);
	if (r->pipe)
		relay_pipe_put(pipes, r->pipe);
	r->pipe = NULL;
}

/* ---- moving ------------------------------------------------------------------------------------------------- */

static enum relay_state pass_end(struct relay *r, struct conn *to)
{
	if (!r->shut && conn_shut(to))
		return RELAY_TO_BROKE;
	r->shut = true;
	return RELAY_WAIT;
}

ssize_t relay_splice(int from, int to, size_t n)
{
	ssize_t got;

	do
		got = splice(from, NULL, to, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static bool pipe_drained(struct relay *r, int to_fd, struct conn *to, enum relay_state *out)
{
	while (r->pipe->len) {
		ssize_t n = relay_splice(r->pipe->out, to_fd, r->pipe->len);

		if (n == -EAGAIN) {
			conn_wait_writable(to);
			*out = RELAY_WAIT;
			return false;
		}
		if (n <= 0) {
			*out = RELAY_TO_BROKE;
			return false;
		}
		r->pipe->len -= n;
	}
	return true;
}

static enum relay_state move_by_pipe(struct relay *r, struct conn *from, struct conn *to)
{
	int from_fd = conn_raw_fd(from, NET_WANT_READ), to_fd = conn_raw_fd(to, NET_WANT_WRITE);
	enum relay_state state = RELAY_MORE;
	size_t moved = 0, waited = r->pipe->len;

	while (moved < RELAY_BUDGET) {
		ssize_t n;

		if (!pipe_drained(r, to_fd, to, &state))
			return state;
		if (r->eof)
			return pass_end(r, to);
		n = relay_splice(from_fd, r->pipe->in, RELAY_PIPE_BYTES);
		if (n == -EAGAIN) {
			r->run = moved + waited < RELAY_LITTLE ? 0 : r->run;
			return RELAY_WAIT;
		}
		/* Of what is not bytes, a layer that is left makes what it is. */
		if (n <= 0 && from->stack) {
			r->run = 0;
			return RELAY_MORE;
		}
		if (n < 0)
			return RELAY_FROM_BROKE;
		r->eof = !n;
		r->pipe->len += n;
		r->bytes += n;
		r->spliced += n;
		moved += n;
	}
	return RELAY_MORE;
}

/* Whether the next bytes may pass by this process: r->pipe is there then. */
static bool by_pipe(struct relay *r, struct conn *from, struct conn *to, struct relay_pipes *pipes)
{
	if (r->pipe && r->pipe->len)
		return true;
	if (pipes->off || r->run < RELAY_SPLICE_FROM || r->buf.len || r->eof)
		return false;
	if (conn_raw_fd(from, NET_WANT_READ) < 0 || conn_raw_fd(to, NET_WANT_WRITE) < 0 || !conn_may_splice(from) ||
	    !conn_may_splice(to))
		return false;
	if (!r->pipe)
		r->pipe = relay_pipe_get(pipes);
	return r->pipe;
}

static enum relay_state move_by_buffer(struct relay *r, struct conn *from, struct conn *to, struct relay_pipes *pipes)
{
	size_t moved = 0;

	while (moved < RELAY_BUDGET) {
		ssize_t n;

		if (r->buf.len && conn_write(to, &r->buf) < 0)
			return RELAY_TO_BROKE;
		if (r->buf.len)
			return RELAY_WAIT;
		if (r->eof)
			return pass_end(r, to);
		if (conn_drained(from))
			return RELAY_WAIT;
		if (by_pipe(r, from, to, pipes))
			return RELAY_MORE;
		n = conn_read(from, &r->buf, RELAY_BUFFER);
		if (n == -EAGAIN)
			return RELAY_WAIT;
		if (n < 0)
			return RELAY_FROM_BROKE;
		r->eof = !n;
		r->bytes += n;
		r->run = n < RELAY_MUCH ? 0 : r->run < RELAY_SPLICE_FROM ? r->run + (uint32_t)n : r->run;
		moved += n;
	}
	return RELAY_MORE;
}

enum relay_state relay_move(struct relay *r, struct conn *from, struct conn *to, struct relay_pipes *pipes)
{
	enum relay_state state = RELAY_MORE;

	/* An event of one side wakes both directions. */
	if (r->shut || (conn_drained(from) && !r->buf.len && !r->eof && !r->pipe))
		return RELAY_WAIT;
	if (!by_pipe(r, from, to, pipes)) {
		state = move_by_buffer(r, from, to, pipes);
		if (state != RELAY_MORE || !r->pipe)
			return state;
	}
	state = move_by_pipe(r, from, to);
	if (!r->pipe->len) {
		relay_pipe_put(pipes, r->pipe);
		r->pipe = NULL;
	}
	return state;
}
