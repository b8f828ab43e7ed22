// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "conf/settings.h"

struct deep {
	struct slice name;
	uint32_t burst;
	bool open;
	double share;
	uint64_t per;
	struct conf_list words;
	struct pair_list labels;
	struct inner {
		int64_t low;
	} inner;
	char *made;
};

static const struct conf_item inner_rows[] = {
	CONF_ITEM(struct inner, low, "low", INT, .min = -5, .max = 5, .dflt = "1"), CONF_END
};
static const struct conf_item deep_rows[] = {
	CONF_ITEM(struct deep, name, "name", STRING, .required = true, .max = 100),
	CONF_ITEM(struct deep, burst, "burst", INT, .dflt = "7"),
	CONF_ITEM(struct deep, open, "open", BOOL),
	CONF_ITEM(struct deep, share, "share", PERCENT),
	CONF_ITEM(struct deep, per, "per", DURATION, .dflt = "1s"),
	CONF_ITEMS(struct deep, words, "words", STRING, struct slice),
	CONF_ITEM(struct deep, labels, "labels", MAP),
	CONF_ITEM(struct deep, inner, "inner", STRUCT, .rows = inner_rows),
	CONF_END
};

static int finis;

static int deep_init(void *conf, struct err *e)
{
	struct deep *d = conf;

	d->made = strdup("made");
	return d->burst == 13 ? err_add(e, -EINVAL, "burst: 13 is bad luck") : 0;
}

static void deep_fini(void *conf)
{
	free(((struct deep *)conf)->made);
	finis++;
}

static const struct settings_kind deep_kind = { deep_rows, sizeof(struct deep), deep_init, deep_fini };

/* The canonical text of a YAML mapping; free(3). */
static char *text_of(const char *yaml)
{
	struct conf_errors errors = { 0 };
	struct conf_source *s = conf_open_text(slice_str(yaml), SLICE_LIT("t.yaml"), &errors);
	const struct conf_node *root = NULL;
	struct arena a = { 0 };
	struct slice text;
	char *out;

	assert_int_equal(conf_next(s, &root), 1);
	text = settings_text(&a, root, "type");
	assert_int_equal(strlen(text.p), text.n);
	out = strdup(text.p);
	conf_close(s);
	arena_fini(&a);
	conf_errors_fini(&errors);
	return out;
}

static void settings_are_one_line_of_json(void **state)
{
	static const char *const rows[][2] = {
		{ "{type: x, b: 1, a: 'two'}", "{\"a\":\"two\",\"b\":1}" },
		{ "type: x\nopen: true\nquoted: 'true'\nnone: ~\nper: 5s\nshare: 0.1\n",
		  "{\"none\":null,\"open\":true,\"per\":\"5s\",\"quoted\":\"true\",\"share\":\"0.1\"}" },
		{ "{l: [b, a, {type: y, a: -3}], e: [], m: {}}", "{\"e\":[],\"l\":[\"b\",\"a\",{\"a\":-3,\"type\":\"y\"}],\"m\":{}}" },
		{ "t: \"a\\\"b\\\\c\\n\\u2028\\u0085\\x7f\"", "{\"t\":\"a\\\"b\\\\c\\u000a\\u2028\\u0085\\u007f\"}" },
		{ "t: \"\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82\"", "{\"t\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82\"}" },
		{ "{}", "{}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = text_of(rows[i][0]);

		assert_string_equal(got, rows[i][1]);
		free(got);
	}
}

static void what_was_written_is_read_by_the_same_rows(void **state)
{
	char *text = text_of("{type: x, name: \"a\\n\\u2028b\\\"\", burst: 9, open: true, share: 0.5, per: 250ms, words: [\"1\", two],\n"
			     " labels: {k: v}, inner: {low: -3}}");
	struct err e = { 0 };
	struct settings *s = settings_new(&deep_kind, slice_str(text), &e);
	const struct deep *d;

	(void)state;
	assert_non_null(s);
	d = settings_conf(s);
	assert_true(slice_eq_str(d->name, "a\n\xe2\x80\xa8" "b\""));
	assert_int_equal(d->burst, 9);
	assert_true(d->open);
	assert_true(d->share == 0.5);
	assert_int_equal(d->per, 250000000);
	assert_int_equal(d->words.n, 2);
	assert_true(slice_eq_str(((const struct slice *)d->words.v)[0], "1"));
	assert_int_equal(d->labels.n, 1);
	assert_int_equal(d->inner.low, -3);
	assert_string_equal(d->made, "made");
	finis = 0;
	settings_free(s);
	assert_int_equal(finis, 1);
	free(text);
}

static void defaults_alone_are_an_empty_text(void **state)
{
	static const struct settings_kind kind = { inner_rows, sizeof(struct inner), NULL, NULL };
	static const struct settings_kind nothing = { NULL, 0, NULL, NULL };
	struct err e = { 0 };
	struct settings *s = settings_new(&kind, (struct slice){ 0 }, &e);

	(void)state;
	assert_non_null(s);
	assert_int_equal(((const struct inner *)settings_conf(s))->low, 1);
	settings_free(s);
	s = settings_new(&nothing, SLICE_LIT("{}"), &e);
	assert_non_null(s);
	assert_non_null(settings_conf(s));
	settings_free(s);
	settings_free(NULL);
}

static void what_is_wrong_is_said(void **state)
{
	static const char *const rows[][2] = {
		{ "", "name is missing" },
		{ "{\"name\":\"a\",\"inner\":{\"low\":9}}", "inner.low: 9 is out of range" },
		{ "{\"name\":\"a\",\"burts\":9}", "burts: no such field, did you mean burst?" },
		{ "{\"name\":\"a\",\"burst\":13}", "burst: 13 is bad luck" },
		{ "{\"name\":", "settings:2: not YAML" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = { 0 };

		finis = 0;
		assert_null(settings_new(&deep_kind, slice_str(rows[i][0]), &e));
		if (!strstr(err_text(&e), rows[i][1]))
			fail_msg("%s", err_text(&e));
		assert_int_equal(finis, i == 3 ? 1 : 0);
	}
}

static void a_try_leaves_nothing(void **state)
{
	struct deep d = { .burst = 13 };
	struct err e = { 0 };

	(void)state;
	finis = 0;
	assert_int_equal(settings_try(&deep_kind, &d, &e), -EINVAL);
	d.burst = 1;
	assert_int_equal(settings_try(&deep_kind, &d, &e), 0);
	assert_int_equal(finis, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_are_one_line_of_json),
		cmocka_unit_test(what_was_written_is_read_by_the_same_rows),
		cmocka_unit_test(defaults_alone_are_an_empty_text),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(a_try_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
