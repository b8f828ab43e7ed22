/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "base/extensions.h"
#include "weft/str.h"

static void kinds_are_apart(void **state)
{
	static const struct lb_ops a = { .name = "a" }, b = { .name = "b" }, again = { .name = "a" };
	static const struct registry_ops r = { .name = "a" };
	struct err e = { 0 };

	(void)state;
	assert_null(extension_find(EXTENSION_lb, SLICE_LIT("a")));
	assert_int_equal(extension_unknown(EXTENSION_lb, SLICE_LIT("x"), "own", &e), -EINVAL);
	assert_string_equal(err_text(&e), "want one of: own; not x");
	assert_int_equal(extension_add(EXTENSION_lb, &a), 0);
	assert_int_equal(extension_add(EXTENSION_lb, &b), 0);
	assert_int_equal(extension_add(EXTENSION_lb, &again), -EEXIST);
	assert_int_equal(extension_add(EXTENSION_registry, &r), 0);
	assert_ptr_equal(extension_find(EXTENSION_lb, SLICE_LIT("a")), &a);
	assert_ptr_equal(extension_find(EXTENSION_registry, SLICE_LIT("a")), &r);
	assert_null(extension_find(EXTENSION_lb, SLICE_LIT("ab")));
	assert_true(extensions.lbs[0] == &a && extensions.lbs[1] == &b && !extensions.lbs[2] && extensions.registries[0] == &r);
	err_clear(&e);
	extension_unknown(EXTENSION_lb, SLICE_LIT("x"), "bb, a", &e);
	assert_string_equal(err_text(&e), "want one of: bb, a, b; not x");
}

static void there_is_an_end_of_room(void **state)
{
	static struct filter_ops all[EXTENSIONS_MAX + 1];
	static char names[EXTENSIONS_MAX + 1][8];

	(void)state;
	for (unsigned i = 0; i <= EXTENSIONS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "f%u", i);
		all[i].name = names[i];
		assert_int_equal(extension_room(EXTENSION_filter), EXTENSIONS_MAX - i);
		assert_int_equal(extension_add(EXTENSION_filter, &all[i]), i < EXTENSIONS_MAX ? 0 : -ENOSPC);
	}
	assert_null(extensions.filters[EXTENSIONS_MAX]);
}

static void a_plugin_lists_what_it_brings(void **state)
{
	static const struct lb_ops a = { .name = "a" };
	static const struct lb_ops *const lbs[] = { &a, NULL };
	static const struct weft_plugin p = { .lbs = lbs };

	(void)state;
	assert_ptr_equal(extension_of(&p, EXTENSION_lb, 0), &a);
	assert_null(extension_of(&p, EXTENSION_lb, 1));
	assert_null(extension_of(&p, EXTENSION_filter, 0));
	assert_string_equal(extension_name(&a), "a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_are_apart),
		cmocka_unit_test(there_is_an_end_of_room),
		cmocka_unit_test(a_plugin_lists_what_it_brings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
