/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps and programs: from the ELF images to pinned links. A map is one for all objects that name it. A pinned map is
 * taken over when its layout is the wanted one. Where it is not (another MAPS_ABI, another size), a new map is made, and
 * load_switch() puts it in the place of the old one once its content is there: programs are exchanged in their links one
 * by one, each atomically, so at every instant each hook runs one whole program on one whole set of maps.
 *
 * FROZEN maps (connections under way, the control word) always are taken over: sockets keep the programs that read them.
 * Maps that kern/apply writes are replaced all or none, so that they always belong together.
 */
#pragma once
#include "kern/layout.h"
#include "kern/objects.h"
#include "kern/pins.h"

struct bpf_object;

enum load_group {
	LOAD_FROZEN,                            /* always taken over */
	LOAD_CONFIG,                            /* written by kern/apply: all of this group, or none */
	LOAD_LEARNED,                           /* written by programs: content is copied into a new map */
	LOAD_LOST,                              /* a new map begins empty */
};

/* X(name, size, group, owner): size is the field of kern_sizes that gives max_entries, or none */
#define LOAD_MAPS(X)                                                                                                   \
	X(ctl_map, none, FROZEN, "kern/apply")                                                                         \
	X(frontend_map, frontends, CONFIG, "kern/apply")                                                               \
	X(service_map, services, CONFIG, "kern/apply")                                                                 \
	X(backend_map, backends, CONFIG, "kern/apply")                                                                 \
	X(table_map, rows, CONFIG, "kern/apply")                                                                       \
	X(workload_map, workloads, CONFIG, "kern/apply")                                                               \
	X(beat_map, none, FROZEN, "proxy workers")                                                                     \
	X(pod_map, none, LEARNED, "kern/pods")                                                                         \
	X(prefix_map, none, LOST, "kern/prefixes")                                                                     \
	X(odst_map, none, LEARNED, "capture")                                                                          \
	X(rr_map, services, LEARNED, "connect")                                                                        \
	X(open_map, backends, LEARNED, "connect")                                                                      \
	X(affinity_map, affinity, LEARNED, "connect")                                                                  \
	X(udp_peer_map, affinity, LEARNED, "connect")                                                                  \
	X(emit_map, none, LOST, "connect")                                                                             \
	X(flow_map, none, FROZEN, "connect")                                                                           \
	X(sock_map, sockets, FROZEN, "sockops")                                                                        \
	X(wait_map, none, FROZEN, "sockops")                                                                           \
	X(pair_map, sockets, FROZEN, "sockops, redirect")                                                              \
	X(end_map, none, FROZEN, "sockops")                                                                            \
	X(mptcp_map, none, FROZEN, "sockops")                                                                          \
	X(reason_map, none, LEARNED, "every program")                                                                  \
	X(svc_stat_map, services, LEARNED, "connect, sockops")                                                         \
	X(event_map, none, LOST, "every program")

struct load_map {
	const char *name, *owner;
	enum load_group group;
	uint32_t entries;                       /* wanted; 0 = as the object says */
	int fd;                                 /* -1: not there */
	int old_fd;                             /* of the map that it will replace; -1: none */
	bool adopted;                           /* fd is a map that was pinned */
	bool kept_size;                         /* FROZEN, and its size is not the wanted one */
};

struct load_prog {
	const char *object;
	char name[32];
	int fd;
	uint32_t type, attach_type;
	int link_fd;                            /* -1: none */
	bool attached;
	enum object_part part;
};

struct load_result {                            /* for kern_stat and the log */
	uint32_t created, adopted;              /* maps */
	uint32_t attached, replaced, kept;      /* programs */
};

#define LOAD_MAPS_MAX 32
#define LOAD_PROGS_MAX 32
#define LOAD_OBJECTS_MAX 8

struct load {
	const struct pins *pins;
	char old_dir[PINS_PATH];                /* layout that is taken over from; "" = none, or the same folder */
	struct load_map map[LOAD_MAPS_MAX];
	struct load_prog prog[LOAD_PROGS_MAX];
	struct bpf_object *obj[LOAD_OBJECTS_MAX];
	unsigned nmaps, nprogs;
	bool replacing;                         /* CONFIG maps are new, and there are old ones */
	bool adopting;                          /* CONFIG maps are the pinned ones */
	struct load_part {
		bool on;                        /* its objects are loaded */
		char why[200];                  /* not */
	} part[OBJECT_PARTS];
	char cgroup[512];
	uint64_t cgroup_id;                     /* of it when programs were attached; 0 = not yet */
	struct load_result result;
};

/* What the objects' rodata is set to. */
struct load_vars {
	bool has_set_retval, has_mptcp_sock;
	uint64_t host_netns;                    /* cookie */
};

/*
 * Opens, sizes and loads the objects of the parts that are wanted; nothing is attached. Failing to load an object of an
 * optional part is no error (part.why says it), any other failure is, and leaves nothing behind. pins is borrowed until
 * load_close().
 */
int load_open(struct load *l, const struct pins *pins, const struct kern_sizes *sizes, const struct load_vars *v,
	      const bool want[OBJECT_PARTS], struct err *e);
/*
 * Attaches to the cgroup, or exchanges what is attached; pins maps, links and programs; removes pins of what is no more.
 * Before it everything runs as before. On failure what was not yet exchanged goes on as it is; it may be called again.
 * own: the cgroup of weft itself, whose getsockopt() the programs answer; that they cannot be attached is no error, but
 * then there is no capture.
 */
int load_switch(struct load *l, const char *cgroup, const char *own, struct err *e);
/*
 * After load_open(): the short-circuit's programs that run now are the loaded ones, to the instruction and the constant,
 * whatever maps they use. What was found out about those holds for these.
 */
bool load_same_short_circuit(const struct load *l);
/*
 * The cgroup has gone or another one has its name: links to it hang in the air. True once; load_switch() then attaches
 * to whatever has the name.
 */
bool load_adrift(struct load *l);
void load_close(struct load *l);                /* pins stay. Accepts a zeroed one */

struct load_map *load_map(struct load *l, const char *name); /* NULL: no such */
int load_fd(struct load *l, const char *name);  /* -1: no such */
const struct load_prog *load_prog(const struct load *l, const char *name);
