// SPDX-License-Identifier: Apache-2.0
/* JSON into the body of a call by declared types, and values into JSON; what is refused, and with which words. */
#include "json_kit.h"

#include <errno.h>

#include "proto/json_rpc.h"

#define TAIL "48 04'path' 01'S' 09'interface' 01'S' 5a"

/* One argument of this type. */
static int request(const char *type, const char *json, struct buf *out, char *why)
{
	struct json_argument a = { .name = SLICE_LIT("arg"), .type = slice_str(type) };
	struct json_method m = { .service = SLICE_LIT("S"), .name = SLICE_LIT("m"), .arguments = &a, .n = 1 };

	return json_dubbo_request(&m, slice_str(json), out, why, 200);
}

static void test_types(void **state)
{
	static const struct {
		const char *type, *json, *hex; /* descriptor and value */
	} t[] = {
		{ "int", "[7]", "01'I' 97" },
		{ "long", "[7]", "01'J' e7" },
		{ "long", "[9223372036854775807]", "01'J' 4c 7fffffffffffffff" },
		{ "short", "[-32768]", "01'S' d3 8000" },
		{ "byte", "[-128]", "01'B' c7 80" },
		{ "double", "[1]", "01'D' 5c" },
		{ "float", "[1.5]", "01'F' 44 3ff8000000000000" },
		{ "boolean", "[true]", "01'Z' 54" },
		{ "char", "[\"x\"]", "01'C' 01'x'" },
		{ "java.lang.Integer", "[null]", "13'Ljava/lang/Integer;' 4e" },
		{ "java.lang.String", "{\"arg\": \"hi\"}", "12'Ljava/lang/String;' 02'hi'" },
		{ "java.lang.String", "[\"\xf0\x9f\x98\x80\"]", "12'Ljava/lang/String;' 02 ed a0 bd ed b8 80" },
		{ "java.util.Date", "[1000]", "10'Ljava/util/Date;' 4a 00000000000003e8" },
		{ "java.util.List", "[[1, \"a\", [null]]]", "10'Ljava/util/List;' 7b 91 01'a' 79 4e" },
		{ "java.util.Map", "[{\"k\": 2147483648}]", "0f'Ljava/util/Map;' 48 01'k' 4c 00000000 80000000 5a" },
		{ "java.lang.Object", "[false]", "12'Ljava/lang/Object;' 46" },
		{ "int[]", "[[1, 2]]", "02'[I' 72 04'[int' 91 92" },
		{ "java.lang.String[]", "[[\"a\"]]", "13'[Ljava/lang/String;' 71 07'[string' 01'a'" },
		{ "long[][]", "[[[1]]]", "03'[[J' 71 06'[[long' 71 05'[long' e1" },
		{ "a.B[]", "[[{}]]", "06'[La/B;' 71 04'[a.B' 4d 03'a.B' 5a" },
		{ "byte[]", "[\"AQL/\"]", "02'[B' 23 0102ff" },
		{ "byte[]", "[\"\"]", "02'[B' 20" },
		{ "byte[][]", "[[\"AQ==\", null]]", "03'[[B' 72 06'[[byte' 21 01 4e" },
		{ "char[]", "[\"ab\"]", "02'[C' 02'ab'" },
		{ "a.B", "[{\"x\": {\"y\": 1}}]", "05'La/B;' 4d 03'a.B' 01'x' 48 01'y' 91 5a 5a" },
	};
	struct buf b = { 0 };
	char hex[300], why[200];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(request(t[i].type, t[i].json, &b, why), 0);
		snprintf(hex, sizeof(hex), "05'2.0.2' 01'S' 05'0.0.0' 01'm' %s " TAIL, t[i].hex);
		assert_true(hex_is(&b, hex));
	}
}

