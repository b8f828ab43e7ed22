// SPDX-License-Identifier: Apache-2.0
/* What deploy/examples shows is what this build accepts. Run from the top of the tree, as the runner does. */
#include "kit.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

extern const struct registry_ops registry_file;

static void every_main_file_is_good(void **state)
{
	const struct conf_choice choices[] = {
		{ .name = registry_file.name, .rows = registry_file.conf, .size = registry_file.conf_size,
		  .check = registry_file.check, .ops = &registry_file },
		{ .name = NULL },
	};
	struct registry_verdict v;
	glob_t files;

	(void)state;
	assert_int_equal(glob("deploy/examples/*.yaml", 0, NULL, &files), 0);
	assert_true(files.gl_pathc >= 3);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct conf_errors errors = { 0 };
		struct store *s = store_new();
		struct store_tx *tx = store_begin(s, SLICE_LIT(CONFIG_REGISTRY));
		struct config *c;

		if (config_load(files.gl_pathv[i], choices, &c, &errors))
			fail_msg("%s", errors.text[0]);
		for (size_t f = 0; f < c->nfacts; f++)
			store_put(tx, fact_hold(c->facts[f]));
		if (!store_commit(tx, 1, &v))
			fail_msg("%s: %s", files.gl_pathv[i], v.refused[0].why);
		store_end(tx);
		config_free(c);
		store_free(s);
	}
	globfree(&files);
}

static void every_file_of_services_d_is_good(void **state)
{
	struct world *w = *state;
	char *here = realpath("deploy/examples/services.d", NULL);

	assert_non_null(here);
	assert_true(strlen(here) < sizeof(w->path));
	strcpy(w->path, here);
	free(here);
	world_start(w, NULL);
	assert_string_equal(world_health(w), "");
	assert_true(world_has(w, FACT_HOST, "web|10.0.0.7|0"));
	assert_true(world_has(w, FACT_HOST, "dns-udp|10.0.0.54|53"));
	assert_true(world_has(w, FACT_HOST, "orders.shop:http|10.0.1.5|8080"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_main_file_is_good),
		cmocka_unit_test_setup_teardown(every_file_of_services_d_is_good, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
