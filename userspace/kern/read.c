/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent knows and the maps count, put together: services, backends, pairs. */
#include "kern/read.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include "base/mem.h"
#include "kern/each.h"
#include "kern/explain.h"
#include "kern/kern_priv.h"

static int fd_of(const struct kern *k, const char *map)
{
	return k->loaded ? load_fd((struct load *)&k->load, map) : -1;
}

/* ---- reasons ----------------------------------------------------------------------------------------------- */

static const char *const reason_names[] = {
#define NAME_(name, class, label, text) label,
	REASONS(NAME_)
#undef NAME_
};
static const char *const reason_texts[] = {
#define TEXT_(name, class, label, text) text,
	REASONS(TEXT_)
#undef TEXT_
};

const char *read_reason_name(unsigned reason)
{
	return reason < REASON_MAX ? reason_names[reason] : "?";
}

const char *read_reason_text(unsigned reason)
{
	return reason < REASON_MAX ? reason_texts[reason] : "?";
}

void read_reasons(const struct kern *k, uint64_t out[REASON_MAX])
{
	int cpus = libbpf_num_possible_cpus(), fd = fd_of(k, "reason_map");

	memset(out, 0, REASON_MAX * sizeof(*out));
	if (fd < 0 || cpus <= 0)
		return;
	uint64_t *v = mem_alloc((size_t)cpus * sizeof(*v));

	for (uint32_t i = 0; i < REASON_MAX; i++)
		for (int c = 0; !bpf_map_lookup_elem(fd, &i, v) && c < cpus; c++)
			out[i] += v[c];
	free(v);
}

/* ---- services and backends --------------------------------------------------------------------------------- */

static void fill_service(struct kern *k, const struct unit *u, struct read_service *s)
{
	*s = (struct read_service){
		.name = u->owner ? u->owner->name : (struct slice){ 0 }, .port_name = u->port_name,
		.cluster = u->cluster ? u->cluster->name : (struct slice){ 0 }, .id = u->id, .proto = u->proto,
		.family = u->family, .port = u->port, .entry = u->entry, .backends = u->nbacks, .stale = u->stale,
	};
	for (uint32_t i = 0; i < u->nbacks; i++)
		s->draining += u->backs[i]->state == BACKEND_DRAINING;
	if (u->entry.slot != CELLS_NONE && !u->clear)
		bpf_map_lookup_elem(fd_of(k, "svc_stat_map"), &u->entry.slot, &s->stat);
}

int read_services(struct kern *k, read_service_fn *fn, void *arg)
{
	struct table *t = &k->st.unit_ids;
	int n = 0;

	for (struct table_entry *e = k->loaded ? table_next(t, NULL) : NULL; e; e = table_next(t, e)) {
		const struct unit *u = e->value;
		struct read_service s;

		if (!u->owner)
			continue;
		fill_service(k, u, &s);
		n++;
		if (!fn(arg, &s))
			break;
	}
	return n;
}

bool read_service(struct kern *k, uint32_t id, struct read_service *out)
{
	const struct unit *u = k->loaded ? state_unit(&k->st, id) : NULL;

	if (u)
		fill_service(k, u, out);
	return u;
}

const struct prefix *read_range(const struct kern *k, const struct listener_range *r)
{
	struct prefix_key key = prefixes_key(r);

	return k->loaded ? prefixes_find(&k->prefixes, &key) : NULL;
}

static void fill_backend(struct kern *k, const struct back *b, struct read_backend *out)
{
	const struct unit *u = state_unit(&k->st, b->service);

	*out = (struct read_backend){ .id = b->id, .entry = b->written ? back_written(b) : back_wanted(b),
				      .cluster = u && u->cluster ? u->cluster->name : (struct slice){ 0 } };
	bpf_map_lookup_elem(fd_of(k, "open_map"), &out->entry.slot, &out->open);
}

static int backends_of(struct kern *k, const struct unit *u, read_backend_fn *fn, void *arg)
{
	for (uint32_t i = 0; i < u->nbacks; i++) {
		struct read_backend b;

		fill_backend(k, u->backs[i], &b);
		for (uint32_t j = 0; u->written && j < u->entry.n; j++)
			b.slots += k->apply.table[u->entry.off + j] == b.id;
		if (!fn(arg, &b))
			return (int)i + 1;
	}
	return (int)u->nbacks;
}

int read_backends(struct kern *k, uint32_t service, read_backend_fn *fn, void *arg)
{
	const struct backs *all = &k->st.backs;
	const struct unit *u = k->loaded && service ? state_unit(&k->st, service) : NULL;
	int n = 0;

	if (service)
		return u ? backends_of(k, u, fn, arg) : 0;
	for (struct back *b = k->loaded ? backs_next(all, NULL) : NULL; b; b = backs_next(all, b)) {
		struct read_backend out;

		fill_backend(k, b, &out);
		n++;
		if (!fn(arg, &out))
			break;
	}
	return n;
}

bool read_backend(struct kern *k, uint32_t id, struct read_backend *out)
{
	const struct back *b = k->loaded ? state_back(&k->st, id) : NULL;

	if (b)
		fill_backend(k, b, out);
	return b;
}

/* ---- connections ------------------------------------------------------------------------------------------- */

struct slice read_workload_name(const struct kern *k, uint32_t id)
{
	return k->loaded ? workloads_name(&k->workloads, id) : (struct slice){ 0 };
}

struct pairs {
	struct kern *k;
	read_pair_fn *fn;
	void *arg;
};

static bool one_pair(void *arg, const void *key, void *value)
{
	static const char *const states[] = { "unset", "redirect", "stack" };
	struct pairs *x = arg;
	struct read_pair p = { .key = *(const uint64_t *)key, .pair = *(const struct pair *)value };
	const struct unit *u = state_unit(&x->k->st, p.pair.service);

	p.service = u && u->owner ? u->owner->name : (struct slice){ 0 };
	p.cluster = u && u->cluster ? u->cluster->name : (struct slice){ 0 };
	for (int i = 0; i < 2; i++) {
		p.workload[i] = read_workload_name(x->k, p.pair.end[i].workload);
		p.state[i] = p.pair.end[i].state <= RATCHET_STACK ? states[p.pair.end[i].state] : "?";
	}
	return x->fn(x->arg, &p);
}

int read_pairs(struct kern *k, read_pair_fn *fn, void *arg)
{
	struct pairs x = { k, fn, arg };

	return k->loaded ? (int)each_entry(fd_of(k, "pair_map"), one_pair, &x) : 0;
}

/* ---- explain ----------------------------------------------------------------------------------------------- */

static struct prefix prefix_of(const struct kern *k, const struct explain_ask *x, uint16_t port)
{
	struct prefix_key key = { .bits = PREFIX_HEAD_BITS + 128, .port = port, .addr = x->addr };
	struct prefix p;

	if (bpf_map_lookup_elem(fd_of(k, "prefix_map"), &key, &p))
		p = (struct prefix){ .bits = PREFIX_NONE };
	return p;
}

int read_explain(struct kern *k, struct explain *x)
{
	LIBBPF_OPTS(bpf_test_run_opts, o, .ctx_in = x, .ctx_size_in = sizeof(*x));
	const struct load_prog *p = k->loaded ? load_prog(&k->load, "explain_decide") : NULL;

	if (!p)
		return -ENOTSUP;
	x->ask.own = prefix_of(k, &x->ask, x->ask.port);
	x->ask.any = prefix_of(k, &x->ask, 0);
	return bpf_prog_test_run_opts(p->fd, &o) ? -errno : 0;
}
