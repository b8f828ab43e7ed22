// SPDX-License-Identifier: Apache-2.0
#include "conf/fact_rows.h"

#include <errno.h>
#include "conf/listener_rows.h"
#include "weft/str.h"

/* Names go into keys, map names and messages. */
int check_fact_name(const void *value, struct err *e)
{
	const struct slice *s = value;

	for (size_t i = 0; i < s->n; i++) {
		unsigned char c = s->p[i];

		if (c <= ' ' || c == 0x7f || c == '|')
			return err_add(e, -EINVAL, "a name may not contain spaces, control characters or \"|\"");
	}
	return 0;
}

static int check_cgroup(const void *value, struct err *e)
{
	const struct slice *s = value;

	if (s->p[0] != '/')
		return err_add(e, -EINVAL, "want a path that begins with /");
	for (const char *dots = s->p; (dots = strstr(dots, "/..")); dots += 3) {
		if (dots[3] == '/' || !dots[3])
			return err_add(e, -EINVAL, "want a path without ..");
	}
	return 0;
}

/* Kept in seconds by the kernel's map. */
static int check_seconds(const void *value, struct err *e)
{
	return *(const uint64_t *)value % 1000000000u ? err_add(e, -EINVAL, "want whole seconds") : 0;
}

static const char *const protocol_names[] = { "TCP", "UDP", NULL };
static const char *const affinity_names[] = { "None", "ClientIP", NULL };
static const char *const fail_names[] = { "open", "closed", NULL };
static const char *const splice_names[] = { "maybe", "never", NULL };

static const struct conf_item port_rows[] = {
	CONF_ITEM(struct fact_port, port, "port", INT, .required = true, .min = 1, .max = 65535, .help = "that clients dial"),
	CONF_ITEM(struct fact_port, protocol, "protocol", ENUM, .names = protocol_names, .dflt = "TCP",
		  .help = "transport protocol"),
	CONF_ITEM(struct fact_port, target, "target", INT, .min = 1, .max = 65535,
		  .help = "port of the endpoints; none: each endpoint's own, else `port`"),
	CONF_ITEM(struct fact_port, name, "name", STRING, .max = NAME_MAX_BYTES, .help = "shown with the port"),
	CONF_ITEM(struct fact_port, app_protocol, "appProtocol", STRING, .max = NAME_MAX_BYTES,
		  .help = "what is spoken on it; grpc: the port that gRPC clients of `http-proxy` listeners mean; bolt, dubbo "
			  "or another RPC protocol: what the routes of the service are for"),
	CONF_ITEM(struct fact_port, cluster, "cluster", STRING, .max = NAME_MAX_BYTES,
		  .help = "whose endpoints serve this port; none: the service's `cluster`"),
	CONF_END
};

static const struct conf_item affinity_rows[] = {
	CONF_ITEM(struct fact_affinity, type, "type", ENUM, .names = affinity_names, .dflt = "None",
		  .help = "ClientIP: a client keeps its endpoint"),
	CONF_ITEM(struct fact_affinity, timeout_ns, "timeout", DURATION, .min = 1000000000ll,
		  .max = AFFINITY_S_MAX * 1000000000ll, .dflt = "10800s", .check = check_seconds,
		  .help = "how long after its last use"),
	CONF_END
};

const struct conf_item fact_service_rows[] = {
	CONF_ITEM(struct fact_service, name, "name", STRING, .required = true, .max = NAME_MAX_BYTES,
		  .check = check_fact_name, .help = "unique over all registries"),
	CONF_ITEMS(struct fact_service, addresses, "addresses", IP, struct ip, .required = true,
		   .help = "that clients dial, IPv4 or IPv6"),
	CONF_ITEMS(struct fact_service, ports, "ports", STRUCT, struct fact_port, .rows = port_rows, .required = true,
		   .help = "at least one"),
	CONF_ITEM(struct fact_service, cluster, "cluster", STRING, .max = NAME_MAX_BYTES,
		  .help = "whose endpoints serve the ports that name no cluster"),
	CONF_ITEM(struct fact_service, affinity, "sessionAffinity", STRUCT, .rows = affinity_rows,
		  .help = "whether a client keeps its endpoint"),
	CONF_ITEMS(struct fact_service, routes, "routes", STRING, struct slice,
		   .help = "names of routes; with one, the service belongs to the proxy (L7)"),
	CONF_ITEM(struct fact_service, fail, "failMode", ENUM, .names = fail_names, .dflt = "open",
		  .help = "what a service with routes does while no proxy works: pass connections, or refuse them"),
	CONF_END
};

static const struct conf_item short_circuit_rows[] = {
	CONF_ITEM(struct fact_short_circuit, enabled, "enabled", BOOL, .dflt = "true",
		  .help = "false: its bytes always go through the TCP stack"),
	CONF_ITEM(struct fact_short_circuit, splice, "splice", ENUM, .names = splice_names, .dflt = "maybe",
		  .help = "never: its processes do not splice(2) from sockets, so bytes may be short-circuited to it also "
			  "on kernels where that would hang; docs/kernel.md lists what else then differs from TCP"),
	CONF_END
};

const struct conf_item fact_workload_rows[] = {
	CONF_ITEM(struct fact_workload, name, "name", STRING, .required = true, .max = NAME_MAX_BYTES,
		  .check = check_fact_name, .help = "unique over all registries"),
	CONF_ITEM(struct fact_workload, cgroup, "cgroup", STRING, .required = true, .max = 4095, .check = check_cgroup,
		  .help = "path that begins with /: of its cgroup below `kernel.cgroup`, or from the root of the file system"),
	CONF_ITEM(struct fact_workload, identity, "identity", STRING, .max = 2048, .help = "its SPIFFE id"),
	CONF_ITEM(struct fact_workload, short_circuit, "shortCircuit", STRUCT, .rows = short_circuit_rows,
		  .help = "connections between two processes of this machine"),
	CONF_ITEM(struct fact_workload, connect, "connect", BOOL, .dflt = "true",
		  .help = "false: the addresses it dials are left as they are"),
	CONF_END
};

/* Read by conf_facts() from the tree, element by element: a large file is never held twice. */
#define FACT_LIST(word, rows_, text)                                                                                   \
	{ .name = (word), .type = CONF_LIST, .of = CONF_STRUCT, .rows = (rows_), .help = (text) }

const struct conf_item conf_fact_rows[] = {
	FACT_LIST("services", fact_service_rows, "names with addresses that clients dial"),
	FACT_LIST("clusters", fact_cluster_rows, "sets of endpoints that serve services"),
	FACT_LIST("routes", fact_route_rows, "rules for requests; a service that names one belongs to the proxy"),
	FACT_LIST("listeners", fact_listener_rows, "where the proxy takes connections"),
	FACT_LIST("workloads", fact_workload_rows, "who runs on this machine"),
	CONF_END
};
