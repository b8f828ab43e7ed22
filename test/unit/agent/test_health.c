// SPDX-License-Identifier: Apache-2.0
/* Checks against a small server on the same loop: what counts as well, thresholds, hosts that come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <unistd.h>
#include "agent/health.h"
#include "base/clock.h"
#include "lib/facts.h"
#include "model/store.h"
#include "net/sock.h"

#define LONG_NS (30 * SEC)

static struct {
	struct loop loop;
	struct loop_io listener, conns[8];
	struct net_addr addr;
	const char *answer;                     /* "" = closes at once; NULL = says nothing */
	char request[512];
	unsigned asked;
} server;

static void serve(struct loop_io *io, unsigned events)
{
	ssize_t n = read(io->fd, server.request, sizeof(server.request) - 1);

	(void)events;
	if (n > 0) {
		server.request[n] = '\0';
		server.asked++;
		if (!server.answer)
			return;
		assert_true(write(io->fd, server.answer, strlen(server.answer)) >= 0);
	}
	loop_del(&server.loop, io);
	close(io->fd);
}

static void take(struct loop_io *io, unsigned events)
{
	struct net_addr from;
	int fd = sock_accept(io->fd, &from);

	(void)events;
	for (int i = 0; fd >= 0 && i < 8; i++) {
		if (server.conns[i].active)
			continue;
		assert_int_equal(loop_add(&server.loop, &server.conns[i], fd, LOOP_READ, serve, NULL), 0);
		return;
	}
	fail();
}

static struct store *store;
static struct snapshot *now;
static struct health health;
static unsigned nturns, nsick;
static bool last_healthy;

static void turned(void *arg, struct slice key, bool healthy)
{
	(void)arg;
	assert_true(slice_starts(key, SLICE_LIT("web|127.0.0.1|")));
	nturns++;
	nsick += !healthy;
	last_healthy = healthy;
}

static void publish(struct store_tx *tx)
{
	struct registry_verdict v;
	struct snapshot *old = now;
	struct diff d;

	if (!store_commit(tx, 1, &v))
		fail_msg("refused: %s", v.refused[0].why);
	store_end(tx);
	now = store_build(store, 0);
	diff_init(&d, old, now);
	health_update(&health, &d);
	diff_fini(&d);
	snapshot_drop(old);
	store_bury(store);
}

static void put_cluster(struct store_tx *tx, struct health_check h)
{
	struct cluster_fact *c = (struct cluster_fact *)facts_cluster("web");

	c->connect_ms = 1000;
	c->ring_size = 1024;
	c->health = h;
	c->health.path = fact_slice(&c->fact, h.path);
	c->health.host = fact_slice(&c->fact, h.host);
	if (h.nexpect) {
		struct status_range *r = fact_alloc(&c->fact, sizeof(*r));

		*r = h.expect[0];
		c->health.expect = r;
	}
	store_put(tx, &c->fact);
}

static void start(struct health_check h, const char *answer)
{
	struct sock_options o = { 0 };
	struct store_tx *tx;
	int fd;

	memset(&server, 0, sizeof(server));
	nturns = nsick = 0;
	assert_int_equal(loop_init(&server.loop), 0);
	server.addr.ip = facts_ip("127.0.0.1");
	fd = sock_listen(&server.addr, &o, 16);
	assert_true(fd >= 0);
	assert_int_equal(sock_local(fd, &server.addr), 0);
	assert_int_equal(loop_add(&server.loop, &server.listener, fd, LOOP_READ, take, NULL), 0);
	server.answer = answer;
	health_init(&health, &server.loop, turned, NULL);
	store = store_new();
	tx = store_begin(store, SLICE_LIT("test"));
	put_cluster(tx, h);
	store_put(tx, &facts_host("web", "127.0.0.1", server.addr.port)->fact);
	publish(tx);
}

static void stop(void)
{
	health_fini(&health);
	snapshot_drop(now);
	now = NULL;
	store_bury(store);
	store_free(store);
	for (int i = 0; i < 8; i++) {
		if (!server.conns[i].active)
			continue;
		loop_del(&server.loop, &server.conns[i]);
		close(server.conns[i].fd);
	}
	if (server.listener.active) {
		loop_del(&server.loop, &server.listener);
		close(server.listener.fd);
	}
	loop_fini(&server.loop);
}

static void until_checks(unsigned n)
{
	uint64_t end = clock_ns() + LONG_NS;

	while (stat_get(&health.stat.checks) < n && clock_ns() < end)
		assert_int_equal(loop_once(&server.loop, 10 * MSEC), 0);
	assert_true(stat_get(&health.stat.checks) >= n);
}

