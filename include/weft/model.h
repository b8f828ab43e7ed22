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
	X(SECRET, secret, "secret")                                                                                    \
	X(CLUSTER, cluster_fact, "cluster")                                                                            \
	X(HOST, host, "host")                                                                                          \
	X(ROUTE, route, "route")                                                                                       \
	X(LISTENER, listener, "listener")                                                                              \
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

/* PEM texts, read by the agent: the proxy opens no file. Shown nowhere but by name. Key: name ("cert|key" paths). */
struct secret {
	struct fact fact;
	struct slice name;
	struct slice certificate;               /* chain, leaf first; or certificates of trusted CAs */
	struct slice private_key;               /* empty for CAs */
};

enum lb_policy {                                /* clusters[].loadBalancer */
	LB_POLICY_LEAST_REQUEST,                /* kernel: least open by two choices */
	LB_POLICY_ROUND_ROBIN,
	LB_POLICY_RANDOM,
	LB_POLICY_MAGLEV,
	LB_POLICY_RING_HASH,                    /* these three: proxy only; kernel: Maglev, least open, refused */
	LB_POLICY_PEAK_EWMA,
	LB_POLICY_ORIGINAL_DESTINATION,
	LB_POLICY_EXTENSION,                    /* cluster_fact.balancer names it; kernel: least open */
	LB_POLICIES
};
extern const char *const lb_policy_names[LB_POLICIES + 1]; /* "least-request", ... NULL */
struct cluster_fact;
struct slice cluster_balancer(const struct cluster_fact *c); /* as clusters[].loadBalancer names it */
/* What the kernel does with a service of such a cluster, where it cannot do that: "maglev is used"; NULL: it can. */
extern const char *const lb_kernel_words[LB_POLICIES];

enum locality_prefer { LOCALITY_ANY, LOCALITY_REGION, LOCALITY_ZONE };

/* TLS towards a cluster's hosts. */
struct cluster_tls {
	bool enabled;
	struct slice sni;                       /* empty: the request's host name */
	struct slice ca;                        /* secret; empty: the system's, unless insecure */
	struct slice certificate;               /* secret; empty: none is shown */
	bool insecure;                          /* nothing is verified */
	bool kernel;                            /* records by the kernel's TLS, where it has one */
	const struct slice *alpn;
	size_t nalpn;
	const struct slice *sans;               /* one of them must be in the certificate; none: sni must be */
	size_t nsans;
};

enum health_type { HEALTH_NONE, HEALTH_TCP, HEALTH_HTTP, HEALTH_GRPC, HEALTH_HEARTBEAT };

#define HEALTH_SERVICE_MAX 1024u                /* bytes of health_check.service */

/* Active checks, once per node, in the agent. */
struct health_check {
	uint8_t type;                           /* enum health_type */
	bool tls;                               /* with the cluster's settings, which must be enabled */
	struct slice path, host;                /* host empty = the cluster's name */
	struct slice service;                   /* that gRPC asks for; empty = the whole host */
	uint16_t port;                          /* 0: the host's own */
	uint32_t interval_ms, timeout_ms;
	uint32_t unhealthy, healthy;            /* checks in a row that turn it */
	const struct status_range {
		uint16_t low, high;             /* both within */
	} *expect;                              /* none: 200 */
	size_t nexpect;
};

/* Passive ejection. consecutive_5xx 0: off; of the other two too. */
struct outlier_detection {
	bool enabled;
	uint32_t consecutive_5xx, consecutive_gateway, consecutive_local;
	uint32_t interval_ms, base_ejection_ms, max_ejection_ms;
	uint32_t max_ejection_percent;
	uint32_t failure_percentage, failure_min_hosts, failure_min_requests; /* percentage 0: off */
};

enum subset_fallback { SUBSET_NONE, SUBSET_ANY, SUBSET_DEFAULT };

/* Per node: workers draw credits. 0 = no limit. */
struct pool_limits {
	uint32_t max_connections, max_pending, max_requests, max_retries;
	uint32_t max_requests_per_connection;   /* 0 = any number */
	uint32_t idle_ms;                       /* 0 = never closed for being idle */
	uint32_t http2_max_streams;
	uint32_t ping_ms;                 /* without a word from a host that owes answers; 0: never asked */
	uint32_t ping_timeout_ms;
};

