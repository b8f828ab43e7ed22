// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include "base/num.h"
#include "base/rand.h"
#include "weft/str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define UNTOUCHED 0x1234567890abcdefull

struct row {
	const char *text;
	int err;
	uint64_t value;
};

static void check(int (*parse)(struct slice, uint64_t *), const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t v = UNTOUCHED;
		/* a copy, so that AddressSanitizer sees a read past its end */
		char *exact = strndup(rows[i].text, 100);
		int err = parse((struct slice){ exact, strlen(exact) }, &v);

		if (err != rows[i].err || v != (err ? UNTOUCHED : rows[i].value))
			fail_msg("\"%s\": %d, %" PRIu64, rows[i].text, err, v);
		free(exact);
	}
}

static void test_u64(void **state)
{
	static const struct row rows[] = {
		{ "0", 0, 0 }, { "42", 0, 42 }, { "007", 0, 7 },
		{ "18446744073709551615", 0, UINT64_MAX }, { "18446744073709551616", -ERANGE, 0 },
		{ "184467440737095516150", -ERANGE, 0 }, { "", -EINVAL, 0 }, { "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 }, { "1 ", -EINVAL, 0 }, { "0x10", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
		{ "99999999999999999999999x", -EINVAL, 0 },
	};

	(void)state;
	check(num_u64, rows, COUNT(rows));
	assert_int_equal(num_u64((struct slice){ NULL, 0 }, &(uint64_t){ 0 }), -EINVAL);
}

static int as_i64(struct slice s, uint64_t *out)
{
	return num_i64(s, (int64_t *)out);
}

static void test_i64(void **state)
{
	static const struct row rows[] = {
		{ "0", 0, 0 }, { "-0", 0, 0 }, { "-42", 0, -42ull },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "9223372036854775808", -ERANGE, 0 }, { "-9223372036854775808", 0, 1ull << 63 },
		{ "-9223372036854775809", -ERANGE, 0 }, { "-", -EINVAL, 0 },
		{ "--1", -EINVAL, 0 }, { "", -EINVAL, 0 },
	};

	(void)state;
	check(as_i64, rows, COUNT(rows));
}

static void test_duration(void **state)
{
	static const struct row rows[] = {
		{ "0s", 0, 0 }, { "250ms", 0, 250000000 }, { "10s", 0, 10000000000 },
		{ "1m", 0, 60000000000 },
		{ "1h", 0, 3600000000000 }, { "1m30s", 0, 90000000000 },
		{ "1.5s", 0, 1500000000 }, { "1.5h", 0, 5400000000000 },
		{ "0.000000001s", 0, 1 }, { "1h2m3s4ms5us6ns", 0, 3723004005006 },
		{ "7ns", 0, 7 }, { "7us", 0, 7000 },
		{ "18446744073709551615ns", 0, UINT64_MAX },
		{ "18446744073.709551615s", 0, UINT64_MAX },
		{ "18446744073709551616ns", -ERANGE, 0 }, { "18446744073.709551616s", -ERANGE, 0 },
		{ "18446744073709551615ns1ns", -EINVAL, 0 },
		{ "5124095h34m33s709551616ns", -ERANGE, 0 },
		{ "18446744073709551615h", -ERANGE, 0 }, { "", -EINVAL, 0 }, { "10", -EINVAL, 0 },
		{ "s", -EINVAL, 0 },
		{ "-1s", -EINVAL, 0 }, { "1s ", -EINVAL, 0 }, { "1 s", -EINVAL, 0 },
		{ "1S", -EINVAL, 0 }, { "1d", -EINVAL, 0 },
		{ "1s1s", -EINVAL, 0 }, { "1s1m", -EINVAL, 0 }, { ".5s", -EINVAL, 0 },
		{ "5.s", -EINVAL, 0 },
		{ "1.5.5s", -EINVAL, 0 }, { "0.5ns", -EINVAL, 0 }, { "0.0000000001s", -EINVAL, 0 },
		{ "0.0000000000000000000000s", -EINVAL, 0 }, { "1mss", -EINVAL, 0 },
		{ "1s.5ms", -EINVAL, 0 },
	};

	(void)state;
	check(num_duration, rows, COUNT(rows));
}

