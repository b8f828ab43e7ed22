// SPDX-License-Identifier: Apache-2.0
/* JSON into the content of a SOFARPC call, byte for byte as Java's own client writes it; and contents of answers into JSON. */
#include "json_kit.h"

#include <errno.h>

#include "proto/json_rpc.h"

#define CLASS "4f bc 'com.alipay.sofa.rpc.core.request.SofaRequest' 95 0d'targetAppName' 0a'methodName' 17'targetServiceUniqueName'"    \
	      "0c'requestProps' 0d'methodArgSigs'"
#define PROPS "4d 08'protocol' 04'bolt' 04'type' 04'sync' 7a"

/* SOFARPC 5.13.2 with hessian 3.5.5 on JDK 17, less its trace's context among the properties. */
static void test_as_java_has_it(void **state)
{
	static const struct json_argument all[] = {
		{ SLICE_LIT("flag"), SLICE_LIT("boolean") }, { SLICE_LIT("small"), SLICE_LIT("byte") },
		{ SLICE_LIT("middle"), SLICE_LIT("short") }, { SLICE_LIT("number"), SLICE_LIT("int") },
		{ SLICE_LIT("big"), SLICE_LIT("long") }, { SLICE_LIT("part"), SLICE_LIT("float") },
		{ SLICE_LIT("real"), SLICE_LIT("double") }, { SLICE_LIT("letter"), SLICE_LIT("char") },
		{ SLICE_LIT("boxed"), SLICE_LIT("java.lang.Integer") }, { SLICE_LIT("text"), SLICE_LIT("java.lang.String") },
		{ SLICE_LIT("date"), SLICE_LIT("java.util.Date") }, { SLICE_LIT("list"), SLICE_LIT("java.util.List") },
		{ SLICE_LIT("map"), SLICE_LIT("java.util.Map") }, { SLICE_LIT("numbers"), SLICE_LIT("int[]") },
		{ SLICE_LIT("words"), SLICE_LIT("java.lang.String[]") }, { SLICE_LIT("order"), SLICE_LIT("weft.sofa.Order") },
		{ SLICE_LIT("any"), SLICE_LIT("java.lang.Object") },
	};
	struct json_method m = { .service = SLICE_LIT("weft.sofa.Shop"), .name = SLICE_LIT("all"), .arguments = all,
				 .n = sizeof(all) / sizeof(all[0]) };
	struct buf b = { 0 };
	char why[200];

	(void)state;
	assert_int_equal(json_bolt_request(&m, SLICE_LIT("weft.sofa.Shop:1.0"),
					   SLICE_LIT("[true, -128, 300, 70000, 1099511627776, 1.5, 0.1, \"x\", 7, \"hi\", 1000,"
						     "[1, \"two\", null, 2147483648], {\"k\": 2.0}, [1, 2], null, null, null]"),
					   &b, why, sizeof(why)), 0);
	assert_true(hex_is(&b, CLASS "6f 90 4e 03'all' 12'weft.sofa.Shop:1.0'" PROPS
	       "56 74 0007'[string' 6e 11 07'boolean' 04'byte' 05'short' 03'int' 04'long' 05'float' 06'double' 04'char' 11'java.lang.Integer'"
	       "10'java.lang.String' 0e'java.util.Date' 0e'java.util.List' 0d'java.util.Map' 02'[I' 13'[Ljava.lang.String;' 0f'weft.sofa.Order'"
	       "10'java.lang.Object' 7a"
	       "54 c780 c92c d51170 4c0000010000000000 6b3fc00000 443fb999999999999a 01'x' 97 02'hi' 6400000000000003e8"
	       "56 6e04 91 03'two' 4e 4c0000000080000000 7a 4d 01'k' 6902 7a 56 74 0004'[int' 6e02 91 92 7a 4e 4e 4e"));
}

