/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registry: a source of facts. It emits them in transactions to its sink, and is told what became of each. It runs in
 * the agent, on the control thread, and must not block it. It asks others through its client (client.h), whose watches reconnect and resume.
 */
#pragma once
#include "weft/conf.h"
#include "weft/err.h"
#include "weft/model.h"

struct client;
struct registry;

/* What became of one transaction. A transaction is taken whole or refused whole. */
struct registry_verdict {
	uint64_t version;                       /* as given to commit() */
	uint64_t snapshot;                      /* taken: first snapshot that shows it; 0 = refused */
	const struct registry_refusal {
		enum fact_kind kind;
		struct slice key;
		struct fact_mark mark;
		const char *why;                /* what is wrong and what is allowed */
	} *refused;
	size_t nrefused;
};

/*
 * Where facts go; implemented by agent/hub. begin, put and del, commit: nothing is seen before commit, everything at
 * once after it. put takes over the caller's reference; a fact of a key that exists replaces it. Facts of this registry
 * only: a key that another registry owns is refused at commit. A begin without a commit of the last one forgets it.
 */
struct registry_sink {
	void (*begin)(void *arg);
	void (*put)(void *arg, struct fact *take_fact);
	void (*del)(void *arg, enum fact_kind kind, struct slice key);
	void (*commit)(void *arg, uint64_t version);
	/* Once, after the first full state was committed: readiness waits for it. */
	void (*synced)(void *arg);
	/*
	 * State of the source itself, for readiness and views: 0 = well, or negative errno with words ("cannot read
	 * web.yaml: ..."). The registry has logged the details itself.
	 */
	void (*health)(void *arg, int err, const char *words);
};

struct registry_ops {
	const char *name;                       /* registries[].type */
	const struct conf_item *conf;           /* its rows beside name and type */
	size_t conf_size, state_size;           /* allocated and zeroed by the core */
	int (*check)(const void *conf, struct err *e); /* NULL = nothing beyond the rows */
	/* 0 or -errno with words; a source that is merely unreachable is not an error here but health(). */
	int (*start)(struct registry *r, struct err *e);
	void (*stop)(struct registry *r);       /* NULL = nothing to end; its facts stay in the model */
	/* Called from inside commit(), and once more when a refused transaction is tried again later and taken. */
	void (*verdict)(struct registry *r, const struct registry_verdict *v); /* NULL = not interested */
	int (*announce)(struct registry *r, const struct host *self); /* NULL = this source takes none */
	int (*withdraw)(struct registry *r, const struct host *self);
	/*
	 * Everything that is wrong with what this source gives, one "FILE:LINE: words" at a time. Only for a source whose
	 * start() reads files of this machine, all of them before it returns: `weft config check` starts it to ask. NULL =
	 * it is none, and is not started then.
	 */
	void (*faults)(struct registry *r, void (*say)(void *arg, const char *line), void *arg);
};

/* What the core gives a registry; valid from start() to stop(). */
struct registry {
	const struct registry_ops *ops;
	struct slice name;
	const void *conf;                       /* of conf_size, filled through the rows */
	void *state;                            /* of state_size */
	const struct registry_sink *sink;
	void *sink_arg;
	/* For client.h; what is under way at stop() ends without an event. NULL for `weft config check` (faults). */
	struct client *client;
};

/*
 * For a registry's own events (implemented by agent/sources): no others are needed, so none sees the loop. fn runs on the
 * control thread; both end by themselves after stop().
 */
/* fn while fd is readable; again with another fn: replaced; fn NULL: no longer (before fd is closed). 0 or -errno. */
int registry_watch(struct registry *r, int fd, void (*fn)(struct registry *r, int fd));
/* fn once, after_ms from now; one timer per registry, arming again replaces it; fn NULL disarms. */
void registry_timer(struct registry *r, uint64_t after_ms, void (*fn)(struct registry *r));

/*
 * Facts are made so (implemented in model/fact.c; control thread). key, mark and slices are copied into the fact. name is
 * set where the key is one, locality is "unknown" until set; everything else is zero.
 */
struct fact *fact_new(enum fact_kind kind, struct slice key, const struct fact_mark *mark); /* one reference */
/* A host with its key, cluster, address, port and weight 1. */
struct host *host_new(struct slice cluster, const struct ip *ip, uint16_t port, const struct fact_mark *mark);
void *fact_alloc(struct fact *f, size_t n);     /* zeroed; lives as long as f */
struct slice fact_slice(struct fact *f, struct slice s); /* copy */
const struct locality *fact_locality(struct fact *f, struct slice region, struct slice zone); /* copies */
/* Copies, sorts by name; of two equal names the later one stays. */
struct pair_list fact_pairs(struct fact *f, const struct name_value *v, size_t n);
/* The key of such a host, NUL-terminated into out, which holds at least cluster.n + HOST_KEY_EXTRA bytes. */
struct slice host_key(char *out, struct slice cluster, const struct ip *ip, uint16_t port);
#define HOST_KEY_EXTRA 56
void fact_drop(struct fact *f);                 /* NULL is allowed */
