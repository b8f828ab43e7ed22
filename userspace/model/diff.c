/* SPDX-License-Identifier: Apache-2.0 */
#include "model/diff.h"
#include "weft/str.h"

/* Which of two sorted lists goes on: < 0 the old one, > 0 the new one, 0 both. NULL: at its end. */
static int side(const struct slice *old, const struct slice *now)
{
	if (!old)
		return 1;
	return now ? slice_cmp(*old, *now) : -1;
}

/* Arrays of facts and of hosts look alike through this. */
struct facts {
	const void *v;
	size_t n;
	const struct fact *(*at)(const void *v, size_t i);
};

static const struct fact *fact_at(const void *v, size_t i)
{
	return ((const struct fact *const *)v)[i];
}

static const struct fact *host_at(const void *v, size_t i)
{
	return &((const struct host *const *)v)[i]->fact;
}

static void facts_diff(struct diff *d, enum fact_kind kind, struct facts old, struct facts now)
{
	size_t i = 0, j = 0;

	if (old.v == now.v)
		return;
	while (i < old.n || j < now.n) {
		struct fact_change c = { i < old.n ? old.at(old.v, i) : NULL, j < now.n ? now.at(now.v, j) : NULL };
		int s = c.old == c.now ? 0 : side(c.old ? &c.old->key : NULL, c.now ? &c.now->key : NULL);

		d->looked_at++;
		i += s <= 0;
		j += s >= 0;
		if (c.old == c.now)
			continue;
		if (s < 0)
			c.now = NULL;
		if (s > 0)
			c.old = NULL;
		vec_push(&d->facts[kind], c);
	}
}

static struct facts hosts_of(const struct cluster *c)
{
	return (struct facts){ c ? c->hosts : NULL, c ? c->nhosts : 0, host_at };
}

static void clusters_diff(struct diff *d, struct cluster_set old, struct cluster_set now)
{
	size_t i = 0, j = 0;

	if (old.v == now.v)
		return;
	while (i < old.n || j < now.n) {
		struct cluster_change c = { i < old.n ? old.v[i] : NULL, j < now.n ? now.v[j] : NULL };
		int s = c.old == c.now ? 0 : side(c.old ? &c.old->name : NULL, c.now ? &c.now->name : NULL);

		d->looked_at++;
		i += s <= 0;
		j += s >= 0;
		if (c.old == c.now)
			continue;
		if (s < 0)
			c.now = NULL;
		if (s > 0)
			c.old = NULL;
		vec_push(&d->clusters, c);
		facts_diff(d, FACT_HOST, hosts_of(c.old), hosts_of(c.now));
	}
}

static struct facts facts_of(const struct snapshot *s, enum fact_kind kind)
{
	struct fact_set set = { NULL, 0 };

	if (s)
		set = snapshot_facts(s, kind);
	return (struct facts){ set.v, set.n, fact_at };
}

void diff_init(struct diff *d, const struct snapshot *old, const struct snapshot *now)
{
	*d = (struct diff){ .old = old, .now = now };
	for (int k = 0; k < FACT_KINDS; k++) {
		if (k != FACT_HOST)
			facts_diff(d, k, facts_of(old, k), facts_of(now, k));
	}
	clusters_diff(d, old ? snapshot_clusters(old) : (struct cluster_set){ NULL, 0 }, snapshot_clusters(now));
}

void diff_fini(struct diff *d)
{
	for (int k = 0; k < FACT_KINDS; k++)
		vec_fini(&d->facts[k]);
	vec_fini(&d->clusters);
}

bool diff_empty(const struct diff *d)
{
	for (int k = 0; k < FACT_KINDS; k++) {
		if (d->facts[k].n)
			return false;
	}
	return !d->clusters.n;
}
