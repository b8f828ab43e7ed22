/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes -> router. Each match of each rule becomes an entry once; a host gets copies of the entries of all routes that
 * name it, sorted by precedence, so that the first one which holds is the answer. Everything lies in the router's arena.
 */
#include "base/magic.h"
#include "model/fact.h"
#include "model/router_priv.h"
#include "weft/str.h"

struct host_draft {
	struct slice key, text;
	VEC(uint32_t) routes;                   /* indices, ascending */
};

struct build {
	struct router *r;
	struct table wants;                     /* kind and name -> index + 1 */
	struct table regexes;                   /* pattern -> struct regex */
	VEC(struct entry) entries;
	VEC(uint32_t) first;                    /* of a route: its entries are [first[i], first[i + 1]) */
	struct table hosts;                     /* key -> index + 1 in drafts */
	VEC(struct host_draft) drafts;
	VEC(char) key;
};

/* ---- conditions --------------------------------------------------------------------------------------------- */

static const struct regex *regex_of(struct build *b, struct slice pattern)
{
	struct regex *x = table_get(&b->regexes, pattern);

	if (x)
		return x;
	/* It was checked when the route was accepted. One that fails all the same (memory) matches nothing. */
	x = regex_new(pattern, REGEX_WHOLE, NULL);
	if (!x)
		return NULL;
	table_put(&b->regexes, pattern, x);
	vec_push(&b->r->regexes, x);
	return x;
}

static uint32_t want_of(struct build *b, enum want_kind kind, struct slice name)
{
	struct table *names = kind == WANT_PARAM ? &b->r->params : kind == WANT_COOKIE ? &b->r->cookies : NULL;
	uintptr_t have;
	struct slice key;

	if (kind == WANT_HEADER && (slice_eq_nocase(name, SLICE_LIT("host")) || slice_eq_str(name, ":authority")))
		kind = WANT_AUTHORITY;
	vec_clear(&b->key);
	vec_reserve(&b->key, name.n + 1);
	b->key.v[0] = (char)kind;
	if (name.n)
		memcpy(b->key.v + 1, name.p, name.n);
	key = (struct slice){ b->key.v, name.n + 1 };
	have = (uintptr_t)table_get(&b->wants, key);
	if (have)
		return have - 1;
	vec_push(&b->r->wants, (struct want){ (uint8_t)kind, name });
	table_put(&b->wants, key, (void *)b->r->wants.n);
	if (names)
		table_put(names, name, (void *)b->r->wants.n);
	return b->r->wants.n - 1;
}

static void cond_add(struct build *b, struct entry *e, struct cond *conds, enum want_kind kind, enum route_lack lack,
		     const struct text_match *t)
{
	if (t->type == TEXT_ANY)
		return;
	conds[e->nconds++] = (struct cond){
		.type = t->type, .lack = (uint8_t)lack, .want = want_of(b, kind, t->name), .low = t->low, .high = t->high,
		.value = t->value, .regex = t->type == TEXT_REGEX ? regex_of(b, t->value) : NULL, .text = t,
	};
}

static void conds_build(struct build *b, struct entry *e, const struct route_match *m)
{
	size_t most = m->nheaders + m->nparams + m->ncookies + 2;
	struct cond *conds = ARENA_NEWN(&b->r->arena, struct cond, most);

	e->conds = conds;
	cond_add(b, e, conds, WANT_SERVICE, ROUTE_LACK_SERVICE, &m->service);
	cond_add(b, e, conds, WANT_RPC_METHOD, ROUTE_LACK_RPC_METHOD, &m->rpc_method);
	for (size_t i = 0; i < m->nheaders; i++)
		cond_add(b, e, conds, WANT_HEADER, ROUTE_LACK_HEADER, &m->headers[i]);
	for (size_t i = 0; i < m->nparams; i++)
		cond_add(b, e, conds, WANT_PARAM, ROUTE_LACK_PARAM, &m->params[i]);
	for (size_t i = 0; i < m->ncookies; i++)
		cond_add(b, e, conds, WANT_COOKIE, ROUTE_LACK_COOKIE, &m->cookies[i]);
}

/* ---- entries ------------------------------------------------------------------------------------------------ */

struct slice router_prefix(struct slice path)
{
	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	return path;
}

