// SPDX-License-Identifier: Apache-2.0
/* Services with routes get listeners without sockets, and are the proxy's once it says that it has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/l7.h"
#include "lib/facts.h"

static struct store *store;
static struct hub hub;
static struct hub_source own;
static struct snapshot *now;
static struct l7 l7;

static void changed(void *arg)
{
	(void)arg;
}

/* What was taken, and what follows from it. */
static void publish(void)
{
	struct snapshot *old = now;
	struct diff d;

	now = store_build(store, 0);
	diff_init(&d, old, now);
	l7_update(&l7, &d);
	diff_fini(&d);
	snapshot_drop(old);
	store_bury(store);
}

static int open_world(void **state)
{
	(void)state;
	store = store_new();
	hub_init(&hub, store, changed, NULL);
	hub_add(&hub, &own, "own", "test", NULL);
	l7_init(&l7, &hub, true);
	hub_sink.begin(&own);
	hub_sink.put(&own, facts_cluster("c"));
	hub_sink.put(&own, &facts_route("r", "c")->fact);
	hub_sink.commit(&own, 1);
	publish();
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	l7_fini(&l7);
	hub_fini(&hub);
	snapshot_drop(now);
	now = NULL;
	store_bury(store);
	store_free(store);
	return 0;
}

/* One with two addresses and a port of UDP; routes or not. */
static struct service_fact *web(bool routes)
{
	struct service_fact *s = facts_service("web", "10.96.0.7", 80, "c");
	struct ip *addrs = fact_alloc(&s->fact, 2 * sizeof(*addrs));
	struct service_port *ports = fact_alloc(&s->fact, 2 * sizeof(*ports));

	addrs[0] = facts_ip("10.96.0.7");
	addrs[1] = facts_ip("fd00::7");
	ports[0] = ports[1] = s->ports[0];
	ports[1].proto = IPPROTO_UDP;
	s->addrs = addrs;
	s->ports = ports;
	s->naddrs = s->nports = 2;
	if (routes)
		facts_service_route(s, "r");
	return s;
}

static void give(struct service_fact *s)
{
	hub_sink.begin(&own);
	if (s)
		hub_sink.put(&own, &s->fact);
	else
		hub_sink.del(&own, FACT_SERVICE, SLICE_LIT("web"));
	hub_sink.commit(&own, 2);
	publish();
}

static const struct listener *listener(void)
{
	return (const struct listener *)snapshot_fact(now, FACT_LISTENER, SLICE_LIT("l7/web:80"));
}

static enum kern_served served(void)
{
	struct service_fact *s = web(true);
	enum kern_served v = l7_served(&l7, s, &s->ports[0]);

	fact_drop(&s->fact);
	return v;
}

static void a_listener_for_each_port(void **state)
{
	const struct listener *l;
	struct ip six = facts_ip("fd00::7");

	(void)state;
	give(web(true));
	assert_null(listener());
	publish();
	l = listener();
	assert_non_null(l);
	assert_true(l->socketless && !l->port && slice_eq_str(l->protocol, "http"));
	assert_int_equal(l->nserves, 2);
	assert_int_equal(l->serves[1].port, 80);
	assert_memory_equal(&l->serves[1].ip, &six, sizeof(six));
	assert_int_equal(l->nroutes, 1);
	assert_int_equal(snapshot_facts(now, FACT_LISTENER).n, 1);
	publish();
	assert_ptr_equal(listener(), l);
	give(NULL);
	publish();
	assert_null(listener());
	assert_int_equal(l7.units.n, 0);
}

static void none_without_routes(void **state)
{
	(void)state;
	give(web(false));
	publish();
	assert_null(listener());
	give(web(true));
	publish();
	assert_non_null(listener());
	give(web(false));
	publish();
	assert_null(listener());
}

/* Clients are sent to the proxy from the snapshot on that shows the listener, not before. */
static void the_proxys_once_it_says_so(void **state)
{
	uint64_t before;

	(void)state;
	give(web(true));
	before = snapshot_number(now);
	assert_int_equal(served(), KERN_SERVED_AS_BEFORE);
	publish();
	assert_int_equal(served(), KERN_SERVED_AS_BEFORE);
	assert_true(l7_adopted(&l7, before));
	assert_int_equal(served(), KERN_SERVED_NO);
	assert_false(l7_adopted(&l7, before));
	assert_true(l7_adopted(&l7, snapshot_number(now)));
	assert_int_equal(served(), KERN_SERVED_YES);
	assert_false(l7_adopted(&l7, snapshot_number(now)));
	give(NULL);
	assert_int_equal(served(), KERN_SERVED_NO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_listener_for_each_port, open_world, close_world),
		cmocka_unit_test_setup_teardown(none_without_routes, open_world, close_world),
		cmocka_unit_test_setup_teardown(the_proxys_once_it_says_so, open_world, close_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
