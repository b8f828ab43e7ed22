// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include "base/arena.h"
#include "proto/grpc.h"
#include "weft/str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* On the heap, exactly so long, so that AddressSanitizer sees a read past its end. */
static struct slice exact(const char *text)
{
	size_t n = strlen(text);

	return (struct slice){ n ? memcpy(malloc(n), text, n) : malloc(1), n };
}

static void let_go(struct slice s)
{
	free((char *)s.p);
}

static void timeouts_are_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{ "1n", 1 }, { "0n", 0 }, { "99999999n", 99999999 }, { "1u", 1000 }, { "250m", 250000000 }, { "00000007m", 7000000 },
		{ "1S", 1000000000 }, { "2M", 120000000000 }, { "1H", 3600000000000 }, { "5124095H", 18446742000000000000u },
		{ "5124096H", UINT64_MAX }, { "99999999H", UINT64_MAX },
	};
	static const char *const wrong[] = { "", "1", "m", "123456789m", "1s", "1h", "-1m", "+1m", "1.5S", " 1m", "1m ", "1 m", "1mm", "0x1m" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct slice s = exact(good[i].text);
		uint64_t ns = 7;

		assert_int_equal(grpc_timeout_read(s, &ns), 0);
		assert_int_equal(ns, good[i].ns);
		let_go(s);
	}
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct slice s = exact(wrong[i]);
		uint64_t ns = 7;

		assert_int_equal(grpc_timeout_read(s, &ns), -EINVAL);
		assert_int_equal(ns, 7);
		let_go(s);
	}
	assert_int_equal(grpc_timeout_read((struct slice){ NULL, 0 }, &(uint64_t){ 0 }), -EINVAL);
}

static void timeouts_are_written(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} rows[] = {
		{ 0, "1n" }, { 1, "1n" }, { 99999999, "99999999n" }, { 100000000, "100000u" }, { 99999999999, "99999999u" },
		{ 100000000000, "100000m" }, { 99999999999999, "99999999m" }, { 100000000000000, "100000S" },
		{ 100000000000000000, "1666666M" }, { UINT64_MAX, "5124095H" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char out[GRPC_TIMEOUT_MAX];
		size_t n = grpc_timeout_write(rows[i].ns, out);
		uint64_t back;

		assert_int_equal(n, strlen(rows[i].text));
		assert_memory_equal(out, rows[i].text, n);
		assert_int_equal(grpc_timeout_read((struct slice){ out, n }, &back), 0);
		assert_true(back <= rows[i].ns || !rows[i].ns);
	}
}

static void messages_both_ways(void **state)
{
	static const struct {
		const char *text, *wire;
	} rows[] = {
		{ "", "" }, { "no usable host (UH)", "no usable host (UH)" }, { "100%", "100%25" }, { "a\nb\x7f", "a%0Ab%7F" },
		{ "\t\xe2\x98\xba", "%09%E2%98%BA" }, { "~ !", "~ !" },
	};
	static const struct {
		const char *wire, *text;
	} read[] = { { "%", "%" }, { "%4", "%4" }, { "%4g", "%4g" }, { "%g4", "%g4" }, { "%e2%98%BA", "\xe2\x98\xba" }, { "%%41", "%A" } };
	char out[64];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice text = exact(rows[i].text), wire = exact(rows[i].wire);

		assert_int_equal(grpc_message_write(text, out), wire.n);
		assert_memory_equal(out, wire.p, wire.n);
		assert_int_equal(grpc_message_read(wire, out), text.n);
		assert_memory_equal(out, text.p, text.n);
		let_go(text);
		let_go(wire);
	}
	for (size_t i = 0; i < COUNT(read); i++) {
		struct slice wire = exact(read[i].wire);

		assert_int_equal(grpc_message_read(wire, out), strlen(read[i].text));
		assert_memory_equal(out, read[i].text, strlen(read[i].text));
		let_go(wire);
	}
}

