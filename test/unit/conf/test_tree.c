// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct reading {
	struct conf_errors errors;
	struct conf_source *s;
	const struct conf_node *root;
};

static void begin(struct reading *r, const char *text)
{
	*r = (struct reading){ 0 };
	r->s = conf_open_text(slice_str(text), SLICE_LIT("f"), &r->errors);
	assert_int_equal(conf_next(r->s, &r->root), 1);
}

static void end(struct reading *r)
{
	conf_close(r->s);
	conf_errors_fini(&r->errors);
}

static void members_keep_kind_text_and_place(void **state)
{
	struct reading r;
	const struct conf_node *n;

	(void)state;
	begin(&r, "a: 1\nb: [x, 'null', null]\nc:\n  d: \"two\\nlines\"\n");
	assert_int_equal(r.root->kind, CONF_MAPPING);
	assert_int_equal(r.root->n, 3);
	n = conf_member(r.root, "b");
	assert_int_equal(n->kind, CONF_SEQUENCE);
	assert_int_equal(n->line, 2);
	assert_int_equal(n->column, 1);
	assert_int_equal(n->n, 3);
	assert_int_equal(n->first->next->kind, CONF_SCALAR);
	assert_true(n->first->next->quoted);
	assert_int_equal(n->first->next->next->kind, CONF_NULL);
	n = conf_member(conf_member(r.root, "c"), "d");
	assert_int_equal(n->line, 4);
	assert_int_equal(n->column, 3);
	assert_true(slice_eq_str(conf_text(n), "two\nlines"));
	assert_null(conf_member(r.root, "z"));
	assert_null(conf_member(n, "d"));
	assert_int_equal(conf_text(r.root).n, 0);
	end(&r);
}

static void json_is_yaml(void **state)
{
	struct reading r;

	(void)state;
	begin(&r, "{\"a\": [1, 2.5, true, null, \"x\\u00e9\"], \"b\": {}}");
	assert_int_equal(conf_member(r.root, "a")->n, 5);
	assert_true(slice_eq_str(conf_member(r.root, "a")->first->next->text, "2.5"));
	assert_int_equal(conf_member(r.root, "b")->kind, CONF_MAPPING);
	end(&r);
}

static void documents_come_one_by_one(void **state)
{
	struct reading r;

	(void)state;
	begin(&r, "---\na: 1\n---\n---\n# nothing\n...\n---\nb: 2\n");
	assert_non_null(conf_member(r.root, "a"));
	assert_int_equal(conf_next(r.s, &r.root), 1);
	assert_non_null(conf_member(r.root, "b"));
	assert_int_equal(conf_member(r.root, "b")->line, 8);
	assert_int_equal(conf_next(r.s, &r.root), 0);
	assert_null(r.root);
	end(&r);
}

static void a_second_document_is_seen(void **state)
{
	struct reading r;

	(void)state;
	begin(&r, "a: 1\n---\nb: 2\n");
	assert_int_equal(conf_end(r.s), -EINVAL);
	assert_string_equal(r.errors.text[0], "f:2: a second document begins here, want one");
	assert_non_null(conf_member(r.root, "a"));
	end(&r);
	begin(&r, "a: 1\n...\n# done\n");
	assert_int_equal(conf_end(r.s), 0);
	end(&r);
}

static void aliases_share_what_they_name(void **state)
{
	struct reading r;
	const struct conf_node *b;

	(void)state;
	begin(&r, "a: &x {k: [1, 2]}\nb: *x\nc: *x\n");
	b = conf_member(r.root, "b");
	assert_int_equal(b->line, 2);
	assert_ptr_equal(b->first, conf_member(r.root, "a")->first);
	assert_true(slice_eq_str(b->key, "b"));
	assert_true(slice_eq_str(conf_member(r.root, "c")->key, "c"));
	end(&r);
}

static void nothing_is_no_document(void **state)
{
	(void)state;
	kit_tree_says("", 0, "");
	kit_tree_says("\n# words\n", 9, "");
	kit_tree_says("---\n---\n", 8, "");
	kit_tree_says("\xef\xbb\xbf", 3, "");
}

static void byte_order_mark_and_crlf(void **state)
{
	struct reading r;

	(void)state;
	begin(&r, "\xef\xbb\xbf"
		  "a: 1\r\nb:\r\n- x\r\n- y\r\n");
	assert_true(slice_eq_str(conf_member(r.root, "a")->text, "1"));
	assert_int_equal(conf_member(r.root, "b")->n, 2);
	assert_true(slice_eq_str(conf_member(r.root, "b")->first->next->text, "y"));
	assert_int_equal(conf_member(r.root, "b")->first->next->line, 4);
	end(&r);
}

