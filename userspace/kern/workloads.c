/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/workloads.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "kern/cgroup.h"
#include "weft/log.h"

#define KEY(x) ((struct slice){ (const char *)&(x), sizeof(x) })

void workloads_init(struct workloads *w, const char *root, const char *base)
{
	memset(w, 0, sizeof(*w));
	table_init(&w->adopted, TABLE_COPY_KEYS);
	table_init(&w->identities, TABLE_COPY_KEYS);
	w->next_id = 1;
	strncpy(w->root, root, sizeof(w->root) - 1);
	strncpy(w->base, base, sizeof(w->base) - 1);
}

static void row_free(struct workload_row *r)
{
	free((void *)r->name.p);
	free(r->path);
	free(r);
}

void workloads_fini(struct workloads *w)
{
	for (size_t i = 0; i < w->rows.n; i++)
		row_free(w->rows.v[i]);
	vec_fini(&w->rows);
	table_fini(&w->by_name);
	table_fini(&w->by_id);
	for (struct table_entry *e = table_next(&w->adopted, NULL); e; e = table_next(&w->adopted, e))
		free(e->value);
	table_fini(&w->adopted);
	table_fini(&w->identities);
}

void workloads_adopt(struct workloads *w, uint64_t cgroup, const struct workload *v)
{
	free(table_put(&w->adopted, KEY(cgroup), mem_dup(v, sizeof(*v))));
	if (v->id >= w->next_id)
		w->next_id = v->id + 1;
}

/* A number per identity, the same after a restart unless two of them clash. */
static uint32_t identity_number(struct workloads *w, struct slice id)
{
	uintptr_t n = (uintptr_t)table_get(&w->identities, id);

	if (!id.n || n)
		return (uint32_t)n;
	n = (uint32_t)hash_bytes(id, HASH_STABLE);
	for (struct table_entry *e = table_next(&w->identities, NULL); e;) {
		bool clash = !n || (uintptr_t)e->value == n;

		n = clash ? (uint32_t)(n + 1) : n;
		e = clash ? table_next(&w->identities, NULL) : table_next(&w->identities, e);
	}
	n = n ? n : 1;
	table_put(&w->identities, id, (void *)n);
	return (uint32_t)n;
}

/* "/pods/a" is below the captured cgroup; a path below the mount is one already. */
char *workloads_path(const char *root, const char *base, struct slice cgroup)
{
	size_t n = strlen(root);

	if (cgroup.n > n && !memcmp(cgroup.p, root, n) && cgroup.p[n] == '/')
		return mem_dup(cgroup.p, cgroup.n);
	return mem_printf("%s%s%.*s", base, cgroup.n && cgroup.p[0] == '/' ? "" : "/", SLICE_ARG(cgroup));
}

static uint32_t flags_of(const struct workload_fact *f)
{
	return WORKLOAD_MANAGED | (f->paused ? WORKLOAD_PAUSED : 0) | (f->exempt ? WORKLOAD_EXEMPT : 0) |
	       (f->splice == SPLICE_NEVER ? WORKLOAD_NO_SPLICE : 0);
}

static void remove_entry(struct workloads *w, struct apply *a, struct workload_row *r)
{
	if (!r->written)
		return;
	r->err = apply_workload(a, r->cgroup, NULL);
	w->errors += r->err != 0;
	w->written--;
	r->written = false;
}

static void write_entry(struct workloads *w, struct apply *a, struct workload_row *r)
{
	int err = apply_workload(a, r->cgroup, &r->entry);

	if (err && err != r->err)
		log_error("kernel", "workload %.*s: workload_map: %s", SLICE_ARG(r->name), strerror(-err));
	r->err = err;
	w->errors += err != 0;
	w->written += !err && !r->written;
	r->written |= !err;
}

/* 0: none any more. The key of by_id lies in the row. */
static void set_id(struct workloads *w, struct workload_row *r, uint32_t id)
{
	if (r->entry.id)
		table_del(&w->by_id, KEY(r->entry.id));
	r->entry.id = id;
	if (id)
		table_put(&w->by_id, KEY(r->entry.id), r);
}

/* The id an earlier agent gave to this cgroup's workload: connections refer to it. */
static void take_adopted(struct workloads *w, struct workload_row *r)
{
	struct workload *v = table_del(&w->adopted, KEY(r->cgroup));

	if (v)
		set_id(w, r, v->id);
	free(v);
}

