// SPDX-License-Identifier: Apache-2.0
/* Each form of each kind of value: read, skipped, written in the shortest form; bounds; tables of classes and types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "lib/hex.h"
#include "proto/hessian.h"
#include "weft/str.h"

static struct buf bytes;
static struct hessian h;

static void input(const char *hex)
{
	buf_fini(&bytes);
	hex_add(&bytes, hex);
	hessian_init(&h, bytes.len ? buf_pull(&bytes, bytes.len) : (struct slice){ "", 0 });
}

static int end(void **state)
{
	(void)state;
	buf_fini(&bytes);
	return 0;
}

/* Skipped whole, and told short at every cut. */
static void check_skip(void)
{
	struct slice all = h.in;

	hessian_init(&h, all);
	assert_int_equal(hessian_skip(&h), 0);
	assert_int_equal(h.at, all.n);
	for (size_t n = 0; n < all.n; n++) {
		char *cut = malloc(n + 1);

		memcpy(cut, all.p, n);
		hessian_init(&h, (struct slice){ cut, n });
		assert_int_equal(hessian_skip(&h), -ENODATA);
		free(cut);
	}
	hessian_init(&h, all);
}

static void expect_written(struct buf *b, const char *hex)
{
	assert_true(hex_is(b, hex));
}

static void test_ints(void **state)
{
	static const struct {
		const char *hex;
		int32_t v;
		bool longer;                    /* there is a shorter form */
	} t[] = {
		{ "90", 0, false }, { "80", -16, false }, { "bf", 47, false }, { "c8 30", 48, false }, { "c0 00", -2048, false }, { "c7 00", -256, false }, { "cf ff", 2047, false },
		{ "d4 08 00", 2048, false }, { "d0 00 00", -262144, false }, { "d7 ff ff", 262143, false }, { "49 00 04 00 00", 262144, false },
		{ "49 ff fb ff ff", -262145, false }, { "49 7f ff ff ff", INT32_MAX, false }, { "49 80 00 00 00", INT32_MIN, false },
		{ "49 00 00 00 01", 1, true }, { "c8 00", 0, true }, { "d4 00 00", 0, true },
	};
	struct buf b = { 0 };
	struct hessian_out o = { .buf = &b };
	int32_t v;
	int64_t wide;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		input(t[i].hex);
		check_skip();
		assert_int_equal(hessian_int(&h, &v), 0);
		assert_int_equal(v, t[i].v);
		h.at = 0;
		assert_int_equal(hessian_long(&h, &wide), 0);
		assert_int_equal(wide, v);
		assert_int_equal(hessian_put_int(&o, v), 0);
		if (t[i].longer)
			buf_fini(&b);
		else
			expect_written(&b, t[i].hex);
	}
}

static void test_longs(void **state)
{
	static const struct {
		const char *hex;
		int64_t v;
		bool longer;
	} t[] = {
		{ "e0", 0, false }, { "d8", -8, false }, { "ef", 15, false }, { "f8 10", 16, false }, { "f0 00", -2048, false }, { "ff ff", 2047, false }, { "f7 00", -256, false },
		{ "3c 08 00", 2048, false }, { "38 00 00", -262144, false }, { "3f ff ff", 262143, false }, { "59 00 04 00 00", 262144, false },
		{ "59 80 00 00 00", INT32_MIN, false }, { "4c 00 00 00 00 80 00 00 00", 1ll << 31, false },
		{ "4c 80 00 00 00 00 00 00 00", INT64_MIN, false }, { "4c 7f ff ff ff ff ff ff ff", INT64_MAX, false },
		{ "4c ff ff ff ff ff ff ff ff", -1, true }, { "59 ff ff ff ff", -1, true },
	};
	struct buf b = { 0 };
	struct hessian_out o = { .buf = &b };
	int64_t v;
	int32_t narrow;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		input(t[i].hex);
		check_skip();
		assert_int_equal(hessian_int(&h, &narrow), -EPROTO);
		assert_int_equal(hessian_long(&h, &v), 0);
		assert_true(v == t[i].v);
		assert_int_equal(hessian_put_long(&o, v), 0);
		if (t[i].longer)
			buf_fini(&b);
		else
			expect_written(&b, t[i].hex);
	}
}

