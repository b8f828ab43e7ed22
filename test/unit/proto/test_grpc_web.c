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
#include "proto/grpc_web.h"
#include "weft/buf.h"
#include "weft/str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void is_all(struct buf *b, const char *want, size_t n)
{
	char got[4096];
	size_t at = 0;

	assert_int_equal(b->len, n);
	while (b->len) {
		struct slice s = buf_head(b);

		memcpy(got + at, s.p, s.n);
		at += s.n;
		buf_drop(b, s.n);
	}
	assert_memory_equal(got, want, n);
}

static void texts_are_decoded(void **state)
{
	static const struct {
		const char *text, *bytes;
		ssize_t n;
		bool ended;
	} rows[] = {
		{ "", "", 0, true }, { "Zm9v", "foo", 3, true }, { "Zm8=", "fo", 2, true }, { "Zg==", "f", 1, true },
		{ "Zg==Zm8=Zm9vZg==", "ffofoof", 7, true }, { "+/+/", "\xfb\xff\xbf", 3, true }, { "Zm9", "", 0, false },
		{ "Zm9vZ", "foo", 3, false }, { "Zm8", "", 0, false },
		{ "Z===", "", -EINVAL, false }, { "=", "", -EINVAL, false }, { "Zg=v", "", -EINVAL, false }, { "Zm9v\n", "", -EINVAL, false },
		{ "Zm-_", "", -EINVAL, false }, { "Zg===", "", -EINVAL, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t all = strlen(rows[i].text);

		/* In pieces of every size; each on the heap, exactly so long. */
		for (size_t piece = 1; piece <= all + 1; piece++) {
			struct grpc_web_text t = { 0 };
			char out[64];
			ssize_t n = 0;

			for (size_t at = 0; at < all && n >= 0; at += piece) {
				size_t k = all - at < piece ? all - at : piece;
				char *exact = memcpy(malloc(k), rows[i].text + at, k);
				ssize_t made = grpc_web_decode(&t, (struct slice){ exact, k }, out + n);

				n = made < 0 ? made : n + made;
				free(exact);
			}
			assert_int_equal(n, rows[i].n);
			if (n >= 0) {
				assert_memory_equal(out, rows[i].bytes, (size_t)n);
				assert_int_equal(grpc_web_ended(&t), rows[i].ended);
			}
		}
	}
}

static void bytes_are_encoded(void **state)
{
	static const char *const rows[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
					       { "\xfb\xff\xbf", "+/+/" } };
	static char large[10000];
	struct grpc_web_text t = { 0 };
	struct buf out;
	size_t n = 0;

	(void)state;
	buf_init(&out);
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(grpc_web_encode(slice_str(rows[i][0]), &out), 0);
		is_all(&out, rows[i][1], strlen(rows[i][1]));
	}
	memset(large, 0xa5, sizeof(large));
	assert_int_equal(grpc_web_encode((struct slice){ large, sizeof(large) }, &out), 0);
	assert_int_equal(out.len, (sizeof(large) + 2) / 3 * 4);
	while (out.len) {
		struct slice s = buf_head(&out);
		char *bytes = malloc(GRPC_WEB_DECODED(s.n));
		ssize_t made = grpc_web_decode(&t, s, bytes);

		assert_true(made >= 0);
		assert_memory_equal(bytes, large, (size_t)made);
		n += (size_t)made;
		free(bytes);
		buf_drop(&out, s.n);
	}
	assert_int_equal(n, sizeof(large));
}

static void trailers_are_a_frame(void **state)
{
	struct arena a;
	struct msg m = { .kind = MSG_TRAILERS, .arena = &a };
	struct buf out;

	(void)state;
	arena_init(&a);
	buf_init(&out);
	assert_int_equal(grpc_web_trailers(&m, &out), 0);
	is_all(&out, "\x80\0\0\0\0", 5);
	msg_push(&m, SLICE_LIT("Grpc-Status"), SLICE_LIT("0"));
	msg_push(&m, SLICE_LIT("x-empty"), SLICE_LIT(""));
	assert_int_equal(grpc_web_trailers(&m, &out), 0);
	is_all(&out, "\x80\0\0\0\x1bgrpc-status: 0\r\nx-empty: \r\n", 32);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_decoded),
		cmocka_unit_test(bytes_are_encoded),
		cmocka_unit_test(trailers_are_a_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
