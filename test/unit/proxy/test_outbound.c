// SPDX-License-Identifier: Apache-2.0
/* Who serves what was dialled, by snapshot. */
#include "kit.h"

#include "proxy/outbound.h"

static struct store *store;
static struct snapshot *now;

static struct net_addr at(const char *ip, uint16_t port)
{
	return (struct net_addr){ facts_ip(ip), port };
}

static void put(struct store_tx *tx, const char *name, const char *first, const char *second, uint16_t port)
{
	struct fact *f = facts_named(FACT_LISTENER, name, 1);
	struct listener *l = (struct listener *)f;
	struct destination *d = fact_alloc(f, 2 * sizeof(*d));

	l->socketless = true;
	l->protocol = fact_slice(f, SLICE_LIT("http"));
	l->head_ms = 1000;
	l->max_head_bytes = 8192;
	l->max_headers = 10;
	l->max_target_bytes = 4096;
	d[0] = (struct destination){ facts_ip(first), port };
	d[1] = (struct destination){ facts_ip(second), port };
	l->serves = d;
	l->nserves = 2;
	store_put(tx, f);
}

static void commit(struct store_tx *tx)
{
	struct registry_verdict v;
	struct snapshot *s;

	if (!store_commit(tx, 1, &v))
		fail_msg("refused: %s", v.nrefused ? v.refused[0].why : "?");
	store_end(tx);
	s = store_build(store, 0);
	outbound_attach(s, now);
	snapshot_drop(now);
	now = s;
	store_bury(store);
}

static int setup(void **state)
{
	struct store_tx *tx;

	(void)state;
	store = store_new();
	now = NULL;
	tx = store_begin(store, slice_str("test"));
	put(tx, "web", "10.96.0.1", "fd00::1", 80);
	put(tx, "shop", "10.96.0.1", "fd00::1", 81);
	store_put(tx, &facts_listener("own", "10.96.0.9", 80, "http")->fact);
	commit(tx);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	snapshot_drop(now);
	store_bury(store);
	store_free(store);
	return 0;
}

static void assert_serves(const struct snapshot *s, const char *ip, uint16_t port, const char *name)
{
	struct net_addr a = at(ip, port);
	const struct listener *l = outbound_find(s, &a);

	if (!name) {
		assert_null(l);
		return;
	}
	assert_non_null(l);
	assert_true(slice_eq_str(l->name, name));
}

static void test_by_address_and_port(void **state)
{
	(void)state;
	assert_serves(now, "10.96.0.1", 80, "web");
	assert_serves(now, "fd00::1", 80, "web");
	assert_serves(now, "10.96.0.1", 81, "shop");
	assert_serves(now, "fd00::1", 81, "shop");
	assert_serves(now, "10.96.0.1", 82, NULL);
	assert_serves(now, "10.96.0.2", 80, NULL);
	/* It has a socket of its own, and serves nothing else. */
	assert_serves(now, "10.96.0.9", 80, NULL);
}

static void test_a_snapshot_keeps_its_own(void **state)
{
	struct snapshot *old = snapshot_hold(now);
	struct store_tx *tx = store_begin(store, slice_str("test"));

	(void)state;
	put(tx, "web", "10.96.0.1", "10.96.0.2", 80);
	store_del(tx, FACT_LISTENER, slice_str("shop"));
	commit(tx);
	assert_serves(now, "10.96.0.2", 80, "web");
	assert_serves(now, "fd00::1", 80, NULL);
	assert_serves(now, "10.96.0.1", 81, NULL);
	assert_serves(old, "fd00::1", 80, "web");
	assert_serves(old, "10.96.0.1", 81, "shop");
	snapshot_drop(old);
	store_bury(store);
	assert_serves(now, "10.96.0.1", 80, "web");
}

static void test_made_once_while_listeners_stay(void **state)
{
	const void *before = now->annex[SNAPSHOT_OUTBOUND].p;
	struct store_tx *tx = store_begin(store, slice_str("test"));

	(void)state;
	store_put(tx, (struct fact *)kit_cluster("c", LB_POLICY_RANDOM));
	commit(tx);
	assert_ptr_equal(now->annex[SNAPSHOT_OUTBOUND].p, before);
	assert_serves(now, "10.96.0.1", 80, "web");
}

static void test_nobody(void **state)
{
	struct store_tx *tx = store_begin(store, slice_str("test"));

	(void)state;
	store_del(tx, FACT_LISTENER, slice_str("web"));
	store_del(tx, FACT_LISTENER, slice_str("shop"));
	store_del(tx, FACT_LISTENER, slice_str("own"));
	commit(tx);
	assert_serves(now, "10.96.0.1", 80, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_by_address_and_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_snapshot_keeps_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_made_once_while_listeners_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
