// SPDX-License-Identifier: Apache-2.0
#include "lb/edf.h"

#include <errno.h>
#include <stdlib.h>

#define TURN (1ull << 44)                       /* between two turns of weight 1 */

static bool before(const struct edf *e, uint32_t a, uint32_t b)
{
	int64_t d = (int64_t)(e->due[a] - e->due[b]);

	return d ? d < 0 : a < b;
}

static void sift_down(struct edf *e, uint32_t at)
{
	uint32_t host = e->heap[at];

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= e->n)
			break;
		if (child + 1 < e->n && before(e, e->heap[child + 1], e->heap[child]))
			child++;
		if (!before(e, e->heap[child], host))
			break;
		e->heap[at] = e->heap[child];
		at = child;
	}
	e->heap[at] = host;
}

static uint64_t turn(const struct lb *lb, uint32_t i, bool load)
{
	uint64_t w = lb_weight(lb, i), step = TURN * LB_FACTOR_ONE / (w ? w : 1);

	/* A turn is never longer than 2^20 of weight 1, so that deadlines stay comparable. */
	if (load && lb->cells[i]->active)
		step = lb->cells[i]->active < 1u << 18 ? step * (lb->cells[i]->active + 1ull) : TURN << 18;
	return step < TURN << 18 ? step : TURN << 18;
}

static uint32_t find(const struct lb_set *set, uint64_t key)
{
	uint32_t low = 0, high = set->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (set->hosts[mid].key < key)
			low = mid + 1;
		else
			high = mid;
	}
	return low < set->n && set->hosts[low].key == key ? low : LB_NONE;
}

int edf_init(struct edf *e, struct lb *lb, const struct edf *old, const struct lb_set *old_set)
{
	uint32_t n = lb->set->n;

	*e = (struct edf){ .n = n, .heap = malloc((n + 1) * sizeof(*e->heap)), .due = malloc((n + 1) * sizeof(*e->due)) };
	if (!e->heap || !e->due)
		return -ENOMEM;
	e->now = old ? old->now : 0;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t step = turn(lb, i, false);
		uint32_t was = old ? find(old_set, lb->set->hosts[i].key) : LB_NONE;

		e->heap[i] = i;
		e->due[i] = was != LB_NONE ? old->due[was] : old ? e->now + lb_random(lb) % step : step / 2;
	}
	for (uint32_t i = n / 2; i-- > 0;)
		sift_down(e, i);
	return 0;
}

void edf_fini(struct edf *e)
{
	free(e->heap);
	free(e->due);
	*e = (struct edf){ 0 };
}

static void take_turn(struct edf *e, const struct lb *lb, uint32_t i, bool load)
{
	e->now = e->due[i];
	e->due[i] += turn(lb, i, load);
	sift_down(e, 0);
}

/* Most are not usable: any that is, from a place that changes. */
static uint32_t scan(const struct lb *lb, const struct lb_ask *ask, uint32_t from)
{
	for (uint32_t k = 0; k < lb->set->n; k++) {
		uint32_t i = (from + k) % lb->set->n;

		if (lb_usable(lb, ask, i))
			return i;
	}
	return LB_NONE;
}

uint32_t edf_pick(struct edf *e, const struct lb *lb, const struct lb_ask *ask, bool load)
{
	/* A host that cannot be used loses its turn. A heavy one may come up several times before a light one. */
	for (uint32_t k = 0; k < 2 * e->n; k++) {
		uint32_t i = e->heap[0];

		take_turn(e, lb, i, load);
		if (lb_usable(lb, ask, i))
			return i;
	}
	return e->n ? scan(lb, ask, (uint32_t)(e->now >> 24) % e->n) : LB_NONE;
}