static void test_doubles(void **state)
{
	static const struct {
		const char *hex;
		double v;
		bool longer;
	} t[] = {
		{ "5b", 0, false }, { "5c", 1, false }, { "5d 80", -128, false }, { "5d 7f", 127, false }, { "5e 00 80", 128, false }, { "5e 80 00", -32768, false },
		{ "44 40 28 80 00 00 00 00 00", 12.25, false }, { "5f 00 00 2f da", 12.25, true }, { "5f ff ff ff ff", -0.001, true },
		{ "44 80 00 00 00 00 00 00 00", -0.0, false }, { "44 40 e0 00 00 00 00 00 00", 32768, false },
		{ "44 7f f0 00 00 00 00 00 00", INFINITY, false }, { "5d 01", 1, true },
	};
	struct buf b = { 0 };
	struct hessian_out o = { .buf = &b };
	double v;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		input(t[i].hex);
		check_skip();
		assert_int_equal(hessian_double(&h, &v), 0);
		assert_true(v == t[i].v && !signbit(v) == !signbit(t[i].v));
		assert_int_equal(hessian_put_double(&o, v), 0);
		if (t[i].longer)
			buf_fini(&b);
		else
			expect_written(&b, t[i].hex);
	}
}

static void test_small_values(void **state)
{
	struct buf b = { 0 };
	struct hessian_out o = { .buf = &b };
	int64_t ms;
	bool v;

	(void)state;
	input("54");
	check_skip();
	assert_true(!hessian_bool(&h, &v) && v);
	input("46");
	assert_true(!hessian_bool(&h, &v) && !v);
	input("4e");
	check_skip();
	assert_true(hessian_null(&h) && !hessian_null(&h));
	input("4a 00 00 00 d0 4b 92 84 b8");
	check_skip();
	assert_true(!hessian_date(&h, &ms) && ms == 894621091000);
	input("4b 00 e3 83 8f");
	check_skip();
	assert_true(!hessian_date(&h, &ms) && ms == 894621060000);
	assert_int_equal(hessian_put_date(&o, 894621091000), 0);
	expect_written(&b, "4a 00 00 00 d0 4b 92 84 b8");
	assert_true(!hessian_put_bool(&o, true) && !hessian_put_bool(&o, false) && !hessian_put_null(&o));
	expect_written(&b, "54 46 4e");
}

static void check_text(const char *hex, const char *want, bool joined)
{
	struct slice s;
	bool parts;
	char out[64];

	input(hex);
	check_skip();
	assert_int_equal(hessian_string(&h, &s, &parts), 0);
	assert_int_equal(parts, joined);
	assert_int_equal(h.at, h.in.n);
	if (parts)
		s = (struct slice){ out, hessian_join(&h, s, out) };
	assert_true(slice_eq_str(s, want));
}

static void test_text(void **state)
{
	(void)state;
	check_text("00", "", false);
	check_text("05 'hello'", "hello", false);
	check_text("30 02 'hi'", "hi", false);
	check_text("53 00 02 'hi'", "hi", false);
	check_text("52 00 07 'hello, ' 05 'world'", "hello, world", true);
	check_text("52 00 01 'a' 52 00 00 52 00 01 'b' 53 00 01 'c'", "abc", true);
	check_text("01 c3 83", "\xc3\x83", false);
	check_text("0a '12345678' c3 83 '0'", "12345678\xc3\x83" "0", false);
	check_text("02 ed a0 bd ed b8 80", "\xed\xa0\xbd\xed\xb8\x80", false);
	check_text("02 f0 9f 98 80", "\xf0\x9f\x98\x80", false);
}

static void test_text_that_is_none(void **state)
{
	static const char *const t[] = { "01 80", "01 ff", "01 c3 'a'", "01 e0 80 'a'", "01 f0 9f 98 80", "52 00 01 'a' 90",
					 "52 00 00 4e" };

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct slice s;
		bool parts;

		input(t[i]);
		assert_int_equal(hessian_skip(&h), -EPROTO);
		h.at = 0;
		assert_int_equal(hessian_string(&h, &s, &parts), -EPROTO);
		assert_int_equal(h.at, 0);
	}
}

