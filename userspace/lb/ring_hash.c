// SPDX-License-Identifier: Apache-2.0
/*
 * Consistent hashing on a ring (Karger et al. 1997): each host has points by weight, a request goes to the first point at
 * or after its hash. A host that is not usable hands each of its arcs to the next one, and nobody else moves.
 */
#include <errno.h>
#include <stdlib.h>
#include "lb/choose.h"

struct point {
	uint64_t at;
	uint32_t host;
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdu;
	x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53u;
	return x ^ (x >> 33);
}

/* Rounded up: every host has one, and together they are at least the ring's size. */
static uint64_t points_of(const struct lb_set *set, uint32_t i, uint32_t ring_size)
{
	return ((uint64_t)ring_size * set->hosts[i].weight + set->total_weight - 1) / set->total_weight;
}

static uint64_t points(const struct lb_set *set, const struct cluster_fact *conf)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < set->n; i++)
		n += points_of(set, i, conf->ring_size ? conf->ring_size : 1);
	return n;
}

struct ring {
	uint64_t n;
	struct point point[];                   /* ascending */
};

static size_t ring_hash_table_size(const struct lb_set *set, const void *conf)
{
	return set->n ? sizeof(struct ring) + points(set, conf) * sizeof(struct point) : 0;
}

static int point_cmp(const void *pa, const void *pb)
{
	const struct point *a = pa, *b = pb;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return (a->host > b->host) - (a->host < b->host);
}

/* By the leading bits into buckets of a few, which are sorted one by one: points lie as hashes do, so this is O(n). */
static int points_sort(struct point *out, const struct point *in, uint64_t n)
{
	unsigned bits = 1;
	uint64_t *first;

	while (bits < 32 && n >> bits > 4)
		bits++;
	first = calloc((1ull << bits) + 1, sizeof(*first));
	if (!first)
		return -ENOMEM;
	for (uint64_t i = 0; i < n; i++)
		first[(in[i].at >> (64 - bits)) + 1]++;
	for (uint64_t b = 1; b <= 1ull << bits; b++)
		first[b] += first[b - 1];
	for (uint64_t i = 0; i < n; i++)
		out[first[in[i].at >> (64 - bits)]++] = in[i];
	/* Each has moved on to the end of its bucket. */
	for (uint64_t b = 0, from = 0; b < 1ull << bits; from = first[b++])
		if (first[b] > from + 1)
			qsort(out + from, first[b] - from, sizeof(*out), point_cmp);
	free(first);
	return 0;
}

static int ring_hash_build(void *table, const struct lb_set *set, const void *conf)
{
	const struct cluster_fact *c = conf;
	struct ring *r = table;
	struct point *p;
	int err;

	p = malloc(points(set, conf) * sizeof(*p));
	if (!p)
		return -ENOMEM;
	for (uint32_t i = 0; i < set->n; i++) {
		uint64_t n = points_of(set, i, c->ring_size ? c->ring_size : 1);

		for (uint64_t k = 0; k < n; k++)
			p[r->n++] = (struct point){ mix(set->hosts[i].key + mix(k + 1)), i };
	}
	err = points_sort(r->point, p, r->n);
	free(p);
	return err;
}

static uint64_t first_from(const struct ring *r, uint64_t hash)
{
	uint64_t low = 0, high = r->n;

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (r->point[mid].at < hash)
			low = mid + 1;
		else
			high = mid;
	}
	return low < r->n ? low : 0;
}

static uint32_t ring_hash_pick(struct lb *lb, const struct lb_ask *ask)
{
	const struct ring *r = lb->table;
	uint64_t at, steps;

	if (!ask->has_hash || !r)
		return choose_random(lb, ask);
	at = first_from(r, ask->hash);
	/* So far only as a few hosts are lost; when nearly all are, any will do. */
	steps = r->n < 1024 ? r->n : 1024;
	for (uint64_t k = 0; k < steps; k++) {
		if (lb_usable(lb, ask, r->point[at].host))
			return r->point[at].host;
		at = at + 1 < r->n ? at + 1 : 0;
	}
	return choose_from(lb, ask, r->point[at].host);
}

const struct lb_ops lb_ring_hash = {
	.name = "ring-hash",
	.table_size = ring_hash_table_size,
	.build = ring_hash_build,
	.pick = ring_hash_pick,
};
