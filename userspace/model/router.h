/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The routes of one listener or service, compiled: which rule does a request meet? Immutable and shared by all threads;
 * made with the snapshot on the control thread, shared by snapshots between which none of its routes changed, freed with
 * the last of them (snapshot_router()). What a thread needs to ask with is its own matcher (matcher.h).
 *
 * Precedence. The most specific host among those of all routes decides alone: a name with the port asked for, the name,
 * the longest wildcard with and without port, "*" with and without port; rules of less specific hosts are not asked. Then
 * each match of a rule by itself: path exact, regular expression, longest prefix (none is "/"); service of an RPC exact,
 * longest prefix, anything else, none, then its method likewise; HTTP method; most headers; most query parameters; most
 * cookies; identities; order of the routes in the listener, the rules, the matches.
 */
#pragma once
#include "weft/model.h"
#include "weft/msg.h"

struct matcher;
struct regex;
/* Hosts asked after one that cannot be connected to, beside the rule's policy: nothing was sent. */
#define ROUTE_CONNECTS_MORE 2

struct router;
struct router_rule;

/* The rule that a request met. Valid as long as the router. */
struct route_hit {
	const struct router *router;
	const struct route *route;
	const struct route_rule *rule;
	const struct route_match *match;        /* the one that held; NULL: the rule has none */
	const struct router_rule *compiled;     /* for rewrite.h and router_backend() */
	uint32_t rule_index, match_index;
};

/*
 * Holds the routes. slot: a small number of its own among living routers; serial: of its own for ever. These are the
 * control thread's.
 */
struct router *router_new(const struct route *const *routes, size_t nroutes, uint32_t slot, uint64_t serial);
struct router *router_hold(struct router *r);   /* the same, one reference more */
bool router_drop(struct router *r);             /* true: that was the last one, and it is gone */
uint32_t router_slot(const struct router *r);
bool router_same(const struct router *r, const struct route *const *routes, size_t nroutes); /* made of these objects */

bool router_upgrades(const struct router *r);   /* some rule lets some upgrade pass */

/* "*", "*.example.org", "example.org", "[::1]", each with ":PORT" or without. */
bool router_host_valid(struct slice text);

/*
 * identity: of the client, empty when none was proven. False: no rule matches (404, NR). Allocates nothing once the
 * matcher has seen the router. m's path is normalised; a header, parameter or cookie that comes several times counts with
 * its first value.
 */
bool router_match(const struct router *r, struct matcher *mt, const struct msg *m, struct slice identity,
		  struct route_hit *out);
/*
 * One of the rule's backends by smooth weighting: of as many requests as the weights add up to, each gets exactly its
 * weight, per worker. NULL: it has none, or all weigh 0.
 */
const struct route_backend *router_backend(const struct route_hit *hit, struct matcher *mt);

/* ---- explaining --------------------------------------------------------------------------------------------- */

/* What of a match did not hold; in the order in which it is asked. X(NAME, words) */
#define ROUTE_LACKS(X)                                                                                                 \
	X(NOTHING, "matches") X(PATH, "path") X(METHOD, "method") X(SERVICE, "service") X(RPC_METHOD, "rpcMethod")      \
	X(HEADER, "header") X(PARAM, "query parameter") X(COOKIE, "cookie") X(IDENTITY, "client identity")
enum route_lack {
#define ROUTE_LACK_ENUM_(NAME, words) ROUTE_LACK_##NAME,
	ROUTE_LACKS(ROUTE_LACK_ENUM_)
#undef ROUTE_LACK_ENUM_
	ROUTE_LACK_COUNT
};
extern const char *const route_lack_words[ROUTE_LACK_COUNT];

struct route_candidate {
	struct route_hit hit;
	enum route_lack lack;                   /* NOTHING: it matches too; the first such is what router_match() gives */
	const struct text_match *condition;     /* the one that failed, but for path, method, identity; else NULL */
	struct slice has;                       /* what the request has instead; p NULL: nothing */
	/* It matches, but the one that router_match() gives goes before: because it "has the more specific path". Else NULL. */
	const char *behind;
};

/* Every match of the host that decides, in order of precedence. fn returns false to stop. */
typedef bool route_candidate_fn(void *arg, const struct route_candidate *c);
void router_each(const struct router *r, struct matcher *mt, const struct msg *m, struct slice identity,
		 route_candidate_fn *fn, void *arg);
/* The host as its route has it ("*.example.org:8080") that decides for this request; p NULL: none does. */
struct slice router_host(const struct router *r, const struct msg *m);
