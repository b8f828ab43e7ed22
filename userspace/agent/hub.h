/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink of every registry. A transaction goes to the store and is taken or refused whole; a refused one is kept and
 * tried again whenever another registry's was taken, since what it lacked may have come. The registry hears each verdict.
 * Control thread.
 */
#pragma once
#include "base/list.h"
#include "model/store.h"
#include "weft/registry.h"
#include "weft/stat.h"

#define HUB_STATS(X)                                                                                                   \
	X(COUNTER, taken, "transactions taken")                                                                        \
	X(COUNTER, refused, "transactions refused")                                                                    \
	X(COUNTER, retried, "refused transactions tried again after another registry's was taken")                     \
	X(GAUGE, pending, "refused transactions that wait for another try")                                            \
	X(GAUGE, sources, "registries")                                                                                \
	X(GAUGE, sources_unwell, "registries that report a fault or have a refused transaction")                       \
	X(GAUGE, sources_unsynced, "registries whose first full state has not come yet")
STAT_DECLARE(hub_stat, HUB_STATS);

struct hub;

/* One registry, as the hub knows it. */
struct hub_source {
	struct list node;
	struct hub *hub;
	struct registry *registry;              /* its verdicts go there; NULL: to nobody */
	const char *name, *type;                /* kept by the caller */
	struct store_tx *tx;                    /* open */
	struct store_tx *refused_tx;            /* waits for another try */
	uint64_t refused_version;
	bool leaving;                           /* being replaced: its refused transaction is not tried again */
	bool synced;
	int health;                             /* 0, or what the registry said last */
	char *health_words, *refusal_words;     /* NULL: nothing to say */
	uint64_t taken, refused, version;       /* version: the last one taken */
};

struct hub {
	struct store *store;
	struct list sources;
	void (*changed)(void *arg);             /* something was taken: a build would differ */
	void *arg;
	void (*seen)(void *arg, const struct fact *f); /* each fact, before its transaction is committed; NULL: nobody asks */
	void *seen_arg;
	bool retrying;
	struct hub_stat stat;
};

extern const struct registry_sink hub_sink;     /* its arg is a struct hub_source */

void hub_init(struct hub *h, struct store *store, void (*changed)(void *arg), void *arg);
void hub_fini(struct hub *h);
void hub_add(struct hub *h, struct hub_source *s, const char *name, const char *type, struct registry *r);
void hub_remove(struct hub_source *s);          /* its facts stay in the store */
/*
 * A transaction in which one source speaks for itself and for others that go, made with store_begin() of no registry.
 * True: taken. False: forgotten, not kept for another try; say hears each reason: "FILE:LINE: cluster web: ...".
 */
bool hub_replace(struct hub_source *s, struct store_tx *take_tx, uint64_t version,
		 void (*say)(void *arg, const char *line), void *arg);
/* A fact that is about to be put in such a transaction. */
void hub_seen(struct hub *h, const struct fact *f);
/* Words about the first source that is unwell or not synced, "" when all is well; sets *synced. */
const char *hub_health(const struct hub *h, bool *synced, char *out, size_t size);
