/* SPDX-License-Identifier: Apache-2.0 */
#include "model/part.h"

#include "weft/str.h"

#define OVERPROVISION 140u                      /* percent: a level is whole as long as 72 % of its hosts are well */

bool part_declared(const struct cluster_fact *c, const struct name_value *want, size_t n)
{
	for (size_t i = 0; i < c->nsubsets; i++) {
		const struct subset_keys *k = &c->subsets[i];
		size_t same = 0;

		for (size_t a = 0; k->nnames == n && a < n; a++)
			for (size_t b = 0; b < n; b++)
				same += slice_eq(k->names[b], want[a].name);
		if (k->nnames == n && same == n)
			return true;
	}
	return !c->nsubsets;
}

bool part_carries(const struct host *h, const struct name_value *want, size_t n)
{
	size_t at = 0;

	/* Both are sorted by name. */
	for (size_t i = 0; i < n; i++) {
		while (at < h->metadata.n && slice_cmp(h->metadata.v[at].name, want[i].name) < 0)
			at++;
		if (at == h->metadata.n || !slice_eq(h->metadata.v[at].name, want[i].name) ||
		    !slice_eq(h->metadata.v[at].value, want[i].value))
			return false;
	}
	return true;
}

bool part_near(const struct locality *here, const struct host *h, enum locality_prefer prefer)
{
	if (!here || prefer == LOCALITY_ANY || !(prefer == LOCALITY_ZONE ? here->zone.n : here->region.n))
		return false;
	return slice_eq(here->region, h->locality->region) &&
	       (prefer == LOCALITY_REGION || slice_eq(here->zone, h->locality->zone));
}

/* Percent of a level's hosts that are well, with a reserve: 100 as long as few are not. */
static uint32_t wellness(const struct part_level *l)
{
	uint64_t percent = (uint64_t)l->usable * OVERPROVISION / l->hosts;

	return percent > 100 ? 100 : (uint32_t)percent;
}

/* Each level takes what those before it could not, up to its own health. Less than all of them together: by proportion. */
static void share_loads(struct part_level *v, uint32_t n, uint32_t total)
{
	uint32_t left = 100, first = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t well = wellness(&v[i]), load = total < 100 && total ? well * 100 / total : well;

		v[i].load = load < left ? load : left;
		left -= v[i].load;
		if (!v[first].load && v[i].load)
			first = i;
	}
	if (n)
		v[first].load += left;
}

void part_weigh(struct part_level *v, uint32_t n, uint32_t panic_percent)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < n; i++)
		total += wellness(&v[i]);
	/* While the levels together are whole, none has to use hosts that are not well. */
	for (uint32_t i = 0; i < n; i++)
		v[i].panic = total < 100 && (uint64_t)v[i].usable * 100 < (uint64_t)panic_percent * v[i].hosts;
	share_loads(v, n, total);
}
