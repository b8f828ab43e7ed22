// SPDX-License-Identifier: Apache-2.0
/* Every setting of the main file. What is not here is not accepted. */
#include <errno.h>
#include "conf/config.h"
#include "conf/fact_rows.h"
#include "conf/listener_rows.h"
#include "conf/plugin.h"
#include "kern/limits.h"
#include "weft/str.h"

/* Texts and bounds below, where the preprocessor cannot write them. */
_Static_assert(WORKERS_MAX == 64, "workers");
_Static_assert(MAX_FRONTENDS_DFLT == 65536 && MAX_SERVICES_DFLT == 65536 && MAX_BACKENDS_DFLT == 262144, "maps");
_Static_assert(MAX_SLOTS_DFLT == 2097152 && MAX_SOCKETS_DFLT == 262144, "maps");
_Static_assert(MAX_AFFINITY_DFLT == 65536 && MAX_WORKLOADS_DFLT == 16384, "maps");

static int check_loopback(const void *value, struct err *e)
{
	const struct conf_address *a = value;
	static const struct ip v6 = { { [15] = 1 } };
	static const uint8_t v4[13] = { [10] = 0xff, 0xff, 127 };

	if (memcmp(a->ip.b, v4, sizeof(v4)) && memcmp(a->ip.b, v6.b, sizeof(v6.b)))
		return err_add(e, -EINVAL, "want a loopback address: whoever reaches it may ask everything");
	return 0;
}

static int check_socket(const void *value, struct err *e)
{
	return ((const struct slice *)value)->p[0] != '/' ? err_add(e, -EINVAL, "want a path that begins with /") : 0;
}

static int check_plugin(const void *value, struct err *e)
{
	const struct slice *path = value;

	return plugin_check_file(path->p, e) ? err_add(e, -EINVAL, "%s", path->p) : 0;
}

static int check_cgroup(const void *value, struct err *e)
{
	const struct slice *s = value;

	if (!slice_eq_str(*s, "auto") && s->p[0] != '/')
		return err_add(e, -EINVAL, "want auto, or a path that begins with /");
	return 0;
}

static int check_keepalive(const void *value, struct err *e)
{
	return *(const uint64_t *)value % 1000000000u ? err_add(e, -EINVAL, "want whole seconds") : 0;
}

static int check_registry(const void *value, struct err *e)
{
	static const char *const ours[] = { "discovery", "dns", "l7", "pods" };
	const struct config_registry *r = value;

	if (slice_eq_str(r->name, "secrets"))
		return err_add(e, -EINVAL, "name: secrets is the name of the files that listeners and clusters name");
	if (slice_eq_str(r->name, CONFIG_REGISTRY))
		return err_add(e, -EINVAL, "name: config is the name of this file's own services and clusters");
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (slice_eq_str(r->name, ours[i]))
			return err_add(e, -EINVAL, "name: %s is the name of what weft itself finds", ours[i]);
	}
	return 0;
}

static const char *const switch_names[] = { "auto", "true", "false", NULL };
static const char *const mode_names[] = { "auto", "required", "off", NULL };
static const char *const level_names[] = { "error", "warn", "info", "debug", NULL };
static const char *const format_names[] = { "text", "json", NULL };
static const char *const auto_names[] = { "auto", NULL };

static const struct conf_item locality_rows[] = {
	CONF_ITEM(struct config_locality, region, "region", STRING, .max = NAME_MAX_BYTES, .help = "empty: unknown"),
	CONF_ITEM(struct config_locality, zone, "zone", STRING, .max = NAME_MAX_BYTES, .help = "empty: unknown"),
	CONF_END
};

static const struct conf_item node_rows[] = {
	CONF_ITEM(struct config_node, name, "name", STRING, .max = NAME_MAX_BYTES,
		  .help = "of this machine; none: its host name"),
	CONF_ITEM(struct config_node, locality, "locality", STRUCT, .rows = locality_rows,
		  .help = "where it stands, for clusters that prefer nearby endpoints"),
	CONF_ITEM(struct config_node, labels, "labels", MAP, .help = "shown with the node"),
	CONF_END
};

static const struct conf_item admin_rows[] = {
	CONF_ITEM(struct config_admin, address, "address", ADDRESS, .min = 1, .dflt = "127.0.0.1:15000",
		  .check = check_loopback, .help = "of the Admin API over TCP"),
	CONF_ITEM(struct config_admin, socket, "socket", STRING, .min = 1, .max = 107, .dflt = "/run/weft/admin.sock",
		  .check = check_socket, .help = "of the Admin API on this machine, mode 0600"),
	CONF_END
};

