/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"
#include <stdio.h>
#include <string.h>
#include "kern/pick.h"

static const struct node *node_of(const struct kit *k)
{
	return (const void *)snapshot_fact(k->snap, FACT_NODE, slice_str(""));
}

static const struct overlay *states;

/* "10.0.0.1:80 10.0.0.2:80- " : '-' = draining */
static const char *pick(const struct kit *k, uint8_t family, uint16_t port, uint16_t target)
{
	static char out[512];
	struct pick_ask a = { snapshot_cluster(k->snap, slice_str("c")), node_of(k), port, target, family, states };
	struct pick_host *h;
	uint32_t n = pick_hosts(&a, &h);
	size_t at = 0;

	out[0] = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct ip ip;
		char text[64];

		memcpy(ip.b, h[i].addr.b, sizeof(ip.b));
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s:%u*%u%s", i ? " " : "", ip_name(&ip, text),
				       ntohs(h[i].port), h[i].weight, h[i].draining ? "-" : "");
	}
	free(h);
	return out;
}

static void fill(struct kit *k, enum locality_prefer prefer, const struct kit_host *h, size_t n)
{
	kit_init(k);
	kit_node(k, "r1", "z1");
	kit_cluster(k, "c", LB_POLICY_RANDOM, prefer);
	for (size_t i = 0; i < n; i++)
		kit_host(k, "c", &h[i]);
	assert_true(kit_commit(k));
}
#define FILL(k, prefer, ...)                                                                                           \
	fill(k, prefer, (struct kit_host[]){ __VA_ARGS__ }, sizeof((struct kit_host[]){ __VA_ARGS__ }) / sizeof(struct kit_host))

static void effective_port(void **state)
{
	(void)state;
	struct kit k;

	FILL(&k, LOCALITY_ANY, HOST("10.0.0.1", 8080, 1), HOST("10.0.0.2", 0, 1));
	assert_string_equal(pick(&k, AF_INET, 80, 0), "10.0.0.1:8080*1 10.0.0.2:80*1");
	assert_string_equal(pick(&k, AF_INET, 80, 9090), "10.0.0.1:9090*1 10.0.0.2:9090*1");
	kit_fini(&k);
}

static void same_family_only(void **state)
{
	(void)state;
	struct kit k;

	FILL(&k, LOCALITY_ANY, HOST("10.0.0.1", 1, 1), HOST("2001:db8::1", 1, 1));
	assert_string_equal(pick(&k, AF_INET, 80, 0), "10.0.0.1:1*1");
	assert_string_equal(pick(&k, AF_INET6, 80, 0), "2001:db8::1:1*1");
	kit_fini(&k);
}

static void draining_and_weightless_keep_their_entry(void **state)
{
	(void)state;
	struct kit k;

	FILL(&k, LOCALITY_ZONE, HOST("10.0.0.1", 1, 1, IN("r1", "z1")),
	     HOST("10.0.0.2", 1, 5, DRAIN, PRIO(7), IN("r2", "z2")), HOST("10.0.0.3", 1, 0, IN("r1", "z1")));
	assert_string_equal(pick(&k, AF_INET, 80, 0), "10.0.0.1:1*1 10.0.0.2:1*0- 10.0.0.3:1*0-");
	kit_fini(&k);
}

static void lowest_priority_then_place(void **state)
{
	(void)state;
	struct kit k;

	FILL(&k, LOCALITY_ZONE, HOST("10.0.0.1", 1, 1, PRIO(1), IN("r1", "z1")), HOST("10.0.0.2", 1, 1, PRIO(1), IN("r1", "z2")),
	     HOST("10.0.0.3", 1, 1, PRIO(2), IN("r1", "z1")), HOST("10.0.0.4", 1, 1, DRAIN, IN("r1", "z1")));
	assert_string_equal(pick(&k, AF_INET, 80, 0), "10.0.0.1:1*1 10.0.0.4:1*0-");
	kit_host_del(&k, "c", "10.0.0.1", 1);
	assert_true(kit_commit(&k));
	assert_string_equal(pick(&k, AF_INET, 80, 0), "10.0.0.2:1*1 10.0.0.4:1*0-");
	kit_fini(&k);
}

