/* SPDX-License-Identifier: Apache-2.0 */
#include "model/diff.h"
#include "weft/str.h"

#include <stddef.h>

/* Arrays of pointers, sorted by key: facts, hosts and clusters look alike through this. */
struct sorted {
	const void *v;                          /* of pointers to objects */
	size_t n;
	const struct slice *(*key)(const void *object);
};

struct change {                                 /* NULL: not there */
	const void *old, *now;
};

static const void *object_at(const struct sorted *s, size_t i)
{
	return i < s->n ? ((const void *const *)s->v)[i] : NULL;
}

/* Which of two sorted lists goes on: < 0 the old one, > 0 the new one, 0 both. NULL: at its end. */
static int side(const struct slice *old, const struct slice *now)
{
	if (!old)
		return 1;
	return now ? slice_cmp(*old, *now) : -1;
}

/* put for each object that was added, removed, or is another one. */
static void walk(struct diff *d, struct sorted old, struct sorted now, void (*put)(struct diff *, int kind, struct change),
		 int kind)
{
	size_t i = 0, j = 0;

	if (old.v == now.v)
		return;
	while (i < old.n || j < now.n) {
		struct change c = { object_at(&old, i), object_at(&now, j) };
		int s = c.old == c.now ? 0 : side(c.old ? old.key(c.old) : NULL, c.now ? now.key(c.now) : NULL);

		d->looked_at++;
		i += s <= 0;
		j += s >= 0;
		if (c.old == c.now)
			continue;
		put(d, kind, (struct change){ s > 0 ? NULL : c.old, s < 0 ? NULL : c.now });
	}
}

static const struct slice *fact_key(const void *fact)
{
	return &((const struct fact *)fact)->key;
}

_Static_assert(offsetof(struct host, fact) == 0, "a host's key is read through its fact");

static void put_fact(struct diff *d, int kind, struct change c)
{
	struct fact_change f = { c.old, c.now };

	vec_push(&d->facts[kind], f);
}

static struct sorted facts_of(const struct snapshot *s, enum fact_kind kind)
{
	struct fact_set set = { NULL, 0 };

	if (s)
		set = snapshot_facts(s, kind);
	return (struct sorted){ set.v, set.n, fact_key };
}

static struct sorted hosts_of(const struct cluster *c)
{
	return (struct sorted){ c ? c->hosts : NULL, c ? c->nhosts : 0, fact_key };
}

static const struct slice *cluster_key(const void *cluster)
{
	return &((const struct cluster *)cluster)->name;
}

static void put_cluster(struct diff *d, int kind, struct change c)
{
	struct cluster_change x = { c.old, c.now };

	vec_push(&d->clusters, x);
	walk(d, hosts_of(x.old), hosts_of(x.now), put_fact, kind);
}

static struct sorted clusters_of(const struct snapshot *s)
{
	struct cluster_set set = { NULL, 0 };

	if (s)
		set = snapshot_clusters(s);
	return (struct sorted){ set.v, set.n, cluster_key };
}

void diff_init(struct diff *d, const struct snapshot *old, const struct snapshot *now)
{
	*d = (struct diff){ .old = old, .now = now };
	for (int k = 0; k < FACT_KINDS; k++) {
		if (k != FACT_HOST)
			walk(d, facts_of(old, k), facts_of(now, k), put_fact, k);
	}
	walk(d, clusters_of(old), clusters_of(now), put_cluster, FACT_HOST);
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
