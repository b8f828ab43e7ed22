// SPDX-License-Identifier: Apache-2.0
/*
 * Elements of services, clusters, routes, listeners and workloads -> facts, one at a time through
 * one small arena.
 */
#include "conf/facts_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include "base/protocols.h"
#include "conf/errors.h"
#include "conf/extension_rows.h"
#include "conf/fact_rows.h"
#include "conf/listener_rows.h"
#include "weft/str.h"

struct fact_mark making_mark(const struct making *m, const struct conf_node *at)
{
	return (struct fact_mark){m->registry, reader_file(&m->r, at), at->line};
}

const struct conf_node *making_part(const struct making *m, const char *list, size_t i)
{
	const struct conf_node *n = conf_member(m->node, list)->first;

	while (i--)
		n = n->next;
	return n;
}

int making_error(struct making *m, const struct conf_node *at, const char *field,
		    const char *words)
{
	size_t before = reader_enter(&m->r, field);
	int err = conf_error(&m->r, at, "%s", words);

	reader_leave(&m->r, before);
	return err;
}

/* A name, address or port that stands in the file twice. */
int making_taken(struct making *m, const struct conf_node *at, const char *field, const char *what,
		 const struct fact *by)
{
	struct fact_mark first = fact_mark(by);
	char words[512];

	snprintf(words, sizeof(words), "%s is given twice, first in %.*s:%u", what,
		 SLICE_ARG(first.file), first.line);
	return making_error(m, at, field, words);
}

int making_keep(struct making *m, struct fact *take_f, const struct conf_node *at,
		const char *field, struct slice shown)
{
	const struct fact *first = table_get(&m->keys[take_f->kind], take_f->key);
	char what[128];
	int err;

	if (!first) {
		table_put(&m->keys[take_f->kind], take_f->key, take_f);
		vec_push(&m->facts, take_f);
		return 0;
	}
	err = making_taken(m, at, field, errors_show(shown, what, sizeof(what)), first);
	fact_drop(take_f);
	return err;
}

const struct slice *making_slices(struct fact *f, const struct conf_list *list)
{
	struct slice *v = fact_alloc(f, list->n * sizeof(*v));

	for (size_t i = 0; i < list->n; i++)
		v[i] = fact_slice(f, ((const struct slice *)list->v)[i]);
	return v;
}

/* ---- services -------------------------------------------------------------------------------- */

static int check_port(struct making *m, const struct fact_service *s, size_t i)
{
	const struct fact_port *p = (const struct fact_port *)s->ports.v + i;
	char field[32];

	snprintf(field, sizeof(field), "ports[%zu]", i);
	if (!p->cluster.n && !s->cluster.n && !s->routes.n)
		return making_error(m, making_part(m, "ports", i), field,
				"no cluster serves this port: want cluster here or in the service");
	return 0;
}

static int check_service(struct making *m, const struct fact_service *s)
{
	int err = 0;

	if (!s->addresses.n)
		err = making_error(m, m->node, "addresses", "want at least one address");
	if (!s->ports.n)
		err = making_error(m, m->node, "ports", "want at least one port");
	for (size_t i = 0; i < s->ports.n; i++) {
		if (check_port(m, s, i))
			err = -EINVAL;
	}
	return err;
}

/* No address and port may lead to two places, in one service or in two. */
static int claim(struct making *m, const struct service_fact *f, size_t a, size_t p)
{
	struct {
		struct ip ip;
		uint16_t port;
		uint8_t proto;
	} __attribute__((packed)) key = {f->addrs[a], f->ports[p].port, f->ports[p].proto};
	struct slice k = {(const char *)&key, sizeof(key)};
	struct conf_address shown = {key.ip, key.port};
	const struct fact *first = table_get(&m->frontends, k);
	char what[80], name[56];

	if (!first) {
		table_put(&m->frontends, k, (void *)&f->fact);
		return 0;
	}
	snprintf(what, sizeof(what), "%s %s", conf_address_name(&shown, name),
		 key.proto == IPPROTO_UDP ? "UDP" : "TCP");
	return making_taken(m, m->node, "addresses", what, first);
}

static int claim_all(struct making *m, const struct service_fact *f)
{
	for (size_t a = 0; a < f->naddrs; a++) {
		for (size_t p = 0; p < f->nports; p++) {
			if (claim(m, f, a, p))
				return -EINVAL;
		}
	}
	return 0;
}

static const struct service_port *ports(struct fact *f, const struct fact_service *s)
{
	struct service_port *v = fact_alloc(f, s->ports.n * sizeof(*v));

	for (size_t i = 0; i < s->ports.n; i++) {
		const struct fact_port *p = (const struct fact_port *)s->ports.v + i;

		v[i] = (struct service_port){
			.port = p->port,
			.target = p->target,
			.proto = p->protocol ? IPPROTO_UDP : IPPROTO_TCP,
			.name = fact_slice(f, p->name),
			.app_protocol = fact_slice(f, p->app_protocol),
			.cluster = fact_slice(f, p->cluster.n ? p->cluster : s->cluster),
		};
	}
	return v;
}