static void entry_add(struct build *b, const struct router_rule *rule, const struct route_match *m, uint32_t index)
{
	struct entry e = { .rule = rule, .match = m, .match_index = index, .order = (uint32_t)b->entries.n };

	if (m) {
		e.path_type = m->path.type;
		if (m->path.type == TEXT_EXACT || m->path.type == TEXT_REGEX)
			e.path = m->path.value;
		if (m->path.type == TEXT_PREFIX)
			e.path = router_prefix(m->path.value);
		if (m->path.type == TEXT_REGEX)
			e.regex = regex_of(b, m->path.value);
		e.method = m->method;
		e.identities = m->identities;
		e.nidentities = m->nidentities;
		conds_build(b, &e, m);
	}
	vec_push(&b->entries, e);
}

static void weigh(struct build *b, struct router_rule *rule)
{
	size_t weighing = 0;

	rule->backend = UINT32_MAX;
	for (size_t i = 0; i < rule->rule->nbackends; i++) {
		if (!rule->rule->backends[i].weight)
			continue;
		rule->backend = weighing++ ? UINT32_MAX : (uint32_t)i;
		rule->weight += rule->rule->backends[i].weight;
	}
	if (weighing < 2)
		return;
	rule->turns = b->r->nturns;
	b->r->nturns += 1 + rule->rule->nbackends;
}

static const uint32_t *hash_wants(struct build *b, const struct route_rule *rule)
{
	static const uint8_t kinds[] = {
		[HASH_HEADER] = WANT_HEADER, [HASH_COOKIE] = WANT_COOKIE, [HASH_PARAM] = WANT_PARAM,
	};
	uint32_t *wants = ARENA_NEWN(&b->r->arena, uint32_t, rule->nhash);

	for (size_t i = 0; i < rule->nhash; i++) {
		if (rule->hash[i].kind != HASH_SOURCE_IP)
			wants[i] = want_of(b, kinds[rule->hash[i].kind], rule->hash[i].name);
	}
	return wants;
}

static void rule_build(struct build *b, const struct route *route, uint32_t i)
{
	struct router_rule *rule = ARENA_NEW(&b->r->arena, struct router_rule);

	rule->route = route;
	rule->rule = &route->rules[i];
	rule->index = i;
	weigh(b, rule);
	rule->hash_wants = hash_wants(b, rule->rule);
	if (rule->rule->rewrite == PATH_REGEX) {
		rule->rewrite = regex_new(rule->rule->rewrite_regex, REGEX_PARTS, NULL);
		if (rule->rewrite)
			vec_push(&b->r->regexes, rule->rewrite);
	}
	for (size_t k = 0; k < rule->rule->nmatches; k++)
		entry_add(b, rule, &rule->rule->matches[k], (uint32_t)k);
	if (!rule->rule->nmatches)
		entry_add(b, rule, NULL, 0);
}

/* ---- precedence --------------------------------------------------------------------------------------------- */

static int more(size_t a, size_t b)
{
	return (a < b) - (a > b);
}

static int text_rank(const struct text_match *t)
{
	switch ((enum text_match_type)t->type) {
	case TEXT_EXACT:
		return 3;
	case TEXT_PREFIX:
		return 2;
	case TEXT_ANY:
		return 0;
	default:
		return 1;
	}
}

static int text_cmp(const struct text_match *a, const struct text_match *b)
{
	int d = text_rank(b) - text_rank(a);

	return d || a->type != TEXT_PREFIX ? d : more(a->value.n, b->value.n);
}

static int path_rank(const struct entry *e)
{
	return e->path_type == TEXT_EXACT ? 0 : e->path_type == TEXT_REGEX ? 1 : 2;
}

/* Same: both are asked together, or one behind the other. Exact paths of different text never meet. */
static int path_cmp(const struct entry *a, const struct entry *b)
{
	int d = path_rank(a) - path_rank(b);

	if (d || a->path_type == TEXT_REGEX)
		return d;
	d = more(a->path.n, b->path.n);
	return d ? d : slice_cmp(a->path, b->path);
}

/* What decides between two entries, the first criterion on which they differ; less than 0: a goes before b. */
#define ROUTE_CRITERIA(X)                                                                                              \
	X("has the more specific path", path_cmp(a, b))                                                                \
	X("has the more specific RPC service", text_cmp(&ma->service, &mb->service))                                   \
	X("has the more specific RPC method", text_cmp(&ma->rpc_method, &mb->rpc_method))                              \
	X("names the method", more(ma->method.n > 0, mb->method.n > 0))                                                \
	X("has more headers", more(ma->nheaders, mb->nheaders))                                                        \
	X("has more query parameters", more(ma->nparams, mb->nparams))                                                 \
	X("has more cookies", more(ma->ncookies, mb->ncookies))                                                        \
	X("names client identities", more(ma->nidentities > 0, mb->nidentities > 0))                                   \
	X("stands first", (a->order > b->order) - (a->order < b->order))