static const struct conf_item short_circuit_rows[] = {
	CONF_ITEM(struct config_short_circuit, enabled, "enabled", ENUM, .names = switch_names, .dflt = "auto",
		  .help = "auto: where this kernel passed the known-answer tests"),
	CONF_ITEM(struct config_short_circuit, max_outstanding, "maxOutstanding", SIZE, .min = 4096, .max = 1 << 30,
		  .dflt = "1MiB", .help = "bytes that a reader may leave unread, per direction, before its writer blocks"),
	CONF_ITEM(struct config_short_circuit, assume_no_splice, "assumeNoSplice", BOOL, .dflt = "false",
		  .help = "true: no process here splices from sockets, as if every workload said `splice: never`"),
	CONF_ITEM(struct config_short_circuit, unmanaged, "unmanaged", BOOL, .dflt = "false",
		  .help = "true: also between processes that belong to no declared workload"),
	CONF_ITEM(struct config_short_circuit, keepalive_ns, "keepalive", DURATION, .max = 32767ll * 1000000000ll,
		  .dflt = "0s", .check = check_keepalive,
		  .help = "idle time after which a short-circuited connection shows connection tracking that it lives; "
			  "0s: as the application set it"),
	CONF_END
};

#define MAP_ROW(field, word, most, default_, text)                                                                     \
	CONF_ITEM(struct config_maps, field, word, INT, .min = 16, .max = (most), .dflt = default_, .help = (text))

static const struct conf_item maps_rows[] = {
	MAP_ROW(frontends, "frontends", 1 << 24, "65536", "addresses and ports of services"),
	MAP_ROW(services, "services", 1 << 24, "65536", "services, each port counted"),
	MAP_ROW(backends, "backends", 1 << 24, "262144", "endpoints"),
	MAP_ROW(slots, "slots", 1 << 28, "2097152", "slots of the balancing table, several for an endpoint"),
	MAP_ROW(sockets, "sockets", 1 << 24, "262144", "sockets that may be short-circuited at a time"),
	MAP_ROW(affinity, "affinity", 1 << 24, "65536", "clients with session affinity at a time"),
	MAP_ROW(workloads, "workloads", 1 << 20, "16384", "workloads"),
	CONF_END
};

static const struct conf_item kernel_rows[] = {
	CONF_ITEM(struct config_kernel, mode, "mode", ENUM, .names = mode_names, .dflt = "auto",
		  .help = "auto: what this kernel and these privileges allow; required: all of it or no start; off: no BPF"),
	CONF_ITEM(struct config_kernel, cgroup, "cgroup", STRING, .min = 1, .max = 4095, .dflt = "auto",
		  .check = check_cgroup, .help = "whose sockets are captured; auto: every process, a path narrows it"),
	CONF_ITEM(struct config_kernel, connect, "connect", BOOL, .dflt = "true",
		  .help = "addresses of services are translated at connect and sendmsg"),
	CONF_ITEM(struct config_kernel, short_circuit, "shortCircuit", STRUCT, .rows = short_circuit_rows,
		  .help = "bytes between two sockets of this machine skip the TCP stack"),
	CONF_ITEM(struct config_kernel, maps, "maps", STRUCT, .rows = maps_rows, .help = "entries of the BPF maps"),
	{ .name = "xdp", .type = CONF_REFUSED, .help = "the edge (XDP) is not part of this release" },
	CONF_END
};

static const struct conf_item registry_rows[] = {
	CONF_LINE_ITEM(struct config_registry, line),
	CONF_ITEM(struct config_registry, name, "name", STRING, .required = true, .max = NAME_MAX_BYTES,
		  .help = "shown with whatever comes from it"),
	CONF_ITEM(struct config_registry, type, "type", CHOICE, .required = true, .help = "brings the fields below"),
	CONF_END
};

static const struct conf_item plugin_rows[] = {
	CONF_LINE_ITEM(struct config_plugin, line),
	CONF_ITEM(struct config_plugin, path, "path", STRING, .required = true, .max = 4095, .check = check_plugin,
		  .help = "a shared object; it, its folders and what links lead to are root's, and only root may write them"),
	CONF_END
};

static const struct conf_item access_log_rows[] = {
	CONF_ITEM(struct config_access_log, path, "path", STRING, .required = true, .max = 4095, .check = check_socket,
		  .help = "file that lines are appended to; a line per request"),
	CONF_ITEM(struct config_access_log, format, "format", ENUM, .names = format_names, .dflt = "text",
		  .help = "json: an object a line"),
	CONF_END
};

static int check_telemetry(const void *value, struct err *e)
{
	const struct config_telemetry *t = value;

	if (t->access_log.n > ACCESS_LOGS_MAX)
		return err_add(e, -EINVAL, "accessLog: want at most %u", ACCESS_LOGS_MAX);
	return 0;
}

static const struct conf_item telemetry_rows[] = {
	CONF_ITEMS(struct config_telemetry, access_log, "accessLog", STRUCT, struct config_access_log, .rows = access_log_rows,
		   .help = "at most 8; none: no line is written"),
	{ .name = "tracing", .type = CONF_REFUSED, .help = "traces are not part of this release" },
	CONF_END
};

static const char *const spin_names[] = { "off", "adaptive", NULL }; /* enum config_spin */