static void a_zone_belongs_to_its_region(void **state)
{
	(void)state;
	struct kit k;

	FILL(&k, LOCALITY_ZONE, HOST("10.0.0.1", 1, 1, IN("r2", "z1")), HOST("10.0.0.2", 1, 1, IN("r1", "z1")));
	assert_string_equal(pick(&k, AF_INET, 80, 0), "10.0.0.2:1*1");
	kit_cluster(&k, "c", LB_POLICY_RANDOM, LOCALITY_REGION);
	kit_host(&k, "c", &(struct kit_host)HOST("10.0.0.3", 1, 1, IN("r1", "z9")));
	assert_true(kit_commit(&k));
	assert_string_equal(pick(&k, AF_INET, 80, 0), "10.0.0.2:1*1 10.0.0.3:1*1");
	kit_node(&k, "", "");
	assert_true(kit_commit(&k));
	assert_string_equal(pick(&k, AF_INET, 80, 0), "10.0.0.1:1*1 10.0.0.2:1*1 10.0.0.3:1*1");
	kit_fini(&k);
}

/* The service's target makes two hosts one. */
static void equal_addresses_merge(void **state)
{
	(void)state;
	struct kit k;

	FILL(&k, LOCALITY_ANY, HOST("10.0.0.1", 1, 2), HOST("10.0.0.1", 2, 3, DRAIN), HOST("10.0.0.1", 3, 4),
	     HOST("10.0.0.10", 1, 1));
	assert_string_equal(pick(&k, AF_INET, 80, 99), "10.0.0.10:99*1 10.0.0.1:99*6");
	kit_fini(&k);
}

static void not_well(void **state)
{
	struct overlay o;
	struct kit k;

	(void)state;
	overlay_init(&o);
	FILL(&k, LOCALITY_ANY, HOST("10.0.0.1", 1, 1), HOST("10.0.0.2", 1, 1), HOST("10.0.0.3", 1, 1, PRIO(1)));
	states = &o;
	assert_true(overlay_set(&o, SLICE_LIT("c|10.0.0.1|1"), HOST_UNHEALTHY, 0));
	assert_false(overlay_set(&o, SLICE_LIT("c|10.0.0.1|1"), HOST_UNHEALTHY, 0));
	assert_true(overlay_set(&o, SLICE_LIT("c|10.0.0.1|1"), HOST_EJECTED, 0));
	assert_string_equal(pick(&k, AF_INET, 80, 0), "10.0.0.1:1*0- 10.0.0.2:1*1");
	assert_true(overlay_set(&o, SLICE_LIT("c|10.0.0.2|1"), HOST_EJECTED, 0));
	assert_string_equal(pick(&k, AF_INET, 80, 0), "10.0.0.1:1*0- 10.0.0.2:1*0- 10.0.0.3:1*1");
	assert_true(overlay_set(&o, SLICE_LIT("c|10.0.0.1|1"), 0, HOST_EJECTED | HOST_UNHEALTHY));
	assert_int_equal(overlay_get(&o, SLICE_LIT("c|10.0.0.1|1")), 0);
	assert_string_equal(pick(&k, AF_INET, 80, 0), "10.0.0.1:1*1 10.0.0.2:1*0-");
	kit_fini(&k);
	states = NULL;
	overlay_fini(&o);
}

/* Fewer than the threshold are well: nobody's state counts. */
static void panic(void **state)
{
	struct overlay o;
	struct kit k;

	(void)state;
	overlay_init(&o);
	kit_init(&k);
	kit_cluster(&k, "c", LB_POLICY_RANDOM, LOCALITY_ANY);
	kit_panic(&k, "c", 50);
	for (unsigned i = 1; i <= 3; i++) {
		char ip[16];

		snprintf(ip, sizeof(ip), "10.0.0.%u", i);
		kit_host(&k, "c", &(struct kit_host)HOST(ip, 1, 1));
	}
	assert_true(kit_commit(&k));
	states = &o;
	overlay_set(&o, SLICE_LIT("c|10.0.0.1|1"), HOST_UNHEALTHY, 0);
	assert_string_equal(pick(&k, AF_INET, 80, 0), "10.0.0.1:1*0- 10.0.0.2:1*1 10.0.0.3:1*1");
	overlay_set(&o, SLICE_LIT("c|10.0.0.2|1"), HOST_UNHEALTHY, 0);
	assert_string_equal(pick(&k, AF_INET, 80, 0), "10.0.0.1:1*1 10.0.0.2:1*1 10.0.0.3:1*1");
	kit_fini(&k);
	states = NULL;
	overlay_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(effective_port),
		cmocka_unit_test(same_family_only),
		cmocka_unit_test(draining_and_weightless_keep_their_entry),
		cmocka_unit_test(lowest_priority_then_place),
		cmocka_unit_test(a_zone_belongs_to_its_region),
		cmocka_unit_test(equal_addresses_merge),
		cmocka_unit_test(not_well),
		cmocka_unit_test(panic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
