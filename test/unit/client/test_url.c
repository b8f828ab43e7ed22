// SPDX-License-Identifier: Apache-2.0
/* URLs of calls: what is taken, into which parts, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "client/url.h"
#include "weft/str.h"

static void want(const char *text, bool tls, const char *host, uint16_t port, const char *authority, const char *path)
{
	struct url u;
	const char *why = url_parse(slice_str(text), &u);

	if (why)
		fail_msg("%s: %s", text, why);
	assert_int_equal(u.tls, tls);
	assert_true(slice_eq_str(u.host, host) && slice_eq_str(u.authority, authority) && slice_eq_str(u.path, path));
	assert_int_equal(u.port, port);
	assert_int_equal(u.socket.n, 0);
}

static void takes(void **state)
{
	(void)state;
	want("http://a", false, "a", 80, "a", "/");
	want("HTTPS://a.b-c_d.e/", true, "a.b-c_d.e", 443, "a.b-c_d.e", "/");
	want("http://10.0.0.1:8080/x?y=z:/@", false, "10.0.0.1", 8080, "10.0.0.1:8080", "/x?y=z:/@");
	want("https://[2001:db8::1]:9/a%20b", true, "2001:db8::1", 9, "[2001:db8::1]:9", "/a%20b");
	want("http://[::1]/", false, "::1", 80, "[::1]", "/");
	want("http://a:65535", false, "a", 65535, "a:65535", "/");
}

static void takes_sockets(void **state)
{
	struct url u;

	(void)state;
	assert_null(url_parse(SLICE_LIT("unix:/run/x.sock:/pkg.Svc/Do"), &u));
	assert_true(slice_eq_str(u.socket, "/run/x.sock") && slice_eq_str(u.path, "/pkg.Svc/Do") && !u.tls);
	assert_true(slice_eq_str(u.authority, "localhost"));
	assert_null(url_parse(SLICE_LIT("unix:/run/x.sock"), &u));
	assert_true(slice_eq_str(u.path, "/"));
}

static void refuses(void **state)
{
	static const char *const bad[] = {
		"", "http", "http:/", "http://", "http:///x", "ftp://a", "a", "//a", "http://a b", "http://a\n", "http://a/\x7f", "http://\xc3\xa4",
		"http://a:", "http://a:0", "http://a:65536", "http://a:8x", "http://a:+8", "http://u:p@a/", "http://u@a/", "http://a#b",
		"http://a?x", "http://[::1", "http://[a]", "http://[1.2.3.4]", "http://[::1]x", "http://.a", "http://a,b",
		"unix:", "unix:x:/y", "unix:/x:y", "unix:/x:y:/z",
	};
	char text[URL_MAX + 2];
	struct url u;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!url_parse(slice_str(bad[i]), &u))
			fail_msg("%s is taken", bad[i]);
	memset(text, 'a', sizeof(text));
	memcpy(text, "http://h/", 9);
	assert_null(url_parse((struct slice){ text, URL_MAX }, &u));
	assert_non_null(url_parse((struct slice){ text, URL_MAX + 1 }, &u));
	memcpy(text, "unix:/", 6);
	assert_null(url_parse((struct slice){ text, 5 + URL_SOCKET_MAX }, &u));
	assert_non_null(url_parse((struct slice){ text, 6 + URL_SOCKET_MAX }, &u));
	memcpy(text, "http://", 7);
	text[7] = 'a';
	assert_null(url_parse((struct slice){ text, 7 + 1 }, &u));
	memset(text + 7, 'a', URL_HOST_MAX + 1);
	assert_null(url_parse((struct slice){ text, 7 + URL_HOST_MAX }, &u));
	assert_non_null(url_parse((struct slice){ text, 8 + URL_HOST_MAX }, &u));
}

static void shows(void **state)
{
	(void)state;
	assert_true(slice_eq_str(url_shown(SLICE_LIT("http://a/b?token=x")), "http://a/b"));
	assert_true(slice_eq_str(url_shown(SLICE_LIT("http://u:p@a/b")), "(a URL with @)"));
	assert_true(slice_eq_str(url_shown(SLICE_LIT("http://a/?x=@")), "http://a/"));
	assert_int_equal(url_shown((struct slice){ NULL, 0 }).n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes),
		cmocka_unit_test(takes_sockets),
		cmocka_unit_test(refuses),
		cmocka_unit_test(shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
