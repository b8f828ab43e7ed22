/* SPDX-License-Identifier: Apache-2.0 */
#include "model/router.h"

#include <ctype.h>
#include <errno.h>
#include "base/hash.h"
#include "base/magic.h"
#include "base/num.h"
#include "model/fact.h"
#include "model/router_priv.h"
#include "weft/str.h"

#define ROUTE_LACK_WORDS_(NAME, words) words,
const char *const route_lack_words[ROUTE_LACK_COUNT] = { ROUTE_LACKS(ROUTE_LACK_WORDS_) };

/* One request being asked about. */
struct ask {
	const struct router *r;
	struct matcher *mt;
	const struct msg *m;
	struct slice identity;
	struct slice path;                      /* without query */
};

uint64_t router_hash(struct slice s)
{
	return hash_bytes(s, hash_seed());
}

/* ---- conditions --------------------------------------------------------------------------------------------- */

static bool in_range(struct slice s, int64_t low, int64_t high)
{
	int64_t v;

	return !num_i64(s, &v) && v >= low && v < high;
}

static bool contains(struct slice s, struct slice what)
{
	return !what.n || (s.n && memmem(s.p, s.n, what.p, what.n));
}

static bool ends(struct slice s, struct slice with)
{
	return s.n >= with.n && (!with.n || !memcmp(s.p + s.n - with.n, with.p, with.n));
}

static bool cond_holds(const struct cond *c, struct slice s, struct regex_desk *desk)
{
	if (!s.p)
		return c->type == TEXT_ABSENT;
	switch ((enum text_match_type)c->type) {
	case TEXT_ANY:
	case TEXT_PRESENT:
		return true;
	case TEXT_EXACT:
		return slice_eq(s, c->value);
	case TEXT_PREFIX:
		return slice_starts(s, c->value);
	case TEXT_SUFFIX:
		return ends(s, c->value);
	case TEXT_CONTAINS:
		return contains(s, c->value);
	case TEXT_RANGE:
		return in_range(s, c->low, c->high);
	case TEXT_REGEX:
		return c->regex && regex_match(c->regex, desk, s);
	case TEXT_ABSENT:
	case TEXT_MATCHES:
		break;
	}
	return false;
}

static bool listed(const struct slice *v, size_t n, struct slice s)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_eq(v[i], s))
			return true;
	}
	return false;
}

static void note_bound(const struct ask *a, const struct entry *e)
{
	if (regex_gave_up(a->mt->regex))
		a->mt->gave_up = e->rule->route->name;
}

/* What of an entry does not hold, its path excepted; *failed: the condition, or NULL. */
static enum route_lack rest_lacks(const struct ask *a, const struct entry *e, const struct cond **failed)
{
	*failed = NULL;
	if (e->method.n && !slice_eq(e->method, a->m->method))
		return ROUTE_LACK_METHOD;
	for (uint32_t i = 0; i < e->nconds; i++) {
		const struct cond *c = &e->conds[i];

		if (cond_holds(c, matcher_find(a->mt, a->r, a->m, c->want), a->mt->regex))
			continue;
		if (c->type == TEXT_REGEX)
			note_bound(a, e);
		*failed = c;
		return c->lack;
	}
	if (e->nidentities && !(a->identity.n && listed(e->identities, e->nidentities, a->identity)))
		return ROUTE_LACK_IDENTITY;
	return ROUTE_LACK_NOTHING;
}

/* "*" of OPTIONS and the empty path of CONNECT are below no prefix. */
static bool rooted(const struct ask *a, const struct entry *e)
{
	return e->path_type != TEXT_PREFIX || (a->path.n && a->path.p[0] == '/');
}

/* ---- paths -------------------------------------------------------------------------------------------------- */

static const struct path_group *path_get(const struct path_table *t, struct slice path)
{
	uint64_t h;

	if (!t->cells.size)
		return NULL;
	h = router_hash(path);
	for (;; h++) {
		uint32_t cell = t->cells.v[h & (t->cells.size - 1)];

		if (!cell)
			return NULL;
		if (slice_eq(t->groups[cell - 1].path, path))
			return &t->groups[cell - 1];
	}
}

static const struct entry *first_of(const struct ask *a, const struct entry *e, uint32_t n)
{
	const struct cond *failed;

	for (uint32_t i = 0; i < n; i++) {
		if (rooted(a, &e[i]) && rest_lacks(a, &e[i], &failed) == ROUTE_LACK_NOTHING)
			return &e[i];
	}
	return NULL;
}

static const struct entry *first_group(const struct ask *a, const struct path_table *t, struct slice path)
{
	const struct path_group *g = path_get(t, path);

	return g ? first_of(a, g->first, g->n) : NULL;
}

