// SPDX-License-Identifier: Apache-2.0
/* Clusters that settings of filters name, wherever they stand in them. */
#include "kit.h"

#include "base/extensions.h"
#include "conf/extension_rows.h"
#include "model/fact.h"

struct one {
	struct slice cluster;
};

struct asking {
	struct slice first, maybe;
	struct conf_list more, in;
	struct one inner;
};

static const struct conf_item one_rows[] = {
	CONF_ITEM(struct one, cluster, "cluster", CLUSTER, .help = "who is asked"), CONF_END
};
static const struct conf_item asking_rows[] = {
	CONF_ITEM(struct asking, first, "first", CLUSTER, .required = true, .help = "who is asked first"),
	CONF_ITEM(struct asking, maybe, "maybe", CLUSTER, .help = "who may be asked"),
	CONF_ITEMS(struct asking, more, "more", CLUSTER, struct slice, .help = "others"),
	CONF_ITEMS(struct asking, in, "in", STRUCT, struct one, .rows = one_rows, .help = "others, each in a mapping"),
	CONF_ITEM(struct asking, inner, "inner", STRUCT, .rows = one_rows, .help = "the last one"),
	CONF_END
};

static const struct filter_ops asker = {
	.name = "asker",
	.listener = { .items = asking_rows, .size = sizeof(struct asking) },
	.route = { .items = one_rows, .size = sizeof(struct one) },
};
static const struct net_filter_ops net_asker = { .name = "net-asker", .conf = one_rows, .conf_size = sizeof(struct one) };

#define CLUSTERS "clusters: [{name: a}, {name: b}, {name: c}, {name: d}, {name: e}]\n"
#define LISTENER(filters) "listeners:\n- {name: l, address: \"127.0.0.1:80\", " filters ", routes: [{rules: [{backends: [{cluster: a}]}]}]}\n"

static void names(const struct extension_use *u, const char *wanted)
{
	char text[64] = "";

	for (size_t i = 0; i < u->nclusters; i++)
		strncat(text, u->clusters[i].p, u->clusters[i].n);
	assert_string_equal(text, wanted);
}

static void wherever_they_stand(void **state)
{
	struct config *c = kit_config(LISTENER("netFilters: [{type: net-asker, cluster: e}], filters: [{type: asker, first: c, "
					       "more: [b, d], in: [{cluster: a}, {}], inner: {cluster: e}}]") CLUSTERS);
	const struct listener *l = (const struct listener *)kit_find(c, FACT_LISTENER, "l");

	(void)state;
	names(l->filters, "cbdae");
	names(l->net_filters, "e");
	config_free(c);
}

static void of_a_rule(void **state)
{
	struct config *c = kit_config("routes:\n- {name: r, rules: [{filters: [{type: asker, cluster: b}], backends: [{cluster: a}]}, "
				      "{filters: [{type: asker}], backends: [{cluster: a}]}]}\n" CLUSTERS);
	const struct route *r = (const struct route *)kit_find(c, FACT_ROUTE, "r");

	(void)state;
	names(r->rules[0].filters, "b");
	names(r->rules[1].filters, "");
	config_free(c);
}

static void what_is_wrong(void **state)
{
	static const struct bad v[] = {
		{ LISTENER("filters: [{type: asker}]"), "f:2: listeners[0].filters[0]: first is missing" },
		{ LISTENER("filters: [{type: asker, first: \"\"}]"), "f:2: listeners[0].filters[0]: first is empty" },
		{ LISTENER("filters: [{type: asker, first: [a]}]"),
		  "f:2: listeners[0].filters[0].first: want the name of a cluster, not a list\n"
		  "f:2: listeners[0].filters[0]: first is empty" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		kit_config_says(v[i].text, v[i].says);
}

static int set_up(void **state)
{
	(void)state;
	return extension_add(EXTENSION_filter, &asker) || extension_add(EXTENSION_net_filter, &net_asker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wherever_they_stand),
		cmocka_unit_test(of_a_rule),
		cmocka_unit_test(what_is_wrong),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