/* Settings of a cluster. Its hosts are facts of their own. Key: name, here and wherever it says so: set by fact_new(). */
struct cluster_fact {
	struct fact fact;
	struct slice name;
	enum lb_policy lb;
	struct slice balancer;                  /* LB_POLICY_EXTENSION: the name of its struct lb_ops; else empty */
	struct slice balancer_settings;         /* JSON that its rows read; empty: their defaults */
	enum locality_prefer prefer;
	struct slice protocol_settings;         /* JSON that the protocol's rows read; empty: their defaults */
	struct slice protocol;                  /* what its hosts speak: "http2"; else HTTP/1.1, or what TLS agrees on */
	uint32_t connect_ms;                    /* TCP and TLS; at least 1 */
	uint32_t panic_percent;                 /* fewer usable hosts than this: all are used; 0: never */
	uint32_t slow_start_ms;                 /* 0: none */
	uint32_t ring_size;                     /* ring-hash: least number of points */
	uint8_t fallback;                       /* enum subset_fallback */
	bool proxy_protocol;                    /* a PROXY v2 header opens each connection */
	bool absent;                            /* it is named, and nobody has given it: no hosts, no one's settings */
	struct slice dns_host;                  /* hosts are its addresses; empty: they are facts */
	uint16_t dns_port;
	struct slice from_registry, from_service; /* hosts are those of that registry's service; empty: they are not */
	uint16_t from_port;                     /* of the service; 0: the only one it has */
	const struct subset_keys {
		const struct slice *names;
		size_t nnames;
	} *subsets;
	size_t nsubsets;
	const struct name_value *subset_default; /* for SUBSET_DEFAULT */
	size_t nsubset_default;
	struct pool_limits pool;
	struct cluster_tls tls;
	struct health_check health;
	struct outlier_detection outlier;
};

enum host_state { HOST_READY, HOST_DRAINING };  /* draining: keeps its clients, takes no new ones */

#define WEIGHT_MAX 65535u                       /* of a host */
#define PRIORITY_MAX 255u
#define BACKEND_WEIGHT_MAX 1000000u             /* of a route's backend */
#define AFFINITY_S_MAX 86400u                   /* one day */
#define RETRIES_MAX 100u
#define RPC_BODY_MOST (1u << 20)             /* of rpc_body_max */
#define ACCESS_LOGS_MAX 8u                      /* files of telemetry.accessLog */
#define RING_SIZE_MAX (8u << 20)
#define HEAD_BYTES_MIN 1024u                    /* of a listener's max_head_bytes */
#define HEAD_BYTES_MAX (1u << 20)
#define TARGET_BYTES_MIN 64u
#define HEADERS_MAX 10000u
#define NET_FILTERS_MAX 8u                      /* of a listener */
#define REGEX_MAX 4096u                         /* bytes of one */

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

enum text_match_type {
	TEXT_ANY,                               /* no condition */
	TEXT_EXACT, TEXT_PREFIX,                /* of a path: whole segments ("/v2" is not in "/v20") */
	TEXT_REGEX,                             /* matches the whole text; PCRE2 with a bound on its work */
	TEXT_PRESENT, TEXT_ABSENT, TEXT_SUFFIX, TEXT_CONTAINS,
	TEXT_RANGE,                             /* a decimal integer, low <= it < high */
	TEXT_MATCHES
};

struct text_match {
	uint8_t type;                           /* enum text_match_type */
	struct slice name;                      /* of a header (any case), parameter or cookie; empty for others */
	struct slice value;
	int64_t low, high;
};

/* All conditions hold. Names repeat: all of that name's conditions hold for the first header of the name. */
struct route_match {
	struct text_match path;                 /* without query, normalised */
	struct slice method;                    /* empty: any */
	const struct text_match *headers, *params, *cookies;
	size_t nheaders, nparams, ncookies;
	struct text_match service, rpc_method;  /* RPC */
	const struct slice *identities;         /* of the client, one of them; none: anybody */
	size_t nidentities;
};

enum header_op { HEADER_SET, HEADER_ADD, HEADER_REMOVE };
struct header_change {
	uint8_t op;                             /* enum header_op */
	struct slice name, value;
};

enum path_change { PATH_KEEP, PATH_PREFIX, PATH_FULL, PATH_REGEX }; /* what of the path is replaced */

/* What retries answer to; bits of route_rule.retry_on. X(NAME, word as in the file) */
#define RETRY_ONS(X)                                                                                                   \
	X(CONNECT_FAILURE, "connect-failure") X(REFUSED_STREAM, "refused-stream") X(RESET, "reset")                    \
	X(RESET_BEFORE_REQUEST, "reset-before-request") X(5XX, "5xx") X(GATEWAY_ERROR, "gateway-error")                \
	X(RETRIABLE_4XX, "retriable-4xx") X(RETRIABLE_CODES, "retriable-status-codes")                                 \
	X(CANCELLED, "cancelled") X(DEADLINE_EXCEEDED, "deadline-exceeded") X(INTERNAL, "internal")                    \
	X(RESOURCE_EXHAUSTED, "resource-exhausted") X(UNAVAILABLE, "unavailable")
enum retry_on {
#define RETRY_ON_ENUM_(NAME, word) RETRY_ON_##NAME,
	RETRY_ONS(RETRY_ON_ENUM_)
#undef RETRY_ON_ENUM_
	RETRY_ON_COUNT
};
extern const char *const retry_on_names[RETRY_ON_COUNT + 1]; /* "connect-failure", ... NULL */

