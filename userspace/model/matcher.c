/* SPDX-License-Identifier: Apache-2.0 */
#include "base/magic.h"
#include "model/router_priv.h"
#include "weft/str.h"

#define START_MAX 64u                           /* turns that a worker may skip at its first */

STAT_DEFINE(matcher_stat, "router", MATCHER_STATS);

struct matcher *matcher_new(void)
{
	struct matcher *mt = mem_alloc(sizeof(*mt));

	mt->magic = matcher_MAGIC;
	mt->regex = regex_desk_new();
	rand_init(&mt->rand);
	return mt;
}

void matcher_free(struct matcher *mt)
{
	if (!mt)
		return;
	CAST(matcher, mt);
	for (size_t i = 0; i < mt->turns.n; i++)
		free(mt->turns.v[i].cells);
	vec_fini(&mt->turns);
	vec_fini(&mt->text);
	free(mt->found);
	regex_desk_free(mt->regex);
	mt->magic = 0;
	free(mt);
}

const struct matcher_stat *matcher_stats(const struct matcher *mt)
{
	return &mt->stat;
}

struct slice matcher_gave_up(struct matcher *mt)
{
	struct slice route = mt->gave_up;

	mt->gave_up = (struct slice){ 0 };
	return route;
}

struct regex_desk *matcher_regex(struct matcher *mt)
{
	return mt->regex;
}

void matcher_begin(struct matcher *mt, const struct router *r)
{
	mt->asked++;
	if (mt->nfound >= r->wants.n)
		return;
	mt->found = mem_realloc(mt->found, r->wants.n * sizeof(*mt->found));
	memset(mt->found + mt->nfound, 0, (r->wants.n - mt->nfound) * sizeof(*mt->found));
	mt->nfound = r->wants.n;
}

/* ---- parameters and cookies --------------------------------------------------------------------------------- */

static void keep_first(struct matcher *mt, const struct table *names, struct slice name, struct slice value)
{
	uintptr_t want = (uintptr_t)table_get(names, name);

	if (!want || mt->found[want - 1].asked == mt->asked)
		return;
	mt->found[want - 1] = (struct found){ mt->asked, { value.n ? value.p : "", value.n } };
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As forms are: "+" is a space, "%41" a byte, a "%" without two digits itself. mt->text has room. */
static struct slice decode(struct matcher *mt, struct slice s)
{
	char *out = mt->text.v + mt->text.n;
	size_t n = 0;

	if (!s.n || (!memchr(s.p, '%', s.n) && !memchr(s.p, '+', s.n)))
		return s;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 && hex(s.p[i + 2]) >= 0) {
			out[n++] = (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]));
			i += 2;
		} else {
			out[n++] = s.p[i] == '+' ? ' ' : s.p[i];
		}
	}
	mt->text.n += n;
	return (struct slice){ out, n };
}

/* Cuts at the first c: what is before it, s is left with what is behind. Without one all of s, and s is empty. */
static struct slice cut(struct slice *s, char c)
{
	const char *at = s->n ? memchr(s->p, c, s->n) : NULL;
	struct slice head = *s;

	if (!at) {
		*s = (struct slice){ NULL, 0 };
		return head;
	}
	head.n = at - head.p;
	*s = (struct slice){ at + 1, s->n - head.n - 1 };
	return head;
}

static void params_read(struct matcher *mt, const struct router *r, const struct msg *m)
{
	struct slice query = m->path;

	mt->params = mt->asked;
	cut(&query, '?');
	vec_clear(&mt->text);
	vec_reserve(&mt->text, query.n);
	while (query.n) {
		struct slice value = cut(&query, '&'), name = cut(&value, '=');

		name = decode(mt, name);
		keep_first(mt, &r->params, name, decode(mt, value));
	}
}

static struct slice trim(struct slice s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static struct slice unquote(struct slice s)
{
	if (s.n < 2 || s.p[0] != '"' || s.p[s.n - 1] != '"')
		return s;
	return (struct slice){ s.p + 1, s.n - 2 };
}

static void cookies_read(struct matcher *mt, const struct router *r, const struct msg *m)
{
	mt->cookies = mt->asked;
	for (const struct msg_header *h = msg_find(m, SLICE_LIT("cookie")); h; h = msg_find_next(m, h)) {
		struct slice rest = h->value;

		while (rest.n) {
			struct slice value = cut(&rest, ';'), name = trim(cut(&value, '='));

			keep_first(mt, &r->cookies, name, unquote(trim(value)));
		}
	}
}

/* ---- one text of a request ---------------------------------------------------------------------------------- */

static struct slice present(struct slice s)
{
	return s.n ? s : (struct slice){ NULL, 0 };
}

struct slice matcher_find(struct matcher *mt, const struct router *r, const struct msg *m, uint32_t want)
{
	const struct want *w = &r->wants.v[want];
	struct found *f = &mt->found[want];

	if (f->asked == mt->asked)
		return f->value;
	if (w->kind == WANT_PARAM && mt->params != mt->asked)
		params_read(mt, r, m);
	if (w->kind == WANT_COOKIE && mt->cookies != mt->asked)
		cookies_read(mt, r, m);
	if (f->asked == mt->asked)
		return f->value;
	f->asked = mt->asked;
	f->value = (struct slice){ NULL, 0 };
	if (w->kind == WANT_HEADER)
		f->value = msg_get(m, w->name);
	else if (w->kind == WANT_AUTHORITY)
		f->value = present(m->authority);
	else if (w->kind == WANT_SERVICE)
		f->value = present(m->service);
	else if (w->kind == WANT_RPC_METHOD)
		f->value = present(m->rpc_method);
	return f->value;
}

/* ---- turns -------------------------------------------------------------------------------------------------- */

static int64_t *turns_of(struct matcher *mt, const struct router *r)
{
	struct turns *t;

	while (mt->turns.n <= r->slot)
		vec_push(&mt->turns, (struct turns){ 0 });
	t = &mt->turns.v[r->slot];
	if (t->serial == r->serial)
		return t->cells;
	if (t->room < r->nturns) {
		t->cells = mem_realloc(t->cells, r->nturns * sizeof(*t->cells));
		t->room = r->nturns;
	}
	memset(t->cells, 0, r->nturns * sizeof(*t->cells));
	t->serial = r->serial;
	return t->cells;
}

/* Each gains its weight, the foremost goes and falls back by the sum: in every sum of turns each has exactly its weight. */
static uint32_t take_turn(int64_t *lead, const struct router_rule *rule)
{
	uint32_t best = UINT32_MAX;

	for (uint32_t i = 0; i < rule->rule->nbackends; i++) {
		if (!rule->rule->backends[i].weight)
			continue;
		lead[i] += rule->rule->backends[i].weight;
		if (best == UINT32_MAX || lead[i] > lead[best])
			best = i;
	}
	lead[best] -= rule->weight;
	return best;
}

/* The first cell of a rule says whether it has begun: somewhere, so that workers do not all begin with the same. */
uint32_t matcher_turn(struct matcher *mt, const struct router *r, const struct router_rule *rule)
{
	int64_t *cells = turns_of(mt, r) + rule->turns;

	if (!cells[0]) {
		uint32_t skip = rand_below(&mt->rand, rule->weight < START_MAX ? (uint32_t)rule->weight : START_MAX);

		cells[0] = 1;
		while (skip--)
			take_turn(cells + 1, rule);
	}
	return take_turn(cells + 1, rule);
}
