/* SPDX-License-Identifier: Apache-2.0 */
/* prefix_map in step with random snapshots, also when writes fail; and when the proxy's word is in an entry. */
#include "kit.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/rand.h"
#include "kern/prefixes.h"
#include "model/fact.h"

#define LISTENERS 6
#define ROUNDS 400
#define ROOM 64

/* The map, as the kernel keeps it. */
struct sim {
	struct prefix_key key[ROOM];
	struct prefix value[ROOM];
	unsigned n, puts, dels;
	unsigned fail;                          /* so many of the next writes fail */
};

static unsigned at(const struct sim *m, const struct prefix_key *k)
{
	unsigned i = 0;

	while (i < m->n && memcmp(&m->key[i], k, sizeof(*k)))
		i++;
	return i;
}

static int put(void *arg, const struct prefix_key *k, const struct prefix *v)
{
	struct sim *m = arg;
	unsigned i = at(m, k);

	m->puts++;
	if (m->fail && m->fail--)
		return -ENOSPC;
	assert_true(i < ROOM);
	m->key[i] = *k;
	m->value[i] = *v;
	m->n += i == m->n;
	return 0;
}

static int del(void *arg, const struct prefix_key *k)
{
	struct sim *m = arg;
	unsigned i = at(m, k);

	m->dels++;
	if (m->fail && m->fail--)
		return -ENOMEM;
	if (i == m->n)
		return 0;
	m->n--;
	m->key[i] = m->key[m->n];
	m->value[i] = m->value[m->n];
	return 0;
}

static const struct prefixes_ops ops = { put, del };

struct world {
	struct kit kit;
	struct sim map;
	struct prefixes p;
	struct rand rand;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	kit_init(&w->kit);
	prefixes_init(&w->p);
	w->p.on = true;
	rand_seed(&w->rand, 7);
	kit_cluster(&w->kit, "c", LB_POLICY_RANDOM, LOCALITY_ANY);
	kit_route(&w->kit, "r", "c");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	prefixes_fini(&w->p);
	kit_fini(&w->kit);
	free(w);
	return 0;
}

static void capture(struct world *w, const char *name, enum fail_mode fail, const struct listener_range *v, size_t n)
{
	static const struct fact_mark mark;
	struct listener *l = (struct listener *)fact_new(FACT_LISTENER, slice_str(name), &mark);
	struct listener_range *ranges = fact_alloc(&l->fact, n * sizeof(*v));
	struct slice *route = fact_alloc(&l->fact, sizeof(*route));

	memcpy(ranges, v, n * sizeof(*v));
	*route = SLICE_LIT("r");
	l->socketless = true;
	l->capture = CAPTURE_EBPF;
	l->protocol = SLICE_LIT("http");
	l->routes = route;
	l->nroutes = 1;
	l->ranges = ranges;
	l->nranges = n;
	l->fail = fail;
	kit_put(&w->kit, &l->fact);
}

static struct listener_range range(const char *ip, uint8_t bits, uint16_t port)
{
	struct listener_range r = { { kit_ip(ip), bits }, port };

	ip_block_mask(&r.block);
	return r;
}

static void commit(struct world *w)
{
	assert_true(kit_commit(&w->kit));
}

static void sync_now(struct world *w)
{
	prefixes_sync(&w->p, w->kit.snap, &ops, &w->map);
}

static const struct prefix *entry(struct world *w, const struct listener_range *r)
{
	struct prefix_key k = prefixes_key(r);
	unsigned i = at(&w->map, &k);

	return i < w->map.n ? &w->map.value[i] : NULL;
}

/* Exactly the ranges of the snapshot, each as its listener says. */
static void check(struct world *w)
{
	struct fact_set set = snapshot_facts(w->kit.snap, FACT_LISTENER);
	unsigned n = 0;

	for (size_t i = 0; i < set.n; i++) {
		const struct listener *l = (const struct listener *)set.v[i];

		for (size_t k = 0; k < l->nranges; k++, n++) {
			const struct prefix *p = entry(w, &l->ranges[k]);

			assert_non_null(p);
			assert_int_equal(p->bits, l->ranges[k].block.bits);
			assert_int_equal(p->port, htons(l->ranges[k].port));
			assert_int_equal(p->flags, l->fail == FAIL_CLOSED ? SERVICE_FAIL_CLOSED : 0);
		}
	}
	assert_int_equal(w->map.n, n);
	assert_int_equal(w->p.written, n);
	assert_int_equal(w->p.failed, 0);
}

