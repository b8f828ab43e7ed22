/* SPDX-License-Identifier: Apache-2.0 */
#include "client/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"
#include "client/url.h"
#include "event/timer.h"
#include "weft/log.h"
#include "weft/str.h"

#define client_watch_MAGIC 0x3a7c4e21u
#define URL_SHOWN 512u

struct client_watch {
	unsigned magic;
	struct client_thing thing;
	struct client *owner;
	struct client_watch_events on;
	struct client_backoff backoff;
	void *arg;
	struct client_call *call;               /* NULL: between two tries */
	struct timer timer;
	struct loop_deferred defer;
	struct rand rand;
	unsigned failed;                        /* tries in a row */
	uint64_t tries, began_ns, since_ns;
	bool grpc, answered, stopped;
	bool well, unwell;                      /* the log says so: it was answered once; it fails now */
	bool hurried;                           /* the last try failed, and this one came at once */
	char url[URL_SHOWN], error[WATCH_WORDS_MAX];
};

/* ---- waits -------------------------------------------------------------------------------------------------- */

static uint32_t or_else(uint32_t v, uint32_t other)
{
	return v ? v : other;
}

uint64_t watch_wait_ms(const struct client_backoff *b, unsigned failed, struct rand *r)
{
	uint64_t ms = or_else(b->first_ms, 500), most = or_else(b->max_ms, 30000);
	uint32_t factor = or_else(b->factor_percent, 200), jitter = or_else(b->jitter_percent, 20);

	while (failed-- && ms < most && factor > 100)
		ms = ms * factor / 100 + 1;
	ms = ms < most ? ms : most;
	jitter = jitter < 100 ? jitter : 100;
	return ms * (100 - jitter + rand_below(r, 2 * jitter + 1)) / 100;
}

/* ---- what is said of it ------------------------------------------------------------------------------------- */

static const char *name_of(const struct client_watch *w)
{
	return w->owner->name ? w->owner->name : "client";
}

/* A change of the reason, not each try. */
static void say_failed(struct client_watch *w, const char *words)
{
	bool news = !w->unwell || strcmp(w->error, words);

	if (!w->unwell || w->answered)
		w->since_ns = w->owner->loop->now_ns;
	w->unwell = true;
	snprintf(w->error, sizeof(w->error), "%s", words);
	if (news)
		log_warn(name_of(w), "watching %s: %s", w->url[0] ? w->url : "nothing yet", w->error);
}

/* A head alone may be followed by an error, time and again: of that the log has one line. */
static void say_well(struct client_watch *w)
{
	if (w->answered && (w->unwell || !w->well))
		log_info(name_of(w), "watching %s: answered", w->url);
	w->well |= w->answered;
	w->unwell &= !w->answered;
}


/* ---- one try after the other -------------------------------------------------------------------------------- */

static void attempt(struct timer *t);

/* Whoever wants to fail at once, and again, waits as others do. */
static void wait_next(struct client_watch *w, int64_t ms, bool answered)
{
	bool hurries = !ms && !answered;
	uint64_t wait = ms < 0 || (hurries && w->hurried) ? watch_wait_ms(&w->backoff, w->failed++, &w->rand) : (uint64_t)ms;

	w->hurried = hurries;
	wait = wait < WATCH_WAIT_MAX_MS ? wait : WATCH_WAIT_MAX_MS;
	timer_arm(w->owner->loop, &w->timer, wait * MSEC, attempt, w);
}

static void on_head(void *arg, const struct msg *m)
{
	struct client_watch *w = CAST(client_watch, arg);

	w->answered = m->status < 400;
	w->since_ns = w->answered ? w->owner->loop->now_ns : w->since_ns;
	if (w->on.on.head)
		w->on.on.head(w->arg, m);
}

static void on_data(void *arg, struct slice data)
{
	struct client_watch *w = CAST(client_watch, arg);

	say_well(w);
	if (w->on.on.data)
		w->on.on.data(w->arg, data);
}

static void judge(struct client_watch *w, int err, int status, const char *words)
{
	char text[WATCH_WORDS_MAX];

	if (err)
		snprintf(text, sizeof(text), "%s", words && words[0] ? words : strerror(-err));
	else
		snprintf(text, sizeof(text), "%s %d%s%s", w->grpc ? "grpc-status" : "status", status, words && words[0] ? ": " : "",
			 words ? words : "");
	if (err || (w->grpc ? status != 0 : status >= 400))
		say_failed(w, text);
}