static void test_names(void **state)
{
	static const struct json_argument two[] = { { SLICE_LIT("a"), SLICE_LIT("int") }, { SLICE_LIT("b"), SLICE_LIT("a.B") } };
	struct json_method m = { SLICE_LIT("S"), SLICE_LIT("1.0"), SLICE_LIT("g"), SLICE_LIT("m"), two, 2 };
	struct buf b = { 0 };
	char why[200];

	(void)state;
	assert_int_equal(json_dubbo_request(&m, SLICE_LIT("{\"b\": {}, \"a\": 1}"), &b, why, sizeof(why)), 0);
	assert_true(hex_is(&b, "05'2.0.2' 01'S' 03'1.0' 01'm' 06'ILa/B;' 91 4d 03'a.B' 5a"
		   "48 04'path' 01'S' 09'interface' 01'S' 07'version' 03'1.0' 05'group' 01'g' 5a"));
	m.n = 0;
	assert_int_equal(json_dubbo_request(&m, SLICE_LIT(""), &b, why, sizeof(why)), 0);
	buf_fini(&b);
	assert_int_equal(json_dubbo_request(&m, SLICE_LIT("[]"), &b, why, sizeof(why)), 0);
	buf_fini(&b);
}

static void test_refused(void **state)
{
	static const struct {
		const char *type, *json, *why;
	} t[] = {
		{ "int", "", "body is no JSON: '[' or '{' expected near end of file at byte 0" },
		{ "int", "[1", "body is no JSON: ']' expected near end of file at byte 2" },
		{ "int", "[]", "body has 0 arguments, want 1" },
		{ "int", "{}", "argument 1, arg: want one: it is missing" },
		{ "int", "[null]", "argument 1, arg: want a value: the type is none that may be null" },
		{ "int", "[2147483648]", "argument 1, arg: want a whole number from -2147483648 to 2147483647" },
		{ "byte", "[1.0]", "argument 1, arg: want a whole number from -128 to 127" },
		{ "boolean", "[0]", "argument 1, arg: want true or false" },
		{ "double", "[\"1\"]", "argument 1, arg: want a number" },
		{ "java.lang.String", "[1]", "argument 1, arg: want a string" },
		{ "java.util.Date", "[\"now\"]", "argument 1, arg: want milliseconds since 1970" },
		{ "java.util.List", "[{}]", "argument 1, arg: want an array" },
		{ "int[]", "[{}]", "argument 1, arg: want an array" },
		{ "int[]", "[[1, \"x\"]]", "argument 1, arg: want a whole number from -2147483648 to 2147483647" },
		{ "a.B", "[[]]", "argument 1, arg: want an object" },
		{ "byte[]", "[[1]]", "argument 1, arg: want bytes in base64" },
		{ "byte[]", "[\"AQL\"]", "argument 1, arg: want bytes in base64" },
		{ "byte[]", "[\"A-L/\"]", "argument 1, arg: want bytes in base64" },
	};
	struct buf b = { 0 };
	char why[200], deep[300] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(request(t[i].type, t[i].json, &b, why), -EINVAL);
		assert_string_equal(why, t[i].why);
		buf_fini(&b);
	}
	memset(deep, '[', JSON_RPC_DEPTH + 3);
	memset(deep + JSON_RPC_DEPTH + 3, ']', JSON_RPC_DEPTH + 3);
	assert_int_equal(request("java.lang.Object", deep, &b, why), -EINVAL);
	assert_string_equal(why, "argument 1, arg: want fewer values inside one another");
	buf_fini(&b);
}

/* The class is named for each of its objects. */
static void test_calls_over_the_bound(void **state)
{
	static char type[520], json[3 * 20000 + 10] = "[[";
	struct buf b = { 0 };
	char why[200], *p = json + 2;

	(void)state;
	for (int i = 0; i < 20000; i++)
		p = stpcpy(p, i ? ",{}" : "{}");
	stpcpy(p, "]]");
	memset(type, 'x', sizeof(type) - 3);
	memcpy(type + sizeof(type) - 3, "[]", 3);
	assert_int_equal(request(type, json, &b, why), -EINVAL);
	assert_string_equal(why, "argument 1, arg: want less: the call is over 8 MiB");
	buf_fini(&b);
	assert_int_equal(request("java.lang.Object[]", json, &b, why), 0);
	assert_true(b.len < 60000);
	buf_fini(&b);
}