static void write_text(const char *text, const char *hex)
{
	struct buf b = { 0 };
	struct hessian_out o = { .buf = &b };

	assert_int_equal(hessian_put_string(&o, slice_str(text)), 0);
	expect_written(&b, hex);
}

static void test_text_written(void **state)
{
	(void)state;
	write_text("", "00");
	write_text("hi", "02 'hi'");
	write_text("0123456789012345678901234567890", "1f '0123456789012345678901234567890'");
	write_text("01234567890123456789012345678901", "30 20 '01234567890123456789012345678901'");
	write_text("\xc3\xa4\xe2\x82\xac", "02 c3 a4 e2 82 ac");
	write_text("\xf0\x9f\x98\x80!", "03 ed a0 bd ed b8 80 '!'");
	write_text("\xed\xa0\xbd\xed\xb8\x80", "02 ed a0 bd ed b8 80");
	write_text("a\xe9z\xff", "04 'a' c3 a9 'z' c3 bf");
	write_text("\xc0\x80\xe2\x82", "04 c3 80 c2 80 c3 a2 c2 82");
}

/* Chunks of 32768 units, of a pair of surrogates never half. */
static void test_long_text_written(void **state)
{
	static char text[70000], out[200000];
	struct buf b = { 0 };
	struct hessian_out o = { .buf = &b };
	struct slice s;
	bool parts;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text + 32767, "\xf0\x9f\x98\x80", 4);
	memcpy(text + 65000, "\xed\xa0\xbd\xed\xb8\x80", 6);
	assert_int_equal(hessian_put_string(&o, (struct slice){ text, sizeof(text) }), 0);
	hessian_init(&h, buf_pull(&b, b.len));
	assert_memory_equal(h.in.p, "R\x7f\xff", 3);
	assert_memory_equal(h.in.p + 3 + 32767, "R\x80\x00\xed\xa0\xbd", 6);
	assert_int_equal(hessian_string(&h, &s, &parts), 0);
	assert_true(parts && h.at == h.in.n);
	s = (struct slice){ out, hessian_join(&h, s, out) };
	assert_int_equal(s.n, sizeof(text) + 2);
	assert_memory_equal(out + 32767, "\xed\xa0\xbd\xed\xb8\x80", 6);
	assert_memory_equal(out + 65002, "\xed\xa0\xbd\xed\xb8\x80", 6);
	buf_fini(&b);
	memset(text, 'x', sizeof(text));
	assert_int_equal(hessian_put_string(&o, (struct slice){ text, 32768 }), 0);
	assert_memory_equal(buf_head(&b).p, "S\x80\x00", 3);
	buf_fini(&b);
	memcpy(text + 32767, "\xed\xa0\xbd\xed\xb8\x80", 6);
	assert_int_equal(hessian_put_string(&o, (struct slice){ text, 32773 }), 0);
	assert_memory_equal(buf_head(&b).p, "R\x7f\xff", 3);
	buf_fini(&b);
}

static void test_binary(void **state)
{
	static char text[40000];
	struct buf b = { 0 };
	struct hessian_out o = { .buf = &b };
	struct slice s;
	bool parts;
	char out[8];

	(void)state;
	input("23 01 02 03");
	check_skip();
	assert_true(!hessian_binary(&h, &s, &parts) && s.n == 3 && !parts && s.p[2] == 3);
	input("34 01 ff");
	check_skip();
	input("41 00 01 ff 42 00 01 fe");
	check_skip();
	assert_true(!hessian_binary(&h, &s, &parts) && parts && hessian_join(&h, s, out) == 2 && (uint8_t)out[1] == 0xfe);
	assert_int_equal(hessian_put_binary(&o, (struct slice){ "\1\2", 2 }), 0);
	expect_written(&b, "22 01 02");
	assert_int_equal(hessian_put_binary(&o, (struct slice){ text, 16 }), 0);
	expect_written(&b, "34 10 00000000000000000000000000000000");
	assert_int_equal(hessian_put_binary(&o, (struct slice){ text, sizeof(text) }), 0);
	hessian_init(&h, buf_pull(&b, b.len));
	assert_true(!hessian_binary(&h, &s, &parts) && parts && h.in.n == sizeof(text) + 6);
	buf_fini(&b);
}

