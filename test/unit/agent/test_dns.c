// SPDX-License-Identifier: Apache-2.0
/* Names against a small name server on the same loop: answers, changes, failures, clusters that go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <unistd.h>
#include "agent/dns.h"
#include "base/clock.h"
#include "lib/facts.h"
#include "net/addr.h"
#include "net/sock.h"

#define LONG_NS (30 * SEC)

static struct {
	struct loop_io io;
	char servers[ADDR_TEXT_MAX];
	const char *v4[4], *v6[4];              /* what it answers; ends with NULL */
	uint32_t ttl, alias_ttl;
	bool alias;                             /* the name is another's, which has the addresses */
	int rcode;
	unsigned asked;
} server;

static struct loop loop;
static struct store *store;
static struct snapshot *now;
static struct hub hub;
static struct hub_source own;
static struct dns dns;

static size_t put_records(uint8_t *out, const char *const *texts, int family, uint16_t *n)
{
	size_t at = 0, len = family == AF_INET ? 4 : 16;

	for (*n = 0; texts[*n]; ++*n) {
		uint8_t head[12] = { 0xc0, 12, 0, family == AF_INET ? 1 : 28, 0, 1, server.ttl >> 24, server.ttl >> 16,
				     server.ttl >> 8, server.ttl, 0, len };

		memcpy(out + at, head, sizeof(head));
		assert_int_equal(inet_pton(family, texts[*n], out + at + sizeof(head)), 1);
		at += sizeof(head) + len;
	}
	return at;
}

static void serve(struct loop_io *io, unsigned events)
{
	uint8_t p[512], records[512], out[1024];
	struct sockaddr_storage from;
	socklen_t fromlen = sizeof(from);
	ssize_t n = recvfrom(io->fd, p, sizeof(p), MSG_DONTWAIT, (void *)&from, &fromlen);
	size_t q = 12, len = 0;
	uint16_t count = 0;

	(void)events;
	if (n < 17)
		return;
	server.asked++;
	while (p[q])
		q += p[q] + 1;
	q += 5;
	if (!server.rcode && p[q - 3] == 1)
		len = put_records(records, server.v4, AF_INET, &count);
	else if (!server.rcode && p[q - 3] == 28)
		len = put_records(records, server.v6, AF_INET6, &count);
	memcpy(out, p, q);
	if (server.alias && count) {
		uint8_t cname[16] = { 0xc0, 12, 0, 5, 0, 1, server.alias_ttl >> 24, server.alias_ttl >> 16, server.alias_ttl >> 8,
				      server.alias_ttl, 0, 4, 1, 'x', 0xc0, 12 };

		/* Addresses are owned by what the first record points to. */
		for (size_t i = 0; i < len; i += 12 + records[i + 11]) {
			records[i] = 0xc0 | (q + 12) >> 8;
			records[i + 1] = (uint8_t)(q + 12);
		}
		memmove(records + sizeof(cname), records, len);
		memcpy(records, cname, sizeof(cname));
		len += sizeof(cname);
		count++;
	}
	memcpy(out + 2, (uint8_t[]){ 0x81, 0x80 | server.rcode, 0, 1, 0, count, 0, 0, 0, 0 }, 10);
	memcpy(out + q, records, len);
	sendto(io->fd, out, q + len, 0, (void *)&from, fromlen);
}

static void publish(void)
{
	struct snapshot *old = now;
	struct diff d;

	now = store_build(store, 0);
	diff_init(&d, old, now);
	dns_update(&dns, &d);
	diff_fini(&d);
	snapshot_drop(old);
	store_bury(store);
}

static void changed(void *arg)
{
	*(bool *)arg = true;
}

static bool dirty;

static struct cluster_fact *cluster(const char *name, const char *host)
{
	struct cluster_fact *c = (struct cluster_fact *)facts_cluster(name);

	c->connect_ms = 1000;
	c->ring_size = 1024;
	c->dns_host = fact_slice(&c->fact, slice_str(host));
	c->dns_port = host[0] ? 8080 : 0;
	return c;
}

static void put(struct fact *take_f)
{
	hub_sink.begin(&own);
	hub_sink.put(&own, take_f);
	hub_sink.commit(&own, 1);
	assert_null(own.refusal_words);
	publish();
}

