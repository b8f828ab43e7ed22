/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a router: router_build.c makes it, router.c asks it, matcher.c keeps what the asking thread remembers. */
#pragma once
#include "base/arena.h"
#include "base/rand.h"
#include "base/table.h"
#include "base/vec.h"
#include "model/matcher.h"
#include "model/regex.h"
#include "model/router.h"

#define router_MAGIC 0x70073401
#define matcher_MAGIC 0x3a7c4e01

enum want_kind { WANT_SERVICE, WANT_RPC_METHOD, WANT_HEADER, WANT_AUTHORITY, WANT_PARAM, WANT_COOKIE };

/* A text of requests that some rule looks at; found once per request, however many look. */
struct want {
	uint8_t kind;                           /* enum want_kind */
	struct slice name;
};

struct cond {
	uint8_t type;                           /* enum text_match_type */
	uint8_t lack;                           /* enum route_lack: what is missing when it does not hold */
	uint32_t want;
	int64_t low, high;
	struct slice value;
	const struct regex *regex;
	const struct text_match *text;
};

struct router_rule {
	const struct route *route;
	const struct route_rule *rule;
	uint32_t index;                         /* in its route */
	uint32_t turns;                         /* several backends weigh something: first of its cells in a matcher's turns */
	uint32_t backend;                       /* one does: its index; else UINT32_MAX */
	int64_t weight;                         /* of all backends */
	struct regex *rewrite;                  /* for PATH_REGEX; else NULL */
	const uint32_t *hash_wants;             /* by hash policy; of HASH_SOURCE_IP without meaning */
};

/* One match of one rule, or a rule without. */
struct entry {
	const struct router_rule *rule;
	const struct route_match *match;        /* NULL: none */
	uint32_t match_index;
	uint32_t order;
	uint8_t path_type;                      /* TEXT_ANY, _EXACT, _PREFIX, _REGEX */
	struct slice path;                      /* without slashes at its end, when a prefix; "" when any */
	const struct regex *regex;              /* of the path */
	struct slice method;
	const struct cond *conds;
	uint32_t nconds;
	const struct slice *identities;
	size_t nidentities;
};

/* Entries of one path, and where its like is looked up. */
struct path_group {
	struct slice path;
	const struct entry *first;
	uint32_t n;
};

/* Open addressing; size is a power of two, at most half full; 0: empty. */
struct cells {
	uint32_t *v;                            /* index + 1; 0: free */
	uint32_t size;
};

struct path_table {
	struct cells cells;
	const struct path_group *groups;
};

/* What is asked of one host. */
struct host_rules {
	struct slice key;                       /* lower case: "name", ".suffix", "", each with ":port" or without */
	struct slice text;                      /* as the first route that has it writes it */
	struct entry *entries;                  /* by precedence: exact paths, expressions, prefixes */
	uint32_t nentries;
	const struct entry *regexes;
	uint32_t nregexes;
	struct path_table exact, prefixes;
	const uint32_t *lengths;                /* of prefixes, longest first, each once; "" is not among them */
	uint32_t nlengths;
	struct path_group root;                 /* those of the prefix ""; n may be 0 */
};

struct router {
	unsigned magic;
	uint32_t refs;                          /* control thread only */
	uint32_t slot;
	uint64_t serial;                        /* no other router of the process had it */
	struct arena arena;
	const struct route *const *routes;      /* held */
	size_t nroutes;
	struct host_rules *hosts;
	struct cells host_cells;                /* of hosts by key */
	bool upgrades;                          /* some rule lets some pass */
	bool named;                             /* some host is not just "*" */
	bool ports;                             /* some host has one: else those of requests need not be looked at */
	const struct host_rules *any;           /* "*"; NULL: none */
	VEC(struct want) wants;
	struct table params, cookies;           /* name -> index + 1 in wants */
	uint32_t nturns;                        /* cells of all rules' turns */
	VEC(struct regex *) regexes;
};

#define ROUTER_HOST_MAX 255u                    /* bytes of a name; a longer one meets "*" only */

/* "Example.org.:8080" -> "example.org" in out (ROUTER_HOST_MAX + 8 bytes), ":8080" behind it. -EINVAL: no such host. */
struct host_parts {
	size_t name, all;                       /* bytes; all > name: a port was given */
};
int host_split(struct slice text, char *out, struct host_parts *parts);

/* < 0: a is asked before b; *why: because, as in "a has the more specific path". */
int entry_before(const struct entry *a, const struct entry *b, const char **why);
uint64_t router_hash(struct slice s);
struct slice router_prefix(struct slice path);  /* of a PathPrefix, without the slashes at its end */

struct found {
	uint64_t asked;                         /* number of the request for which value holds */
	struct slice value;                     /* p NULL: absent */
};

/* Turns of one router's backends. */
struct turns {
	uint64_t serial;                        /* of the router they are for */
	int64_t *cells;
	size_t room;
};

struct matcher {
	unsigned magic;
	uint64_t asked;                         /* requests so far */
	uint64_t params, cookies;               /* the requests for which they were read */
	struct found *found;                    /* by want */
	size_t nfound;
	VEC(char) text;                         /* decoded parameters */
	VEC(struct turns) turns;                /* by slot of router */
	struct regex_desk *regex;
	struct slice gave_up;                   /* a route; p NULL: none */
	struct rand rand;
	struct matcher_stat stat;
};

/* Room for the router's wants, and a new request. */
void matcher_begin(struct matcher *mt, const struct router *r);
struct slice matcher_find(struct matcher *mt, const struct router *r, const struct msg *m, uint32_t want);
/* Which backend's turn it is. */
uint32_t matcher_turn(struct matcher *mt, const struct router *r, const struct router_rule *rule);
