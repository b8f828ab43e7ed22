/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model that registries feed and that everything else reads. A fact is one immutable, reference-counted object; a
 * snapshot is a numbered set of facts in which every name resolves. A changed fact is a new object, an unchanged one is
 * shared by all snapshots that know it, so comparing two snapshots is comparing pointers.
 *
 * Readers get everything const. Slices inside a fact live as long as the fact; a fact lives as long as any snapshot that
 * holds it. Reference counts are the control thread's: other threads hold snapshots, not facts.
 */
#pragma once
#include "weft/types.h"

/* ---- facts ------------------------------------------------------------------------------------------------- */

/* X(KIND, type, word): order is the order in which a transaction is built, referred-to kinds first. */
#define FACTS(X)                                                                                                       \
	X(NODE, node, "node")                                                                                          \
	X(CLUSTER, cluster_fact, "cluster")                                                                            \
	X(HOST, host, "host")                                                                                          \
	X(ROUTE, route, "route")                                                                                       \
	X(SERVICE, service_fact, "service")                                                                            \
	X(POLICY, policy_fact, "policy")                                                                               \
	X(WORKLOAD, workload_fact, "workload")

enum fact_kind {
#define FACT_ENUM_(KIND, type, word) FACT_##KIND,
	FACTS(FACT_ENUM_)
#undef FACT_ENUM_
	FACT_KINDS
};

/* Where a fact was written, for messages: "services.d/web.yaml:12". */
struct fact_mark {
	struct slice registry;                  /* name of the registry, "config" for the configuration itself */
	struct slice file;                      /* or another place: a Kubernetes object's name */
	uint32_t line;                          /* 1-based; 0 = none */
};

#define FACT_NO_SLOT UINT32_MAX

/*
 * First member of every fact. key is unique in its kind over all registries. Small on purpose: there may be 100,000
 * hosts, so what many facts say alike (place, locality, metadata) is one object to which all of them point.
 */
struct fact {
	uint16_t magic;
	uint8_t kind;                           /* enum fact_kind */
	bool packed;                            /* as the store keeps it: one allocation, alike parts shared */
	uint32_t refs;                          /* control thread only */
	uint32_t slot;                          /* dense small number, kept while any living snapshot knows the key */
	uint32_t line;                          /* of the mark; with place the control thread's: fact_mark() */
	struct slice key;
	const struct fact_place {
		struct slice registry, file;
	} *place;
	void *blocks;                           /* while it is being made: memory of its slices and arrays */
};
struct fact_mark fact_mark(const struct fact *f); /* control thread; slices live as long as f */

struct ip {
	uint8_t b[16];                          /* network order; IPv4 as v4-mapped ::ffff:a.b.c.d */
};

struct pair_list {                              /* labels, metadata: sorted by name */
	const struct name_value {
		struct slice name, value;
	} *v;
	size_t n;
};

struct locality {
	struct slice region, zone;              /* empty = unknown */
};

/* This node. Key: "". */
struct node {
	struct fact fact;
	struct slice name;                      /* of the machine */
	const struct locality *locality;        /* never NULL */
	struct pair_list labels;
};

enum lb_policy {                                /* clusters[].loadBalancer */
	LB_POLICY_LEAST_REQUEST,                /* kernel: least open by two choices */
	LB_POLICY_ROUND_ROBIN,
	LB_POLICY_RANDOM,
	LB_POLICY_MAGLEV,
	LB_POLICIES
};
extern const char *const lb_policy_names[LB_POLICIES + 1]; /* "least-request", ... NULL */

enum locality_prefer { LOCALITY_ANY, LOCALITY_REGION, LOCALITY_ZONE };

/* Settings of a cluster. Its hosts are facts of their own. Key: name, here and wherever it says so: set by fact_new(). */
struct cluster_fact {
	struct fact fact;
	struct slice name;
	enum lb_policy lb;
	enum locality_prefer prefer;
};

enum host_state { HOST_READY, HOST_DRAINING };  /* draining: keeps its clients, takes no new ones */

#define WEIGHT_MAX 65535u                       /* of a host */
#define PRIORITY_MAX 255u
#define BACKEND_WEIGHT_MAX 1000000u             /* of a route's backend */
#define AFFINITY_S_MAX 86400u                   /* one day */