static void test_lists(void **state)
{
	static const struct {
		const char *hex;
		int64_t n;
	} t[] = {
		{ "57 90 91 5a", -1 }, { "58 92 90 91", 2 }, { "7a 90 91", 2 }, { "78", 0 }, { "72 04 '[int' 90 91", 2 },
		{ "56 04 '[int' 92 90 91", 2 }, { "56 90 92 90 91", 2 }, { "55 04 '[int' 90 5a", -1 }, { "57 5a", -1 },
		{ "7a 7a 90 90 57 5a", 2 },
	};
	struct buf b = { 0 };
	struct hessian_out o = { .buf = &b };
	int64_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		input(t[i].hex);
		check_skip();
		assert_int_equal(hessian_list(&h, &n), 0);
		assert_int_equal(n, t[i].n);
	}
	assert_true(!hessian_put_list(&o, SLICE_LIT(""), 2) && !hessian_put_list(&o, SLICE_LIT("[int"), 7) &&
		    !hessian_put_list(&o, SLICE_LIT(""), 8) && !hessian_put_list(&o, SLICE_LIT("[int"), 50));
	expect_written(&b, "7a 77 04 '[int' 58 98 56 04 '[int' c8 32");
	input("58 8f");
	assert_int_equal(hessian_skip(&h), -EPROTO);
}

static void test_maps(void **state)
{
	static const char *const t[] = { "48 5a", "48 01 'a' 90 5a", "48 4e 48 5a 90 4e 5a", "4d 01 't' 01 'a' 57 5a 5a",
					 "4d 90 90 90 5a", "48 78 78 5a" };
	static const char *const wrong[] = { "48 90 5a", "5a", "48 90 90 90 5a" };
	struct buf b = { 0 };
	struct hessian_out o = { .buf = &b };

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		input(t[i]);
		check_skip();
		assert_int_equal(hessian_map(&h), 0);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		input(wrong[i]);
		assert_int_equal(hessian_skip(&h), -EPROTO);
	}
	assert_true(!hessian_put_map(&o, SLICE_LIT("")) && !hessian_put_end(&o) && !hessian_put_map(&o, SLICE_LIT("t")) &&
		    !hessian_put_end(&o));
	expect_written(&b, "48 5a 4d 01 't' 5a");
}

static void test_objects(void **state)
{
	const struct hessian_class *class;
	struct buf b = { 0 };
	struct hessian_out o = { .buf = &b };
	char define[17 * 8 + 8] = "";
	struct hessian names;
	struct slice s;
	bool parts;
	int32_t v;

	(void)state;
	input("43 03 'Car' 92 05 'color' 05 'model' 60 03 'red' 91");
	check_skip();
	assert_int_equal(hessian_object(&h, &class), 0);
	assert_int_equal(class->fields, 2);
	hessian_fields(&names, &h, class);
	assert_true(slice_eq_str(hessian_class_name(&h, class), "Car") && !hessian_string(&names, &s, &parts) &&
		    slice_eq_str(s, "color") && !hessian_string(&names, &s, &parts) && slice_eq_str(s, "model"));
	assert_true(!hessian_skip(&h) && !hessian_int(&h, &v) && v == 1 && h.at == h.in.n);
	/* Of several classes, the second in a field of the first; and references. */
	input("7a 43 01 'A' 91 01 'f' 60 43 01 'B' 90 61 7b 60 51 91 4f 91 61");
	check_skip();
	input("43 01 'A' 90 60 60");
	assert_int_equal(hessian_skip(&h) + hessian_skip(&h), 0);
	input("60");
	assert_int_equal(hessian_skip(&h), -EPROTO);
	input("43 01 'A' 90 90");
	assert_int_equal(hessian_skip(&h), -EPROTO);
	for (int i = 0; i < 17; i++)
		strcat(define, "43 00 90");
	strcat(define, "4f a0");
	input(define);
	check_skip();
	assert_true(!hessian_put_class(&o, SLICE_LIT("Car"), 1) && !hessian_put_string(&o, SLICE_LIT("c")) &&
		    !hessian_put_object(&o, 0) && !hessian_put_object(&o, 16));
	expect_written(&b, "43 03 'Car' 91 01 'c' 60 4f a0");
}

