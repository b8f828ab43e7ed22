/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters as a file writes them: what struct cluster_fact and struct host (model.h) are made of. */
#pragma once
#include "weft/conf.h"

struct cluster_locality {
	struct slice region, zone;
};

struct cluster_endpoint {
	struct conf_address address;
	uint32_t weight, priority;
	enum host_state state;
	struct cluster_locality locality;
	struct pair_list metadata;
};

struct cluster_certificate {                    /* of listeners too */
	struct slice cert, key;                 /* paths */
};

/* line of a struct: 0 = it was not given. */
struct cluster_conf {
	struct slice name;
	struct slice protocol;                  /* "auto", "http", "http2" or one of RPC's */
	struct slice balancer;                  /* a word of lb_policy_names, or an extension's name */
	struct cluster_prefer {
		enum locality_prefer prefer;
	} locality;
	struct conf_list endpoints;             /* of struct cluster_endpoint */
	struct cluster_discovery {
		uint32_t line;
		uint8_t type;                   /* enum discovery_type */
		struct slice host;
		struct slice registry, service; /* empty: by host */
		uint16_t port;
	} discovery;
	struct cluster_subsets {
		struct conf_list keys;          /* of struct conf_list of struct slice */
		uint8_t fallback;
		struct pair_list dflt;
	} subsets;
	uint64_t connect_ns;
	struct cluster_pool {
		uint32_t max_connections, max_pending, max_requests, max_retries, max_requests_per_connection;
		uint64_t idle_ns;
		uint32_t http2_max_streams;
		uint64_t ping_ns, ping_timeout_ns;
	} pool;
	struct cluster_health {
		uint32_t line;
		uint8_t type;
		uint8_t tls;                    /* enum health_tls */
		struct slice path, host, service;
		uint16_t port;
		uint64_t interval_ns, timeout_ns;
		uint32_t unhealthy, healthy;
		struct conf_list expect;        /* of struct slice */
	} health;
	struct cluster_outlier {
		uint32_t line;
		uint32_t consecutive_5xx, consecutive_gateway, consecutive_local;
		uint64_t interval_ns, base_ns, max_ns;
		uint32_t max_percent, failure_percentage, failure_min_hosts, failure_min_requests;
	} outlier;
	uint32_t panic_percent;
	struct cluster_slow_start {
		uint64_t window_ns;
	} slow_start;
	uint32_t ring_size;
	bool proxy_protocol;
	struct cluster_tls_conf {
		uint32_t line;
		struct slice sni, ca;
		struct conf_list certificates;  /* of struct cluster_certificate; at most one */
		bool insecure;
		uint8_t kernel;                 /* place in tls_kernel_names */
		struct conf_list alpn;          /* of struct slice */
		struct cluster_verify {
			struct conf_list sans;  /* of struct slice */
		} verify;
	} tls;
};

enum lb_policy cluster_policy(struct slice balancer); /* LB_POLICY_EXTENSION: none of weft's own words */
enum discovery_type { DISCOVERY_AUTO, DISCOVERY_DNS, DISCOVERY_REGISTRY };
enum health_tls { HEALTH_TLS_AUTO, HEALTH_TLS_TRUE, HEALTH_TLS_FALSE };

extern const struct conf_item fact_cluster_rows[];
extern const char *const tls_kernel_names[];
extern const struct conf_item certificate_rows[]; /* struct cluster_certificate */
int check_secret_path(const void *value, struct err *e); /* of a row: a struct slice */