static void look(struct workloads *w, struct apply *a, struct workload_row *r)
{
	uint64_t id = 0;

	if (!cgroup_is_v2(r->path) || cgroup_id(r->path, &id))
		id = 0;
	if (id == r->cgroup && (r->written || !id))
		return;
	if (id != r->cgroup) {
		if (!id)
			log_info("kernel", "workload %.*s: its cgroup is gone: %s", SLICE_ARG(r->name), r->path);
		remove_entry(w, a, r);
	}
	r->cgroup = id;
	if (!id)
		return;
	take_adopted(w, r);
	if (!r->entry.id)
		set_id(w, r, w->next_id++);
	write_entry(w, a, r);
}

static void count(struct workloads *w)
{
	w->missing = w->failed = 0;
	for (size_t i = 0; i < w->rows.n; i++) {
		w->missing += !w->rows.v[i]->cgroup;
		w->failed += w->rows.v[i]->cgroup && !w->rows.v[i]->written;
	}
}

static void sync_one(struct workloads *w, struct apply *a, const struct workload_fact *f)
{
	struct workload_row *r = table_get(&w->by_name, f->name);
	struct workload want = { .flags = flags_of(f), .identity = identity_number(w, f->identity) };
	char *path = workloads_path(w->root, w->base, f->cgroup);

	if (!r) {
		r = mem_alloc(sizeof(*r));
		r->name = (struct slice){ mem_dup(f->name.p, f->name.n), f->name.n };
		table_put(&w->by_name, r->name, r);
		vec_push(&w->rows, r);
	}
	if (r->path && strcmp(r->path, path)) {
		remove_entry(w, a, r);
		r->cgroup = 0;
	}
	free(r->path);
	r->path = path;
	r->mark = w->syncs;
	want.id = r->entry.id;
	bool same = !memcmp(&want, &r->entry, sizeof(want));

	r->entry = want;
	if (r->written && !same)
		write_entry(w, a, r);
	look(w, a, r);
}

static void drop_unmarked(struct workloads *w, struct apply *a)
{
	size_t n = 0;

	for (size_t i = 0; i < w->rows.n; i++) {
		struct workload_row *r = w->rows.v[i];

		if (r->mark == w->syncs) {
			w->rows.v[n++] = r;
			continue;
		}
		remove_entry(w, a, r);
		table_del(&w->by_name, r->name);
		set_id(w, r, 0);
		row_free(r);
	}
	w->rows.n = n;
}

void workloads_sync(struct workloads *w, struct apply *a, const struct snapshot *s)
{
	struct fact_set all = snapshot_facts(s, FACT_WORKLOAD);

	w->syncs++;
	for (size_t i = 0; i < all.n; i++)
		sync_one(w, a, (const void *)all.v[i]);
	drop_unmarked(w, a);
	/* What an earlier agent wrote and nobody asks for now. */
	for (struct table_entry *e = table_next(&w->adopted, NULL); e; e = table_next(&w->adopted, e)) {
		uint64_t cgroup;

		memcpy(&cgroup, e->key.p, sizeof(cgroup));
		if (cgroup != w->own)
			apply_workload(a, cgroup, NULL);
		free(table_del(&w->adopted, e->key));
	}
	count(w);
}

void workloads_own(struct workloads *w, struct apply *a, uint64_t cgroup)
{
	static const struct workload own = { .flags = WORKLOAD_MANAGED | WORKLOAD_NO_SPLICE | WORKLOAD_PROXY };

	for (size_t i = 0; i < w->rows.n; i++) {
		if (w->rows.v[i]->cgroup == cgroup)
			return;
	}
	if (w->own == cgroup)
		return;
	if (apply_workload(a, cgroup, &own))
		w->errors++;
	else
		w->own = cgroup;
}

void workloads_look(struct workloads *w, struct apply *a, size_t n)
{
	for (size_t i = 0; i < n && i < w->rows.n; i++)
		look(w, a, w->rows.v[w->at++ % w->rows.n]);
	count(w);
}

void workloads_rewrite(struct workloads *w)
{
	for (size_t i = 0; i < w->rows.n; i++)
		w->rows.v[i]->written = false;
	w->written = 0;
}

struct slice workloads_name(const struct workloads *w, uint32_t id)
{
	const struct workload_row *r = id ? table_get(&w->by_id, KEY(id)) : NULL;

	return r ? r->name : (struct slice){ 0 };
}
