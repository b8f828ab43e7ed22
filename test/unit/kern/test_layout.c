/* SPDX-License-Identifier: Apache-2.0 */
/* On types made by hand: no privilege is needed. */
#include "kit.h"
#include <bpf/btf.h>
#include <string.h>
#include "kern/layout.h"
#include "kern/render.h"

struct types {
	struct btf *b;
	int u8, u16, u32, s32, addr16;
};

static void types_init(struct types *t)
{
	t->b = btf__new_empty();
	assert_non_null(t->b);
	t->u8 = btf__add_int(t->b, "__u8", 1, 0);
	t->u16 = btf__add_int(t->b, "__u16", 2, 0);
	t->u32 = btf__add_int(t->b, "__u32", 4, 0);
	t->s32 = btf__add_int(t->b, "__s32", 4, BTF_INT_SIGNED);
	int bytes = btf__add_array(t->b, t->u32, t->u8, 16);

	t->addr16 = btf__add_struct(t->b, "addr16", 16);
	btf__add_field(t->b, "b", bytes, 0, 0);
}

/* struct thing { addr16 addr; __u16 port; __u8 kind; __u8 pad; TYPE last; } */
static int thing(struct types *t, const char *second, int last)
{
	int id = btf__add_struct(t->b, "thing", 24);

	btf__add_field(t->b, "addr", t->addr16, 0, 0);
	btf__add_field(t->b, second, t->u16, 128, 0);
	btf__add_field(t->b, "kind", t->u8, 144, 0);
	btf__add_field(t->b, "pad", t->u8, 152, 0);
	btf__add_field(t->b, "last", last, 160, 0);
	return id;
}

static uint64_t hash(struct types *t, int id)
{
	return layout_type(t->b, (uint32_t)id);
}

static void same_members_same_hash(void **state)
{
	(void)state;
	struct types t;

	types_init(&t);
	int a = thing(&t, "port", t.u32), b = thing(&t, "port", t.u32), alias = btf__add_typedef(t.b, "word", t.u32);

	assert_true(hash(&t, a) && hash(&t, a) == hash(&t, b));
	assert_true(hash(&t, thing(&t, "port", alias)) == hash(&t, a));
	assert_true(hash(&t, btf__add_const(t.b, a)) == hash(&t, a));
	btf__free(t.b);
}

static void a_change_of_any_member_shows(void **state)
{
	(void)state;
	struct types t;

	types_init(&t);
	uint64_t a = hash(&t, thing(&t, "port", t.u32));
	int two = btf__add_array(t.b, t.u32, t.u16, 2), four = btf__add_array(t.b, t.u32, t.u16, 4);

	assert_true(hash(&t, thing(&t, "target", t.u32)) != a);
	assert_true(hash(&t, thing(&t, "port", t.addr16)) != a);
	assert_true(hash(&t, thing(&t, "port", two)) != a);
	assert_true(hash(&t, thing(&t, "port", two)) != hash(&t, thing(&t, "port", four)));
	btf__free(t.b);
}

static void sizes_and_types_count(void **state)
{
	(void)state;
	struct layout a = { 1, 4, 8, 100, 0, 5, 6 }, b = a;

	assert_true(layout_same(&a, &b));
	b.max_entries = 200;
	assert_false(layout_same(&a, &b));
	assert_true(layout_same_entries(&a, &b));
	b.value_size = 16;
	assert_false(layout_same_entries(&a, &b));
	b = a;
	b.value = 7;
	assert_false(layout_same(&a, &b));
	b.value = 0;                                    /* the kernel keeps no types of this map */
	assert_true(layout_same(&a, &b));
	b = a;
	b.flags = 1;
	assert_false(layout_same(&a, &b));
}

static void values_read_as_json(void **state)
{
	(void)state;
	struct types t;
	struct {
		uint8_t addr[16];
		uint16_t port;
		uint8_t kind, pad;
		int32_t last;
	} v = { { [10] = 0xff, 0xff, 10, 96, 0, 1 }, 80, 6, 99, -5 };

	types_init(&t);
	json_t *j = render_type(t.b, (uint32_t)thing(&t, "port", t.s32), &v);
	char *text = json_dumps(j, JSON_COMPACT);

	assert_string_equal(text, "{\"addr\":\"10.96.0.1\",\"port\":80,\"kind\":6,\"last\":-5}");
	free(text);
	json_decref(j);
	v.addr[0] = 0xfd;
	j = render_type(t.b, (uint32_t)t.addr16, &v);
	assert_string_equal(json_string_value(j), "fd00::ffff:a60:1");
	json_decref(j);
	int three = btf__add_array(t.b, t.u32, t.u16, 3);

	j = render_type(t.b, (uint32_t)three, (uint16_t[]){ 1, 2, 65535 });
	text = json_dumps(j, JSON_COMPACT);
	assert_string_equal(text, "[1,2,65535]");
	free(text);
	json_decref(j);
	btf__free(t.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_members_same_hash),
		cmocka_unit_test(a_change_of_any_member_shows),
		cmocka_unit_test(sizes_and_types_count),
		cmocka_unit_test(values_read_as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