/* One argument of this type: what Java calls the type, and the value. */
static void test_types(void **state)
{
	static const struct {
		const char *type, *json, *hex;
	} t[] = {
		{ "a.B", "[{\"x\": {\"y\": 1}}]", "03'a.B' 7a 4d 74 0003'a.B' 01'x' 4d 01'y' 91 7a 7a" },
		{ "a.B[]", "[[{}]]", "06'[La.B;' 7a 56 74 0004'[a.B' 6e01 4d 74 0003'a.B' 7a 7a" },
		{ "long[][]", "[[[1]]]", "03'[[J' 7a 56 74 0006'[[long' 6e01 56 74 0005'[long' 6e01 e1 7a 7a" },
		{ "java.lang.String[]", "[[\"a\"]]", "13'[Ljava.lang.String;' 7a 56 74 0007'[string' 6e01 01'a' 7a" },
		{ "byte[]", "[\"AQL/\"]", "02'[B' 7a 23 0102ff" },
		{ "char[]", "[\"ab\"]", "02'[C' 7a 02'ab'" },
		{ "double", "[-3]", "06'double' 7a 69 fd" },
		{ "long", "[-2147483648]", "04'long' 7a 77 80000000" },
	};
	struct json_argument a = { .name = SLICE_LIT("arg") };
	struct json_method m = { .service = SLICE_LIT("S"), .name = SLICE_LIT("m"), .arguments = &a, .n = 1 };
	struct buf b = { 0 };
	char hex[400], why[200];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		a.type = slice_str(t[i].type);
		assert_int_equal(json_bolt_request(&m, SLICE_LIT("S:1.0"), slice_str(t[i].json), &b, why, sizeof(why)), 0);
		snprintf(hex, sizeof(hex), CLASS "6f 90 4e 01'm' 05'S:1.0'" PROPS "56 74 0007'[string' 6e01 %s", t[i].hex);
		assert_true(hex_is(&b, hex));
	}
	m.n = 0;
	assert_int_equal(json_bolt_request(&m, SLICE_LIT("S:1.0"), SLICE_LIT(""), &b, why, sizeof(why)), 0);
	assert_true(hex_is(&b, CLASS "6f 90 4e 01'm' 05'S:1.0'" PROPS "56 74 0007'[string' 6e00 7a"));
	m.n = 1;
	a.type = SLICE_LIT("int");
	assert_int_equal(json_bolt_request(&m, SLICE_LIT("S:1.0"), SLICE_LIT("[\"1\"]"), &b, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "argument 1, arg: want a whole number from -2147483648 to 2147483647");
	buf_fini(&b);
}

#define SOFA "4f be 'com.alipay.sofa.rpc.core.response.SofaResponse' 94 07'isError' 08'errorMsg' 0b'appResponse' 0d'responseProps' 6f 90"
#define SAYS_ERROR "4d 18'sofa_head_response_error' 04'true' 7a"
#define FRAMES "56 74 001c'[java.lang.StackTraceElement' 6e01 4f ab 'java.lang.StackTraceElement' 91 0a'methodName' 6f 92 03'buy' 7a"
#define THROWN "4f af 'java.lang.IllegalStateException' 94 0d'detailMessage' 05'cause' 0a'stackTrace' 14'suppressedExceptions' 6f 91 0b'thrown by a'" \
	       "4a 01" FRAMES "56 74 0000 6e00 7a"

static void answer_as(const char *hex, bool threw, int err, int status, const char *json)
{
	struct json_got got = { 0 };
	struct buf body = { 0 };

	hex_add(&body, hex);
	got.err = json_bolt_response(hex_all(&body), threw, &got.out, &got.status);
	json_is(&got, err, status, json);
	buf_fini(&body);
}

static void answer(const char *hex, int err, int status, const char *json)
{
	answer_as(hex, false, err, status, json);
}