static const struct entry *first_regex(const struct ask *a, const struct host_rules *h)
{
	const struct cond *failed;

	for (uint32_t i = 0; i < h->nregexes; i++) {
		const struct entry *e = &h->regexes[i];

		/* The expression last: it costs most. */
		if (rest_lacks(a, e, &failed) != ROUTE_LACK_NOTHING || !e->regex)
			continue;
		if (regex_match(e->regex, a->mt->regex, a->path))
			return e;
		note_bound(a, e);
	}
	return NULL;
}

static bool segment_ends(struct slice path, size_t at)
{
	return at == path.n || (at < path.n && path.p[at] == '/');
}

static const struct entry *first_prefix(const struct ask *a, const struct host_rules *h)
{
	const struct entry *e;

	for (uint32_t i = 0; i < h->nlengths; i++) {
		if (!segment_ends(a->path, h->lengths[i]))
			continue;
		e = first_group(a, &h->prefixes, (struct slice){ a->path.p, h->lengths[i] });
		if (e)
			return e;
	}
	return first_of(a, h->root.first, h->root.n);
}

static const struct entry *first_entry(const struct ask *a, const struct host_rules *h)
{
	const struct entry *e = first_group(a, &h->exact, a->path);

	if (!e && h->nregexes)
		e = first_regex(a, h);
	return e ? e : first_prefix(a, h);
}

/* ---- hosts -------------------------------------------------------------------------------------------------- */

/* Port digits behind ':' at the end, or 0. IPv6 addresses are in brackets. */
static size_t port_bytes(struct slice text)
{
	size_t n = 0;

	while (n < text.n && isdigit((unsigned char)text.p[text.n - 1 - n]))
		n++;
	return n < text.n && text.p[text.n - 1 - n] == ':' ? n + 1 : 0;
}

int host_split(struct slice text, char *out, struct host_parts *parts)
{
	size_t port = port_bytes(text), name = text.n - port, skip = 1;

	if (name && text.p[name - 1] == '.')
		name--;
	if (name > ROUTER_HOST_MAX)
		return -EINVAL;
	for (size_t i = 0; i < name; i++)
		out[i] = (char)tolower((unsigned char)text.p[i]);
	parts->name = parts->all = name;
	while (skip + 1 < port && text.p[text.n - port + skip] == '0')
		skip++;
	if (port <= 1)
		return 0;
	if (port - skip > 5)
		return -EINVAL;
	out[name] = ':';
	memcpy(out + name + 1, text.p + text.n - port + skip, port - skip);
	parts->all = name + 1 + port - skip;
	return 0;
}

/* One label and the dot behind it, if there is one: bytes; 0: none. */
static size_t label_bytes(struct slice s)
{
	size_t n = 0;

	while (n < s.n && (isalnum((unsigned char)s.p[n]) || s.p[n] == '-' || s.p[n] == '_'))
		n++;
	if (!n || (n < s.n && s.p[n] != '.'))
		return 0;
	return n < s.n ? n + 1 : n;
}

static bool name_valid(struct slice s)
{
	struct ip ip;

	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		return memchr(s.p, ':', s.n) && !ip_parse((struct slice){ s.p + 1, s.n - 2 }, &ip);
	if (!s.n || s.n > ROUTER_HOST_MAX)
		return false;
	for (size_t n; s.n; s = (struct slice){ s.p + n, s.n - n }) {
		n = label_bytes(s);
		if (!n)
			return false;
	}
	return true;
}

bool router_host_valid(struct slice text)
{
	size_t port = port_bytes(text);
	uint64_t number = 1;

	if (port && num_u64((struct slice){ text.p + text.n - port + 1, port - 1 }, &number))
		return false;
	if (number < 1 || number > UINT16_MAX)
		return false;
	text.n -= port;
	if (slice_eq_str(text, "*"))
		return true;
	if (slice_starts(text, SLICE_LIT("*.")))
		text = (struct slice){ text.p + 2, text.n - 2 };
	return name_valid(text);
}

static const struct host_rules *host_get(const struct router *r, struct slice key)
{
	uint64_t h;

	if (!r->host_cells.size)
		return NULL;
	h = router_hash(key);
	for (;; h++) {
		uint32_t cell = r->host_cells.v[h & (r->host_cells.size - 1)];

		if (!cell)
			return NULL;
		if (slice_eq(r->hosts[cell - 1].key, key))
			return &r->hosts[cell - 1];
	}
}

