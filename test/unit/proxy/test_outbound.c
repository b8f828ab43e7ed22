// SPDX-License-Identifier: Apache-2.0
/* Who serves what was dialled, by snapshot. */
#include "kit.h"

#include "proxy/http.h"
#include "proxy/outbound.h"
#include "proxy/stock.h"

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
	facts_listener_route(l, "r");
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
	store_put(tx, facts_cluster("c"));
	store_put(tx, &facts_route("r", "c")->fact);
	put(tx, "web", "10.96.0.1", "fd00::1", 80);
	put(tx, "shop", "10.96.0.1", "fd00::1", 81);
	store_put(tx, &facts_listener("own", "10.96.0.9", 80, "http-proxy")->fact);
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

static void capture(struct store_tx *tx, const char *name, const char *ip, uint8_t bits, uint16_t port)
{
	struct listener *l = facts_listener(name, "::", 0, "http");
	struct listener_range *r = fact_alloc(&l->fact, sizeof(*r));

	*r = (struct listener_range){ { facts_ip(ip), bits }, port };
	l->socketless = true;
	l->capture = CAPTURE_EBPF;
	l->ranges = r;
	l->nranges = 1;
	facts_listener_route(l, "r");
	store_put(tx, &l->fact);
}

/* As connect() does: services first, then the longest block, then the port. */
static void test_ranges(void **state)
{
	struct store_tx *tx = store_begin(store, slice_str("test"));

	(void)state;
	capture(tx, "ten", "10.0.0.0", 104, 0);
	capture(tx, "ten80", "10.0.0.0", 104, 80);
	capture(tx, "pods", "10.96.0.0", 112, 0);
	capture(tx, "one", "10.96.0.2", 128, 443);
	capture(tx, "all6", "::", 0, 0);
	commit(tx);
	assert_serves(now, "10.96.0.1", 80, "web");
	assert_serves(now, "10.96.0.1", 82, "pods");
	assert_serves(now, "10.96.0.2", 443, "one");
	assert_serves(now, "10.96.0.2", 80, "pods");
	assert_serves(now, "10.1.0.2", 80, "ten80");
	assert_serves(now, "10.1.0.2", 81, "ten");
	assert_serves(now, "11.0.0.1", 80, NULL);
	assert_serves(now, "2001:db8::1", 80, "all6");
	assert_serves(now, "fd00::1", 80, "web");
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

/* ---- a worker to whom listeners are given ------------------------------------------------------------------------ */

static void put_pod(struct store_tx *tx, const char *name, uint64_t netns)
{
	struct listener *l = facts_listener(name, "10.1.0.5", 15001, "");

	l->netns = netns;
	l->dispatch = true;
	l->capture = CAPTURE_EBPF;
	store_put(tx, &l->fact);
}

static void ask(void *arg, uint64_t netns, uint8_t family, uint32_t n)
{
	(void)arg;
	(void)netns;
	(void)family;
	(void)n;
}

static void gone(void *arg, uint64_t netns)
{
	(void)arg;
	(void)netns;
}

/* Of two snapshots that wait a worker adopts the newer one, so what is given for it may come behind it. */
static void test_given_behind_its_snapshot(void **state)
{
	struct stock_conf c = { .ask = ask, .gone = gone };
	struct listener_shared *shared = listener_shared_new();
	struct worker w = { 0 };
	struct store_tx *tx = store_begin(store, slice_str("test"));

	(void)state;
	put_pod(tx, "pod", 4711);
	commit(tx);
	assert_int_equal(loop_init(&w.thread.loop), 0);
	assert_int_equal(mailbox_init(&w.thread.mail, &w.thread.loop), 0);
	c.loop = &w.thread.loop;
	w.stock = stock_new(&c);
	w.listeners = listeners_new(&w);
	adoption_send(&w.adoption, snapshot_hold(now));
	assert_true(adoption_take(&w.adoption));
	listeners_adopt(w.listeners);
	assert_null(listeners_find(&w, SLICE_LIT("web")));
	listeners_give(&w, SLICE_LIT("web"), 0, -1, shared);
	listeners_give(&w, SLICE_LIT("pod"), 0, -1, shared);
	assert_int_equal(loop_once(&w.thread.loop, 0), 0);
	assert_non_null(listeners_find(&w, SLICE_LIT("web"))->conf);
	assert_true(listener_takes_others(listeners_find(&w, SLICE_LIT("web"))));
	assert_true(stock_has(w.stock, 4711));
	/* And it goes with the next snapshot that does not have it. */
	tx = store_begin(store, slice_str("test"));
	store_del(tx, FACT_LISTENER, slice_str("pod"));
	store_del(tx, FACT_LISTENER, slice_str("web"));
	commit(tx);
	adoption_send(&w.adoption, snapshot_hold(now));
	assert_true(adoption_take(&w.adoption));
	w.http = http_new(&w);
	listeners_adopt(w.listeners);
	assert_null(listeners_find(&w, SLICE_LIT("web")));
	assert_false(stock_has(w.stock, 4711));
	http_free(w.http);
	listeners_free(w.listeners);
	stock_free(w.stock);
	listener_shared_drop(shared);
	adoption_fini(&w.adoption);
	mailbox_fini(&w.thread.mail);
	loop_fini(&w.thread.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_by_address_and_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ranges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_snapshot_keeps_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_made_once_while_listeners_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(test_given_behind_its_snapshot, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