static void what_is_wrong_is_said_with_its_line(void **state)
{
	static const struct bad bad[] = {
		{ "a: 1\n\tb: 2\n", "f:2: not YAML: a tab indents this line, want spaces" },
		{ "a: {b: 1\n", "f:2: not YAML: did not find expected ',' or '}', while parsing a flow mapping" },
		{ "a: \"x\n", "f:2: not YAML: found unexpected end of stream, while scanning a quoted scalar" },
		{ "a: 1\nb: 2\na: 3\n", "f:3: \"a\" is given twice, first in line 1" },
		{ "{x: {k: 1, k: 2}}", "f:1: \"k\" is given twice, first in line 1" },
		{ "? [a, b]\n: 1\n", "f:1: a key of a mapping must be text" },
		{ "? {a: b}\n: 1\n", "f:1: a key of a mapping must be text" },
		{ "a: 1\nb: *nobody\n", "f:2: alias *nobody names no anchor above it" },
		{ "a: &x\n- *x\n", "f:2: alias *x stands inside its own anchor" },
		{ "a: !!binary aGk=\n", "f:1: tag tag:yaml.org,2002:binary is not used here" },
		{ "a: !mine {}\n", "f:1: tag !mine is not used here" },
		{ "a: b: c\n", "f:1: not YAML: mapping values are not allowed in this context" },
		{ "a: 1\nb: \xff\xfe\n", "f:2: not text: invalid leading UTF-8 octet (byte 8), want UTF-8" },
		{ "a: 1\n\x01\n", "f:2: not text: control characters are not allowed (byte 5), want UTF-8" },
		{ "good: 1\n---\nbad: [\n", "f:4: not YAML: did not find expected node content, while parsing a flow node" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		kit_tree_says(bad[i].text, strlen(bad[i].text), bad[i].says);
}

/* More than sixteen keys take the other way of comparing. */
static void many_keys_are_compared_too(void **state)
{
	char text[4096];
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		n += sprintf(text + n, "key%d: 1\n", i);
	kit_tree_says(text, n, "");
	n += sprintf(text + n, "key41: 2\n");
	kit_tree_says(text, n, "f:101: \"key41\" is given twice, first in line 42");
}

static void nesting_has_a_bound(void **state)
{
	char text[512];

	(void)state;
	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	kit_tree_says(text, 128, "");
	memset(text, '[', 65);
	memset(text + 65, ']', 65);
	kit_tree_says(text, 130, "f:1: nested deeper than 64");
}

/* Ten levels of ten aliases each: a file of half a kilobyte that stands for ten thousand million values. */
static void alias_bombs_do_not_go_off(void **state)
{
	char text[2048];
	size_t n = sprintf(text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");

	(void)state;
	for (int i = 1; i < 10; i++) {
		n += sprintf(text + n, "a%d: &a%d [", i, i);
		for (int j = 0; j < 10; j++)
			n += sprintf(text + n, "%s*a%d", j ? ", " : "", i - 1);
		n += sprintf(text + n, "]\n");
	}
	kit_tree_says(text, n, "f:5: the aliases of this document stand for more than 65536 values");
}

static void a_mebibyte_of_garbage(void **state)
{
	const size_t n = 1 << 20;
	char *text = malloc(n);
	unsigned x = 12345;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		x = x * 1103515245 + 12345;
		text[i] = (char)(x >> 16);
	}
	text[0] = 'a';
	text[1] = (char)0xff;
	kit_tree_says(text, n, "f:1: not text: invalid leading UTF-8 octet (byte 1), want UTF-8");
	memset(text, 'a', n);
	kit_tree_says(text, n, "");
	memset(text, '-', n);
	kit_tree_says(text, n, "");
	memset(text, '[', n);
	kit_tree_says(text, n, "f:1: nested deeper than 64");
	memset(text, 0, n);
	kit_tree_says(text, n, "f:1: not text: control characters are not allowed (byte 0), want UTF-8");
	free(text);
}

static void too_large_is_refused_at_once(void **state)
{
	(void)state;
	kit_tree_says("a: 1", CONF_FILE_MAX + 1ul, "f:1: larger than 64 MiB");
}

static void slurp_reads_regular_files_only(void **state)
{
	struct err e = { 0 };
	char *text;
	size_t n;

	(void)state;
	assert_int_equal(conf_slurp("/dev/zero", &text, &n, &e), -EINVAL);
	assert_string_equal(err_text(&e), "/dev/zero: not a regular file");
	err_clear(&e);
	assert_int_equal(conf_slurp("/nowhere/x", &text, &n, &e), -ENOENT);
	assert_string_equal(err_text(&e), "cannot open /nowhere/x: No such file or directory");
	assert_null(text);
	assert_int_equal(conf_slurp("/proc/self/exe", &text, &n, NULL), 0);
	assert_memory_equal(text, "\177ELF", 4);
	assert_int_equal(text[n], 0);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_keep_kind_text_and_place),
		cmocka_unit_test(json_is_yaml),
		cmocka_unit_test(documents_come_one_by_one),
		cmocka_unit_test(a_second_document_is_seen),
		cmocka_unit_test(aliases_share_what_they_name),
		cmocka_unit_test(nothing_is_no_document),
		cmocka_unit_test(byte_order_mark_and_crlf),
		cmocka_unit_test(what_is_wrong_is_said_with_its_line),
		cmocka_unit_test(many_keys_are_compared_too),
		cmocka_unit_test(nesting_has_a_bound),
		cmocka_unit_test(alias_bombs_do_not_go_off),
		cmocka_unit_test(a_mebibyte_of_garbage),
		cmocka_unit_test(too_large_is_refused_at_once),
		cmocka_unit_test(slurp_reads_regular_files_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
