// SPDX-License-Identifier: Apache-2.0
/* Clusters that are named before anybody gives them, and that their giver takes back while others name them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/facts.h"
#include "model/store.h"

#define PUT(tx, f) store_put((tx), (struct fact *)(f))

static int setup(void **state)
{
	struct store *s = store_new();

	store_late(s, SLICE_LIT("config"));
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	store_free(*state);
	return 0;
}

/* Commits and ends; the words of the first refusal are kept until the next one. */
static const char *why(struct store_tx *tx)
{
	static char words[256];
	struct registry_verdict v;

	words[0] = '\0';
	if (!store_commit(tx, 1, &v))
		snprintf(words, sizeof(words), "%s", v.refused[0].why);
	store_end(tx);
	return words;
}

static struct store_tx *begin(struct store *s, const char *registry)
{
	return store_begin(s, slice_str(registry));
}

static const struct cluster_fact *cluster(struct store *s, const char *name)
{
	return (const struct cluster_fact *)store_fact(s, FACT_CLUSTER, slice_str(name));
}

static uint64_t absent(struct store *s)
{
	return stat_get(&store_stats(s)->absent);
}

static void name_web(struct store *s)
{
	struct store_tx *tx = begin(s, "config");

	PUT(tx, facts_route("r", "web"));
	assert_string_equal(why(tx), "");
}

static void give_web(struct store *s, const char *registry)
{
	struct store_tx *tx = begin(s, registry);

	PUT(tx, facts_cluster("web"));
	PUT(tx, facts_host("web", "10.0.0.1", 80));
	assert_string_equal(why(tx), "");
}

static void take_web(struct store *s, const char *registry)
{
	struct store_tx *tx = begin(s, registry);
	char key[64];
	struct ip ip;

	ip_parse(SLICE_LIT("10.0.0.1"), &ip);
	store_del(tx, FACT_CLUSTER, SLICE_LIT("web"));
	store_del(tx, FACT_HOST, host_key(key, SLICE_LIT("web"), &ip, 80));
	assert_string_equal(why(tx), "");
}

static void named_first_given_later(void **state)
{
	struct store *s = *state;

	name_web(s);
	assert_true(cluster(s, "web")->absent);
	assert_int_equal(absent(s), 1);
	give_web(s, "files");
	assert_false(cluster(s, "web")->absent);
	assert_int_equal(absent(s), 0);
	take_web(s, "files");
	assert_true(cluster(s, "web")->absent);
	assert_int_equal(absent(s), 1);
	/* Whoever gives it now. */
	give_web(s, "other");
	assert_false(cluster(s, "web")->absent);
}

static void given_first_named_later(void **state)
{
	struct store *s = *state;

	give_web(s, "files");
	name_web(s);
	assert_int_equal(absent(s), 0);
}

static void goes_with_the_last_name(void **state)
{
	struct store *s = *state;
	struct store_tx *tx;

	name_web(s);
	tx = begin(s, "config");
	PUT(tx, facts_route("r2", "web"));
	store_del(tx, FACT_ROUTE, SLICE_LIT("r"));
	assert_string_equal(why(tx), "");
	assert_true(cluster(s, "web")->absent);
	tx = begin(s, "config");
	store_del(tx, FACT_ROUTE, SLICE_LIT("r2"));
	assert_string_equal(why(tx), "");
	assert_null(cluster(s, "web"));
	assert_int_equal(absent(s), 0);
}

/* Two names at once, one of them in the very transaction that takes the cluster back for its own. */
static void taken_back_by_whom_it_names(void **state)
{
	struct store *s = *state;
	struct store_tx *tx = begin(s, "files");

	PUT(tx, facts_cluster("web"));
	PUT(tx, facts_route("own", "web"));
	assert_string_equal(why(tx), "");
	tx = begin(s, "files");
	store_del(tx, FACT_CLUSTER, SLICE_LIT("web"));
	assert_string_equal(why(tx), "cannot be deleted: route own (files all.yaml:3) still names it");
	name_web(s);
	tx = begin(s, "files");
	store_del(tx, FACT_CLUSTER, SLICE_LIT("web"));
	store_del(tx, FACT_ROUTE, SLICE_LIT("own"));
	assert_string_equal(why(tx), "");
	assert_true(cluster(s, "web")->absent);
}

static void what_is_not_late_is_refused(void **state)
{
	struct store *s = *state;
	struct store_tx *tx = begin(s, "files");

	PUT(tx, facts_route("r", "web"));
	assert_string_equal(why(tx), "rules[0].backends[0].cluster: no cluster \"web\": nobody has given one of that name");
	store_late(s, (struct slice){ NULL, 0 });
	tx = begin(s, "config");
	PUT(tx, facts_route("r", "web"));
	assert_string_equal(why(tx), "rules[0].backends[0].cluster: no cluster \"web\": nobody has given one of that name");
	assert_int_equal(absent(s), 0);
}

static void an_absent_one_has_no_hosts(void **state)
{
	struct store *s = *state;
	struct store_tx *tx;

	name_web(s);
	tx = begin(s, "files");
	PUT(tx, facts_host("web", "10.0.0.1", 80));
	assert_string_equal(why(tx), "cluster: no cluster \"web\": nobody has given one of that name");
	give_web(s, "files");
	tx = begin(s, "files");
	store_del(tx, FACT_CLUSTER, SLICE_LIT("web"));
	assert_string_equal(why(tx), "cannot be deleted: host web|10.0.0.1|80 (files all.yaml:2) still names it");
	assert_false(cluster(s, "web")->absent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(named_first_given_later, setup, teardown),
		cmocka_unit_test_setup_teardown(given_first_named_later, setup, teardown),
		cmocka_unit_test_setup_teardown(goes_with_the_last_name, setup, teardown),
		cmocka_unit_test_setup_teardown(taken_back_by_whom_it_names, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_late_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(an_absent_one_has_no_hosts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