static void test_kinds_without_values(void **state)
{
	static const char *const t[] = { "40", "45", "47", "50", "5a" };
	const struct hessian_class *class;
	struct slice s;
	int64_t n;
	bool v;
	double d;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		input(t[i]);
		assert_int_equal(hessian_skip(&h), -EPROTO);
	}
	input("");
	assert_int_equal(hessian_peek(&h), HESSIAN_NONE);
	assert_int_equal(hessian_map(&h), -ENODATA);
	input("90");
	assert_int_equal(hessian_map(&h), -EPROTO);
	assert_int_equal(hessian_list(&h, &n), -EPROTO);
	assert_int_equal(hessian_object(&h, &class), -EPROTO);
	assert_int_equal(hessian_bool(&h, &v), -EPROTO);
	assert_int_equal(hessian_double(&h, &d), -EPROTO);
	assert_int_equal(hessian_date(&h, &n), -EPROTO);
	assert_int_equal(hessian_binary(&h, &s, &v), -EPROTO);
	assert_false(hessian_null(&h) || hessian_end(&h));
	assert_int_equal(h.at, 0);
}

/* Deep is refused, wide is not; and what says to be wide and is not costs nothing. */
static void test_bounds(void **state)
{
	static char deep[HESSIAN_DEPTH + 2], wide[100005];

	(void)state;
	memset(deep, 0x79, sizeof(deep));
	deep[HESSIAN_DEPTH] = (char)0x90;
	hessian_init(&h, (struct slice){ deep, HESSIAN_DEPTH + 1 });
	check_skip();
	deep[HESSIAN_DEPTH] = 0x79;
	deep[HESSIAN_DEPTH + 1] = (char)0x90;
	hessian_init(&h, (struct slice){ deep, HESSIAN_DEPTH + 2 });
	assert_int_equal(hessian_skip(&h), -EOVERFLOW);
	memcpy(wide, "X\xd5\x86\xa0", 4);
	memset(wide + 4, 0x90, sizeof(wide) - 4);
	hessian_init(&h, (struct slice){ wide, 4 + 100000 });
	assert_int_equal(hessian_skip(&h), 0);
	input("58 49 7f ff ff ff 90");
	assert_int_equal(hessian_skip(&h), -ENODATA);
	input("43 01 'A' 49 7f ff ff ff 01 'f'");
	assert_int_equal(hessian_skip(&h), -ENODATA);
	memset(wide, 0, sizeof(wide));
	for (int i = 0; i <= HESSIAN_CLASSES; i++)
		memcpy(wide + 3 * i, "C\0\x90", 3);
	wide[3 * (HESSIAN_CLASSES + 1)] = 0x60;
	hessian_init(&h, (struct slice){ wide, 3 * (HESSIAN_CLASSES + 1) + 1 });
	assert_int_equal(hessian_skip(&h), -EOVERFLOW);
	wide[3 * HESSIAN_CLASSES] = 0x60;
	hessian_init(&h, (struct slice){ wide, 3 * HESSIAN_CLASSES + 1 });
	assert_int_equal(hessian_skip(&h), 0);
}

/* What SOFARPC speaks, where it is another. */
static void draft(const char *hex)
{
	input(hex);
	h.draft = true;
}

