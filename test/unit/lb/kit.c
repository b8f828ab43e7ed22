// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

uint64_t kit_mix(uint64_t x)
{
	x = (x + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static void add_host(struct kit *k, uint64_t key, uint32_t weight)
{
	uint32_t i = k->set.n++;

	k->host[i] = (struct host){ .ip = { { [15] = (uint8_t)(i + 1) } }, .port = 80 };
	k->hosts[i] = (struct lb_host){ .host = &k->host[i], .weight = weight, .key = key };
	k->cell[i] = (struct lb_cell){ .factor = LB_FACTOR_ONE, .usable = true };
	k->cells[i] = &k->cell[i];
	k->set.total_weight += weight;
	k->set.weighted |= weight != k->hosts[0].weight;
}

static void start(struct kit *k, const struct lb_ops *ops, const struct kit *old)
{
	size_t size;

	k->set.hosts = k->hosts;
	k->conf.ring_size = 1024;
	k->lb = (struct lb){ .ops = ops, .set = &k->set, .cells = k->cells, .conf = &k->conf, .rng = 4242 };
	k->lb.state = mem_alloc(ops->state_size + 1);
	size = ops->table_size ? ops->table_size(&k->set, &k->conf) : 0;
	if (size) {
		k->lb.table = mem_alloc(size);
		assert_int_equal(ops->build((void *)k->lb.table, &k->set, &k->conf), 0);
	}
	if (ops->init)
		assert_int_equal(ops->init(&k->lb, old ? &old->lb : NULL), 0);
}

void kit_init(struct kit *k, const struct lb_ops *ops, const uint32_t *weights, uint32_t n, const struct kit *old)
{
	memset(k, 0, sizeof(*k));
	/* Keys as hashes are: spread, and ascending as the contract says. */
	for (uint32_t i = 0; i < n; i++)
		add_host(k, ((uint64_t)(i + 1) << 56 | kit_mix(i) >> 8), weights ? weights[i] : 1);
	start(k, ops, old);
}

void kit_without(struct kit *k, const struct kit *of, uint32_t gone)
{
	memset(k, 0, sizeof(*k));
	for (uint32_t i = 0; i < of->set.n; i++)
		if (i != gone)
			add_host(k, of->hosts[i].key, of->hosts[i].weight);
	start(k, of->lb.ops, of);
}

void kit_fini(struct kit *k)
{
	if (k->lb.ops->fini)
		k->lb.ops->fini(&k->lb);
	free(k->lb.state);
	free((void *)k->lb.table);
}

uint32_t kit_pick(struct kit *k)
{
	struct lb_ask ask = { .now_ns = 1 };
	uint32_t i = k->lb.ops->pick(&k->lb, &ask);

	if (i != LB_NONE)
		k->got[i]++;
	return i;
}

uint32_t kit_pick_hash(struct kit *k, uint64_t hash)
{
	struct lb_ask ask = { .now_ns = 1, .hash = hash, .has_hash = true };
	uint32_t i = k->lb.ops->pick(&k->lb, &ask);

	if (i != LB_NONE)
		k->got[i]++;
	return i;
}

void kit_run(struct kit *k, uint32_t times)
{
	while (times--)
		assert_true(kit_pick(k) < k->set.n);
}

void kit_assert_fair(const struct kit *k)
{
	double sum = 0, total = 0, chi = 0, bound;
	uint32_t n = 0;

	for (uint32_t i = 0; i < k->set.n; i++) {
		sum += k->got[i];
		total += k->cell[i].usable ? k->hosts[i].weight : 0;
	}
	for (uint32_t i = 0; i < k->set.n; i++) {
		double want = k->cell[i].usable ? sum * k->hosts[i].weight / total : 0;

		if (want > 0) {
			chi += (k->got[i] - want) * (k->got[i] - want) / want;
			n++;
		} else {
			assert_int_equal(k->got[i], 0);
		}
	}
	/* Wilson and Hilferty's approximation of the 0.999 quantile. */
	bound = n > 1 ? (n - 1) * pow(1 - 2.0 / (9 * (n - 1)) + 3.09 * sqrt(2.0 / (9 * (n - 1))), 3) : 0;
	if (chi > bound)
		print_error("chi-square %.1f above %.1f over %u hosts\n", chi, bound, n);
	assert_true(chi <= bound);
}
