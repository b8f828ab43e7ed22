/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the store. A commit runs through these files: tx.c collects and sorts the operations, check.c looks for what
 * is wrong in the state that they would make, apply.c makes it, build.c turns it into a snapshot.
 */
#pragma once
#include "base/arena.h"
#include "base/list.h"
#include "base/table.h"
#include "base/vec.h"
#include "model/home.h"
#include "model/store.h"

#define store_MAGIC 0x570e0001
#define store_tx_MAGIC 0x570e0002

/* A name in an accepted fact that is the key of another. */
struct edge {
	struct list link;                       /* in the referrers of what it names */
	struct entry *from;
};

/* One accepted fact, hosts excepted: those are in their cluster. */
struct entry {
	struct store *store;
	const struct fact *fact;                /* held */
	struct cluster *cluster;                /* FACT_CLUSTER: held */
	struct list referrers;                  /* edges of others to this one */
	bool unrouted;                          /* it, or what it names, changed since its router was looked at */
	struct edge *edges;                     /* of this one to others */
	size_t nedges;
};

struct entries {
	VEC(struct entry *) list;               /* by key */
	struct fact_array *built;               /* as the last snapshot has it; NULL: changed since */
};

struct store {
	unsigned magic;
	struct home *home;
	struct entries kinds[FACT_KINDS];       /* FACT_HOST unused */
	struct cluster_array *clusters;         /* as the last snapshot has it; NULL: changed since */
	struct router_array *listener_routers, *service_routers; /* as the last snapshot has them; NULL: there was none */
	struct table claims[FACT_KINDS];        /* what one fact alone may have (claim.h) -> struct fact that has it */
	uint64_t number;                        /* last snapshot built */
	size_t nhosts;
	size_t nsnapshots, ntx;                 /* living */
	struct slice late;                      /* own; registry whose facts may name what is not there; empty: none */
	size_t nabsent;                         /* clusters that are absent */
	struct store_stat stat;
};

/* One put or del. */
struct op {
	uint8_t kind;                           /* enum fact_kind */
	bool same;                              /* put of what is there already */
	uint32_t seq;
	struct slice key;                       /* the fact's, or in the transaction's arena */
	struct slice cluster;                   /* FACT_HOST: that of the key */
	const struct fact *fact;                /* held; NULL: del */
	const struct fact_place *place;         /* shared object, held; NULL: del */
	uint32_t line;
	const struct fact *now;                 /* accepted fact of this key; NULL: none */
};

struct store_tx {
	unsigned magic;
	struct store *store;
	struct slice registry;
	struct arena arena;
	struct arena words;                     /* of the last refusal */
	VEC(struct op) ops;
	uint32_t seq;                           /* of the next one: goes on over a refused commit */
	size_t first[FACT_KINDS + 1];           /* ops of a kind: [first[k], first[k + 1]), once sorted */
	VEC(struct registry_refusal) refused;
	bool done;
};

#define tx_for(op, tx, k) for (struct op *op = (tx)->ops.v + (tx)->first[k]; op < (tx)->ops.v + (tx)->first[(k) + 1]; op++)

/* store.c */
void entry_free(struct entry *e);
struct entry *store_entry(const struct store *s, enum fact_kind kind, struct slice key); /* NULL: none */
size_t store_place(const struct store *s, enum fact_kind kind, struct slice key, bool *found); /* index in list */
const struct host *cluster_host(const struct cluster *c, struct slice key); /* NULL: none */
/* "cluster" of "cluster|address|port"; empty: not such a key */
struct slice host_key_cluster(struct slice key);
struct cluster *cluster_hold(const struct cluster *c);
void cluster_drop(struct cluster *c);           /* NULL is allowed */
void fact_array_drop(struct fact_array *a);     /* NULL is allowed */
void cluster_array_drop(struct cluster_array *a); /* NULL is allowed */

/* tx.c */
const struct op *tx_op(const struct store_tx *tx, enum fact_kind kind, struct slice key); /* NULL: untouched */
/* The fact of that key as it would be after the transaction; NULL: none. */
const struct fact *tx_after(const struct store_tx *tx, enum fact_kind kind, struct slice key);
void tx_refuse(struct store_tx *tx, const struct op *op, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
struct fact_mark op_mark(const struct op *op);

/* absent.c: whether there is a cluster that nobody has given; false for NULL. */
bool absent_is(const struct fact *cluster);
/* Operations for clusters that would be missing, behind those of the transaction; true: there are some. */
bool absent_add(struct store_tx *tx);
void absent_sweep(struct store *s);             /* after a commit: those that nobody names any more go */

/* check.c: whether hosts that were found for this cluster go with it, whoever deletes it. */
bool check_goes_along(const struct op *cluster);
/* Refuses what is wrong in sorted operations. apply.c: makes them so; cannot fail. */
void tx_check(struct store_tx *tx);
void tx_apply(struct store_tx *tx);
