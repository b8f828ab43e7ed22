/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/states.h"

#include <stdlib.h>
#include <string.h>

#include "agent/child.h"
#include "agent/publish.h"
#include "base/list.h"
#include "base/mem.h"
#include "model/store.h"
#include "weft/str.h"

static void soon(struct loop_deferred *d)
{
	struct states *s = container_of(d, struct states, soon);
	const struct snapshot *now = s->publish->now;
	struct diff changed = { .old = now, .now = now };

	for (size_t i = 0; i < s->changed.n; i++) {
		const struct cluster *c = now ? snapshot_cluster(now, slice_str(s->changed.v[i])) : NULL;

		if (c)
			vec_push(&changed.clusters, (struct cluster_change){ c, c });
		free(s->changed.v[i]);
	}
	vec_clear(&s->changed);
	if (changed.clusters.n)
		publish_kernel(s->publish, &changed);
	diff_fini(&changed);
}

static void kernel_soon(struct states *s, struct slice key)
{
	const char *bar = memrchr(key.p, '|', key.n);
	struct slice cluster = { key.p, 0 };

	/* "cluster|address|port" */
	bar = bar ? memrchr(key.p, '|', bar - key.p) : NULL;
	cluster.n = bar ? bar - key.p : 0;
	for (size_t i = 0; i < s->changed.n; i++)
		if (slice_eq_str(cluster, s->changed.v[i]))
			return;
	vec_push(&s->changed, mem_dup(cluster.p, cluster.n));
	loop_defer(s->loop, &s->soon, soon);
}

void states_health(struct states *s, struct slice host_key, bool healthy)
{
	/* Also what is known already: a proxy may remember what an earlier agent found out. */
	child_state(s->child, host_key, healthy ? 0 : HOST_UNHEALTHY);
	if (overlay_set(&s->overlay, host_key, healthy ? 0 : HOST_UNHEALTHY, healthy ? HOST_UNHEALTHY : 0))
		kernel_soon(s, host_key);
}

void states_ejected(struct states *s, struct slice host_key, bool ejected)
{
	const struct snapshot *now = s->publish->now;

	/* The proxy's word: only about hosts that there are. */
	if (!now || !snapshot_fact(now, FACT_HOST, host_key))
		return;
	if (overlay_set(&s->overlay, host_key, ejected ? HOST_EJECTED : 0, ejected ? 0 : HOST_EJECTED))
		kernel_soon(s, host_key);
}

void states_proxy(struct states *s, bool up)
{
	struct table_entry *next;

	for (struct table_entry *e = table_next(&s->overlay.hosts, NULL); e; e = next) {
		next = table_next(&s->overlay.hosts, e);
		if (up && (uintptr_t)e->value & HOST_UNHEALTHY)
			child_state(s->child, e->key, HOST_UNHEALTHY);
		if (up || !((uintptr_t)e->value & HOST_EJECTED))
			continue;
		kernel_soon(s, e->key);
		overlay_set(&s->overlay, e->key, 0, HOST_EJECTED);
	}
}

void states_update(struct states *s, const struct diff *d)
{
	for (size_t i = 0; s->overlay.hosts.n && i < d->facts[FACT_HOST].n; i++) {
		const struct fact_change *c = &d->facts[FACT_HOST].v[i];

		if (!c->now)
			overlay_set(&s->overlay, c->old->key, 0, HOST_EJECTED | HOST_UNHEALTHY);
		else if (overlay_get(&s->overlay, c->now->key) & HOST_UNHEALTHY)
			child_state(s->child, c->now->key, HOST_UNHEALTHY);     /* the proxy forgets who takes no requests */
	}
}

void states_init(struct states *s, struct loop *l, struct publish *p, struct child *c)
{
	*s = (struct states){ .loop = l, .publish = p, .child = c };
	overlay_init(&s->overlay);
}

void states_fini(struct states *s)
{
	if (!s->loop)
		return;
	for (size_t i = 0; i < s->changed.n; i++)
		free(s->changed.v[i]);
	vec_fini(&s->changed);
	list_del(&s->soon.node);
	overlay_fini(&s->overlay);
	s->loop = NULL;
}
