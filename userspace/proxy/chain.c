/* SPDX-License-Identifier: Apache-2.0 */
/* A chain's life, and what filters ask of it. */
#include "proxy/chain_priv.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "proxy/downstream.h"
#include "proxy/http.h"
#include "proxy/record_line.h"
#include "proxy/reply.h"
#include "proxy/stream_priv.h"
#include "proxy/upstream.h"
#include "proxy/worker.h"
#include "weft/str.h"

/* ---- what it is made of -------------------------------------------------------------------------------------- */

static const struct filter_unit *find(const struct filter_set *set, const struct filter_ops *ops)
{
	for (uint32_t i = 0; set && i < set->n; i++)
		if (set->unit[i]->ops == ops)
			return set->unit[i];
	return NULL;
}

static struct filter_seat *seat_of(const struct stream *s, const struct filter_unit *u)
{
	return (struct filter_seat *)&u->seat[s->w->index];
}

/* u: the listener's, or the defaults of what only the rule names. NULL: out of memory. */
static struct chain_link *link_new(struct chain *c, const struct filter_unit *u)
{
	struct stream *s = c->s;
	struct chain_link *l = arena_try_alloc(&s->arena, sizeof(*l));
	void *state = u->ops->state_size ? arena_try_alloc(&s->arena, u->ops->state_size) : NULL;

	if (!l || (u->ops->state_size && !state))
		return NULL;
	callout_owner_init(&l->calls, s->w, &s->w->http->filter_calls[u->index], u->ops->name, CALLOUTS_OF_STREAM);
	l->f = (struct filter){ .ops = u->ops, .state = state, .conf = u->conf, .worker = &seat_of(s, u)->worker,
				.client = &l->calls.client, .info = &s->info, .arena = &s->arena };
	l->chain = c;
	l->unit = u;
	l->stat = &s->w->http->filters[u->index];
	return l;
}

/* Why the request must not go on, or NULL. */
static const char *add(struct chain *c, const struct filter_unit *u, const struct filter_unit *of_rule)
{
	struct chain_link *l;

	if (!u->conf || (of_rule && !of_rule->conf) || !seat_of(c->s, u)->usable) {
		stat_add(&c->s->w->http->filters[u->index].unusable, 1);
		return u->conf ? "a filter of the request cannot run" : "a filter of the rule lacks settings of the listener";
	}
	l = link_new(c, u);
	if (!l)
		return "out of memory";
	l->f.route_conf = of_rule ? of_rule->conf : NULL;
	c->link[c->n++] = l;
	return NULL;
}

static bool reached(const struct chain *c, const struct filter_ops *ops)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->link[i]->f.ops == ops)
			return true;
	return false;
}

/* Behind those that there are: the listener's, then the rule's. NULL, or why not. */
static const char *fill(struct chain *c, const struct filter_set *of_listener, const struct filter_set *of_rule)
{
	struct stream *s = c->s;
	const char *why = NULL;
	unsigned before = c->n;

	for (uint32_t i = 0; of_listener && i < of_listener->n && !why; i++)
		if (!reached(c, of_listener->unit[i]->ops))
			why = add(c, of_listener->unit[i], find(of_rule, of_listener->unit[i]->ops));
	for (uint32_t i = 0; of_rule && i < of_rule->n && !why; i++)
		if (!reached(c, of_rule->unit[i]->ops))
			why = add(c, filters_default(s->hold->snap, of_rule->unit[i]), of_rule->unit[i]);
	for (unsigned i = 0; i < before; i++) {
		const struct filter_unit *u = find(of_rule, c->link[i]->f.ops);

		c->link[i]->f.route_conf = u ? u->conf : NULL;
		if (u && !u->conf)
			why = "a filter of the request cannot run";
	}
	return why;
}

static struct chain_link **room_for(struct stream *s, unsigned n)
{
	return arena_try_alloc(&s->arena, n * sizeof(struct chain_link *));
}

static enum stream_state unusable(struct stream *s, const char *why)
{
	return stream_say(s, 503, STREAM_DENIED, why);
}

enum stream_state chain_begin(struct stream *s)
{
	const struct filter_set *of_listener = filters_of_listener(s->hold->snap, s->listener);
	const struct filter_set *of_rule = filters_of_rule(s->hold->snap, &s->hit);
	unsigned most = (of_listener ? of_listener->n : 0) + (of_rule ? of_rule->n : 0);
	struct chain *c;
	const char *why;