static void answer(const char *hex, int err, int status, const char *json)
{
	struct json_got got = { 0 };
	struct buf body = { 0 };

	hex_add(&body, hex);
	got.err = json_dubbo_response(hex_all(&body), &got.out, &got.status);
	json_is(&got, err, status, json);
	buf_fini(&body);
}

static void test_answers(void **state)
{
	(void)state;
	answer("91 02'hi'", 0, 200, "\"hi\"");
	answer("94 97 48 5a", 0, 200, "7");
	answer("92", 0, 200, "null");
	answer("95 48 5a", 0, 200, "null");
	answer("91 4c 0000010000000000", 0, 200, "1099511627776");
	answer("91 5b", 0, 200, "0.0");
	answer("91 44 7ff0000000000000", 0, 200, "null");
	answer("91 4a 00000000000003e8", 0, 200, "1000");
	answer("91 54", 0, 200, "true");
	answer("91 57 90 4e 46 5a", 0, 200, "[0,null,false]");
	answer("91 48 01'a' 78 91 5c 54 01'x' 5a", 0, 200, "{\"a\":[],\"1\":1.0,\"true\":\"x\"}");
	answer("91 23 00 ff 10 ", 0, 200, "\"AP8Q\"");
	answer("91 22 00 ff", 0, 200, "\"AP8=\"");
	answer("91 41 0001 00 21 ff", 0, 200, "\"AP8=\"");
	answer("91 02 ed a0 bd ed b8 80", 0, 200, "\"\xf0\x9f\x98\x80\"");
	answer("91 03 'a' ed a0 bd 'b'", 0, 200, "\"a\xef\xbf\xbd" "b\"");
	answer("91 52 0001 'a' 01 'b'", 0, 200, "\"ab\"");
	answer("91 43 03'Car' 92 01'c' 01'n' 60 03'red' 91", 0, 200, "{\"c\":\"red\",\"n\":1}");
	answer("91 7a 43 01'A' 91 01'f' 60 90 60 91", 0, 200, "[{\"f\":0},{\"f\":1}]");
}

static void test_references(void **state)
{
	(void)state;
	answer("91 7b 79 91 51 91 51 91", 0, 200, "[[1],[1],[1]]");
	answer("91 7a 91 51 90", 0, 200, "[1,null]");
	answer("91 51 90", -EPROTO, 0, NULL);
	answer("91 79 51 95", -EPROTO, 0, NULL);
}

static void test_thrown(void **state)
{
	(void)state;
	answer("93 43 03'a.E' 92 0d'detailMessage' 05'cause' 60 04'bang' 51 90 48 5a", 0, 500,
	       "{\"error\":{\"class\":\"a.E\",\"message\":\"bang\"}}");
	answer("90 43 03'a.E' 90 60", 0, 500, "{\"error\":{\"class\":\"a.E\",\"message\":null}}");
	answer("90 02'no'", 0, 500, "{\"error\":{\"class\":\"\",\"message\":null}}");
}

/* A little that would become much; what is none. */
static void test_bounds(void **state)
{
	static char bomb[4000] = "91 78", deep[1000] = "91";

	(void)state;
	answer("", -EPROTO, 0, NULL);
	answer("96", -EPROTO, 0, NULL);
	answer("91", -EPROTO, 0, NULL);
	answer("91 40", -EPROTO, 0, NULL);
	answer("91 48 78 90 5a", -EPROTO, 0, NULL);
	answer("91 7a 90", -EPROTO, 0, NULL);
	for (int i = 0; i < JSON_RPC_DEPTH + 1; i++)
		strcat(deep, "79");
	strcat(deep, "90");
	answer(deep, -EOVERFLOW, 0, NULL);
	/* Each list holds the one before eight times. */
	strcpy(bomb, "91 58 a0 7f 91 91 91 91 91 91 91");
	for (int i = 1; i < 16; i++) {
		char ref[32];

		snprintf(ref, sizeof(ref), "7f");
		strcat(bomb, ref);
		for (int k = 0; k < 7; k++) {
			snprintf(ref, sizeof(ref), "51 %02x", 0x90 + i);
			strcat(bomb, ref);
		}
	}
	answer(bomb, -EOVERFLOW, 0, NULL);
}

