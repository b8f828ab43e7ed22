/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts as a file writes them: one struct per element of the lists that conf_facts() reads, and its
 * rows. Clusters, routes and listeners have files of their own.
 */
#pragma once
#include "weft/conf.h"

#define NAME_MAX_BYTES 253                      /* of a service, cluster, route, listener, workload: as of a DNS name */
#define CONF_HOURS_MAX 3600000000000000ll       /* ns: a thousand hours, and as milliseconds it fits 32 bits */

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

struct fact_workload {
	struct slice name, cgroup, identity;
	struct fact_short_circuit {
		bool enabled;
		enum splice_use splice;
	} short_circuit;
	bool connect;
};

extern const struct conf_item fact_service_rows[], fact_workload_rows[];
int check_fact_name(const void *value, struct err *e); /* of a row: a struct slice */