static int make_service(struct making *m, const void *element)
{
	const struct fact_service *s = element;
	struct fact_mark where = making_mark(m, m->node);
	struct service_fact *f;
	struct ip *addrs;

	if (check_service(m, s))
		return -EINVAL;
	f = (struct service_fact *)fact_new(FACT_SERVICE, s->name, &where);
	addrs = fact_alloc(&f->fact, s->addresses.n * sizeof(*addrs));
	memcpy(addrs, s->addresses.v, s->addresses.n * sizeof(*addrs));
	f->addrs = addrs;
	f->naddrs = s->addresses.n;
	f->ports = ports(&f->fact, s);
	f->nports = s->ports.n;
	f->routes = making_slices(&f->fact, &s->routes);
	f->nroutes = s->routes.n;
	f->affinity_s =
		s->affinity.type == AFFINITY_NONE ? 0 : s->affinity.timeout_ns / 1000000000u;
	f->fail = s->fail;
	return making_keep(m, &f->fact, m->node, "name", s->name) ?: claim_all(m, f);
}

/* ---- workloads ------------------------------------------------------------------------------- */

static int make_workload(struct making *m, const void *element)
{
	const struct fact_workload *w = element;
	struct fact_mark where = making_mark(m, m->node);
	struct workload_fact *f = (struct workload_fact *)fact_new(FACT_WORKLOAD, w->name, &where);

	f->cgroup = fact_slice(&f->fact, w->cgroup);
	f->identity = fact_slice(&f->fact, w->identity);
	f->splice = w->short_circuit.splice;
	f->paused = !w->short_circuit.enabled;
	f->exempt = !w->connect;
	return making_keep(m, &f->fact, m->node, "name", w->name);
}

/* ---- settings of extensions ------------------------------------------------------------------ */

int making_settings(struct making *m, const char *field, struct slice who, const struct settings_kind *k, struct slice *text)
{
	const struct conf_node *given = conf_member(m->node, field);
	/* Rows that must be given are missed on the line of whoever names the extension. */
	const struct conf_node none = {.kind = CONF_MAPPING, .file = m->node->file, .line = m->node->line};
	size_t before = reader_enter(&m->r, field);
	int err = 0;

	*text = (struct slice){0};
	if (given && given->kind == CONF_NULL)
		given = NULL;
	if (!k->rows && given)
		err = conf_error(&m->r, given, "%.*s takes no settings", SLICE_ARG(who));
	if (k->rows)
		err = conf_decode(&m->r, k->rows, given ? given : &none, arena_alloc(&m->arena, k->size + 1));
	if (!err && given)
		*text = settings_text(&m->arena, given, NULL);
	reader_leave(&m->r, before);
	return err;
}

int making_protocol_settings(struct making *m, struct fact *f, struct slice protocol, struct slice *out)
{
	const struct proto_ops *ops = protocol_rpc(protocol);
	const struct settings_kind k = proto_settings(ops);
	struct slice text;

	if (making_settings(m, "protocolSettings", protocol, &k, &text))
		return -EINVAL;
	*out = fact_slice(f, text);
	return 0;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static const struct list_kind {
	const char *name;
	const struct conf_item *rows;
	size_t size;
	make_fn *make;
} lists[] = {
	{"clusters", fact_cluster_rows, sizeof(struct cluster_conf), make_cluster},
	{"routes", fact_route_rows, sizeof(struct route_conf), make_route},
	{"listeners", fact_listener_rows, sizeof(struct listener_conf), make_listener},
	{"services", fact_service_rows, sizeof(struct fact_service), make_service},
	{"workloads", fact_workload_rows, sizeof(struct fact_workload), make_workload},
};

static int make_element(struct making *m, const struct list_kind *k, const struct conf_node *n)
{
	void *element = arena_alloc(&m->arena, k->size);
	int err;

	m->node = n;
	err = conf_decode(&m->r, k->rows, n, element) ?: k->make(m, element);
	arena_reset(&m->arena);
	return err;
}

static int make_list(struct making *m, const struct list_kind *k, const struct conf_node *list)
{
	size_t before = reader_enter(&m->r, k->name), i = 0;
	char what[64];
	int err = 0;

	if (list->kind != CONF_SEQUENCE)
		err = conf_error(&m->r, list, "want a list, not %s",
				 reader_what(list, what, sizeof(what)));
	for (const struct conf_node *n = err ? NULL : list->first; n; n = n->next) {
		size_t at = reader_enter_at(&m->r, i++);

		if (make_element(m, k, n))
			err = -EINVAL;
		reader_leave(&m->r, at);
	}
	reader_leave(&m->r, before);
	return err;
}

static void making_init(struct making *m, struct conf_reader *r, struct slice registry)
{
	*m = (struct making){.r = *r, .registry = registry};
	arena_init(&m->arena);
	m->r.arena = &m->arena;
	for (int k = 0; k < FACT_KINDS; k++)
		table_init(&m->keys[k], 0);
	table_init(&m->frontends, TABLE_COPY_KEYS);
	table_init(&m->bound, TABLE_COPY_KEYS);
}

static void making_fini(struct making *m)
{
	for (int k = 0; k < FACT_KINDS; k++)
		table_fini(&m->keys[k]);
	table_fini(&m->frontends);
	table_fini(&m->bound);
	vec_fini(&m->facts);
	arena_fini(&m->arena);
}

int conf_facts(struct conf_reader *r, const struct conf_node *root, struct slice registry,
	       void (*put)(void *arg, struct fact *take_fact), void *arg)
{
	struct making m;
	int err = 0;

	extension_rows_fill();
	making_init(&m, r, registry);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const struct conf_node *list = conf_member(root, lists[i].name);

		if (list && list->kind != CONF_NULL && make_list(&m, &lists[i], list))
			err = -EINVAL;
	}
	for (size_t i = 0; i < m.facts.n; i++) {
		if (err)
			fact_drop(m.facts.v[i]);
		else
			put(arg, m.facts.v[i]);
	}
	making_fini(&m);
	return err;
}