/* One endpoint of one cluster. Key: "cluster|address|port", as host_new() (registry.h) makes it. */
struct host {
	struct fact fact;
	struct slice cluster;
	struct ip ip;
	uint16_t port;                          /* host order; 0 = the service says which */
	uint8_t state;                          /* enum host_state */
	uint32_t weight;                        /* relative, 1 is usual, 0 takes no new connections */
	uint32_t priority;                      /* 0 first */
	const struct locality *locality;        /* never NULL; hosts of one place share one */
	struct pair_list metadata;
};

/* L7 rules. The proxy reads them; a service that names one is an L7 service. Key: name. */
struct route {
	struct fact fact;
	struct slice name;
	const struct slice *hosts;              /* "*" = any */
	size_t nhosts;
	const struct route_backend {
		struct slice cluster;
		uint32_t weight;
	} *backends;
	size_t nbackends;
};

enum fail_mode { FAIL_OPEN, FAIL_CLOSED };      /* what an L7 service does while no proxy worker beats */

struct service_port {
	uint16_t port;                          /* host order */
	uint16_t target;                        /* host order; 0 = the host's own port, and if that is 0 too, port */
	uint8_t proto;                          /* IPPROTO_TCP | IPPROTO_UDP */
	struct slice name;
	struct slice app_protocol;
	struct slice cluster;                   /* whose hosts serve it; empty only where the routes say it */
};

/* A name with addresses that clients dial. Key: name. */
struct service_fact {
	struct fact fact;
	struct slice name;
	const struct ip *addrs;
	size_t naddrs;
	const struct service_port *ports;
	size_t nports;
	const struct slice *routes;
	size_t nroutes;                         /* > 0: L7 */
	uint32_t affinity_s;                    /* sessionAffinity ClientIP: seconds after last use; 0 = none */
	enum fail_mode fail;
};

/* Who may talk to a service. Kept and served by the model; enforcement is the kernel's and the proxy's. Key: name. */
struct policy_fact {
	struct fact fact;
	struct slice name;
	struct slice service;                   /* to whom */
	const struct policy_rule {
		bool allow;
		const struct slice *identities; /* from whom; none = anybody */
		size_t nidentities;
	} *rules;
	size_t nrules;
};

enum splice_use { SPLICE_MAYBE, SPLICE_NEVER }; /* whether its processes may splice(2) from a socket */

/* A pod or a service of this machine. Key: name. */
struct workload_fact {
	struct fact fact;
	struct slice name;
	struct slice cgroup;                    /* path below the captured cgroup, or absolute */
	struct slice identity;                  /* SPIFFE id; empty = unknown */
	enum splice_use splice;
	bool paused;                            /* no short-circuit */
	bool exempt;                            /* no translation either */
};

/* ---- snapshot ---------------------------------------------------------------------------------------------- */

/* A cluster with its hosts. Shared by snapshots while neither changed. */
struct cluster {
	uint32_t refs;                          /* control thread only */
	uint32_t generation;                    /* snapshot number it was built for */
	const struct cluster_fact *conf;
	struct slice name;                      /* conf's */
	uint32_t slot;                          /* conf's */
	const struct host *const *hosts;        /* by key */
	size_t nhosts;
};

struct fact_set {                               /* by key, ascending */
	const struct fact *const *v;
	size_t n;
};

struct cluster_set {                            /* by name, ascending */
	const struct cluster *const *v;
	size_t n;
};

struct snapshot;                                /* model/snapshot.h */
uint64_t snapshot_number(const struct snapshot *s);
const struct cluster *snapshot_cluster(const struct snapshot *s, struct slice name); /* NULL: no such */
const struct fact *snapshot_fact(const struct snapshot *s, enum fact_kind kind, struct slice key); /* NULL: no such */
struct fact_set snapshot_facts(const struct snapshot *s, enum fact_kind kind); /* every kind but FACT_HOST */
struct cluster_set snapshot_clusters(const struct snapshot *s);
/* Every slot of this kind in the snapshot is below it: the size of an array indexed by slot. */
uint32_t snapshot_slots(const struct snapshot *s, enum fact_kind kind);
