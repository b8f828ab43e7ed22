// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/extensions.h"
#include "proto/bolt.h"
#include "proto/dubbo.h"
#include "proto/http1.h"
#include "proto/http2.h"
#include "proxy/detect.h"
#include "weft/str.h"

#define GET SLICE_LIT("GET / HTTP/1.1\r\n\r\n")
#define PREFACE SLICE_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
#define BOLT SLICE_LIT("\1\1\0\1\1\0\0\0\7\1\0\0\x0b\xb8\0\0\0\0\0\0\0\0")
#define DUBBO SLICE_LIT("\xda\xbb\xc2\0\0\0\0\0\0\0\0\1\0\0\0\1N")
#define NONE SLICE_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")

static const struct slice http[] = { SLICE_LIT("http") }, dubbo[] = { SLICE_LIT("dubbo") };

static int setup(void **state)
{
	static const struct proto_ops *const all[] = { &proto_http2, &proto_bolt, &proto_dubbo, &proto_http1 };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		assert_int_equal(extension_add(EXTENSION_proto, all[i]), 0);
	return 0;
}

/* A byte at a time, as the first word that is not "more" tells. */
static const struct proto_ops *spoken(const struct listener *l, struct slice bytes)
{
	const struct proto_ops *ops = NULL;
	enum proto_match m = PROTO_MORE;
	struct buf in;

	buf_init(&in);
	for (size_t i = 0; m == PROTO_MORE && i < bytes.n; i++) {
		assert_int_equal(buf_add(&in, bytes.p + i, 1), 0);
		m = detect_protocol(l, &in, &ops);
		assert_int_equal(in.len, i + 1);
	}
	assert_int_not_equal(m, PROTO_MORE);
	buf_fini(&in);
	return m == PROTO_YES ? ops : NULL;
}

static struct listener listener(const char *protocol, const struct slice *detect, size_t n)
{
	return (struct listener){ .protocol = slice_str(protocol), .detect = detect, .ndetect = n };
}

static void any(void **state)
{
	struct listener l = listener("auto", NULL, 0);

	(void)state;
	assert_ptr_equal(spoken(&l, GET), &proto_http1);
	assert_ptr_equal(spoken(&l, PREFACE), &proto_http2);
	assert_ptr_equal(spoken(&l, BOLT), &proto_bolt);
	assert_ptr_equal(spoken(&l, DUBBO), &proto_dubbo);
	assert_null(spoken(&l, NONE));
	assert_null(detect_settled(&l, (struct slice){ 0 }));
}

/* What is of none is the declared one's to refuse. */
static void declared(void **state)
{
	struct listener web = listener("http", NULL, 0), both = listener("http", dubbo, 1), calls = listener("bolt", http, 1);
	struct listener one = listener("bolt", NULL, 0);

	(void)state;
	assert_ptr_equal(spoken(&web, PREFACE), &proto_http2);
	assert_ptr_equal(spoken(&web, BOLT), &proto_http1);
	assert_ptr_equal(spoken(&both, DUBBO), &proto_dubbo);
	assert_ptr_equal(spoken(&both, GET), &proto_http1);
	assert_ptr_equal(spoken(&both, NONE), &proto_http1);
	assert_ptr_equal(spoken(&calls, BOLT), &proto_bolt);
	assert_ptr_equal(spoken(&calls, GET), &proto_http1);
	assert_ptr_equal(spoken(&calls, PREFACE), &proto_http2);
	assert_ptr_equal(spoken(&calls, DUBBO), &proto_bolt);
	assert_ptr_equal(spoken(&calls, NONE), &proto_bolt);
	assert_ptr_equal(detect_settled(&one, (struct slice){ 0 }), &proto_bolt);
	assert_null(detect_settled(&calls, (struct slice){ 0 }));
	assert_null(spoken(NULL, GET));
}

static void agreed_on(void **state)
{
	struct listener l = listener("auto", NULL, 0);

	(void)state;
	assert_ptr_equal(detect_settled(&l, SLICE_LIT("h2")), &proto_http2);
	assert_ptr_equal(detect_settled(&l, SLICE_LIT("http/1.1")), &proto_http1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any),
		cmocka_unit_test(declared),
		cmocka_unit_test(agreed_on),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
