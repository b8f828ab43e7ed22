/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an earlier agent left in the maps becomes the state of this one. Where the maps are replaced, it is read from the
 * old ones, so that services and backends keep their ids and with them affinities, UDP sockets and open counts.
 */
#include "base/mem.h"
#include "kern/each.h"
#include "kern/kern_priv.h"
#include "weft/log.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <bpf/bpf.h>

struct adopting {
	struct kern *k;
	VEC(uint32_t) services;                 /* keys of what makes no sense */
	VEC(uint32_t) backends;
	VEC(struct frontend_key) frontends;
};

static bool adopt_back(void *arg, const void *key, void *value)
{
	struct adopting *a = arg;

	if (state_adopt_back(&a->k->st, *(const uint32_t *)key, value))
		vec_push(&a->backends, *(const uint32_t *)key);
	return true;
}

static bool adopt_service(void *arg, const void *key, void *value)
{
	const struct service *v = value;
	struct adopting *a = arg;

	/* What lies outside is refused by the state. An old map's table was mapped whole. */
	if (a->k->st.table == a->k->apply.table)
		apply_table(&a->k->apply, v->off, v->n);
	if (state_adopt_service(&a->k->st, *(const uint32_t *)key, value))
		vec_push(&a->services, *(const uint32_t *)key);
	return true;
}

static bool adopt_front(void *arg, const void *key, void *value)
{
	struct adopting *a = arg;

	if (state_adopt_front(&a->k->st, key, ((struct frontend *)value)->service))
		vec_push(&a->frontends, *(const struct frontend_key *)key);
	return true;
}

static bool adopt_workload(void *arg, const void *key, void *value)
{
	struct adopting *a = arg;

	workloads_adopt(&a->k->workloads, *(const uint64_t *)key, value);
	return true;
}

static bool adopt_prefix(void *arg, const void *key, void *value)
{
	struct adopting *a = arg;

	prefixes_adopt(&a->k->prefixes, key, value);
	return true;
}

/* The map to read from: the old one while it is there. */
static int from_fd(struct load *l, const char *name)
{
	struct load_map *m = load_map(l, name);

	return m->old_fd >= 0 ? m->old_fd : m->fd;
}

static bool readable(struct load *l, const char *name)
{
	struct load_map *m = load_map(l, name);
	struct layout a, b;

	return m->old_fd < 0 || (!layout_of(m->old_fd, &a) && !layout_of(m->fd, &b) && layout_same_entries(&a, &b));
}

static void read_all(struct adopting *a)
{
	struct load *l = &a->k->load;

	each_entry(from_fd(l, "backend_map"), adopt_back, a);
	each_entry(from_fd(l, "service_map"), adopt_service, a);
	each_entry(from_fd(l, "frontend_map"), adopt_front, a);
	each_entry(from_fd(l, "workload_map"), adopt_workload, a);
	state_adopted(&a->k->st);
}

/* Of the same maps only: old ones go as they are. */
static void remove_nonsense(struct adopting *a)
{
	for (size_t i = 0; i < a->frontends.n; i++)
		apply_remove(&a->k->apply, PLAN_FRONTEND, &a->frontends.v[i]);
	for (size_t i = 0; i < a->services.n; i++)
		apply_remove(&a->k->apply, PLAN_SERVICE, &a->services.v[i]);
	for (size_t i = 0; i < a->backends.n; i++)
		apply_remove(&a->k->apply, PLAN_BACKEND, &a->backends.v[i]);
	if (a->frontends.n + a->services.n + a->backends.n)
		log_warn("kernel", "removed %zu frontends, %zu services, %zu backends that made no sense",
			 a->frontends.n, a->services.n, a->backends.n);
}

/* Sizes of the maps as they are, which for old ones differ from the configuration. */
static struct kern_sizes sizes_of(struct load *l, bool old)
{
	static const char *const names[] = { "frontend_map", "service_map", "backend_map", "table_map", "workload_map" };
	uint32_t n[5];

	for (unsigned i = 0; i < 5; i++) {
		struct bpf_map_info info = { 0 };
		uint32_t len = sizeof(info);

		bpf_obj_get_info_by_fd(old ? from_fd(l, names[i]) : load_fd(l, names[i]), &info, &len);
		n[i] = info.max_entries;
	}
	return (struct kern_sizes){ .frontends = n[0], .services = n[1], .backends = n[2], .slots = n[3] * TABLE_ROW,
				    .workloads = n[4] };
}

static int adopt_old(struct adopting *a, const struct kern_sizes *now, uint32_t next_id)
{
	struct kern *k = a->k;
	struct kern_sizes old = sizes_of(&k->load, true);
	size_t bytes = (size_t)old.slots * sizeof(uint32_t);
	uint32_t *table = mmap(NULL, bytes, PROT_READ, MAP_SHARED, from_fd(&k->load, "table_map"), 0);

	if (table == MAP_FAILED)
		return -errno;
	state_init(&k->st, &old, table, next_id);
	read_all(a);
	state_forget_written(&k->st, now, k->apply.table);
	munmap(table, bytes);
	workloads_rewrite(&k->workloads);
	return 0;
}

int adopt_maps(struct kern *k, struct err *e)
{
	struct kern_sizes now = sizes_of(&k->load, false);
	struct adopting a = { .k = k };
	uint32_t next_id = k->apply.ctl->next_id;
	struct load *l = &k->load;
	int err = 0;

	apply_grace(&k->apply);
	if (l->replacing && readable(l, "service_map") && readable(l, "backend_map") && readable(l, "frontend_map") &&
	    readable(l, "table_map")) {
		err = adopt_old(&a, &now, next_id);
	} else {
		state_init(&k->st, &now, k->apply.table, next_id);
		if (l->adopting) {
			read_all(&a);
			remove_nonsense(&a);
		}
	}
	/* One of another layout begins empty. */
	each_entry(load_fd(l, "prefix_map"), adopt_prefix, &a);
	vec_fini(&a.frontends);
	vec_fini(&a.services);
	vec_fini(&a.backends);
	return err ? err_errno(e, err, "read the maps of an earlier agent") : 0;
}
