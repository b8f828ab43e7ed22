/* SPDX-License-Identifier: Apache-2.0 */
#include "model/field.h"
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "base/magic.h"

const char *const lb_policy_names[LB_POLICIES + 1] = { "least-request", "round-robin", "random", "maglev", NULL };
static const char *const prefer_names[] = { "any", "region", "zone" };
static const char *const host_state_names[] = { "ready", "draining" };
static const char *const fail_names[] = { "open", "closed" };
static const char *const splice_names[] = { "maybe", "never" };
static const char *const proto_names[] = { [IPPROTO_TCP] = "TCP", [IPPROTO_UDP] = "UDP" };

#define ROWS(a) .v = (a), .n = sizeof(a) / sizeof((a)[0])
#define MEMBER(T, m) .name = #m, .off = offsetof(struct T, m), .ref = FIELD_NO_REF
#define SIZED(T, m) .size = sizeof(((struct T *)0)->m)

#define UINT(T, m, most) { MEMBER(T, m), SIZED(T, m), .type = FIELD_UINT, .max = (most) }
#define BOOL(T, m) { MEMBER(T, m), .size = 1, .type = FIELD_BOOL, .max = 1 }
#define ENUM(T, m, words)                                                                                              \
	{ MEMBER(T, m), SIZED(T, m), .type = FIELD_ENUM, .names = (words), .max = sizeof(words) / sizeof((words)[0]) - 1 }
#define SLICE(T, m) { MEMBER(T, m), .type = FIELD_SLICE }
#define REF(T, m, kind) { .name = #m, .off = offsetof(struct T, m), .type = FIELD_SLICE, .ref = FACT_##kind }
#define IP(T, m) { MEMBER(T, m), .type = FIELD_IP }
#define LOCALITY(T, m) { MEMBER(T, m), .type = FIELD_LOCALITY }
#define PAIRS(T, m) { MEMBER(T, m), .type = FIELD_PAIRS, .of = &pair_shape }
#define LIST(T, m, shape) { MEMBER(T, m), .type = FIELD_LIST, .n_off = offsetof(struct T, n##m), .of = &(shape) }

/* ---- elements of lists -------------------------------------------------------------------------------------- */

static const struct field pair_rows[] = { SLICE(name_value, name), SLICE(name_value, value) };
const struct shape pair_shape = { sizeof(struct name_value), 8, -1, ROWS(pair_rows) };

static const struct field text_rows[] = { { .type = FIELD_SLICE, .ref = FIELD_NO_REF } };
static const struct shape text_shape = { sizeof(struct slice), 4, -1, ROWS(text_rows) };

static const struct field route_name_rows[] = { { .type = FIELD_SLICE, .ref = FACT_ROUTE } };
static const struct shape route_name_shape = { sizeof(struct slice), 4, -1, ROWS(route_name_rows) };

static const struct field ip_rows[] = { { .type = FIELD_IP, .ref = FIELD_NO_REF } };
static const struct shape ip_shape = { sizeof(struct ip), 16, -1, ROWS(ip_rows) };

static const struct field backend_rows[] = {
	REF(route_backend, cluster, CLUSTER),
	UINT(route_backend, weight, BACKEND_WEIGHT_MAX),
};
static const struct shape backend_shape = { sizeof(struct route_backend), 8, -1, ROWS(backend_rows) };

static const struct field port_rows[] = {
	UINT(service_port, port, UINT16_MAX),
	UINT(service_port, target, UINT16_MAX),
	ENUM(service_port, proto, proto_names),
	SLICE(service_port, name),
	SLICE(service_port, app_protocol),
	REF(service_port, cluster, CLUSTER),
};
static const struct shape port_shape = { sizeof(struct service_port), 17, -1, ROWS(port_rows) };

static const struct field rule_rows[] = {
	BOOL(policy_rule, allow),
	LIST(policy_rule, identities, text_shape),
};
static const struct shape rule_shape = { sizeof(struct policy_rule), 5, -1, ROWS(rule_rows) };

/* ---- facts -------------------------------------------------------------------------------------------------- */

static const struct field node_rows[] = {
	SLICE(node, name),
	LOCALITY(node, locality),
	PAIRS(node, labels),
};

static const struct field cluster_fact_rows[] = {
	ENUM(cluster_fact, lb, lb_policy_names),
	ENUM(cluster_fact, prefer, prefer_names),
};

static const struct field host_rows[] = {
	REF(host, cluster, CLUSTER),
	IP(host, ip),
	UINT(host, port, UINT16_MAX),
	ENUM(host, state, host_state_names),
	UINT(host, weight, WEIGHT_MAX),
	UINT(host, priority, PRIORITY_MAX),
	LOCALITY(host, locality),
	PAIRS(host, metadata),
};