/* From byte `from` of the name on, with the port first. */
static const struct host_rules *host_at(const struct router *r, const char *name, const struct host_parts *p, size_t from)
{
	const struct host_rules *h = host_get(r, (struct slice){ name + from, p->all - from });

	return h || p->all == p->name ? h : host_get(r, (struct slice){ name + from, p->name - from });
}

static const struct host_rules *host_find(const struct router *r, const struct msg *m)
{
	char name[ROUTER_HOST_MAX + 8];
	const struct host_rules *h;
	struct host_parts p;

	if (!r->named || host_split(m->authority, name, &p))
		return r->any;
	if (!r->ports) {
		p.all = p.name;
	} else if (p.all == p.name) {
		bool tls = slice_eq_nocase(m->scheme, SLICE_LIT("https"));
		struct slice port = tls ? SLICE_LIT(":443") : SLICE_LIT(":80");

		memcpy(name + p.name, port.p, port.n);
		p.all += port.n;
	}
	if (p.name && name[0] != '.') {
		h = host_at(r, name, &p, 0);
		if (h)
			return h;
	}
	for (size_t i = 1; i < p.name; i++) {
		h = name[i] == '.' ? host_at(r, name, &p, i) : NULL;
		if (h)
			return h;
	}
	h = host_get(r, (struct slice){ name + p.name, p.all - p.name });
	return h ? h : r->any;
}

/* ---- asking ------------------------------------------------------------------------------------------------- */

static struct ask ask_begin(const struct router *r, struct matcher *mt, const struct msg *m, struct slice identity)
{
	const char *query = m->path.n ? memchr(m->path.p, '?', m->path.n) : NULL;
	struct slice path = { m->path.p, query ? (size_t)(query - m->path.p) : m->path.n };

	matcher_begin(mt, r);
	return (struct ask){ r, mt, m, identity, path };
}

static struct route_hit hit_of(const struct router *r, const struct entry *e)
{
	const struct router_rule *rule = e->rule;

	return (struct route_hit){ r, rule->route, rule->rule, e->match, rule, rule->index, e->match_index };
}

bool router_match(const struct router *r, struct matcher *mt, const struct msg *m, struct slice identity,
		  struct route_hit *out)
{
	struct ask a = ask_begin(r, mt, m, identity);
	const struct host_rules *h = host_find(r, m);
	const struct entry *e = h ? first_entry(&a, h) : NULL;

	stat_add(e ? &mt->stat.matched : &mt->stat.unmatched, 1);
	if (e)
		*out = hit_of(r, e);
	return e;
}

const struct route_backend *router_backend(const struct route_hit *hit, struct matcher *mt)
{
	const struct router_rule *rule = hit->compiled;

	if (rule->backend != UINT32_MAX)
		return &rule->rule->backends[rule->backend];
	return rule->weight ? &rule->rule->backends[matcher_turn(mt, hit->router, rule)] : NULL;
}

/* ---- explaining --------------------------------------------------------------------------------------------- */

static bool path_holds(const struct ask *a, const struct entry *e)
{
	if (e->path_type == TEXT_EXACT)
		return slice_eq(a->path, e->path);
	if (e->path_type == TEXT_REGEX)
		return e->regex && regex_match(e->regex, a->mt->regex, a->path);
	return rooted(a, e) && slice_starts(a->path, e->path) && (!e->path.n || segment_ends(a->path, e->path.n));
}

static struct route_candidate candidate_of(const struct ask *a, const struct entry *e)
{
	struct route_candidate c = { .hit = hit_of(a->r, e), .lack = ROUTE_LACK_PATH };
	const struct cond *failed;

	if (!path_holds(a, e))
		return c;
	c.lack = rest_lacks(a, e, &failed);
	if (failed) {
		c.condition = failed->text;
		c.has = matcher_find(a->mt, a->r, a->m, failed->want);
	}
	return c;
}

void router_each(const struct router *r, struct matcher *mt, const struct msg *m, struct slice identity,
		 route_candidate_fn *fn, void *arg)
{
	struct ask a = ask_begin(r, mt, m, identity);
	const struct host_rules *h = host_find(r, m);
	const struct entry *first = NULL;

	for (uint32_t i = 0; h && i < h->nentries; i++) {
		const struct entry *e = &h->entries[i];
		struct route_candidate c = candidate_of(&a, e);

		if (c.lack == ROUTE_LACK_NOTHING && first)
			entry_before(first, e, &c.behind);
		else if (c.lack == ROUTE_LACK_NOTHING)
			first = e;
		if (!fn(arg, &c))
			return;
	}
}

struct slice router_host(const struct router *r, const struct msg *m)
{
	const struct host_rules *h = host_find(r, m);

	return h ? h->text : (struct slice){ NULL, 0 };
}
