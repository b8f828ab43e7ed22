/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/balance.h"
#include <errno.h>
#include <stdlib.h>
#include "base/maglev.h"
#include "base/mem.h"

static uint32_t gcd(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t t = a % b;

		a = b;
		b = t;
	}
	return a;
}

struct totals {
	uint64_t sum;
	uint32_t div, members;                  /* common divisor; members with weight */
};

static struct totals total(const struct balance_member *m, size_t nm)
{
	struct totals t = { 0 };

	for (size_t i = 0; i < nm; i++) {
		if (!m[i].weight)
			continue;
		t.sum += m[i].weight;
		t.div = gcd(t.div, m[i].weight);
		t.members++;
	}
	return t;
}

/* Bound of the table: enough for 1 % of share, and for eight slots a member. */
static uint32_t bound(uint32_t members)
{
	uint64_t n = members * 8ull;

	if (n < BALANCE_SLOTS)
		n = BALANCE_SLOTS;
	return n > SERVICE_SLOTS_MAX ? SERVICE_SLOTS_MAX : (uint32_t)n;
}

/* Slots of each member. Exact where the reduced weights fit, else rounded with the error carried on to the next. */
static uint32_t counts(const struct balance_member *m, size_t nm, struct totals t, uint32_t *count)
{
	uint64_t want = t.sum / t.div, max = bound(t.members), carry = 0;
	uint32_t n = 0;

	if (want > max)
		want = max;
	for (size_t i = 0; i < nm; i++) {
		uint64_t exact = m[i].weight * want + carry;

		count[i] = (uint32_t)(exact / t.sum);
		carry = exact % t.sum;
		if (!count[i] && m[i].weight && n < SERVICE_SLOTS_MAX)
			count[i] = 1;
		if (count[i] > SERVICE_SLOTS_MAX - n)
			count[i] = SERVICE_SLOTS_MAX - n;
		n += count[i];
	}
	return n;
}

struct place {
	uint64_t at;                            /* where in the table the k-th repeat would like to be, in 2^-32 */
	uint32_t member;
};

static int place_cmp(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return (x->member > y->member) - (x->member < y->member);
}

/* Repeats of one member lie evenly; members begin at different phases, so that equal ones do not meet. */
static void spread(const uint32_t *count, size_t nm, uint32_t members, uint32_t *slot, uint32_t n)
{
	struct place *p = mem_alloc(n * sizeof(*p));
	uint64_t nth = 0;
	uint32_t at = 0;

	for (size_t i = 0; i < nm; i++) {
		uint64_t phase = ((2 * nth + 1) << 32) / (2ull * members);

		nth += count[i] != 0;
		for (uint64_t k = 0; k < count[i]; k++)
			p[at++] = (struct place){ ((k << 32) + phase) / count[i], (uint32_t)i };
	}
	qsort(p, n, sizeof(*p), place_cmp);
	for (uint32_t i = 0; i < n; i++)
		slot[i] = p[i].member;
	free(p);
}

static int fill_maglev(const struct balance_member *m, size_t nm, struct totals t, uint32_t **slot, uint32_t *n)
{
	struct maglev_member *mm = mem_alloc(nm * sizeof(*mm));

	for (size_t i = 0; i < nm; i++)
		mm[i] = (struct maglev_member){ m[i].key, m[i].weight / t.div };
	*n = maglev_size(t.members);
	*slot = mem_alloc(*n * sizeof(**slot));
	int err = maglev_fill(*slot, *n, mm, nm);

	free(mm);
	if (err) {
		free(*slot);
		*slot = NULL;
		*n = 0;
	}
	return err;
}

int balance_fill(enum lb_algo algo, const struct balance_member *m, size_t nm, uint32_t **slot, uint32_t *n)
{
	struct totals t = total(m, nm);

	*slot = NULL;
	*n = 0;
	if (!t.members)
		return 0;
	if (algo == LB_MAGLEV)
		return fill_maglev(m, nm, t, slot, n);
	uint32_t *count = mem_alloc(nm * sizeof(*count));

	*n = counts(m, nm, t, count);
	*slot = mem_alloc(*n * sizeof(**slot));
	spread(count, nm, t.members, *slot, *n);
	free(count);
	return 0;
}