	if (!most)
		return stream_routed(s);
	c = arena_try_alloc(&s->arena, sizeof(*c));
	if (!c)
		return stream_say(s, 503, STREAM_OVERLOADED, "out of memory");
	c->s = s;
	c->link = room_for(s, most);
	why = c->link ? fill(c, of_listener, of_rule) : "out of memory";
	if (why)
		return unusable(s, why);
	stream_choose(s);
	s->chain = c;
	chain_passage_begin(c, CHAIN_REQUEST, c->n, s->request_end);
	return STREAM_FILTER;
}

/* Those behind place are of the rule that was met first. */
static const char *fill_again(struct chain *c, unsigned place)
{
	const struct filter_set *of_listener = filters_of_listener(c->s->hold->snap, c->s->listener);
	const struct filter_set *of_rule = filters_of_rule(c->s->hold->snap, &c->s->hit);
	struct chain_link **link = room_for(c->s, c->n + (of_listener ? of_listener->n : 0) + (of_rule ? of_rule->n : 0));
	const char *why;

	if (!link)
		return "out of memory";
	memcpy(link, c->link, (place + 1) * sizeof(struct chain_link *));
	c->link = link;
	c->n = place + 1;
	why = fill(c, of_listener, of_rule);
	c->passage[CHAIN_REQUEST].n = c->n;
	return why;
}

/* What of the body has passed the old ones is the new ones' to see. */
static void body_back(struct chain *c, unsigned place)
{
	struct passage *p = &c->passage[CHAIN_REQUEST];
	struct link_way *next;

	bool was_plain = p->plain;

	chain_passage_plain(c, CHAIN_REQUEST);
	for (unsigned i = 0; was_plain && !p->plain && i <= place; i++)
		c->link[i]->way[CHAIN_REQUEST].end_in = c->link[i]->way[CHAIN_REQUEST].end = p->end_in;
	if (p->plain || place + 1 == c->n)
		return;
	next = &c->link[place + 1]->way[CHAIN_REQUEST];
	buf_move(&next->fresh, &c->s->request_body);
	next->end_in = p->end_out;
	p->end_out = false;
	p->bytes = 0;
}

bool chain_reroute(struct chain *c, unsigned place)
{
	struct chain_link *l = c->link[place];
	struct stream *s = c->s;
	enum stream_state next;
	const char *why;

	l->reroute = false;
	stat_add(&l->stat->reroutes, 1);
	next = stream_look_up_again(s);
	why = next == STREAM_BLOCKED ? fill_again(c, place) : NULL;
	if (why)
		next = unusable(s, why);
	if (next != STREAM_BLOCKED) {
		c->passage[CHAIN_REQUEST].over = true;
		stream_go(s, next);
		return false;
	}
	stream_choose(s);
	body_back(c, place);
	return true;
}

/* ---- its steps ----------------------------------------------------------------------------------------------- */

/* The client waits for a word before it sends the body that is waited for here. */
static void ask_for_body(struct chain *c)
{
	for (unsigned i = 0; i < c->reached; i++)
		if (c->link[i]->way[CHAIN_REQUEST].collects)
			stream_continue(c->s);
}

enum stream_state step_filter(struct stream *s)
{
	struct chain *c = s->chain;

	chain_move(c, CHAIN_REQUEST);
	if (c->passage[CHAIN_REQUEST].over)
		return STREAM_BLOCKED;          /* it was told where to go */
	if (c->passage[CHAIN_REQUEST].head_out)
		return stream_routed(s);
	ask_for_body(c);
	stream_deadline(s);
	return STREAM_BLOCKED;
}

bool chain_respond(struct stream *s)
{
	struct chain *c = s->chain;
	struct passage *p = &c->passage[CHAIN_RESPONSE];

	if (!c->host_status)
		c->host_status = s->response.status;
	if (!p->begun)
		chain_passage_begin(c, CHAIN_RESPONSE, c->reached, s->response_end && !s->response_trailed);
	chain_move(c, CHAIN_RESPONSE);
	return p->head_out && !p->over;
}

/* Each filter sees one answer: those that have seen the head of another one are left out. */
static unsigned unseen(const struct chain *c)
{
	unsigned n = 0;

	while (n < c->reached && !c->link[n]->way[CHAIN_RESPONSE].head)
		n++;
	return n;
}

