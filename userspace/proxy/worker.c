/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf_pool.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "net/ktls.h"
#include "net/tls_session.h"
#include "proxy/downstream.h"
#include "proxy/filters.h"
#include "proxy/http.h"
#include "proxy/listener.h"
#include "proxy/pool.h"
#include "proxy/stock.h"
#include "proxy/tcp.h"
#include "proxy/udp.h"

#define QUIET_NS (5 * MSEC)                     /* between two looks whether requests are under way */

struct wake_letter {                            /* "there is a snapshot for you" */
	struct letter letter;
	struct worker *worker;
};

struct adopted_letter {
	struct letter letter;
	struct worker *worker;
	uint64_t number;
};

struct beat_letter {
	struct letter letter;
	struct worker *worker;
	_Atomic uint64_t *word;
};

static void beat(struct loop *l, void *arg)
{
	struct worker *w = arg;

	atomic_store_explicit(&w->beat_ns, l->now_ns, memory_order_relaxed);
	atomic_store_explicit(&w->buffers, buf_pool_bytes(), memory_order_relaxed);
	if (w->beat)
		atomic_store_explicit(w->beat, l->now_ns, memory_order_relaxed);
	if (w->listeners)
		listeners_ran(w->listeners);
}

/* ---- connections that others wait for --------------------------------------------------------------------------- */

struct look_letter {                            /* up to the control thread, and down to the other workers */
	struct letter letter;
	struct worker *worker;
	size_t n;
	char cluster[];
};

static struct look_letter *look_letter_new(struct worker *w, struct slice cluster)
{
	struct look_letter *m = mem_alloc(sizeof(*m) + cluster.n);

	m->worker = w;
	m->n = cluster.n;
	memcpy(m->cluster, cluster.p, cluster.n);
	return m;
}

static void told(struct letter *x)
{
	struct look_letter *m = container_of(x, struct look_letter, letter);

	m->worker->on->look(m->worker, (struct slice){ m->cluster, m->n });
	free(m);
}

static void tell_others(void *arg, struct slice cluster)
{
	struct worker *w = arg;

	mailbox_post(w->up, &look_letter_new(w, cluster)->letter, told);
}

static void look(struct letter *x)
{
	struct look_letter *m = container_of(x, struct look_letter, letter);

	if (m->worker->clusters)
		cluster_conn_look(m->worker->clusters, (struct slice){ m->cluster, m->n });
	free(m);
}

void worker_look(struct worker *w, struct slice cluster)
{
	mailbox_post(&w->thread.mail, &look_letter_new(w, cluster)->letter, look);
}

static struct clusters *clusters_of(struct worker *w)
{
	struct clusters_conf c = { .loop = &w->thread.loop, .adoption = &w->adoption, .worker = w->index, .up = w->up,
				   .up_arg = w->outlier, .changed = pool_changed, .rests = pool_rests, .close_rest = pool_close_rest,
				   .retire = pool_retire,
				   .has_room = pool_has_room, .tell = tell_others, .arg = w };
	struct rand r;

	rand_init(&r);
	c.seed = rand_u64(&r);
	return clusters_new(&c);
}

/* ---- sockets of pods -------------------------------------------------------------------------------------------- */

struct want_letter {
	struct letter letter;
	struct worker *worker;
	uint64_t netns;
	uint32_t n;
	uint8_t family;
};

static void wanted(struct letter *x)
{
	struct want_letter *m = container_of(x, struct want_letter, letter);

	m->worker->on->want(m->worker, m->netns, m->family, m->n);
	free(m);
}

static void want(void *arg, uint64_t netns, uint8_t family, uint32_t n)
{
	struct want_letter *m = mem_alloc(sizeof(*m));
	struct worker *w = arg;

	m->worker = w;
	m->netns = netns;
	m->n = n;
	m->family = family;
	mailbox_post(w->up, &m->letter, wanted);
}

static void pod_gone(void *arg, uint64_t netns)
{
	downstream_drain_netns(arg, netns);
	pool_close_netns(arg, netns);
}