enum hash_kind { HASH_HEADER, HASH_COOKIE, HASH_SOURCE_IP, HASH_PARAM };
enum same_site { SAME_SITE_UNSAID, SAME_SITE_LAX, SAME_SITE_STRICT, SAME_SITE_NONE }; /* RFC 6265bis 4.1.2.7 */
enum cookie_secure { COOKIE_SECURE_TLS, COOKIE_SECURE_ALWAYS, COOKIE_SECURE_NEVER }; /* TLS: when the client came by TLS */
struct hash_policy {
	uint8_t kind;                           /* enum hash_kind */
	struct slice name;
	uint32_t ttl_s;                         /* cookie: made when absent and lasts so long */
	bool session;                           /* the same, and it lasts as long as the browser runs; neither: none is made */
	bool http_only;                         /* this and below: of a cookie that is made */
	uint8_t secure;                         /* enum cookie_secure */
	uint8_t same_site;                      /* enum same_site */
	struct slice path;                      /* empty: "/" */
	bool terminal;                          /* found: the ones behind it are not asked */
};

enum { UPGRADE_WEBSOCKET = 1u << 0, UPGRADE_CONNECT = 1u << 1 };

struct route_backend {
	struct slice cluster;
	uint32_t weight;
	const struct name_value *subset;        /* sorted by name; none: the whole cluster */
	size_t nsubset;
};

/* An extension that is named at one place: a filter of a listener or rule, a net filter of a listener. */
struct extension_use {
	struct slice type;                      /* its name */
	struct slice settings;                  /* JSON on one line, read by its rows (conf.h) where it runs */
	const struct slice *clusters;           /* that they name (CONF_CLUSTER) */
	size_t nclusters;
};

/* Exactly one of redirect_status, direct_status and backends says where requests go. */
struct route_rule {
	const struct route_match *matches;      /* one of them; none: every request */
	size_t nmatches;
	const struct extension_use *filters;    /* behind the listener's (filter.h) */
	size_t nfilters;
	const struct header_change *request_headers, *response_headers;
	size_t nrequest_headers, nresponse_headers;
	struct slice rewrite_host;              /* empty: kept */
	uint8_t rewrite;                        /* enum path_change */
	struct slice rewrite_regex, rewrite_path; /* regex: $1 ... in rewrite_path */
	uint16_t redirect_status;               /* 0: no redirect */
	struct slice redirect_scheme, redirect_host, redirect_path; /* empty: as asked */
	uint16_t redirect_port;                 /* 0: as asked, or the scheme's */
	uint8_t redirect_change;                /* enum path_change: of redirect_path; never PATH_REGEX */
	uint16_t direct_status;                 /* 0: no direct response */
	struct slice direct_body;
	const struct route_backend *backends;
	size_t nbackends;
	uint32_t timeout_ms, try_timeout_ms;    /* 0: none */
	uint32_t idle_ms;                       /* of the stream; 0: none */
	uint32_t retries;                       /* tries beyond the first */
	uint32_t retry_on;                      /* 1 << enum retry_on */
	const struct status_range *retry_codes;
	size_t nretry_codes;
	uint32_t backoff_ms, max_backoff_ms;
	uint32_t budget_percent, budget_min;    /* of active requests; retries a second that are always allowed */
	const struct hash_policy *hash;
	size_t nhash;
	uint8_t upgrades;                       /* UPGRADE_* that pass */
	/* the method of Dubbo or SOFARPC that a request with JSON calls; rpc_method empty: none. version and group may be empty */
	struct slice rpc_service, rpc_version, rpc_group, rpc_method;
	const struct name_value *rpc_arguments; /* name (may be empty) and Java type, in order */
	size_t nrpc_arguments;
	uint32_t rpc_body_max;                  /* bytes of the JSON; 0: as many as lie anywhere at once */
};

/*
 * L7 rules. The proxy reads them; a service or listener that names one is L7. Among the routes of one listener the most
 * specific host wins (exact, longest wildcard, "*"), among their rules Gateway API precedence. Key: name.
 */
struct route {
	struct fact fact;
	struct slice name;
	const struct slice *hosts;              /* "*", "*.example.org", "example.org", "example.org:8080" */
	size_t nhosts;
	const struct route_rule *rules;
	size_t nrules;
};

/* ---- listeners --------------------------------------------------------------------------------------------- */