static void start(void)
{
	struct net_addr a = { facts_ip("127.0.0.1"), 0 };
	struct sock_options o = { 0 };
	struct err e = { 0 };
	int fd;

	memset(&server, 0, sizeof(server));
	server.ttl = 60;
	assert_int_equal(loop_init(&loop), 0);
	fd = sock_udp(&a, &o);
	assert_true(fd >= 0);
	assert_int_equal(sock_local(fd, &a), 0);
	addr_text(&a, server.servers);
	assert_int_equal(loop_add(&loop, &server.io, fd, LOOP_READ, serve, NULL), 0);
	store = store_new();
	hub_init(&hub, store, changed, &dirty);
	hub_add(&hub, &own, "own", "test", NULL);
	assert_int_equal(dns_init(&dns, &loop, &hub, server.servers, &e), 0);
	dns.least_ms = 200;
}

static void stop(void)
{
	dns_fini(&dns);
	hub_fini(&hub);
	snapshot_drop(now);
	now = NULL;
	store_bury(store);
	store_free(store);
	loop_del(&loop, &server.io);
	close(server.io.fd);
	loop_fini(&loop);
}

/* "10.0.0.1 10.0.0.2": the cluster's hosts now */
static const char *hosts(const char *name)
{
	static char out[512];
	const struct cluster *c = snapshot_cluster(now, slice_str(name));
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; c && i < c->nhosts; i++) {
		char ip[64];

		assert_int_equal(c->hosts[i]->port, 8080);
		assert_int_equal(c->hosts[i]->weight, 1);
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s", i ? " " : "", ip_name(&c->hosts[i]->ip, ip));
	}
	return out;
}

static void turn(void)
{
	assert_int_equal(loop_once(&loop, 10 * MSEC), 0);
	if (dirty)
		publish();
	dirty = false;
}

static void until_hosts(const char *name, const char *want)
{
	uint64_t end = clock_ns() + LONG_NS;

	while (strcmp(hosts(name), want) && clock_ns() < end)
		turn();
	assert_string_equal(hosts(name), want);
}

static void until_failures(uint64_t n)
{
	uint64_t end = clock_ns() + LONG_NS;

	while (stat_get(&dns.stat.failures) < n && clock_ns() < end)
		turn();
	assert_true(stat_get(&dns.stat.failures) >= n);
}

static void test_answers(void **state)
{
	(void)state;
	start();
	server.v4[0] = "10.0.0.2";
	server.v4[1] = "10.0.0.1";
	server.v4[2] = "10.0.0.2";
	server.v6[0] = "2001:db8::1";
	put(&cluster("web", "web.example")->fact);
	assert_string_equal(dns_words(&dns, SLICE_LIT("web")), "not resolved yet");
	until_hosts("web", "10.0.0.1 10.0.0.2");
	assert_string_equal(dns_words(&dns, SLICE_LIT("web")), "2 addresses");
	assert_null(dns_words(&dns, SLICE_LIT("other")));
	/* By its own name; and where there is no IPv4 address, IPv6. */
	server.v4[0] = NULL;
	put(&cluster("six", "six.example")->fact);
	until_hosts("six", "2001:db8::1");
	/* Another name: other addresses, at one time. */
	server.v4[0] = "10.9.9.9";
	server.v4[1] = NULL;
	put(&cluster("web", "other.example")->fact);
	assert_string_equal(hosts("web"), "10.0.0.1 10.0.0.2");
	until_hosts("web", "10.9.9.9");
	/* Not by name any more. */
	put(&cluster("web", "")->fact);
	until_hosts("web", "");
	assert_int_equal(stat_get(&dns.stat.names), 1);
	stop();
}

static void test_time_to_live(void **state)
{
	(void)state;
	start();
	server.ttl = 0;
	server.v4[0] = "10.0.0.1";
	put(&cluster("web", "web.example")->fact);
	until_hosts("web", "10.0.0.1");
	unsigned asked = server.asked;
	uint64_t began = clock_ns();

	server.v4[0] = "10.0.0.7";
	server.v4[1] = "10.0.0.1";
	until_hosts("web", "10.0.0.1 10.0.0.7");
	assert_true(clock_ns() - began > 150 * MSEC);
	assert_int_equal(server.asked, asked + 1);
	assert_int_equal(stat_get(&dns.stat.changes), 2);
	stop();
}