/* Each list holds the one before, by its number alone: what is made of them is deep all the same. */
static void chain_of_lists(uint32_t lists, int err)
{
	struct json_got got = { 0 };
	struct buf b = { 0 };

	hex_add(&b, "91 48 01'a' 78");
	for (uint32_t i = 1; i < lists; i++) {
		unsigned char ref[] = { 0x79, 0x51, 0x49, (unsigned char)(i >> 24), (unsigned char)(i >> 16), (unsigned char)(i >> 8),
					(unsigned char)i };

		hex_add(&b, "01'a'");
		assert_int_equal(buf_add(&b, ref, sizeof(ref)), 0);
	}
	hex_add(&b, "5a");
	got.err = json_dubbo_response(hex_all(&b), &got.out, &got.status);
	assert_int_equal(got.err, err);
	buf_fini(&got.out);
	buf_fini(&b);
}

static void test_bounds_of_references(void **state)
{
	(void)state;
	chain_of_lists(JSON_RPC_DEPTH - 1, 0);
	chain_of_lists(JSON_RPC_DEPTH, -EOVERFLOW);
	chain_of_lists(100000, -EOVERFLOW);
}

/* Objects that all have one long key, of which only the last one would be written. */
static void objects_of_a_key(unsigned objects, int err)
{
	enum { KEY = 10000 };
	struct json_got got = { 0 };
	struct buf b = { 0 };

	hex_add(&b, "91 48 01'a' 43 01'C' 91 53 2710");
	for (unsigned i = 0; i < KEY; i++)
		hex_add(&b, "'k'");
	hex_add(&b, "60 4e");
	for (unsigned i = 1; i < objects; i++)
		hex_add(&b, "01'a' 60 4e");
	hex_add(&b, "5a");
	got.err = json_dubbo_response(hex_all(&b), &got.out, &got.status);
	assert_int_equal(got.err, err);
	buf_fini(&got.out);
	buf_fini(&b);
}

static void test_bounds_of_keys(void **state)
{
	(void)state;
	objects_of_a_key(100, 0);
	objects_of_a_key(110, -EOVERFLOW);
}

/* Maps of two bytes in one that is itself a holder. All have the one key, so little would be written. */
static void empty_maps(unsigned maps, int err)
{
	struct json_got got = { 0 };
	struct buf b = { 0 };

	hex_add(&b, "91 48");
	for (unsigned i = 0; i < maps; i++)
		hex_add(&b, "01'a' 48 5a");
	hex_add(&b, "5a");
	got.err = json_dubbo_response(hex_all(&b), &got.out, &got.status);
	assert_int_equal(got.err, err);
	buf_fini(&got.out);
	buf_fini(&b);
}

static void test_bounds_of_holders(void **state)
{
	(void)state;
	empty_maps(JSON_RPC_HOLDERS - 1, 0);
	empty_maps(JSON_RPC_HOLDERS, -EOVERFLOW);
}

static void test_error(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(json_rpc_error(SLICE_LIT("no \"x\"\n"), &b), 0);
	assert_true(slice_eq_str(hex_all(&b), "{\"error\":{\"message\":\"no \\\"x\\\"\\n\"}}"));
	buf_fini(&b);
	assert_int_equal(json_rpc_error(SLICE_LIT("\xff"), &b), 0);
	assert_true(slice_eq_str(hex_all(&b), "{\"error\":{\"message\":\"an error without readable words\"}}"));
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),	   cmocka_unit_test(test_names),  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_calls_over_the_bound),
		cmocka_unit_test(test_answers),	   cmocka_unit_test(test_references), cmocka_unit_test(test_thrown),
		cmocka_unit_test(test_bounds),	   cmocka_unit_test(test_bounds_of_references),
		cmocka_unit_test(test_bounds_of_keys), cmocka_unit_test(test_bounds_of_holders),
		cmocka_unit_test(test_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