static const char *words(void)
{
	char key[128];

	return health_words(&health, host_key(key, SLICE_LIT("web"), &server.addr.ip, server.addr.port));
}

static const struct health_check http = { .type = HEALTH_HTTP, .path = { "/healthz", 8 }, .interval_ms = 20,
					  .timeout_ms = 2000, .unhealthy = 3, .healthy = 2 };

static void test_http(void **state)
{
	static const struct {
		const char *answer, *words;
	} cases[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "healthy" },
		{ "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "healthy" },
		{ "HTTP/1.1 204 No\r\n\r\n", "unhealthy: HTTP status 204" },
		{ "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "unhealthy: HTTP status 503" },
		{ "", "unhealthy: closed without an answer" },
		{ "SSH-2.0-OpenSSH\r\n", "unhealthy: the answer is not HTTP" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start(http, cases[i].answer);
		assert_string_equal(words(), "not checked yet");
		until_checks(1);
		assert_string_equal(words(), cases[i].words);
		assert_int_equal(nsick, cases[i].words[0] == 'u');
		assert_non_null(strstr(server.request, "GET /healthz HTTP/1.1\r\nHost: web\r\n"));
		stop();
	}
}

static void test_settings(void **state)
{
	struct health_check h = http;
	struct status_range r = { 200, 299 };

	(void)state;
	h.host = SLICE_LIT("example.org");
	h.expect = &r;
	h.nexpect = 1;
	start(h, "HTTP/1.1 204 No\r\n\r\n");
	until_checks(1);
	assert_string_equal(words(), "healthy");
	assert_non_null(strstr(server.request, "\r\nHost: example.org\r\n"));
	stop();
}

static void test_tcp_and_time(void **state)
{
	struct health_check h = http;

	(void)state;
	h.type = HEALTH_TCP;
	start(h, NULL);
	until_checks(1);
	assert_string_equal(words(), "healthy");
	stop();
	h = http;
	h.timeout_ms = 50;
	start(h, NULL);
	until_checks(1);
	assert_string_equal(words(), "unhealthy: no answer in time");
	stop();
	/* Nobody listens on the port that is checked. */
	h = http;
	h.type = HEALTH_TCP;
	start(h, NULL);
	loop_del(&server.loop, &server.listener);
	close(server.listener.fd);
	until_checks(1);
	assert_string_equal(words(), "unhealthy: Connection refused");
	stop();
}

static void test_thresholds(void **state)
{
	unsigned n;

	(void)state;
	start(http, "HTTP/1.1 200 OK\r\n\r\n");
	until_checks(2);
	assert_int_equal(nturns, 1);
	n = (unsigned)stat_get(&health.stat.checks);
	server.answer = "HTTP/1.1 500 No\r\n\r\n";
	until_checks(n + 2);
	assert_int_equal(nsick, 0);
	server.answer = "HTTP/1.1 200 OK\r\n\r\n";      /* ends the row */
	until_checks(n + 3);
	server.answer = "HTTP/1.1 500 No\r\n\r\n";
	until_checks(n + 5);
	assert_int_equal(nsick, 0);
	until_checks(n + 6);
	assert_int_equal(nsick, 1);
	assert_int_equal(stat_get(&health.stat.unhealthy), 1);
	server.answer = "HTTP/1.1 200 OK\r\n\r\n";
	until_checks(n + 7);
	assert_false(last_healthy);
	until_checks(n + 8);
	assert_true(last_healthy);
	assert_int_equal(stat_get(&health.stat.unhealthy), 0);
	stop();
}

static void test_hosts_come_and_go(void **state)
{
	struct store_tx *tx;

	(void)state;
	start(http, "HTTP/1.1 500 No\r\n\r\n");
	until_checks(1);
	assert_int_equal(nsick, 1);
	tx = store_begin(store, SLICE_LIT("test"));
	for (int i = 1; i <= 20; i++)
		store_put(tx, &facts_host("web", "127.0.0.1", i)->fact);
	publish(tx);
	assert_int_equal(stat_get(&health.stat.checked), 21);
	assert_string_equal(words(), "unhealthy: HTTP status 500");
	until_checks(30);
	/* No checks any more: what they said is taken back. */
	tx = store_begin(store, SLICE_LIT("test"));
	put_cluster(tx, (struct health_check){ 0 });
	nturns = nsick = 0;
	publish(tx);
	assert_int_equal(stat_get(&health.stat.checked), 0);
	assert_int_equal(stat_get(&health.stat.unhealthy), 0);
	assert_true(nturns >= 1 && !nsick);
	assert_null(words());
	assert_int_equal(health.under_way, 0);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http),	   cmocka_unit_test(test_settings),
		cmocka_unit_test(test_tcp_and_time), cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_hosts_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