void chain_reply_begin(struct stream *s)
{
	struct chain *c = s->chain;
	unsigned n = unseen(c);
	bool body = s->response.body_len && !slice_eq_str(s->request.method, "HEAD");

	chain_passage_drop(c, CHAIN_RESPONSE);
	buf_fini(&s->response_body);
	s->response_trailed = false;
	c->passage[CHAIN_REQUEST].over = true;
	for (unsigned i = 0; i < n; i++)
		c->link[i]->way[CHAIN_RESPONSE] = (struct link_way){ 0 };
	for (unsigned i = n; i < c->reached; i++)
		c->link[i]->way[CHAIN_RESPONSE].waits = CHAIN_NOTHING;
	chain_passage_begin(c, CHAIN_RESPONSE, n, !body);
	if (body)
		chain_data(s, CHAIN_RESPONSE, NULL, s->reply.text, true);
}

bool chain_reply(struct stream *s)
{
	struct passage *p = &s->chain->passage[CHAIN_RESPONSE];

	chain_move(s->chain, CHAIN_RESPONSE);
	if (p->head_out && !p->over)
		return true;
	stream_deadline(s);
	return false;
}

bool chain_info(struct stream *s, struct msg *m)
{
	struct chain *c = s->chain;

	for (unsigned i = c->reached; i-- > 0;) {
		struct chain_link *l = c->link[i];

		if (!l->f.ops->response_info || l->f.ops->response_info(&l->f, m) == FILTER_NEXT)
			continue;
		/* There is nobody to wait for it, and nothing to answer. */
		chain_judge(l, CHAIN_RESPONSE, CHAIN_HEAD, FILTER_RESET);
		return false;
	}
	return true;
}

void chain_cut(struct stream *s)
{
	chain_passage_drop(s->chain, CHAIN_RESPONSE);
	s->chain->passage[CHAIN_RESPONSE].over = true;
}

int chain_host_status(const struct stream *s)
{
	return s->chain->host_status ? s->chain->host_status : s->response.status;
}

void chain_end(struct stream *s)
{
	struct chain *c = s->chain;

	chain_passage_drop(c, CHAIN_REQUEST);
	chain_passage_drop(c, CHAIN_RESPONSE);
	for (unsigned i = c->reached; i-- > 0;) {
		struct chain_link *l = c->link[i];

		timer_disarm(&s->w->thread.loop, &l->timer);
		client_fini(&l->calls.client);
		stat_set(&l->stat->active, stat_get(&l->stat->active) - 1);
		if (l->f.ops->done)
			l->f.ops->done(&l->f);
	}
}

/* ---- what filters ask ---------------------------------------------------------------------------------------- */

static struct chain_link *link_of(const struct filter *f)
{
	return (struct chain_link *)f;
}

/* As after an event of a connection: windows are opened, and whoever was stopped is read again. */
static void go_on(struct stream *s)
{
	struct downstream *d = s->down;
	struct upstream *u = s->up;
	bool there = s->request_full, back = s->response_full;

	body_credit(s);
	stream_run(s);
	if (there && d)
		downstream_pump(d);
	if (back && u && u->stream == s)
		upstream_pump(u);
}

void filter_resume(struct filter *f, enum filter_verdict v)
{
	struct chain_link *l = link_of(f);
	struct chain *c = l->chain;
	bool request = l->way[CHAIN_REQUEST].waits, response = l->way[CHAIN_RESPONSE].waits;
	enum chain_way way = response && (!request || l->answer_first) ? CHAIN_RESPONSE : CHAIN_REQUEST;
	struct link_way *x = &l->way[way];
	enum chain_part part = x->waits;

	if (!part || v == FILTER_WAIT)
		return;
	x->waits = CHAIN_NOTHING;
	l->answer_first = l->way[CHAIN_RESPONSE].waits;
	if (c->passage[way].over)
		return;
	if (chain_judge(l, way, part, v))
		chain_move(c, way);
	/* Another filter's method is in the middle of it: what it passes goes on behind it. */
	if (!c->moving)
		go_on(c->s);
}

void filter_collect_body(struct filter *f, uint32_t max)
{
	struct chain_link *l = link_of(f);
	enum chain_way way = l->way[CHAIN_RESPONSE].head ? CHAIN_RESPONSE : CHAIN_REQUEST;

	if (!chain_link_reads(l, way))
		return;
	l->way[way].collects = true;
	l->way[way].max = max;
}

static int copy_headers(struct stream *s, struct proto_reply *to)
{
	struct msg_header *v = msg_alloc(&s->request, (to->nheaders + 1) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < to->nheaders; i++) {
		v[i].name = msg_dup(&s->request, to->headers[i].name);
		v[i].value = msg_dup(&s->request, to->headers[i].value);
		if (!v[i].name.p || !v[i].value.p)
			return -ENOMEM;
	}
	to->headers = v;
	return 0;
}

