/* SPDX-License-Identifier: Apache-2.0 */
#include "model/dump.h"
#include <errno.h>
#include <stdlib.h>
#include "base/mem.h"
#include "model/field.h"
#include "model/utf8.h"
#include "weft/str.h"

json_t *dump_text(struct slice s)
{
	json_t *j;
	char *copy;

	if (utf8_valid(s))
		return json_stringn_nocheck(s.p ? s.p : "", s.n);
	copy = mem_dup(s.p, s.n);
	for (size_t i = 0; i < s.n; i++) {
		if (copy[i] & 0x80)
			copy[i] = '?';
	}
	j = json_stringn_nocheck(copy, s.n);
	free(copy);
	return j;
}

static json_t *address(const struct ip *ip)
{
	char out[46];

	return json_string(ip_name(ip, out));
}

static json_t *locality(const struct locality *l)
{
	json_t *j = json_object();

	if (l->region.n)
		json_object_set_new(j, "region", dump_text(l->region));
	if (l->zone.n)
		json_object_set_new(j, "zone", dump_text(l->zone));
	return j;
}

static json_t *pairs(const struct pair_list *l)
{
	json_t *j = json_object();

	for (size_t i = 0; i < l->n; i++) {
		char *name = mem_dup(l->v[i].name.p, l->v[i].name.n);

		json_object_set_new(j, name, dump_text(l->v[i].value));
		free(name);
	}
	return j;
}

static json_t *object(const struct shape *shape, const void *o, json_t *j);

/* Elements {name, value}: one object. */
static json_t *list(struct field_list l)
{
	const struct pair_list named = { l.v, l.n };
	json_t *j;

	if (l.of == &pair_shape)
		return pairs(&named);
	j = json_array();
	for (size_t i = 0; i < l.n; i++)
		json_array_append_new(j, object(l.of, list_at(&l, i), NULL));
	return j;
}

static json_t *choice(const struct field *f, uint64_t v)
{
	return v <= f->max && f->names[v] ? json_string(f->names[v]) : json_integer(v);
}

static json_t *bits(const struct field *f, uint64_t v)
{
	json_t *j = json_array();

	for (uint32_t i = 0; v >> i; i++) {
		if (v >> i & 1)
			json_array_append_new(j, json_string(f->names[i]));
	}
	return j;
}

/* Certificates and keys: nobody needs to read them here, and keys nobody may. */
static json_t *hidden(struct slice s)
{
	return s.n ? json_sprintf("%zu bytes", s.n) : json_string("");
}

static json_t *value(const struct field *f, const void *o)
{
	switch ((enum field_type)f->type) {
	case FIELD_UINT:
		return f->names ? bits(f, field_uint(f, o)) : json_integer(field_uint(f, o));
	case FIELD_BOOL:
		return json_boolean(field_uint(f, o));
	case FIELD_ENUM:
		return choice(f, field_uint(f, o));
	case FIELD_SLICE:
		return f->flags & FIELD_HIDDEN ? hidden(field_slice(f, o)) : dump_text(field_slice(f, o));
	case FIELD_IP:
		return address(field_at(f, o));
	case FIELD_LOCALITY:
		return locality(*(const struct locality *const *)field_at(f, o));
	case FIELD_PAIRS:
		return pairs(field_at(f, o));
	case FIELD_LIST:
		return list(field_list(f, o));
	}
	return NULL;
}

static bool nothing(const json_t *j)
{
	return (json_is_string(j) && !json_string_length(j)) || (json_is_array(j) && !json_array_size(j)) ||
	       (json_is_object(j) && !json_object_size(j));
}

/* "tls.sni" is "sni" of the object "tls". */
static void set_field(json_t *j, const char *name, json_t *take_v)
{
	const char *dot = strchr(name, '.');
	char *outer;

	if (!dot) {
		json_object_set_new(j, name, take_v);
		return;
	}
	outer = mem_dup(name, (size_t)(dot - name));
	if (!json_object_get(j, outer))
		json_object_set_new(j, outer, json_object());
	set_field(json_object_get(j, outer), dot + 1, take_v);
	free(outer);
}