int entry_before(const struct entry *a, const struct entry *b, const char **why)
{
	static const struct route_match nothing;
	const struct route_match *ma = a->match ? a->match : &nothing, *mb = b->match ? b->match : &nothing;
	int d;

#define ROUTE_CRITERION_(words, comparison)                                                                            \
	d = comparison;                                                                                                \
	*why = words;                                                                                                  \
	if (d)                                                                                                         \
		return d;
	ROUTE_CRITERIA(ROUTE_CRITERION_)
#undef ROUTE_CRITERION_
	return 0;
}

static int entry_cmp(const void *a, const void *b)
{
	const char *why;

	return entry_before(a, b, &why);
}

/* ---- hosts -------------------------------------------------------------------------------------------------- */

/* "*.Example.org:8080" -> ".example.org:8080", "*" -> "". In b->key. p NULL: no host that anybody can ask for. */
static struct slice pattern_key(struct build *b, struct slice text)
{
	struct host_parts p;

	if (text.n && text.p[0] == '*')
		text = (struct slice){ text.p + 1, text.n - 1 };
	else if (!text.n || text.p[0] == '.' || text.p[0] == ':')
		return (struct slice){ NULL, 0 };
	vec_clear(&b->key);
	vec_reserve(&b->key, ROUTER_HOST_MAX + 8);
	if (host_split(text, b->key.v, &p))
		return (struct slice){ NULL, 0 };
	b->r->ports |= p.all > p.name;
	return (struct slice){ b->key.v, p.all };
}

static void host_draft(struct build *b, struct slice text, uint32_t route)
{
	struct slice key = pattern_key(b, text);
	struct host_draft *d;
	uintptr_t have;

	if (!key.p)
		return;
	have = (uintptr_t)table_get(&b->hosts, key);
	if (!have) {
		vec_push(&b->drafts, (struct host_draft){ .key = arena_slice(&b->r->arena, key), .text = text });
		have = b->drafts.n;
		table_put(&b->hosts, b->drafts.v[have - 1].key, (void *)have);
	}
	d = &b->drafts.v[have - 1];
	if (!d->routes.n || d->routes.v[d->routes.n - 1] != route)
		vec_push(&d->routes, route);
}

static struct cells cells_new(struct router *r, size_t n)
{
	struct cells c = { .size = 4 };

	if (!n)
		return (struct cells){ NULL, 0 };
	while (c.size < 2 * n)
		c.size *= 2;
	c.v = ARENA_NEWN(&r->arena, uint32_t, c.size);
	return c;
}

static void cells_put(struct cells *c, struct slice key, uint32_t index)
{
	uint64_t h = router_hash(key);

	while (c->v[h & (c->size - 1)])
		h++;
	c->v[h & (c->size - 1)] = index + 1;
}

/* Entries [from, ..) of one path class and, but for expressions, of one path: where the next begin. */
static uint32_t group_end(const struct host_rules *h, uint32_t from)
{
	uint32_t i = from + 1;

	while (i < h->nentries && !path_cmp(&h->entries[from], &h->entries[i]))
		i++;
	return i;
}

static struct path_table paths_index(struct router *r, struct path_group *groups, size_t n)
{
	struct path_table t = { cells_new(r, n), groups };

	for (size_t i = 0; i < n; i++)
		cells_put(&t.cells, groups[i].path, (uint32_t)i);
	return t;
}

/* Sorted entries: where each path's begin, and tables to find it by. */
static void host_index(struct router *r, struct host_rules *h)
{
	struct path_group *exact = ARENA_NEWN(&r->arena, struct path_group, h->nentries + 1), *prefix;
	uint32_t *lengths = ARENA_NEWN(&r->arena, uint32_t, h->nentries + 1);
	size_t nexact = 0, nprefix = 0;

	prefix = ARENA_NEWN(&r->arena, struct path_group, h->nentries + 1);
	for (uint32_t i = 0, end; i < h->nentries; i = end) {
		const struct entry *e = &h->entries[i];
		struct path_group g = { e->path, e, 0 };

		end = group_end(h, i);
		g.n = end - i;
		if (e->path_type == TEXT_EXACT) {
			exact[nexact++] = g;
		} else if (e->path_type == TEXT_REGEX) {
			h->regexes = e;
			h->nregexes = g.n;
		} else if (!e->path.n) {
			h->root = g;
		} else {
			prefix[nprefix++] = g;
			if (!h->nlengths || lengths[h->nlengths - 1] != e->path.n)
				lengths[h->nlengths++] = (uint32_t)e->path.n;
		}
	}
	h->lengths = lengths;
	h->exact = paths_index(r, exact, nexact);
	h->prefixes = paths_index(r, prefix, nprefix);
}