static void test_size(void **state)
{
	static const struct row rows[] = {
		{ "0", 0, 0 }, { "1024", 0, 1024 }, { "64KiB", 0, 65536 }, { "1MiB", 0, 1 << 20 },
		{ "2GiB", 0, 2ull << 30 },
		{ "3TiB", 0, 3ull << 40 }, { "16777215TiB", 0, 16777215ull << 40 },
		{ "16777216TiB", -ERANGE, 0 },
		{ "", -EINVAL, 0 }, { "KiB", -EINVAL, 0 }, { "1KB", -EINVAL, 0 },
		{ "1k", -EINVAL, 0 }, { "1.5KiB", -EINVAL, 0 },
		{ "1 KiB", -EINVAL, 0 }, { "1KiBx", -EINVAL, 0 }, { "-1", -EINVAL, 0 },
	};

	(void)state;
	check(num_size, rows, COUNT(rows));
}

static void test_double(void **state)
{
	static const struct {
		const char *text;
		double value;
	} good[] = {
		{ "1", 1 }, { "0", 0 }, { "0.1", 0.1 }, { "00.50", 0.5 }, { "-2.25", -2.25 },
		{ "0.30000000000000004", 0.1 + 0.2 },
		{ "123456789.123456789", 123456789.123456789 },
	};
	static const char *const bad[] = {
		"", "-", ".", ".5", "5.", "1e3", "inf", "nan", "0x1", "1.2.3", "+1", " 1", "1 ", "1,5",
	};
	static char big[500];
	double v;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(num_double(slice_str(good[i].text), &v), 0);
		assert_true(v == good[i].value);
	}
	v = 17;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(num_double(slice_str(bad[i]), &v), -EINVAL);
	memset(big, '9', sizeof(big) - 1);
	assert_int_equal(num_double(slice_str(big), &v), -ERANGE);
	assert_int_equal(num_double((struct slice){ big, 350 }, &v), -ERANGE);
	assert_true(v == 17);
	assert_int_equal(num_double((struct slice){ big, 300 }, &v), 0);
}

static void test_percent(void **state)
{
	static const char *const bad[] = { "", "%", "-1%", "-1", "1%%", "1 %", "%1", "x" };
	double v = 17;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(num_percent(slice_str(bad[i]), &v), -EINVAL);
	assert_true(v == 17);
	assert_int_equal(num_percent(slice_str("0.1%"), &v), 0);
	assert_true(v == 0.1);
	assert_int_equal(num_percent(slice_str("1"), &v), 0);
	assert_true(v == 1.0);
	assert_int_equal(num_percent(slice_str("100%"), &v), 0);
	assert_true(v == 100.0);
}

static void test_duration_str(void **state)
{
	static const struct row rows[] = {
		{ "0s", 0, 0 }, { "1ns", 0, 1 }, { "100ms", 0, 100000000 },
		{ "250ms", 0, 250000000 }, { "1.5s", 0, 1500000000 },
		{ "90s", 0, 90000000000 }, { "1m", 0, 60000000000 }, { "1h", 0, 3600000000000 },
		{ "90m", 0, 5400000000000 },
		{ "3h", 0, 10800000000000 }, { "7.5ms", 0, 7500000 }, { "1.05s", 0, 1050000000 },
		{ "10800.000000001s", 0, 10800000000001 },
		{ "18446744073.709551615s", 0, UINT64_MAX },
	};
	char out[32];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(num_duration_str(rows[i].value, out), rows[i].text);
}

static void test_size_str(void **state)
{
	char out[32];

	(void)state;
	assert_string_equal(num_size_str(0, out), "0");
	assert_string_equal(num_size_str(1000, out), "1000");
	assert_string_equal(num_size_str(1536, out), "1536");
	assert_string_equal(num_size_str(65536, out), "64KiB");
	assert_string_equal(num_size_str(1 << 20, out), "1MiB");
	assert_string_equal(num_size_str(2ull << 30, out), "2GiB");
	assert_string_equal(num_size_str(UINT64_MAX, out), "18446744073709551615");
}

static void test_what_is_written_is_read(void **state)
{
	struct rand r;

	(void)state;
	rand_seed(&r, 3);
	for (int i = 0; i < 200000; i++) {
		uint64_t v = rand_u64(&r) >> rand_below(&r, 64), back;
		char out[32];

		while (rand_below(&r, 2) && v < UINT64_MAX / 1000)
			v *= 1000;
		assert_int_equal(num_duration(slice_str(num_duration_str(v, out)), &back), 0);
		assert_true(back == v);
		assert_int_equal(num_size(slice_str(num_size_str(v, out)), &back), 0);
		assert_true(back == v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_i64),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_double),
		cmocka_unit_test(test_percent),
		cmocka_unit_test(test_duration_str),
		cmocka_unit_test(test_size_str),
		cmocka_unit_test(test_what_is_written_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
