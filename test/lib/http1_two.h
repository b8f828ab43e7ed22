/* SPDX-License-Identifier: Apache-2.0 */
/* A head read in both ways that there are, by llhttp and as a plain one: what the plain way takes must be the same. */
#pragma once
#include "base/arena.h"
#include "base/magic.h"
#include "proto/http1_priv.h"

struct two_side {
	struct codec c;
	struct http1 state;
	struct msg m;
	struct arena arena;
	struct http1_head head;
};

static inline void two_begin(struct two_side *t, struct slice raw, bool server)
{
	static const struct proto_limits none;

	*t = (struct two_side){ 0 };
	t->c = (struct codec){ .ops = &proto_http1, .state = &t->state, .limits = &none, .server = server };
	t->state.m = &t->m;
	t->state.tx = TX_DONE;                  /* no refusal is written */
	t->m.arena = &t->arena;
	http1_head_begin(&t->c, raw, &t->head);
}

static inline bool two_same(struct slice a, struct slice b)
{
	return a.p == b.p && a.n == b.n;
}

static inline const char *two_lines_difference(const struct http1_head *a, const struct http1_head *b)
{
	if (a->m->nheaders != b->m->nheaders || a->nlines != b->nlines)
		return "number of lines";
	for (uint32_t i = 0; i < a->m->nheaders; i++)
		if (!two_same(a->m->headers[i].name, b->m->headers[i].name) ||
		    !two_same(a->m->headers[i].value, b->m->headers[i].value))
			return "line";
	if (a->nconnection != b->nconnection)
		return "Connection";
	for (unsigned i = 0; i < a->nconnection; i++)
		if (!two_same(a->connection[i], b->connection[i]))
			return "Connection";
	return NULL;
}

static inline const char *two_head_difference(const struct http1_head *a, const struct http1_head *b)
{
	if (!two_same(a->target, b->target))
		return "target";
	if (a->method != b->method || a->minor != b->minor || a->code != b->code)
		return "first line";
	if (a->nhost != b->nhost || !two_same(a->host, b->host))
		return "Host";
	if (a->ncoding != b->ncoding || a->chunked != b->chunked || a->nlength != b->nlength || a->counted != b->counted ||
	    a->content_length != b->content_length)
		return "length";
	if (a->expect != b->expect || !two_same(a->upgrade, b->upgrade) || a->complete != b->complete || a->refused != b->refused)
		return "rest";
	return two_lines_difference(a, b);
}

/* raw: a whole section, as http1_section() says. NULL: the same, or not plain; *plain says which. */
static inline const char *two_difference(struct slice raw, bool server, bool *plain)
{
	struct two_side a, b;
	const char *what = NULL;

	two_begin(&a, raw, server);
	two_begin(&b, raw, server);
	*plain = http1_head_plain(&a.head);
	if (*plain)
		what = http1_head_llhttp(&b.head) ? "llhttp refuses it" : two_head_difference(&a.head, &b.head);
	arena_fini(&a.arena);
	arena_fini(&b.arena);
	return what;
}

/* Any bytes: their first section, if there is one. */
static inline const char *two_compare(struct slice s, bool server, bool *plain)
{
	struct two_side t;
	ssize_t n;

	*plain = false;
	two_begin(&t, s, server);
	t.state.rx = RX_HEAD;
	n = s.n ? http1_section(&t.c, s, HTTP1_HEAD_MAX) : 0;
	return n > 2 ? two_difference((struct slice){ s.p, (size_t)n }, server, plain) : NULL;
}