/* proxy.md A12: 4xx is the caller's, 5xx the host's. */
static void codes_and_http(void **state)
{
	static const uint8_t failures[] = { GRPC_UNKNOWN, GRPC_DEADLINE_EXCEEDED, GRPC_INTERNAL, GRPC_UNAVAILABLE, GRPC_DATA_LOSS };
	static const struct {
		int http, code;
	} back[] = { { 400, 13 }, { 401, 16 }, { 403, 7 }, { 404, 12 }, { 429, 14 }, { 502, 14 }, { 503, 14 }, { 504, 14 }, { 500, 2 }, { 200, 2 }, { 301, 2 }, { 408, 2 } };
	unsigned n = 0;

	(void)state;
	for (int code = 0; code < GRPC_CODE_COUNT; code++) {
		bool failure = grpc_http_status(code) >= 500;

		assert_int_equal(failure, !!memchr(failures, code, sizeof(failures)));
		n += failure;
	}
	assert_int_equal(n, sizeof(failures));
	assert_int_equal(grpc_http_status(GRPC_OK), 200);
	assert_int_equal(grpc_http_status(17), 500);
	assert_int_equal(grpc_http_status(MSG_NO_STATUS), 500);
	assert_string_equal(grpc_code_word(14), "unavailable");
	assert_string_equal(grpc_code_word(99), "unknown");
	for (size_t i = 0; i < COUNT(back); i++)
		assert_int_equal(grpc_code_of_http(back[i].http), back[i].code);
}