enum tls_mode { TLS_OFF, TLS_STRICT, TLS_PERMISSIVE }; /* permissive: TLS and plain on one port */
enum fail_mode { FAIL_OPEN, FAIL_CLOSED };      /* what an L7 service, or a range, does while no proxy worker beats */
enum capture { CAPTURE_NONE, CAPTURE_EBPF, CAPTURE_REDIRECT, CAPTURE_TPROXY }; /* how the original destination is found */
enum proxy_header { PROXY_HEADER_OFF, PROXY_HEADER_REQUIRED, PROXY_HEADER_OPTIONAL };
enum xff_mode { XFF_KEEP, XFF_APPEND, XFF_SET }; /* what becomes of the headers that say where a request came from */
enum forwarded_use { FORWARDED_X, FORWARDED_RFC, FORWARDED_BOTH }; /* X-Forwarded-*, Forwarded (RFC 7239) */

struct listener_tls {
	uint8_t mode;                           /* enum tls_mode */
	const struct slice *certificates;       /* secrets; the first is for names that none has */
	size_t ncertificates;
	struct slice client_ca;                 /* secret; empty: no client certificates are asked for */
	bool require_client;
	const struct slice *sans;               /* one of them must be the client's; none: any that the CA signed */
	size_t nsans;
	const struct slice *alpn;
	size_t nalpn;
	uint16_t min_version;                   /* 0x0303 TLS 1.2, 0x0304 TLS 1.3 */
	bool kernel;                            /* records by the kernel's TLS, where it has one */
};

struct ip_block {                               /* a CIDR */
	struct ip ip;
	uint8_t bits;                           /* of 128: an IPv4 /8 is 104 */
};

/* TCP and UDP: the first rule whose conditions hold. None given = always. */
struct stream_rule {
	const struct ip_block *sources, *destinations;
	size_t nsources, ndestinations;
	uint16_t port;                          /* original destination's; 0: any */
	const struct slice *snis;               /* exact or "*.x"; with TLS that is passed on, too */
	size_t nsnis;
	const struct route_backend *backends;
	size_t nbackends;
};

struct destination {                            /* as a client dialled it, over TCP */
	struct ip ip;
	uint16_t port;                          /* host order, not 0 */
};

/*
 * What a listener with CAPTURE_EBPF takes of what clients dial over TCP, where it is no service's. Of ranges that hold one
 * address the longest block wins, of two as long the one with the port.
 */
struct listener_range {
	struct ip_block block;                  /* zero behind its bits */
	uint16_t port;                          /* host order; 0: any */
};

/*
 * Key: name. The agent opens its sockets and hands them to the proxy. One with dispatch accepts for others: a connection
 * belongs to the listener that serves what its client dialled. One that is socketless gets connections that way only.
 */
struct listener {
	struct fact fact;
	struct slice name;
	uint64_t netns;                         /* cookie of the namespace in which it listens; 0: the agent's */
	struct ip ip;                           /* socketless: not read */
	uint16_t port;                          /* socketless: 0 */
	bool socketless, dispatch;
	const struct destination *serves;       /* for dispatch; each is one listener's */
	size_t nserves;
	const struct listener_range *ranges;    /* of a socketless one, in place of serves; each is one listener's */
	size_t nranges;
	uint8_t fail;                           /* enum fail_mode: what becomes of ranges' clients while no proxy works */
	/* "http", "http-proxy", "tcp", "udp", "auto" or one of RPC's; dispatch: empty */
	struct slice protocol;
	struct slice protocol_settings;         /* JSON that the protocol's rows read; empty: their defaults */
	const struct slice *detect;             /* others that its connections may begin with; auto: all */
	size_t ndetect;
	uint8_t capture;                        /* enum capture */
	uint8_t proxy_header;                   /* enum proxy_header */
	const struct extension_use *net_filters; /* bottom first, above the PROXY header and TLS */
	size_t nnet_filters;
	const struct extension_use *filters;    /* of its requests, in this order */
	size_t nfilters;
	const struct ip_block *trusted;         /* whose PROXY and forwarding headers are believed; none: everybody's PROXY */
	size_t ntrusted;
	struct listener_tls tls;
	const struct slice *routes;
	size_t nroutes;
	const struct stream_rule *rules;        /* tcp, udp */
	size_t nrules;
	uint8_t xff;                            /* enum xff_mode */
	uint8_t forwarded;                      /* enum forwarded_use: which ones are believed and written */
	bool merge_slashes;
	bool grpc_web;                          /* gRPC-Web of browsers is made gRPC */
	bool reject_escaped_slashes;            /* %2F %5C: 400; else kept as they are */
	bool request_id;                        /* x-request-id is made when absent */
	uint32_t idle_ms;                       /* between requests; tcp, udp: without a byte */
	uint32_t head_ms;                       /* for a request's head */
	uint32_t max_head_bytes, max_headers, max_target_bytes;
	uint32_t max_connections;               /* per node; 0 = no limit */
	uint32_t age_ms, grace_ms;              /* of a connection: until it is asked to go, and behind that; 0 = never */
	uint32_t max_conn_requests;             /* of one connection; 0 = no limit */
};

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