static void host_build(struct build *b, struct host_rules *h, const struct host_draft *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->routes.n; i++)
		n += b->first.v[d->routes.v[i] + 1] - b->first.v[d->routes.v[i]];
	h->key = d->key;
	h->text = d->text;
	h->entries = ARENA_NEWN(&b->r->arena, struct entry, n);
	for (size_t i = 0; i < d->routes.n; i++) {
		uint32_t from = b->first.v[d->routes.v[i]], end = b->first.v[d->routes.v[i] + 1];

		if (end > from)
			memcpy(h->entries + h->nentries, b->entries.v + from, (end - from) * sizeof(*h->entries));
		h->nentries += end - from;
	}
	if (h->nentries)
		qsort(h->entries, h->nentries, sizeof(*h->entries), entry_cmp);
	host_index(b->r, h);
}

static void hosts_build(struct build *b)
{
	struct router *r = b->r;

	r->hosts = ARENA_NEWN(&r->arena, struct host_rules, b->drafts.n);
	r->host_cells = cells_new(r, b->drafts.n);
	for (uint32_t i = 0; i < b->drafts.n; i++) {
		host_build(b, &r->hosts[i], &b->drafts.v[i]);
		cells_put(&r->host_cells, b->drafts.v[i].key, i);
		if (b->drafts.v[i].key.n)
			r->named = true;
		else
			r->any = &r->hosts[i];
	}
}

/* ---- all of it ---------------------------------------------------------------------------------------------- */

static void build_init(struct build *b, struct router *r)
{
	*b = (struct build){ .r = r };
	table_init(&b->wants, TABLE_COPY_KEYS);
	table_init(&b->regexes, 0);
	table_init(&b->hosts, 0);
}

static void build_fini(struct build *b)
{
	vec_fini(&b->key);
	for (size_t i = 0; i < b->drafts.n; i++)
		vec_fini(&b->drafts.v[i].routes);
	vec_fini(&b->drafts);
	vec_fini(&b->first);
	vec_fini(&b->entries);
	table_fini(&b->hosts);
	table_fini(&b->regexes);
	table_fini(&b->wants);
}

struct router *router_new(const struct route *const *routes, size_t nroutes, uint32_t slot, uint64_t serial)
{
	struct router *r = mem_alloc(sizeof(*r));
	const struct route **own;
	struct build b;

	r->magic = router_MAGIC;
	r->refs = 1;
	r->slot = slot;
	r->serial = serial;
	arena_init(&r->arena);
	table_init(&r->params, 0);
	table_init(&r->cookies, 0);
	own = ARENA_NEWN(&r->arena, const struct route *, nroutes);
	r->routes = own;
	r->nroutes = nroutes;
	build_init(&b, r);
	for (uint32_t i = 0; i < nroutes; i++) {
		own[i] = (const struct route *)fact_hold(&routes[i]->fact);
		vec_push(&b.first, (uint32_t)b.entries.n);
		for (uint32_t k = 0; k < routes[i]->nrules; k++) {
			r->upgrades |= routes[i]->rules[k].upgrades;
			rule_build(&b, routes[i], k);
		}
		for (size_t k = 0; k < routes[i]->nhosts; k++)
			host_draft(&b, routes[i]->hosts[k], i);
	}
	vec_push(&b.first, (uint32_t)b.entries.n);
	hosts_build(&b);
	build_fini(&b);
	return r;
}

struct router *router_hold(struct router *r)
{
	CAST(router, r)->refs++;
	return r;
}

bool router_drop(struct router *r)
{
	assert_always(CAST(router, r)->refs);
	if (--r->refs)
		return false;
	for (size_t i = 0; i < r->regexes.n; i++)
		regex_free(r->regexes.v[i]);
	vec_fini(&r->regexes);
	vec_fini(&r->wants);
	table_fini(&r->cookies);
	table_fini(&r->params);
	for (size_t i = 0; i < r->nroutes; i++)
		fact_drop((struct fact *)&r->routes[i]->fact);
	arena_fini(&r->arena);
	r->magic = 0;
	free(r);
	return true;
}

bool router_upgrades(const struct router *r)
{
	return r->upgrades;
}

uint32_t router_slot(const struct router *r)
{
	return r->slot;
}

bool router_same(const struct router *r, const struct route *const *routes, size_t nroutes)
{
	return r->nroutes == nroutes && (!nroutes || !memcmp(r->routes, routes, nroutes * sizeof(*routes)));
}