static void test_draft(void **state)
{
	static const struct {
		const char *hex;
		double v;
	} doubles[] = {
		{ "67", 0 }, { "68", 1 }, { "69 80", -128 }, { "6a 80 00", -32768 }, { "6b 3f c0 00 00", 1.5 }, { "6b 80 00 00 00", -0.0 },
		{ "44 3f b9 99 99 99 99 99 9a", 0.1 },
	};
	static const char *const whole[] = {
		"77 80 00 00 00", "73 00 01 'a' 01 'b'", "73 00 01 'a' 53 00 01 'b'", "62 00 01 00 21 01", "56 7a", "56 6e 02 90 91 7a", "56 74 00 04'[int' 6c 00000001 90 7a",
		"56 74 00 04'[int' 6e 00 7a 76 90 92 90 91", "4d 7a", "4d 74 00 01't' 01'k' 4e 7a", "4d 75 90 7a", "4a 00", "4b 0001", "52 00000001",
		"4f 93'Car' 91 01'c' 6f 90 54", "64 000000d04b92841c",
	};
	static const char *const wrong[] = { "30 01 'a'", "34 00", "43 01'A' 90 60", "48 5a", "5b", "60", "70 90", "51 90", "72", "75 90", "6e" };
	struct buf b = { 0 };
	struct hessian_out o = { .buf = &b, .draft = true };
	double v;

	(void)state;
	for (size_t i = 0; i < sizeof(doubles) / sizeof(doubles[0]); i++) {
		draft(doubles[i].hex);
		assert_int_equal(hessian_double(&h, &v), 0);
		assert_true(v == doubles[i].v && !signbit(v) == !signbit(doubles[i].v));
		assert_int_equal(hessian_put_double(&o, v), 0);
		expect_written(&b, doubles[i].hex);
	}
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		draft(whole[i]);
		while (h.at < h.in.n)
			assert_int_equal(hessian_skip(&h), 0);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		draft(wrong[i]);
		assert_int_equal(hessian_skip(&h), -EPROTO);
	}
}

static void test_draft_holders(void **state)
{
	const struct hessian_class *class;
	struct hessian names;
	struct slice s;
	uint32_t ref;
	int64_t n;
	bool parts;

	(void)state;
	draft("4f 93'Car' 92 01'c' 01'd' 6f 90 54 52 00010000 76 90 93 90 91 92");
	assert_true(!hessian_object(&h, &class) && class->fields == 2 && slice_eq_str(hessian_class_name(&h, class), "Car"));
	hessian_fields(&names, &h, class);
	assert_true(!hessian_string(&names, &s, &parts) && slice_eq_str(s, "c") && !hessian_string(&names, &s, &parts) && slice_eq_str(s, "d"));
	assert_true(!hessian_skip(&h) && !hessian_ref(&h, &ref) && ref == 0x10000);
	assert_true(!hessian_list(&h, &n) && n == 3);
}

static void test_draft_written(void **state)
{
	struct buf b = { 0 };
	struct hessian_out o = { .buf = &b, .draft = true };

	(void)state;
	assert_true(!hessian_put_long(&o, INT32_MIN) && !hessian_put_date(&o, 894621091000) && !hessian_put_map(&o, SLICE_LIT("t")) &&
		    !hessian_put_end(&o) && !hessian_put_map(&o, SLICE_LIT("")) && !hessian_put_end(&o));
	expect_written(&b, "77 80 00 00 00 64 00 00 00 d0 4b 92 84 b8 4d 74 00 01't' 7a 4d 7a");
	assert_true(!hessian_put_list(&o, SLICE_LIT("[int"), 255) && !hessian_put_list(&o, SLICE_LIT(""), 256) && !hessian_put_list_end(&o));
	expect_written(&b, "56 74 00 04'[int' 6e ff 56 6c 00000100 7a");
	assert_true(!hessian_put_class(&o, SLICE_LIT("Car"), 1) && !hessian_put_string(&o, SLICE_LIT("c")) && !hessian_put_object(&o, 0));
	expect_written(&b, "4f 93'Car' 91 01'c' 6f 90");
	assert_int_equal(hessian_put_string(&o, SLICE_LIT("0123456789abcdef0123456789abcdef")), 0);
	expect_written(&b, "53 00 20 '0123456789abcdef0123456789abcdef'");
	assert_int_equal(hessian_put_binary(&o, SLICE_LIT("0123456789abcdef")), 0);
	expect_written(&b, "42 00 10 '0123456789abcdef'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ints),
		cmocka_unit_test(test_longs),
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_small_values),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_that_is_none),
		cmocka_unit_test(test_text_written),
		cmocka_unit_test(test_long_text_written),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_kinds_without_values),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_draft),
		cmocka_unit_test(test_draft_holders),
		cmocka_unit_test(test_draft_written),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
