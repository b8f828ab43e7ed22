/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accepted facts of all registries, changed by transactions only: one is checked against the state it would make,
 * then taken whole or refused whole. Checks cost what changed, not what is there. Control thread only.
 *
 *	struct store_tx *tx = store_begin(s, slice_str("files"));
 *	store_put(tx, f);
 *	if (!store_commit(tx, version, &verdict))
 *		... verdict.refused[i].why ...
 *	store_end(tx);
 */
#pragma once
#include "model/snapshot.h"
#include "weft/stat.h"

#define STORE_STATS(X)                                                                                                 \
	X(COUNTER, transactions, "transactions taken")                                                                 \
	X(COUNTER, transactions_refused, "transactions refused whole")                                                 \
	X(COUNTER, facts_put, "facts that were new or changed")                                                        \
	X(COUNTER, facts_same, "facts put again with the same content")                                                \
	X(COUNTER, facts_deleted, "facts deleted")                                                                     \
	X(COUNTER, clusters_built, "clusters made because a host or a setting changed")                                \
	X(COUNTER, routers_built, "listeners and services whose routes were compiled")                                 \
	X(COUNTER, snapshots_built, "snapshots made")                                                                  \
	X(COUNTER, snapshots_buried, "snapshots freed")                                                                \
	X(GAUGE, absent, "clusters that are named now and that nobody has given")                                      \
	X(GAUGE, facts, "facts accepted now")                                                                          \
	X(GAUGE, hosts, "hosts accepted now")
STAT_DECLARE(store_stat, STORE_STATS);

struct store;
struct store_tx;

struct store *store_new(void);
/*
 * Facts of this registry may name clusters that nobody has given: others may bring them, and until then there is a cluster
 * that is absent. What any registry deletes and another's facts name becomes absent too. Empty (the default): refused.
 */
void store_late(struct store *s, struct slice registry);
/* Every transaction must have ended and every snapshot must have been dropped. NULL is allowed. */
void store_free(struct store *s);
const struct store_stat *store_stats(const struct store *s);

/*
 * registry owns what this transaction puts, and may only touch what it owns. Empty: the facts come from another store
 * (wire.h), each keeps the registry it names, and nothing is refused for its owner. Several may be open at a time.
 */
struct store_tx *store_begin(struct store *s, struct slice registry);
void store_put(struct store_tx *tx, struct fact *take_f); /* the last put or del of a key in a transaction counts */
void store_del(struct store_tx *tx, enum fact_kind kind, struct slice key); /* no such fact: nothing happens */
/*
 * True: taken; v->snapshot is the number of the first snapshot that shows it, which is the present one when nothing
 * changed. False: nothing happened, v->refused says why, and the same transaction may be committed again later, when what
 * it lacks may have come. v points into the transaction, up to its next commit or store_end().
 */
bool store_commit(struct store_tx *tx, uint64_t version, struct registry_verdict *v);
/* After it: how many facts of each kind it added, removed or made another; how many in all. */
size_t store_changes(const struct store_tx *tx, size_t n[FACT_KINDS]);
void store_end(struct store_tx *tx);            /* without a commit: forgets it. NULL is allowed */

bool store_dirty(const struct store *s);        /* whether a build would differ from the last snapshot */
/*
 * The next snapshot, one reference. number: 0 = the last one's plus one; else that (the proxy's follow the agent's), above
 * the last one's. When nothing changed it is still made, and shares everything.
 */
struct snapshot *store_build(struct store *s, uint64_t number);
uint64_t store_number(const struct store *s);   /* of the last snapshot built; 0 = none yet */
size_t store_bury(struct store *s);             /* frees dropped snapshots; how many */
bool store_named(const struct store *s, enum fact_kind kind, struct slice key); /* by an accepted fact; not for hosts */
/* The accepted fact, before any build; NULL: no such. */
const struct fact *store_fact(const struct store *s, enum fact_kind kind, struct slice key);