static void random_listener(struct world *w, unsigned i)
{
	char name[16], ip[32];
	struct listener_range v[3];
	size_t n = 1 + rand_below(&w->rand, 3);

	snprintf(name, sizeof(name), "l%u", i);
	if (!rand_below(&w->rand, 4)) {
		kit_del(&w->kit, FACT_LISTENER, name);
		return;
	}
	/* No two listeners have one address, so no range is that of two; within one the ports differ. */
	for (size_t k = 0; k < n; k++) {
		snprintf(ip, sizeof(ip), rand_below(&w->rand, 4) ? "10.%u.0.0" : "fd00:%u::", 90 + i);
		v[k] = range(ip, strchr(ip, ':') ? 32 + 8 * rand_below(&w->rand, 3) : 112 + rand_below(&w->rand, 8), 80 + k);
	}
	v[0].port = rand_below(&w->rand, 2) ? 0 : 80;
	capture(w, name, rand_below(&w->rand, 2), v, n);
}

static void random_snapshots(void **state)
{
	struct world *w = *state;

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < LISTENERS; i++)
			if (rand_below(&w->rand, 2))
				random_listener(w, i);
		commit(w);
		w->map.fail = rand_below(&w->rand, 3) ? 0 : rand_below(&w->rand, 10);
		sync_now(w);
		for (unsigned tries = 0; w->p.failed; tries++) {
			assert_true(tries < 20);
			sync_now(w);
		}
		check(w);
		w->map.puts = w->map.dels = 0;
		sync_now(w);
		assert_int_equal(w->map.puts + w->map.dels, 0); /* what is right is not written again */
		if (!rand_below(&w->rand, 4))
			prefixes_heard(&w->p, snapshot_number(w->kit.snap));
	}
}

static void served_from_the_snapshot_that_has_it(void **state)
{
	struct listener_range a = range("10.99.0.0", 112, 0), b = range("10.98.0.0", 112, 0);
	struct world *w = *state;
	uint64_t first;

	capture(w, "a", FAIL_OPEN, &a, 1);
	commit(w);
	first = snapshot_number(w->kit.snap);
	sync_now(w);
	assert_false(entry(w, &a)->served);
	assert_true(prefixes_heard(&w->p, first));
	sync_now(w);
	assert_true(entry(w, &a)->served);
	assert_false(prefixes_heard(&w->p, first));
	/* A new one waits for the snapshot that has it; the old one goes on, whatever else of its listener changes. */
	capture(w, "b", FAIL_OPEN, &b, 1);
	capture(w, "a", FAIL_CLOSED, &a, 1);
	commit(w);
	sync_now(w);
	assert_true(entry(w, &a)->served);
	assert_int_equal(entry(w, &a)->flags, SERVICE_FAIL_CLOSED);
	assert_false(entry(w, &b)->served);
	assert_true(prefixes_heard(&w->p, first));          /* not yet, and asked again */
	sync_now(w);
	assert_false(entry(w, &b)->served);
	assert_true(prefixes_heard(&w->p, snapshot_number(w->kit.snap)));
	sync_now(w);
	assert_true(entry(w, &b)->served);
	assert_int_equal(w->p.served, 2);
	/* The self-test says no: nobody is sent to the proxy any more. */
	w->p.on = false;
	sync_now(w);
	assert_false(entry(w, &a)->served || entry(w, &b)->served);
	assert_int_equal(w->p.served, 0);
}

/* An agent that was killed is not noticed: what it left holds until the proxy speaks to the next one. */
static void what_was_left_holds(void **state)
{
	struct listener_range a = range("10.99.0.0", 112, 80), old = range("10.97.0.0", 112, 0);
	struct prefix_key key = prefixes_key(&a), gone = prefixes_key(&old);
	const struct prefix v = { .bits = 112, .port = htons(80), .served = 1 }, other = { .bits = 112 };
	struct world *w = *state;

	put(&w->map, &key, &v);
	put(&w->map, &gone, &other);
	prefixes_adopt(&w->p, &key, &v);
	prefixes_adopt(&w->p, &gone, &other);
	assert_int_equal(w->p.written, 2);
	capture(w, "a", FAIL_OPEN, &a, 1);
	commit(w);
	w->map.puts = 0;
	sync_now(w);
	assert_true(entry(w, &a)->served);
	assert_int_equal(w->map.puts, 0);
	assert_null(entry(w, &old));
	assert_null(prefixes_find(&w->p, &gone));
	prefixes_heard(&w->p, snapshot_number(w->kit.snap));
	sync_now(w);
	assert_true(entry(w, &a)->served);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(random_snapshots, setup, teardown),
		cmocka_unit_test_setup_teardown(served_from_the_snapshot_that_has_it, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_left_holds, setup, teardown),
	};

	return cmocka_run_group_tests_name("kern/prefixes", tests, NULL, NULL);
}