static void test_answers(void **state)
{
	(void)state;
	answer(SOFA "46 4e 05'a tea' 4e", 0, 200, "\"a tea\"");
	answer(SOFA "46 4e 4e 4e", 0, 200, "null");
	answer(SOFA "46 4e 4d 74 0017'java.util.LinkedHashMap' 06'values' 56 6e03 54 6b3fc00000 77 80000000 7a 7a 4e", 0, 200,
	       "{\"values\":[true,1.5,-2147483648]}");
	answer(SOFA "46 4e 4f 93'Car' 92 01'a' 01'b' 6f 91 91 4a 01 4e", 0, 200, "{\"a\":1,\"b\":null}");
	answer(SOFA "46 4e 56 6e02 56 74 0004'[int' 6e01 91 7a 76 90 91 92 7a 4e", 0, 200, "[[1],[2]]");
	answer(SOFA "46 4e 56 6e02 56 6e01 91 7a 4b 0002 7a 4e", 0, 200, "[[1],[1]]");
	/* What is thrown is thrown: by the properties, by what it is, or by the frame's head. */
	answer(SOFA "46 4e" THROWN SAYS_ERROR, 0, 500, "{\"error\":{\"class\":\"java.lang.IllegalStateException\",\"message\":\"thrown by a\"}}");
	answer(SOFA "46 4e" THROWN "4e", 0, 500, "{\"error\":{\"class\":\"java.lang.IllegalStateException\",\"message\":\"thrown by a\"}}");
	answer_as(SOFA "46 4e 02'no' 4e", true, 0, 500, "{\"error\":{\"class\":\"\",\"message\":null}}");
	answer(SOFA "54 53 003d'RPC-020100010: RPC cannot find service: [weft.sofa.Shop:2.0] ' 4e" SAYS_ERROR, 0, 500,
	       "{\"error\":{\"message\":\"RPC-020100010: RPC cannot find service: [weft.sofa.Shop:2.0] \"}}");
	answer(SOFA "54 4e 4e 4e", 0, 500, "{\"error\":{\"message\":null}}");
}

static void test_answers_that_are_none(void **state)
{
	static char deep[2000] = SOFA "46 4e ";

	(void)state;
	answer("", -EPROTO, 0, NULL);
	answer("4e", -EPROTO, 0, NULL);
	answer("02'hi'", -EPROTO, 0, NULL);
	answer("4d 0b'appResponse' 91 7a", -EPROTO, 0, NULL);
	answer("4f 91'A' 91 01'x' 6f 90 91", -EPROTO, 0, NULL);
	answer(SOFA "46 4e 91", -EPROTO, 0, NULL);
	answer(SOFA "46 4e 91 40", -EPROTO, 0, NULL);
	answer(SOFA "46 4e 4a 01 4e", -EPROTO, 0, NULL);
	/* Hessian 2.0's, which SOFARPC does not speak. */
	answer("43 01'S' 91 0b'appResponse' 60 91", -EPROTO, 0, NULL);
	for (int i = 0; i < JSON_RPC_DEPTH; i++)
		strcat(deep, "56");
	strcat(deep, "90");
	answer(deep, -EOVERFLOW, 0, NULL);
}

static void test_exceptions(void **state)
{
	static const char server[] = "4f c834 'com.alipay.remoting.rpc.exception.RpcServerException' 92 0d'detailMessage' 0a'stackTrace' 6f 90"
				     "05'cause' 56 74 001c'[java.lang.StackTraceElement' 6e00 7a";
	struct buf body = { 0 }, out = { 0 };

	(void)state;
	hex_add(&body, server);
	assert_int_equal(json_bolt_exception(hex_all(&body), &out), 0);
	assert_true(slice_eq_str(hex_all(&out), "{\"error\":{\"class\":\"com.alipay.remoting.rpc.exception.RpcServerException\",\"message\":\"cause\"}}"));
	buf_fini(&body);
	buf_fini(&out);
	hex_add(&body, "05'words'");
	assert_int_equal(json_bolt_exception(hex_all(&body), &out), -EPROTO);
	buf_fini(&body);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_java_has_it), cmocka_unit_test(test_types), cmocka_unit_test(test_answers),
		cmocka_unit_test(test_answers_that_are_none), cmocka_unit_test(test_exceptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
