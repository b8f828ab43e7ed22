// SPDX-License-Identifier: Apache-2.0
#include "base/maglev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_PER_MEMBER 100u
#define FREE UINT32_MAX

static const uint32_t primes[] = { 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521 };

#define NPRIMES (sizeof(primes) / sizeof(primes[0]))

uint32_t maglev_size(size_t n)
{
	for (size_t i = 0; i < NPRIMES; i++) {
		if (primes[i] / SLOTS_PER_MEMBER >= n)
			return primes[i];
	}
	return primes[NPRIMES - 1];
}

/* One member's walk through the table: every slot once, in an order of its own. */
struct walk {
	uint64_t key;
	uint64_t rest;                          /* of its share, in parts of a slot */
	uint32_t weight, id;
	uint32_t share;                         /* slots still to take */
	uint32_t at, step;
};

/* Equal keys and weights are the same member to every reader, whichever id comes first. */
static int by_key(const void *pa, const void *pb)
{
	const struct walk *a = pa, *b = pb;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (a->weight != b->weight)
		return a->weight < b->weight ? -1 : 1;
	return (a->id > b->id) - (a->id < b->id);
}

static int by_rest(const void *pa, const void *pb)
{
	const struct walk *a = pa, *b = pb;

	if (a->rest != b->rest)
		return a->rest > b->rest ? -1 : 1;
	return by_key(pa, pb);
}

/* Two numbers from one key (murmur3's finalizer): callers' keys may share their low bits. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdu;
	x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53u;
	return x ^ (x >> 33);
}

/* Members with weight. Returns how many. */
static size_t walks_init(struct walk *w, const struct maglev_member *m, size_t n, uint32_t size)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (!m[i].weight)
			continue;
		w[k++] = (struct walk){
			.key = m[i].key,
			.weight = m[i].weight,
			.id = i,
			.at = mix(m[i].key) % size,
			.step = 1 + mix(~m[i].key) % (size - 1),
		};
	}
	return k;
}

/* Shares add up to size: what rounding down leaves goes to the largest rests. */
static void shares(struct walk *w, size_t n, uint32_t size)
{
	uint64_t sum = 0;
	uint32_t left = size;

	for (size_t i = 0; i < n; i++)
		sum += w[i].weight;
	for (size_t i = 0; i < n; i++) {
		w[i].share = (uint64_t)w[i].weight * size / sum;
		w[i].rest = (uint64_t)w[i].weight * size % sum;
		left -= w[i].share;
	}
	qsort(w, n, sizeof(*w), by_rest);
	for (uint32_t i = 0; i < left; i++)
		w[i].share++;
}

/*
 * Rounds, in each of which a member with a share left looks at one slot: the paper's members look
 * until they find a free one. So a slot falls to who names it earliest, and a departure moves about
 * 0.7 slots of others for each one of its own, not 1.4 (100 members, table of 16381). Ends: who has
 * looked at every slot leaves none free.
 */
static void fill(uint32_t *slot, uint32_t size, struct walk *w, size_t n)
{
	uint32_t left = size;

	memset(slot, 0xff, size * sizeof(*slot));
	while (left) {
		for (size_t i = 0; i < n; i++) {
			if (!w[i].share)
				continue;
			if (slot[w[i].at] == FREE) {
				slot[w[i].at] = w[i].id;
				w[i].share--;
				left--;
			}
			w[i].at += w[i].step;
			if (w[i].at >= size)
				w[i].at -= size;
		}
	}
}

int maglev_fill(uint32_t *slot, uint32_t size, const struct maglev_member *m, size_t n)
{
	struct walk *w = malloc((n ? n : 1) * sizeof(*w));
	size_t k;

	if (!w)
		return -ENOMEM;
	k = walks_init(w, m, n, size);
	if (k) {
		shares(w, k, size);
		qsort(w, k, sizeof(*w), by_key);
		fill(slot, size, w, k);
	}
	free(w);
	return k ? 0 : -EINVAL;
}
