/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns_channel.h"

#include <ares.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"

#define TRY_MS 2000
#define TRIES 2

struct dns_channel {
	ares_channel ares;
	struct loop *loop;
	struct timer timer;
	struct list socks;
	unsigned busy;
};

struct dns_sock {
	struct list node;
	struct dns_channel *channel;
	struct loop_io io;
	struct loop_deferred defer;
};

struct dns_question {
	struct dns_channel *channel;
	dns_answer_fn *fn;
	void *arg;
};

static void arm(struct dns_channel *c);

static void on_time(struct timer *t)
{
	struct dns_channel *c = t->arg;

	ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(c);
}

static void arm(struct dns_channel *c)
{
	struct timeval tv, *wait = ares_timeout(c->ares, NULL, &tv);

	if (wait)
		timer_arm(c->loop, &c->timer, wait->tv_sec * SEC + wait->tv_usec * 1000ull, on_time, c);
	else
		timer_disarm(c->loop, &c->timer);
}

/* ---- sockets ------------------------------------------------------------------------------------------------ */

static void on_sock(struct loop_io *io, unsigned events)
{
	struct dns_sock *s = io->arg;
	struct dns_channel *c = s->channel;
	ares_socket_t fd = io->fd;

	ares_process_fd(c->ares, events & (LOOP_READ | LOOP_HUP | LOOP_ERR) ? fd : ARES_SOCKET_BAD,
			events & (LOOP_WRITE | LOOP_ERR) ? fd : ARES_SOCKET_BAD);
	arm(c);
}

static void sock_free(struct loop_deferred *d)
{
	free(container_of(d, struct dns_sock, defer));
}

static void sock_end(struct dns_sock *s)
{
	list_del(&s->node);
	loop_del(s->channel->loop, &s->io);
	loop_defer(s->channel->loop, &s->defer, sock_free);
}

static struct dns_sock *sock_find(struct dns_channel *c, int fd)
{
	list_for(p, &c->socks) {
		struct dns_sock *s = container_of(p, struct dns_sock, node);

		if (s->io.fd == fd)
			return s;
	}
	return NULL;
}

static void on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct dns_channel *c = arg;
	struct dns_sock *s = sock_find(c, fd);
	unsigned want = (readable ? LOOP_READ : 0) | (writable ? LOOP_WRITE : 0);

	if (!want) {
		if (s)
			sock_end(s);
		return;
	}
	if (s) {
		loop_want(c->loop, &s->io, want);
		return;
	}
	s = mem_alloc(sizeof(*s));
	s->channel = c;
	if (loop_add(c->loop, &s->io, fd, want, on_sock, s)) {
		free(s);                        /* c-ares' own time will end the question */
		return;
	}
	list_add_tail(&c->socks, &s->node);
}

/* ---- questions ---------------------------------------------------------------------------------------------- */

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *answer)
{
	struct dns_question *q = arg;

	(void)timeouts;
	q->channel->busy--;
	q->fn(q->arg, status, status == ARES_SUCCESS ? answer : NULL);
	if (answer)
		ares_freeaddrinfo(answer);
	free(q);
}

void dns_channel_ask(struct dns_channel *c, const char *name, int family, dns_answer_fn *fn, void *arg)
{
	struct ares_addrinfo_hints hints = { .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT };
	struct dns_question *q = mem_alloc(sizeof(*q));

	*q = (struct dns_question){ c, fn, arg };
	c->busy++;
	ares_getaddrinfo(c->ares, name, NULL, &hints, on_answer, q);
	arm(c);
}

unsigned dns_channel_busy(const struct dns_channel *c)
{
	return c->busy;
}

struct dns_channel *dns_channel_new(struct loop *l, const char *servers, struct err *e)
{
	struct dns_channel *c = mem_alloc(sizeof(*c));
	struct ares_options o = { .timeout = TRY_MS, .tries = TRIES, .sock_state_cb = on_state, .sock_state_cb_data = c };
	int status;

	c->loop = l;
	list_init(&c->socks);
	status = ares_init_options(&c->ares, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
	if (status == ARES_SUCCESS && servers) {
		status = ares_set_servers_ports_csv(c->ares, servers);
		if (status != ARES_SUCCESS)
			ares_destroy(c->ares);
	}
	if (status == ARES_SUCCESS)
		return c;
	err_add(e, -EINVAL, "resolver: %s", ares_strerror(status));
	free(c);
	return NULL;
}

void dns_channel_free(struct dns_channel *c)
{
	if (!c)
		return;
	ares_destroy(c->ares);
	list_for(p, &c->socks)
		sock_end(container_of(p, struct dns_sock, node));
	timer_disarm(c->loop, &c->timer);
	free(c);
}