void filter_reply(struct filter *f, const struct proto_reply *r, enum stream_flag flag, const char *detail)
{
	struct chain *c = link_of(f)->chain;
	struct stream *s = c->s;
	struct proto_reply to = *r;

	if (r->text.p)
		to.text = msg_dup(&s->request, r->text);
	to.content_type = r->content_type.n ? msg_dup(&s->request, r->content_type) : SLICE_LIT("text/plain");
	/* Without memory for the words there is still the status. */
	if (copy_headers(s, &to))
		to.nheaders = 0;
	c->reply = to;
	c->flag = flag;
	c->detail = detail ? detail : "";
}

void filter_reroute(struct filter *f)
{
	link_of(f)->reroute = true;
}

static void on_wake(struct timer *t)
{
	struct chain_link *l = t->arg;
	struct worker *w = l->chain->s->w;

	if (l->f.ops->wake)
		l->f.ops->wake(&l->f);
	legs_flush(w);
}

void filter_wake_after(struct filter *f, uint32_t ms)
{
	struct chain_link *l = link_of(f);
	struct loop *loop = &l->chain->s->w->thread.loop;

	timer_disarm(loop, &l->timer);
	if (ms)
		timer_arm(loop, &l->timer, ms * MSEC, on_wake, l);
}

/* ---- notes and subsets --------------------------------------------------------------------------------------- */

static struct record_note *note_find(const struct chain *c, struct slice key)
{
	const struct record_note *n = c->notes;

	while (n && !slice_eq(n->key, key))
		n = n->next;
	return (struct record_note *)n;
}

int filter_note(struct filter *f, struct slice key, struct slice value)
{
	struct chain *c = link_of(f)->chain;
	struct record_note *n = note_find(c, key);
	struct slice copy = msg_dup(&c->s->request, value);

	if (!copy.p)
		return -ENOMEM;
	if (!n) {
		n = arena_try_alloc(f->arena, sizeof(*n));
		if (!n)
			return -ENOMEM;
		n->key = msg_dup(&c->s->request, key);
		if (!n->key.p)
			return -ENOMEM;
		n->next = c->notes;
		c->notes = n;
	}
	n->value = copy;
	return 0;
}

struct slice filter_note_get(const struct filter *f, struct slice key)
{
	const struct record_note *n = note_find(link_of(f)->chain, key);

	return n ? n->value : (struct slice){ 0 };
}

const struct record_note *chain_notes(const struct stream *s)
{
	return s->chain->notes;
}

/* Both by name; the place of a new one. */
static size_t place_in(const struct name_value *v, size_t n, struct slice key)
{
	size_t i = 0;

	while (i < n && slice_cmp(v[i].name, key) < 0)
		i++;
	return i;
}

int filter_subset(struct filter *f, struct slice key, struct slice value)
{
	struct chain *c = link_of(f)->chain;
	struct msg *m = &c->s->request;
	struct name_value *v = msg_alloc(m, (c->nsubset + 1) * sizeof(*v)), one = { msg_dup(m, key), msg_dup(m, value) };
	size_t at = place_in(c->subset, c->nsubset, key), same = at < c->nsubset && slice_eq(c->subset[at].name, key);

	if (!v || !one.name.p || !one.value.p)
		return -ENOMEM;
	if (at)
		memcpy(v, c->subset, at * sizeof(*v));
	v[at] = one;
	if (at + same < c->nsubset)
		memcpy(v + at + 1, c->subset + at + same, (c->nsubset - at - same) * sizeof(*v));
	c->nsubset += 1 - same;
	c->subset = v;
	return 0;
}

const struct route_backend *chain_backend(const struct stream *s)
{
	const struct chain *c = s->chain;
	const struct route_backend *b = s->backend;
	size_t i = 0, j = 0, n = 0;
	struct route_backend *both;
	struct name_value *v;

	if (!c || !c->nsubset)
		return b;
	both = arena_try_alloc((struct arena *)&s->arena, sizeof(*both));
	v = arena_try_alloc((struct arena *)&s->arena, (b->nsubset + c->nsubset) * sizeof(*v));
	if (!both || !v)
		return NULL;
	while (i < b->nsubset || j < c->nsubset) {
		bool ours = i == b->nsubset || (j < c->nsubset && slice_cmp(c->subset[j].name, b->subset[i].name) < 0);

		v[n++] = ours ? c->subset[j++] : b->subset[i++];
	}
	*both = *b;
	both->subset = v;
	both->nsubset = n;
	return both;
}