static const struct field route_rows[] = {
	LIST(route, hosts, text_shape),
	LIST(route, backends, backend_shape),
};

static const struct field service_fact_rows[] = {
	LIST(service_fact, addrs, ip_shape),
	LIST(service_fact, ports, port_shape),
	LIST(service_fact, routes, route_name_shape),
	UINT(service_fact, affinity_s, AFFINITY_S_MAX),
	ENUM(service_fact, fail, fail_names),
};

static const struct field policy_fact_rows[] = {
	REF(policy_fact, service, SERVICE),
	LIST(policy_fact, rules, rule_shape),
};

static const struct field workload_fact_rows[] = {
	SLICE(workload_fact, cgroup),
	SLICE(workload_fact, identity),
	ENUM(workload_fact, splice, splice_names),
	BOOL(workload_fact, paused),
	BOOL(workload_fact, exempt),
};

#define NAMED(T) offsetof(struct T, name)
const struct shape fact_shapes[FACT_KINDS] = {
	[FACT_NODE] = { sizeof(struct node), 0, -1, ROWS(node_rows) },
	[FACT_CLUSTER] = { sizeof(struct cluster_fact), 0, NAMED(cluster_fact), ROWS(cluster_fact_rows) },
	[FACT_HOST] = { sizeof(struct host), 0, -1, ROWS(host_rows) },
	[FACT_ROUTE] = { sizeof(struct route), 0, NAMED(route), ROWS(route_rows) },
	[FACT_SERVICE] = { sizeof(struct service_fact), 0, NAMED(service_fact), ROWS(service_fact_rows) },
	[FACT_POLICY] = { sizeof(struct policy_fact), 0, NAMED(policy_fact), ROWS(policy_fact_rows) },
	[FACT_WORKLOAD] = { sizeof(struct workload_fact), 0, NAMED(workload_fact), ROWS(workload_fact_rows) },
};

uint32_t field_uint(const struct field *f, const void *object)
{
	const void *p = field_at(f, object);

	switch (f->size) {
	case 1:
		return *(const uint8_t *)p;
	case 2:
		return *(const uint16_t *)p;
	default:
		assert_always(f->size == 4);
		return *(const uint32_t *)p;
	}
}

void field_set_uint(const struct field *f, void *object, uint32_t value)
{
	void *p = (char *)object + f->off;

	switch (f->size) {
	case 1:
		*(uint8_t *)p = (uint8_t)value;
		break;
	case 2:
		*(uint16_t *)p = (uint16_t)value;
		break;
	default:
		assert_always(f->size == 4);
		*(uint32_t *)p = value;
	}
}

/* memcpy: a list's pointer has its element's type, which is not ours to name here. */
struct field_list field_list(const struct field *f, const void *object)
{
	struct field_list l = { NULL, 0, f->of };

	if (f->type == FIELD_PAIRS) {
		const struct pair_list *pairs = field_at(f, object);

		l.v = pairs->v;
		l.n = pairs->n;
		return l;
	}
	memcpy(&l.v, field_at(f, object), sizeof(l.v));
	memcpy(&l.n, (const char *)object + f->n_off, sizeof(l.n));
	return l;
}

void field_set_list(const struct field *f, void *object, const void *v, size_t n)
{
	if (f->type == FIELD_PAIRS) {
		*(struct pair_list *)((char *)object + f->off) = (struct pair_list){ v, n };
		return;
	}
	memcpy((char *)object + f->off, &v, sizeof(v));
	memcpy((char *)object + f->n_off, &n, sizeof(n));
}

static void walk(const struct shape *shape, const void *object, const struct field_spot *up, field_fn *fn, void *arg)
{
	shape_for(f, shape) {
		struct field_list l;

		if (f->type != FIELD_LIST && f->type != FIELD_PAIRS) {
			fn(arg, f, object, up);
			continue;
		}
		l = field_list(f, object);
		for (size_t i = 0; i < l.n; i++)
			walk(l.of, list_at(&l, i), &(struct field_spot){ up, f, i }, fn, arg);
	}
}

void field_walk(const struct shape *shape, const void *object, field_fn *fn, void *arg)
{
	walk(shape, object, NULL, fn, arg);
}

static size_t spot_path(const struct field_spot *s, char *out, size_t size)
{
	size_t n = s->up ? spot_path(s->up, out, size) : 0;

	if (n >= size)
		return n;
	return n + snprintf(out + n, size - n, "%s%s[%zu]", n ? "." : "", s->list->name, s->i);
}

const char *field_path(const struct field *f, const struct field_spot *up, char *out, size_t size)
{
	size_t n = up ? spot_path(up, out, size) : 0;

	if (f->name && n < size)
		snprintf(out + n, size - n, "%s%s", n ? "." : "", f->name);
	return out;
}
