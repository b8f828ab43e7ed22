// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "net/addr.h"
#include "netio/proxy_protocol.h"
#include "netio/tls.h"
#include "tls_kit.h"

static int sv[2];

static void open_with(const struct net_layer *layers, unsigned n, bool server)
{
	pair(sv);
	conn_close(&e.c);
	e.opens = e.fails = e.readables = 0;
	assert_int_equal(conn_open(&e.c, &loop, sv[0], server, layers, n, 30000, &end_events), 0);
}

static void open_in(const struct listener *l)
{
	const struct net_layer layer = { .ops = &proxy_protocol_ops, .conf = l };

	open_with(&layer, 1, true);
}

static void say(const char *bytes, size_t n)
{
	assert_int_equal(write(sv[1], bytes, n), n);
}

static const char line[] = "PROXY TCP4 1.2.3.4 10.0.0.1 5 6\r\nhello";

static void source_is(const char *want)
{
	char got[ADDR_TEXT_MAX];

	assert_string_equal(addr_text(&e.c.peer->source, got), want);
}

static void test_required(void **state)
{
	const struct listener l = { .proxy_header = PROXY_HEADER_REQUIRED };
	char original[ADDR_TEXT_MAX];

	(void)state;
	open_in(&l);
	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		say(line + i, 1);
		turns(1);
	}
	until(&e.opens, 1);
	source_is("1.2.3.4:5");
	assert_string_equal(addr_text(&e.c.peer->original, original), "10.0.0.1:6");
	until_got(&e, 5);
	assert_got(&e, "hello");
	assert_null(e.c.stack);
	close(sv[1]);
	open_in(&l);
	say("GET / HTTP/1.1\r\n", 16);
	until(&e.fails, 1);
	assert_int_equal(e.err, -EPROTO);
	assert_string_equal(e.why, "PROXY protocol: the client sent no header");
	close(sv[1]);
	open_in(&l);
	say("PROXY TCP9 \r\n", 13);
	until(&e.fails, 1);
	assert_non_null(strstr(e.why, "neither TCP4 nor TCP6"));
	close(sv[1]);
	open_in(&l);
	say("PROX", 4);
	turns(2);
	close(sv[1]);
	until(&e.fails, 1);
	assert_non_null(strstr(e.why, "within the header"));
}

static void test_optional(void **state)
{
	const struct listener l = { .proxy_header = PROXY_HEADER_OPTIONAL };

	(void)state;
	open_in(&l);
	say(line, sizeof(line) - 1);
	until(&e.opens, 1);
	source_is("1.2.3.4:5");
	close(sv[1]);
	open_in(&l);
	say("PRO", 3);
	turns(2);
	assert_int_equal(e.opens, 0);
	say("bably", 5);
	until(&e.opens, 1);
	until_got(&e, 11 - 3);
	assert_got(&e, "PRObably");
	close(sv[1]);
}

static void test_trusted_only(void **state)
{
	const struct ip_block elsewhere = { .ip.b = { [10] = 0xff, [11] = 0xff, [12] = 10 }, .bits = 104 };
	const struct ip_block here = { .bits = 128 }; /* what a unix socket's address is */
	struct listener l = { .proxy_header = PROXY_HEADER_REQUIRED, .trusted = &elsewhere, .ntrusted = 1 };

	(void)state;
	open_in(&l);
	say(line, sizeof(line) - 1);
	until(&e.fails, 1);
	assert_int_equal(e.err, -EACCES);
	close(sv[1]);
	l.proxy_header = PROXY_HEADER_OPTIONAL;
	open_in(&l);
	until(&e.opens, 1);
	say(line, sizeof(line) - 1);
	until_got(&e, sizeof(line) - 1);
	assert_got(&e, line);
	close(sv[1]);
	l.trusted = &here;
	open_in(&l);
	say(line, sizeof(line) - 1);
	until(&e.opens, 1);
	source_is("1.2.3.4:5");
	until_got(&e, 5);
	assert_got(&e, "hello");
	close(sv[1]);
}

static void test_towards_hosts(void **state)
{
	const struct net_layer layer = { .ops = &proxy_protocol_out_ops, .conf = NULL };
	struct buf out = { 0 };
	char got[64];

	(void)state;
	open_with(&layer, 1, false);
	e.c.peer->source = (struct net_addr){ { { [10] = 0xff, [11] = 0xff, [12] = 1, [13] = 2, [14] = 3, [15] = 4 } }, 5 };
	e.c.peer->original = (struct net_addr){ { { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1 } }, 6 };
	until(&e.opens, 1);
	assert_null(e.c.stack);
	buf_add(&out, "hello", 5);
	assert_int_equal(conn_write(&e.c, &out), 5);
	assert_int_equal(read(sv[1], got, sizeof(got)), 33);
	assert_memory_equal(got, "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x0a\0\0\x01\0\x05\0\x06hello", 33);
	close(sv[1]);
}

static void test_below_tls(void **state)
{
	const struct listener l = { .proxy_header = PROXY_HEADER_REQUIRED };
	struct listener_tls t = strict();
	struct tlsctx *c = context(&t);
	const struct net_layer layers[] = { { .ops = &proxy_protocol_ops, .conf = &l }, { .ops = &tls_ops, .conf = c } };
	struct peer p;

	(void)state;
	open_with(layers, 2, true);
	tlsctx_drop(c);
	say(line, sizeof(line) - 6);
	p = peer_new(false, NULL, sv[1]);
	assert_true(shake(&p));
	source_is("1.2.3.4:5");
	hello_both_ways(&p);
	peer_free(&p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tls_setup, tls_teardown)
	const struct CMUnitTest tests[] = {
		T(test_required), T(test_optional), T(test_trusted_only), T(test_towards_hosts), T(test_below_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
