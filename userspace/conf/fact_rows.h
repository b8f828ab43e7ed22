/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts as a file writes them: one struct per element of the lists that conf_facts() reads, and its
 * rows.
 */
#pragma once
#include "weft/conf.h"

#define NAME_MAX_BYTES 253                      /* of a service, cluster, route, workload: as of a DNS name */

struct fact_locality {
	struct slice region, zone;
};

struct fact_endpoint {
	struct conf_address address;
	uint32_t weight, priority;
	enum host_state state;
	struct fact_locality locality;
	struct pair_list metadata;
};

struct fact_cluster {
	struct slice name;
	enum lb_policy lb;
	struct fact_prefer {
		enum locality_prefer prefer;
	} locality;
	struct conf_list endpoints;             /* of struct fact_endpoint */
};

struct fact_port {
	uint16_t port, target;
	uint8_t protocol;                       /* place in protocol_names */
	struct slice name, app_protocol, cluster;
};

enum fact_affinity_type { AFFINITY_NONE, AFFINITY_CLIENT_IP };

struct fact_affinity {
	enum fact_affinity_type type;
	uint64_t timeout_ns;
};

struct fact_service {
	struct slice name, cluster;
	struct conf_list addresses;             /* of struct ip */
	struct conf_list ports;                 /* of struct fact_port */
	struct fact_affinity affinity;
	struct conf_list routes;                /* of struct slice */
	enum fail_mode fail;
};

struct fact_backend {
	struct slice cluster;
	uint32_t weight;
};

struct fact_rule {
	struct conf_list backends;              /* of struct fact_backend */
};

struct fact_route {
	struct slice name;
	struct conf_list hosts;                 /* of struct slice */
	struct conf_list rules;                 /* of struct fact_rule */
};

struct fact_workload {
	struct slice name, cgroup, identity;
	struct fact_short_circuit {
		bool enabled;
		enum splice_use splice;
	} short_circuit;
	bool connect;
};

extern const struct conf_item fact_cluster_rows[], fact_service_rows[], fact_route_rows[], fact_workload_rows[];