static void on_end(void *arg, int err, int status, const char *words, const struct msg *trailers)
{
	struct client_watch *w = CAST(client_watch, arg);
	bool answered = w->answered;
	int64_t ms = -1;

	w->call = NULL;
	if (answered && w->owner->loop->now_ns - w->began_ns >= WATCH_GOOD_MS * MSEC)
		w->failed = 0;
	judge(w, err, status, words);
	w->answered = false;
	if (w->on.on.end)
		w->on.on.end(w->arg, err, status, words, trailers);
	if (!w->stopped && w->on.wait_ms)
		ms = w->on.wait_ms(w->arg, err, status);
	if (!w->stopped)
		wait_next(w, ms, answered);
}

/* One that watches may wait for long, and hear much. */
static void unbound(struct client_ask *ask)
{
	if (!ask->timeout_ms && !ask->stream)
		ask->timeout_ms = UINT32_MAX;
	if (!ask->max_body && !ask->grpc)
		ask->max_body = UINT32_MAX;
}

static void attempt(struct timer *t)
{
	static const struct client_events on = { on_head, on_data, on_end };
	struct client_watch *w = CAST(client_watch, t->arg);
	struct client_ask ask = { 0 };
	int err = w->on.ask(w->arg, &ask, w->tries > 0);

	if (w->stopped)
		return;
	w->owner->rewatches += w->tries > 0;
	w->tries++;
	w->grpc = ask.grpc;
	w->began_ns = w->owner->loop->now_ns;
	snprintf(w->url, sizeof(w->url), "%.*s", SLICE_ARG(ask.url.n ? url_shown(ask.url) : ask.cluster));
	unbound(&ask);
	if (!err)
		w->call = client_call(w->owner, &ask, &on, w, &err);
	if (w->call)
		return;
	say_failed(w, err == -EINVAL ? "it cannot be asked: see the address" : err == -EBUSY ? "too many calls at once" :
		      strerror(-err));
	wait_next(w, -1, false);
}

/* ---- life --------------------------------------------------------------------------------------------------- */

static void free_watch(struct loop_deferred *d)
{
	struct client_watch *w = container_of(d, struct client_watch, defer);

	w->magic = 0;
	free(w);
}

void client_watch_stop(struct client_watch *w)
{
	if (!w)
		return;
	assert_always(w->magic == client_watch_MAGIC && !w->stopped);
	w->stopped = true;
	list_del(&w->thing.node);
	timer_disarm(w->owner->loop, &w->timer);
	client_cancel(w->call);
	w->call = NULL;
	loop_defer(w->owner->loop, &w->defer, free_watch);
}

static void stop(struct client_thing *t)
{
	client_watch_stop(container_of(t, struct client_watch, thing));
}

struct client_watch *client_watch_start(struct client *owner, const struct client_watch_events *on, const struct client_backoff *b,
					void *arg)
{
	struct client_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->magic = client_watch_MAGIC;
	w->thing.stop = stop;
	w->owner = owner;
	w->on = *on;
	if (b)
		w->backoff = *b;
	w->arg = arg;
	rand_init(&w->rand);
	client_add(owner, &w->thing);
	timer_arm(owner->loop, &w->timer, 0, attempt, w);
	return w;
}

void client_watch_again(struct client_watch *w, const char *words)
{
	struct client_call *c = CAST(client_watch, w)->call;

	if (!c)
		return;
	w->call = NULL;
	client_cancel(c);
	w->answered = false;
	say_failed(w, words);
	wait_next(w, -1, false);
}

struct client_call *client_watch_call(struct client_watch *w)
{
	return CAST(client_watch, w)->call;
}

void watch_each(const struct client *owner, void (*fn)(void *arg, const struct watch_state *s), void *arg)
{
	for (const struct list *p = owner->things.next; p != &owner->things; p = p->next) {
		const struct client_watch *w = container_of(p, struct client_watch, thing.node);
		struct watch_state s;

		if (container_of(p, struct client_thing, node)->stop != stop)
			continue;
		s = (struct watch_state){ slice_str(w->url), w->answered, w->answered || w->unwell ? w->since_ns : 0, w->tries, w->error };
		fn(arg, &s);
	}
}
