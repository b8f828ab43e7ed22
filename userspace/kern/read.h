/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed reading of maps and programs for views and metrics. Nothing here writes. A callback returns false to stop early.
 * Every function gives nothing (0 entries) when the kernel side is off.
 */
#pragma once
#include "kern/kern.h"
#include "weft/str.h"

struct explain;                                 /* include/kern/explain.h */

void read_reasons(const struct kern *k, uint64_t out[REASON_MAX]); /* summed over CPUs */
const char *read_reason_name(unsigned reason);  /* "no_backend"; "?" beyond the list */
const char *read_reason_text(unsigned reason);

/* One service entry: a port of a service in one address family. Slices live until the next kern_sync(). */
struct read_service {
	struct slice name, port_name, cluster;
	uint32_t id;                            /* key of service_map */
	uint8_t proto;
	uint8_t family;                         /* AF_INET | AF_INET6 */
	uint16_t port;                          /* host order */
	struct service entry;                   /* as in the map */
	uint32_t backends, draining;            /* that it refers to */
	struct service_stat stat;
	const char *stale;                      /* why it is behind the snapshot; NULL: it is not */
};
typedef bool read_service_fn(void *arg, const struct read_service *s);
int read_services(struct kern *k, read_service_fn *fn, void *arg);
bool read_service(struct kern *k, uint32_t id, struct read_service *out);

/* What prefix_map says of a listener's range; NULL: it is not there. Lives until the next kern_sync(). */
const struct prefix *read_range(const struct kern *k, const struct listener_range *r);

struct read_backend {
	struct slice cluster;
	uint32_t id;                            /* key of backend_map */
	struct backend entry;
	int32_t open;                           /* TCP connections from this node */
	uint32_t slots;                         /* of the asked service's table; 0 for read_backend() */
};
typedef bool read_backend_fn(void *arg, const struct read_backend *b);
int read_backends(struct kern *k, uint32_t service, read_backend_fn *fn, void *arg); /* 0 = all */
bool read_backend(struct kern *k, uint32_t id, struct read_backend *out);

/* A live pair: both ends are on this node. Names are empty when unknown. */
struct read_pair {
	uint64_t key;
	struct pair pair;
	struct slice service, cluster;
	struct slice workload[2];               /* client, server */
	const char *state[2];                   /* "unset" "redirect" "stack", client to server first */
};
typedef bool read_pair_fn(void *arg, const struct read_pair *p);
int read_pairs(struct kern *k, read_pair_fn *fn, void *arg);
struct slice read_workload_name(const struct kern *k, uint32_t id);

struct read_map {
	const char *name, *type, *owner;
	char pin[256];                          /* path; "" = not pinned */
	uint32_t id, key_size, value_size, max_entries;
	uint32_t used;                          /* entries; arrays: max_entries; UINT32_MAX = cannot be counted */
	uint64_t bytes;                         /* memory charged by the kernel (memlock of fdinfo) */
	bool frozen_layout;                     /* carried over to new layouts */
};
typedef bool read_map_fn(void *arg, const struct read_map *m);
int read_maps(struct kern *k, read_map_fn *fn, void *arg);

/*
 * One entry of one map, rendered by its BTF as one line of JSON: for /kernel/maps/{name}. -ENOENT: no such map;
 * -EOPNOTSUPP: socket storage or a ring, which cannot be listed.
 */
typedef bool read_entry_fn(void *arg, const char *json);
int read_entries(struct kern *k, const char *map, uint32_t limit, read_entry_fn *fn, void *arg);

struct read_prog {
	const char *object;                     /* "connect" */
	char name[32], tag[17], attach[40];     /* attach: "cgroup_inet4_connect" */
	char pin[256];
	uint32_t id, link_id;                   /* link_id 0 = attached without a link, or not attached */
	uint64_t run_cnt, run_time_ns;          /* 0 unless kernel.bpf_stats_enabled */
	uint32_t insns;                         /* translated */
	bool attached;
};
typedef bool read_prog_fn(void *arg, const struct read_prog *p);
int read_progs(struct kern *k, read_prog_fn *fn, void *arg);

/* Runs the connect program's decision: x is asked and answered in place. -ENOTSUP: the kernel side is off. */
int read_explain(struct kern *k, struct explain *x);