static const struct conf_item proxy_rows[] = {
	CONF_ITEM(struct config_proxy, namespaces, "namespaces", INT, .min = 1, .max = MAX_PODS - 1, .dflt = "1024",
		  .help = "network namespaces of workloads in which it listens at most; clients in further ones meet the fail mode"),
	CONF_ITEM(struct config_proxy, spin, "spin", ENUM, .names = spin_names, .dflt = "off",
		  .help = "adaptive: workers ask for events for up to 50us before they sleep, while events come that fast"),
	CONF_ITEM(struct config_proxy, drain_ns, "drain", DURATION, .max = 600000000000ll, .dflt = "5s",
		  .help = "when it is stopped: how long requests that are under way may take; at most 10m"),
	CONF_END
};

static int check_overload(const void *value, struct err *e)
{
	const struct config_overload *l = value;

	if (l->soft >= l->hard)
		return err_add(e, -EINVAL, "soft: want less than hard, which is %u", l->hard);
	if (l->memory && l->memory < (32u << 20))
		return err_add(e, -EINVAL, "memory: want 0 for no limit, or at least 32MiB");
	return 0;
}

static const struct conf_item overload_rows[] = {
	CONF_ITEM(struct config_overload, memory, "memory", SIZE, .max = 1ll << 40, .dflt = "0",
		  .help = "bytes that the proxy may have resident; 0: no limit, else at least 32MiB"),
	CONF_ITEM(struct config_overload, connections, "connections", INT, .max = 1 << 30, .dflt = "0",
		  .help = "of clients, over all listeners; more wait to be accepted; 0: no limit"),
	CONF_ITEM(struct config_overload, descriptors, "descriptors", INT, .max = 1 << 30, .dflt = "0",
		  .help = "open files and sockets of the proxy; 0: what its process may have"),
	CONF_ITEM(struct config_overload, soft, "soft", INT, .min = 10, .max = 99, .dflt = "80",
		  .help = "percent of a limit at which nothing is kept for later and new connections wait"),
	CONF_ITEM(struct config_overload, hard, "hard", INT, .min = 11, .max = 100, .dflt = "95",
		  .help = "percent of memory or descriptors at which requests are answered 503"),
	CONF_END
};

static const struct conf_item logging_rows[] = {
	CONF_ITEM(struct config_logging, level, "level", ENUM, .names = level_names, .dflt = "info",
		  .help = "lines below it are not written"),
	CONF_END
};

/* The lists are read by conf_facts(), from the tree. */
#define LIST_OF_FACTS(word, rows_, text)                                                                               \
	{ .name = (word), .type = CONF_LIST, .of = CONF_STRUCT, .rows = (rows_), .help = (text) }
#define LATER(word, text) { .name = (word), .type = CONF_REFUSED, .help = (text) }

#define CONFIG_PLUGINS                                                                                                 \
	CONF_ITEMS(struct config, plugins, "plugins", STRUCT, struct config_plugin, .rows = plugin_rows,               \
		   .help = "shared objects that bring protocols, load balancers, registries and more: docs/extending.md; at most 64")

const struct conf_item config_plugins_rows[] = { CONFIG_PLUGINS, CONF_END };

const struct conf_item config_rows[] = {
	CONF_ITEM(struct config, node, "node", STRUCT, .rows = node_rows, .help = "this machine"),
	CONF_ITEM(struct config, workers, "workers", INT, .names = auto_names, .min = 1, .max = WORKERS_MAX,
		  .dflt = "auto", .help = "threads of the proxy; auto: one per CPU"),
	CONF_ITEM(struct config, admin, "admin", STRUCT, .rows = admin_rows, .help = "where the daemon can be asked"),
	CONF_ITEM(struct config, kernel, "kernel", STRUCT, .rows = kernel_rows, .help = "what is done in the kernel"),
	CONF_ITEMS(struct config, registries, "registries", STRUCT, struct config_registry, .rows = registry_rows,
		   .check = check_registry, .help = "where services come from, beside this file"),
	CONFIG_PLUGINS,
	LIST_OF_FACTS("workloads", fact_workload_rows, "who runs on this machine"),
	LIST_OF_FACTS("services", fact_service_rows, "names with addresses that clients dial"),
	LIST_OF_FACTS("clusters", fact_cluster_rows, "sets of endpoints that serve services"),
	LIST_OF_FACTS("routes", fact_route_rows, "rules for requests; a service that names one belongs to the proxy"),
	LIST_OF_FACTS("listeners", fact_listener_rows, "where the proxy takes connections"),
	CONF_ITEM(struct config, telemetry, "telemetry", STRUCT, .rows = telemetry_rows, .check = check_telemetry,
		  .help = "what is told about requests"),
	CONF_ITEM(struct config, proxy, "proxy", STRUCT, .rows = proxy_rows, .help = "how its workers run"),
	CONF_ITEM(struct config, overload, "overload", STRUCT, .rows = overload_rows, .check = check_overload,
		  .help = "limits of the proxy as a process: docs/overload.md"),
	CONF_ITEM(struct config, logging, "logging", STRUCT, .rows = logging_rows, .help = "the log, on standard error"),
	LATER("policies", "this release would not enforce them, and a policy that is not enforced is worse than none"),
	CONF_END
};