struct socket_letter {
	struct letter letter;
	struct worker *worker;
	uint64_t netns;
	int fd;
	uint8_t family;
};

static void socket_came(struct letter *x)
{
	struct socket_letter *m = container_of(x, struct socket_letter, letter);

	if (m->worker->stock)
		stock_put(m->worker->stock, m->netns, m->family, m->fd);
	else
		close(m->fd);
	free(m);
}

void worker_socket(struct worker *w, uint64_t netns, uint8_t family, int take_fd)
{
	struct socket_letter *m = mem_alloc(sizeof(*m));

	m->worker = w;
	m->netns = netns;
	m->fd = take_fd;
	m->family = family;
	mailbox_post(&w->thread.mail, &m->letter, socket_came);
}

struct again_letter {
	struct letter letter;
	struct worker *worker;
};

static void again(struct letter *x)
{
	struct again_letter *m = container_of(x, struct again_letter, letter);

	if (m->worker->stock)
		stock_ask_again(m->worker->stock);
	free(m);
}

void worker_ask_again(struct worker *w)
{
	struct again_letter *m = mem_alloc(sizeof(*m));

	m->worker = w;
	mailbox_post(&w->thread.mail, &m->letter, again);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static void let_go(void *arg, struct snapshot *s)
{
	filters_leave(arg, s);
}

static int start(struct thread *t, void *arg)
{
	struct worker *w = arg;
	const struct stock_conf stock = { .loop = &t->loop, .ask = want, .gone = pod_gone, .arg = w };

	w->sessions = tls_sessions_new();
	w->adoption.let_go = let_go;
	w->adoption.arg = w;
	w->clusters = clusters_of(w);
	w->stock = stock_new(&stock);
	t->loop.tick = beat;
	t->loop.tick_arg = arg;
	t->loop.tick_max_ns = WORKER_BEAT_MS * MSEC;
	w->http = http_new(w);
	w->listeners = listeners_new(w);
	w->tcps = tcps_new(w, w->splice);
	return 0;
}

static void stop(struct thread *t, void *arg)
{
	struct worker *w = arg;

	timer_disarm(&t->loop, &w->quiet);
	http_free(w->http);
	w->http = NULL;
	tcps_free(w->tcps);
	listeners_free(w->listeners);
	udps_free(w->udps);
	stock_free(w->stock);
	clusters_free(w->clusters);
	tls_sessions_free(w->sessions);
	ktls_fini();
	w->sessions = NULL;
	w->stock = NULL;
	w->tcps = NULL;
	w->udps = NULL;
	w->listeners = NULL;
	w->clusters = NULL;
	adoption_fini(&w->adoption);
}

static void adopted(struct letter *x)
{
	struct adopted_letter *a = container_of(x, struct adopted_letter, letter);

	a->worker->on->adopted(a->worker, a->number);
	free(a);
}

static void wake(struct letter *x)
{
	struct wake_letter *m = container_of(x, struct wake_letter, letter);
	struct worker *w = m->worker;

	free(m);
	if (adoption_take(&w->adoption)) {
		struct adopted_letter *a = mem_alloc(sizeof(*a));

		if (w->http)
			filters_enter(w, w->adoption.cur->snap);
		if (w->clusters)
			clusters_adopt(w->clusters);
		if (w->listeners)
			listeners_adopt(w->listeners);
		a->worker = w;
		a->number = w->adoption.cur->snap->number;
		mailbox_post(w->up, &a->letter, adopted);
	}
}

void worker_send(struct worker *w, struct snapshot *take_s)
{
	struct wake_letter *m = mem_alloc(sizeof(*m));

	m->worker = w;
	adoption_send(&w->adoption, take_s);
	mailbox_post(&w->thread.mail, &m->letter, wake);
}

/* ---- overload ----------------------------------------------------------------------------------------------- */

struct level_letter {
	struct letter letter;
	struct worker *worker;
	enum overload_level level;
	bool hold;
};

/* What is kept for later goes; a client without a request may come again. */
static void new_level(struct letter *x)
{
	struct level_letter *m = container_of(x, struct level_letter, letter);
	struct worker *w = m->worker;

	w->level = m->level;
	w->hold = m->hold || (w->http && w->http->stopping);
	free(m);
	if (w->level >= OVERLOAD_SOFT && w->http)
		pool_drop_idle(w);
	if (w->level >= OVERLOAD_HARD && w->http)
		downstream_drain(w, NULL);
	if (w->level >= OVERLOAD_SOFT)
		buf_pool_trim();
}

void worker_overload(struct worker *w, enum overload_level level, bool hold)
{
	struct level_letter *m = mem_alloc(sizeof(*m));

	m->worker = w;
	m->level = level;
	m->hold = hold;
	mailbox_post(&w->thread.mail, &m->letter, new_level);
}

/* ---- draining ----------------------------------------------------------------------------------------------- */

struct drain_letter {
	struct letter letter;
	struct worker *worker;
};

static void told_quiet(struct letter *x)
{
	struct drain_letter *m = container_of(x, struct drain_letter, letter);

	m->worker->on->quiet(m->worker);
	free(m);
}

static void drain_letter_post(struct mailbox *to, struct worker *w, void (*fn)(struct letter *))
{
	struct drain_letter *m = mem_alloc(sizeof(*m));

	m->worker = w;
	mailbox_post(to, &m->letter, fn);
}

static void look_quiet(struct timer *t)
{
	struct worker *w = t->arg;

	if (downstreams_quiet(w))
		drain_letter_post(w->up, w, told_quiet);
	else
		timer_arm(&w->thread.loop, t, QUIET_NS, look_quiet, w);
}

static void begin_drain(struct letter *x)
{
	struct drain_letter *m = container_of(x, struct drain_letter, letter);
	struct worker *w = m->worker;

	free(m);
	if (!w->http || w->http->stopping)
		return;
	w->hold = w->http->stopping = true;
	downstream_drain(w, NULL);
	timer_arm(&w->thread.loop, &w->quiet, 0, look_quiet, w);
}

void worker_drain(struct worker *w)
{
	drain_letter_post(&w->thread.mail, w, begin_drain);
}

struct spin_letter {
	struct letter letter;
	struct worker *worker;
	uint64_t ns;
};

static void new_spin(struct letter *x)
{
	struct spin_letter *m = container_of(x, struct spin_letter, letter);

	m->worker->thread.loop.spin_ns = m->ns;
	free(m);
}

void worker_spin(struct worker *w, uint64_t ns)
{
	struct spin_letter *m = mem_alloc(sizeof(*m));

	m->worker = w;
	m->ns = ns;
	mailbox_post(&w->thread.mail, &m->letter, new_spin);
}

static void new_beat(struct letter *x)
{
	struct beat_letter *m = container_of(x, struct beat_letter, letter);

	m->worker->beat = m->word;
	beat(&m->worker->thread.loop, m->worker);
	free(m);
}

void worker_set_beat(struct worker *w, _Atomic uint64_t *word)
{
	struct beat_letter *m = mem_alloc(sizeof(*m));

	m->worker = w;
	m->word = word;
	mailbox_post(&w->thread.mail, &m->letter, new_beat);
}

int worker_start(struct worker *w, unsigned index, bool splice, struct mailbox *up, struct outlier *outlier,
		 struct journal *journal, struct overload *overload, const struct worker_events *on, void *arg)
{
	char name[16];

	*w = (struct worker){ .index = index, .splice = splice, .up = up, .outlier = outlier, .journal = journal, .overload = overload,
			      .on = on, .arg = arg };
	snprintf(name, sizeof(name), "worker-%u", index % 1000);
	return thread_start(&w->thread, name, start, stop, w);
}

void worker_stop(struct worker *w)
{
	thread_stop(&w->thread);
	adoption_fini(&w->adoption);
}