/* Fields of o into j, or the bare value of an element with one nameless field. */
static json_t *object(const struct shape *shape, const void *o, json_t *j)
{
	if (shape->n == 1 && !shape->v->name)
		return value(shape->v, o);
	if (!j)
		j = json_object();
	shape_for(f, shape) {
		json_t *v = value(f, o);

		if (nothing(v))
			json_decref(v);
		else
			set_field(j, f->name, v);
	}
	return j;
}

json_t *dump_fact(const struct fact *f, unsigned flags)
{
	const struct shape *shape = &fact_shapes[f->kind];
	struct fact_mark mark = fact_mark(f);
	json_t *j = json_object();

	if (!j)
		return NULL;
	if (shape->name_off >= 0)
		json_object_set_new(j, "name", dump_text(f->key));
	object(shape, f, j);
	if ((flags & DUMP_SLOTS) && f->slot != FACT_NO_SLOT)
		json_object_set_new(j, "slot", json_integer(f->slot));
	if (!(flags & DUMP_MARKS))
		return j;
	if (mark.registry.n)
		json_object_set_new(j, "registry", dump_text(mark.registry));
	if (mark.file.n) {
		char *where = mark.line ? mem_printf("%.*s:%u", SLICE_ARG(mark.file), mark.line) :
					  mem_dup(mark.file.p, mark.file.n);

		json_object_set_new(j, "mark", dump_text(slice_str(where)));
		free(where);
	}
	return j;
}

json_t *dump_cluster(const struct cluster *c, unsigned flags)
{
	json_t *j = dump_fact(&c->conf->fact, flags), *hosts = json_array();

	for (size_t i = 0; i < c->nhosts; i++)
		json_array_append_new(hosts, dump_fact(&c->hosts[i]->fact, flags));
	if (j)
		json_object_set_new(j, "hosts", hosts);
	return j;
}

/* ---- whole snapshots ---------------------------------------------------------------------------------------- */

struct output {
	int (*out)(void *arg, struct slice piece);
	void *arg;
};

static int put(const struct output *o, const char *s)
{
	return o->out(o->arg, slice_str(s));
}

static int put_json(const struct output *o, json_t *take_j)
{
	char *s = take_j ? json_dumps(take_j, JSON_COMPACT) : NULL;
	int err = s ? put(o, s) : -ENOMEM;

	free(s);
	json_decref(take_j);
	return err;
}

static int put_facts(const struct output *o, const struct snapshot *s, enum fact_kind kind, const char *name,
		     unsigned flags)
{
	struct fact_set set = snapshot_facts(s, kind);
	struct cluster_set clusters = snapshot_clusters(s);
	int err = put(o, ",\n\"");

	if (!err)
		err = put(o, name);
	if (!err)
		err = put(o, "\": [");
	for (size_t i = 0; !err && i < set.n; i++) {
		err = put(o, i ? ",\n" : "\n");
		if (!err)
			err = put_json(o, kind == FACT_CLUSTER ? dump_cluster(clusters.v[i], flags) :
								 dump_fact(set.v[i], flags));
	}
	return err ? err : put(o, set.n ? "\n]" : "]");
}

int dump_snapshot(const struct snapshot *s, unsigned flags, int (*out)(void *arg, struct slice piece), void *arg)
{
	static const struct {
		enum fact_kind kind;
		const char *name;
	} lists[] = {
		{ FACT_SECRET, "secrets" },	{ FACT_CLUSTER, "clusters" }, { FACT_ROUTE, "routes" },
		{ FACT_LISTENER, "listeners" }, { FACT_SERVICE, "services" }, { FACT_POLICY, "policies" },
		{ FACT_WORKLOAD, "workloads" },
	};
	const struct output o = { out, arg };
	struct fact_set nodes = snapshot_facts(s, FACT_NODE);
	char *head = mem_printf("{\"snapshot\": %llu", (unsigned long long)s->number);
	int err = put(&o, head);

	free(head);
	if (!err && nodes.n) {
		err = put(&o, ",\n\"node\": ");
		if (!err)
			err = put_json(&o, dump_fact(nodes.v[0], flags));
	}
	for (size_t i = 0; !err && i < sizeof(lists) / sizeof(lists[0]); i++)
		err = put_facts(&o, s, lists[i].kind, lists[i].name, flags);
	return err ? err : put(&o, "}\n");
}