static void kinds(void **state)
{
	static const struct {
		const char *type;
		enum grpc_kind kind;
		const char *format;
	} rows[] = {
		{ "application/grpc", GRPC_PLAIN, "" }, { "application/grpc+proto", GRPC_PLAIN, "+proto" },
		{ "Application/gRPC;charset=x", GRPC_PLAIN, ";charset=x" }, { "application/grpc ; a=b", GRPC_PLAIN, " ; a=b" },
		{ "application/grpc-web", GRPC_WEB, "" }, { "application/grpc-web+json", GRPC_WEB, "+json" },
		{ "application/grpc-web-text", GRPC_WEB_TEXT, "" }, { "application/grpc-web-text+proto", GRPC_WEB_TEXT, "+proto" },
		{ "application/grpcx", GRPC_NONE, NULL }, { "application/grpc-webby", GRPC_NONE, NULL },
		{ "application/grpc-web-texts", GRPC_NONE, NULL }, { "application/grp", GRPC_NONE, NULL }, { "", GRPC_NONE, NULL },
		{ "text/plain", GRPC_NONE, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice s = exact(rows[i].type), format = { 0 };

		assert_int_equal(grpc_kind_of(s, &format), rows[i].kind);
		if (rows[i].kind)
			assert_true(slice_eq_str(format, rows[i].format));
		let_go(s);
	}
	assert_int_equal(grpc_kind_of((struct slice){ NULL, 0 }, NULL), GRPC_NONE);
}

static void paths(void **state)
{
	static const struct {
		const char *path, *service, *method;
	} rows[] = {
		{ "/pkg.Svc/Do", "pkg.Svc", "Do" }, { "/S/d", "S", "d" }, { "/pkg.Svc/Do?x=/y", "pkg.Svc", "Do" },
		{ "/pkg.Svc", "", "" }, { "/pkg.Svc/", "", "" }, { "//Do", "", "" }, { "/a/b/c", "", "" }, { "/", "", "" }, { "", "", "" },
		{ "*", "", "" }, { "/S?/d", "", "" }, { "pkg.Svc/Do", "", "" }, { "/a/b/", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice path = exact(rows[i].path), service, method;

		assert_int_equal(grpc_path(path, &service, &method), !!*rows[i].service);
		assert_true(slice_eq_str(service, rows[i].service) && slice_eq_str(method, rows[i].method));
		let_go(path);
	}
}

/* ---- whole messages ----------------------------------------------------------------------------------------- */

static struct arena arena;

static struct msg made(enum msg_kind kind, const char *const (*headers)[2], size_t n)
{
	struct msg m = { .kind = kind, .arena = &arena, .path = SLICE_LIT("/pkg.Svc/Do"), .wire_status = MSG_NO_STATUS };

	for (size_t i = 0; i < n; i++)
		assert_int_equal(msg_push(&m, slice_str(headers[i][0]), slice_str(headers[i][1])), 0);
	return m;
}
#define MADE(kind, ...) made(kind, (const char *const[][2]){ __VA_ARGS__ }, COUNT(((const char *const[][2]){ __VA_ARGS__ })))
#define GRPC { "content-type", "application/grpc" }

static void requests_are_recognised(void **state)
{
	static const struct {
		const char *text;
		int32_t ms;
	} times[] = { { "1n", 1 }, { "0m", 1 }, { "1000001n", 2 }, { "5S", 5000 }, { "99999999H", INT32_MAX }, { "x", 0 } };
	struct msg m = MADE(MSG_REQUEST, GRPC);

	(void)state;
	grpc_recognise(&m, false);
	assert_true(m.flags & MSG_GRPC && slice_eq_str(m.service, "pkg.Svc") && slice_eq_str(m.rpc_method, "Do") && !m.timeout_ms);
	for (size_t i = 0; i < COUNT(times); i++) {
		m = MADE(MSG_REQUEST, GRPC, { "grpc-timeout", times[i].text });
		grpc_recognise(&m, false);
		assert_int_equal(m.timeout_ms, times[i].ms);
	}
	m = MADE(MSG_REQUEST, { "content-type", "application/grpc-web" }, { "grpc-timeout", "1S" });
	grpc_recognise(&m, false);
	assert_true(!m.flags && !m.service.n && !m.timeout_ms);
}

static void answers_are_recognised(void **state)
{
	struct msg m = MADE(MSG_RESPONSE, GRPC, { "grpc-status", "14" });

	(void)state;
	grpc_recognise(&m, true);
	assert_true(m.flags == (MSG_GRPC | MSG_TRAILERS_ONLY) && m.wire_status == 14);
	m = MADE(MSG_RESPONSE, GRPC, { "grpc-status", "14" });
	grpc_recognise(&m, false);
	assert_true(m.flags == MSG_GRPC && m.wire_status == MSG_NO_STATUS);
	m = MADE(MSG_TRAILERS, { "grpc-status", "7" });
	grpc_recognise(&m, true);
	assert_true(!m.flags && m.wire_status == 7);
	m = MADE(MSG_TRAILERS, { "grpc-status", "0x7" });
	grpc_recognise(&m, true);
	assert_int_equal(m.wire_status, MSG_NO_STATUS);
	m = MADE(MSG_TRAILERS, { "grpc-status", "1000" });
	assert_int_equal(grpc_status(&m), MSG_NO_STATUS);
}

static void words_about_sending_again(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = { { "0", 0 }, { "250", 250 }, { "-1", GRPC_PUSHBACK_STOP }, { "", GRPC_PUSHBACK_STOP }, { "soon", GRPC_PUSHBACK_STOP },
		     { "9999999999999999999", GRPC_PUSHBACK_STOP } };
	struct msg m = MADE(MSG_RESPONSE, GRPC);

	(void)state;
	assert_int_equal(grpc_pushback_ms(&m), GRPC_PUSHBACK_NONE);
	assert_int_equal(grpc_previous_attempts(&m), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		m = MADE(MSG_RESPONSE, { "grpc-retry-pushback-ms", rows[i].text });
		assert_int_equal(grpc_pushback_ms(&m), rows[i].ms);
	}
	m = MADE(MSG_REQUEST, { "grpc-previous-rpc-attempts", "3" });
	assert_int_equal(grpc_previous_attempts(&m), 3);
	m = MADE(MSG_REQUEST, { "grpc-previous-rpc-attempts", "many" });
	assert_int_equal(grpc_previous_attempts(&m), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timeouts_are_read),	    cmocka_unit_test(timeouts_are_written),
		cmocka_unit_test(messages_both_ways),	    cmocka_unit_test(codes_and_http),
		cmocka_unit_test(kinds),		    cmocka_unit_test(paths),
		cmocka_unit_test(requests_are_recognised),  cmocka_unit_test(answers_are_recognised),
		cmocka_unit_test(words_about_sending_again),
	};
	int failed;

	arena_init(&arena);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_fini(&arena);
	return failed;
}
