// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include "conf/dump.h"

static void the_settings_in_force_are_shown(void **state)
{
	struct config *c = kit_config("node: {name: n1, labels: {a: b}}\n"
				      "workers: 3\n"
				      "kernel: {mode: off, shortCircuit: {enabled: true, keepalive: 90s}}\n"
				      "registries: [{name: files, type: file, path: /x}]\n"
				      "clusters: [{name: c}]\n");
	json_t *j = config_dump(c);
	char *text = json_dumps(j, JSON_COMPACT);

	(void)state;
	assert_string_equal(
		text,
		"{\"node\":{\"name\":\"n1\",\"locality\":{\"region\":\"\",\"zone\":\"\"},\"labels\":{\"a\":\"b\"}},"
		"\"workers\":3,\"admin\":{\"address\":\"127.0.0.1:15000\",\"socket\":\"/run/weft/admin.sock\"},"
		"\"kernel\":{\"mode\":\"off\",\"cgroup\":\"auto\",\"connect\":true,"
		"\"shortCircuit\":{\"enabled\":true,\"maxOutstanding\":\"1MiB\",\"assumeNoSplice\":false,"
		"\"unmanaged\":false,\"keepalive\":\"90s\"},"
		"\"maps\":{\"frontends\":65536,\"services\":65536,\"backends\":262144,\"slots\":2097152,"
		"\"sockets\":262144,\"affinity\":65536,\"workloads\":16384}},"
		"\"registries\":[{\"name\":\"files\",\"type\":\"file\",\"path\":\"/x\",\"burst\":7}],\"plugins\":[],\"telemetry\":{\"accessLog\":[]},"
		"\"proxy\":{\"namespaces\":1024,\"spin\":\"off\",\"drain\":\"5s\"},"
		"\"overload\":{\"memory\":\"0\",\"connections\":0,\"descriptors\":0,\"soft\":80,\"hard\":95},"
		"\"logging\":{\"level\":\"info\"}}");
	free(text);
	json_decref(j);
	config_free(c);
}

/* What is shown, read again, is the same: JSON is YAML. */
static void what_is_shown_can_be_read(void **state)
{
	struct config *c = kit_config("workers: auto\nregistries: [{name: files, type: file, path: \"/x y\", burst: 9}]\n"
				      "admin: {address: \"[::1]:1\"}\nkernel: {shortCircuit: {enabled: false}}\n");
	json_t *j = config_dump(c), *again;
	char *text = json_dumps(j, JSON_INDENT(1));

	(void)state;
	config_free(c);
	c = kit_config(text);
	again = config_dump(c);
	assert_true(json_equal(j, again));
	free(text);
	json_decref(j);
	json_decref(again);
	config_free(c);
}

static void every_type_is_shown(void **state)
{
	static const char *const words[] = { "one", "two", NULL };
	struct all {
		struct ip ip;
		double percent, half;
		struct conf_list list, sizes;
		uint8_t word;
	};
	static const struct conf_item rows[] = {
		CONF_ITEM(struct all, ip, "ip", IP, .dflt = "::1"),
		CONF_ITEM(struct all, percent, "percent", PERCENT, .dflt = "3%"),
		CONF_ITEM(struct all, half, "half", PERCENT),
		CONF_ITEMS(struct all, list, "list", ADDRESS, struct conf_address),
		CONF_ITEMS(struct all, sizes, "sizes", SIZE, uint64_t),
		CONF_ITEM(struct all, word, "word", ENUM, .names = words, .dflt = "two"),
		CONF_END
	};
	struct conf_errors errors = { 0 };
	struct conf_source *s = conf_open_text(SLICE_LIT("{half: 0.5%, list: [10.0.0.1, \"10.0.0.2:3\"], sizes: [1KiB]}"),
					       SLICE_LIT("f"), &errors);
	const struct conf_node *root;
	struct arena arena;
	struct conf_reader r = { .arena = &arena, .errors = &errors, .file = SLICE_LIT("f") };
	struct all all = { 0 };
	json_t *j;
	char *text;

	(void)state;
	arena_init(&arena);
	assert_int_equal(conf_next(s, &root), 1);
	assert_int_equal(conf_decode(&r, rows, root, &all), 0);
	j = conf_dump(rows, &all);
	text = json_dumps(j, JSON_COMPACT);
	assert_string_equal(text, "{\"ip\":\"::1\",\"percent\":3,\"half\":0.5,\"list\":[\"10.0.0.1\",\"10.0.0.2:3\"],"
				  "\"sizes\":[\"1KiB\"],\"word\":\"two\"}");
	free(text);
	json_decref(j);
	conf_close(s);
	arena_fini(&arena);
	conf_errors_fini(&errors);
}

static void the_page_has_every_field(void **state)
{
	struct buf out;
	struct slice all;

	(void)state;
	buf_init(&out);
	config_docs(&out, kit_choices);
	all = buf_pull(&out, out.len);
	assert_non_null(all.p);
	assert_non_null(memmem(all.p, all.n, "\n## kernel.shortCircuit\n", 24));
	assert_non_null(memmem(all.p, all.n, "\n## clusters[].endpoints[].locality\n", 36));
	assert_non_null(memmem(all.p, all.n, "\n## registries[] with type: file\n", 33));
	assert_non_null(memmem(all.p, all.n, "| `burst` | a whole number from 1 to 100 | `7` | a number |\n", 59));
	assert_non_null(memmem(all.p, all.n, "| `kernel.xdp` |", 16));
	/* A row without words would be an empty cell. */
	assert_null(memmem(all.p, all.n, "|  |\n", 5));
	assert_null(memmem(all.p, all.n, "(null)", 6));
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_settings_in_force_are_shown),
		cmocka_unit_test(what_is_shown_can_be_read),
		cmocka_unit_test(every_type_is_shown),
		cmocka_unit_test(the_page_has_every_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
