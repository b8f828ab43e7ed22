// SPDX-License-Identifier: Apache-2.0
/* Plain heads are read without llhttp. Each byte of some heads becomes every other, goes, and gets every other before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/http1_two.h"

static const char *const requests[] = {
	"GET /a?b=1 HTTP/1.1\r\nHost: a.b:80\r\nX-Y:  v w \r\nCookie:\r\n\r\n",
	"POST / HTTP/1.1\r\nhost: a\r\nContent-Length: 17\r\nconnection: close, x-y\r\n\r\n",
	"DELETE /a/b HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nExpect: 100-continue\r\nKeep-Alive: 5\r\n\r\n",
	"PUT /%20 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nHttp2-Settings: AAA\r\nA:\t1\t \r\n\r\n",
};

static const char *const responses[] = {
	"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nDate: now\r\nX: \xe4\r\n\r\n",
	"HTTP/1.1 404 Not Found\r\nconnection: keep-alive\r\nConnection: close\r\nEmpty:\r\n\r\n",
	"HTTP/1.1 304 \r\nETag: \"a\"\r\nContent-Length: 0\r\n\r\n",
};

static unsigned compared, plain;

static void compare(struct slice s, bool server)
{
	/* A copy of its own, so that a sanitizer sees what is read behind it. */
	char *copy = malloc(s.n);
	bool was_plain;
	const char *what;

	memcpy(copy, s.p, s.n);
	what = two_compare((struct slice){ copy, s.n }, server, &was_plain);
	if (what)
		fail_msg("%s differs: %.*s", what, SLICE_ARG(s));
	compared++;
	plain += was_plain;
	free(copy);
}

static void each_change(const char *text, bool server)
{
	size_t n = strlen(text);
	char s[256];

	for (size_t at = 0; at < n; at++) {
		memcpy(s, text, at);
		memcpy(s + at, text + at + 1, n - at - 1);
		compare((struct slice){ s, n - 1 }, server);
		memcpy(s + at + 1, text + at, n - at);
		for (int b = 0; b < 256; b++) {
			s[at] = (char)b;
			compare((struct slice){ s, n + 1 }, server);
		}
		memcpy(s, text, n);
		for (int b = 0; b < 256; b++) {
			s[at] = (char)b;
			compare((struct slice){ s, n }, server);
		}
	}
}

static void requests_are_the_same(void **state)
{
	(void)state;
	compared = plain = 0;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		each_change(requests[i], true);
	assert_true(plain > compared / 4);
}

static void responses_are_the_same(void **state)
{
	(void)state;
	compared = plain = 0;
	for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++)
		each_change(responses[i], false);
	assert_true(plain > compared / 4);
}

/* Words that mean something in one place and not in another. */
static void words_are_the_same(void **state)
{
	static const char *const names[] = { "Host", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "TE", "Expect",
					     "Proxy-Connection", "Trailer", "X" };
	static const char *const values[] = { "", " ", "1", "01", "+1", "-1", "1 ", "1,1", "1 1", "0x1", "999999999999999999",
					      "9999999999999999999", "99999999999999999999", "chunked", "chunked, gzip", "close",
					      "keep-alive", "upgrade", "close,upgrade", "websocket", "h2c", "trailers", "a\tb" };
	size_t nnames = sizeof(names) / sizeof(names[0]), nvalues = sizeof(values) / sizeof(values[0]);
	char s[256];

	(void)state;
	for (size_t i = 0; i < nnames * nvalues * nnames * nvalues; i++) {
		const char *name = names[i % nnames], *value = values[i / nnames % nvalues];
		const char *name2 = names[i / nnames / nvalues % nnames], *value2 = values[i / nnames / nvalues / nnames];
		int n = snprintf(s, sizeof(s), "POST / HTTP/1.1\r\n%s:%s\r\n%s: %s\r\n\r\n", name, value, name2, value2);

		compare((struct slice){ s, (size_t)n }, true);
		n = snprintf(s, sizeof(s), "HTTP/1.1 200 OK\r\n%s:%s\r\n%s: %s\r\n\r\n", name, value, name2, value2);
		compare((struct slice){ s, (size_t)n }, false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_the_same),
		cmocka_unit_test(responses_are_the_same),
		cmocka_unit_test(words_are_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