/* A name that is moved by its CNAME is asked for again when that one is old, whatever the address behind it says. */
static void test_time_to_live_of_an_alias(void **state)
{
	(void)state;
	start();
	server.alias = true;
	server.alias_ttl = 0;
	server.ttl = 3600;
	server.v4[0] = "10.0.0.1";
	put(&cluster("web", "web.example")->fact);
	until_hosts("web", "10.0.0.1");
	server.v4[0] = "10.0.0.2";
	until_hosts("web", "10.0.0.2");
	server.alias = false;
	stop();
}

static void test_failure_keeps_what_was(void **state)
{
	(void)state;
	start();
	server.ttl = 0;
	server.v4[0] = "10.0.0.1";
	put(&cluster("web", "web.example")->fact);
	until_hosts("web", "10.0.0.1");
	server.rcode = 2;
	until_failures(1);
	assert_string_equal(hosts("web"), "10.0.0.1");
	assert_non_null(strstr(dns_words(&dns, SLICE_LIT("web")), "cannot be resolved"));
	server.rcode = 0;
	server.v4[0] = "10.0.0.2";
	until_hosts("web", "10.0.0.2");
	stop();
}

/* The same transaction takes the name and gives one of its addresses itself. */
static void test_address_becomes_an_endpoint(void **state)
{
	char key[HOST_KEY_EXTRA + 3];
	struct ip ip = facts_ip("10.0.0.2");
	struct host *h;

	(void)state;
	start();
	server.v4[0] = "10.0.0.1";
	server.v4[1] = "10.0.0.2";
	put(&cluster("web", "web.example")->fact);
	until_hosts("web", "10.0.0.1 10.0.0.2");
	hub_sink.begin(&own);
	hub_sink.put(&own, &cluster("web", "")->fact);
	h = facts_host("web", "10.0.0.2", 8080);
	h->weight = 1;
	hub_sink.put(&own, &h->fact);
	hub_sink.commit(&own, 2);
	assert_null(own.refusal_words);
	publish();
	until_hosts("web", "10.0.0.2");
	assert_null(dns.source.refusal_words);
	/* And back: the name's addresses are refused as long as the endpoint is there, which goes with the change. */
	hub_sink.begin(&own);
	hub_sink.del(&own, FACT_HOST, host_key(key, SLICE_LIT("web"), &ip, 8080));
	hub_sink.put(&own, &cluster("web", "web.example")->fact);
	hub_sink.commit(&own, 3);
	assert_null(own.refusal_words);
	publish();
	until_hosts("web", "10.0.0.1 10.0.0.2");
	assert_null(dns.source.refusal_words);
	stop();
}

/* The configuration deletes its cluster, whose addresses are another registry's. */
static void test_cluster_goes(void **state)
{
	(void)state;
	start();
	server.v4[0] = "10.0.0.1";
	put(&cluster("web", "web.example")->fact);
	until_hosts("web", "10.0.0.1");
	hub_sink.begin(&own);
	hub_sink.del(&own, FACT_CLUSTER, SLICE_LIT("web"));
	hub_sink.commit(&own, 2);
	assert_null(own.refusal_words);
	publish();
	assert_null(snapshot_cluster(now, SLICE_LIT("web")));
	assert_int_equal(stat_get(&dns.stat.names), 0);
	/* Asked for, and gone before the answer. */
	put(&cluster("web", "web.example")->fact);
	assert_int_equal(loop_once(&loop, 0), 0);
	hub_sink.begin(&own);
	hub_sink.del(&own, FACT_CLUSTER, SLICE_LIT("web"));
	hub_sink.commit(&own, 3);
	for (int i = 0; i < 20; i++)
		turn();
	assert_int_equal(stat_get(&dns.stat.names), 0);
	assert_false(dns.source.refusal_words);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_time_to_live), cmocka_unit_test(test_time_to_live_of_an_alias),
		cmocka_unit_test(test_failure_keeps_what_was),
		cmocka_unit_test(test_address_becomes_an_endpoint), cmocka_unit_test(test_cluster_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
