// SPDX-License-Identifier: Apache-2.0
/* What a fact must say by itself, whoever made it: a registry in code has no rows of conf/ before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/facts.h"
#include "model/store.h"

/* One fact of a kind, good but for what one case changes. */
struct sample {
	struct cluster_fact *c;
	struct listener *l;
	struct route *r;
	struct route_rule *rule;                /* of r */
	struct route_match *match;              /* of rule */
};

/* words NULL: nothing is; the store takes all of s. */
static void refused(struct sample *s, enum fact_kind kind, const char *words)
{
	struct fact *all[] = { &s->c->fact, &s->r->fact, &s->l->fact };
	struct store *store = store_new();
	struct store_tx *tx = store_begin(store, SLICE_LIT("test"));
	struct registry_verdict v;
	bool ok;

	store_put(tx, facts_cluster("web"));
	store_put(tx, &facts_secret("k")->fact);
	for (size_t i = 0; i < 3; i++)
		store_put(tx, all[i]);
	ok = store_commit(tx, 1, &v);
	if (!words) {
		assert_true(ok);
	} else {
		assert_int_equal(v.nrefused, 1);
		assert_int_equal(v.refused[0].kind, kind);
		assert_string_equal(v.refused[0].why, words);
	}
	store_end(tx);
	store_free(store);
}

static struct sample sample(void)
{
	struct sample s = {
		.c = (struct cluster_fact *)facts_cluster("c"),
		.r = facts_route("r", "web"),
		.l = facts_listener("l", "127.0.0.1", 80, "http"),
	};
	struct slice *certificate = fact_alloc(&s.l->fact, sizeof(*certificate));

	s.rule = (struct route_rule *)s.r->rules;
	s.match = fact_alloc(&s.r->fact, sizeof(*s.match));
	s.match->path = (struct text_match){ .type = TEXT_PREFIX, .value = SLICE_LIT("/a") };
	s.rule->matches = s.match;
	s.rule->nmatches = 1;
	facts_listener_route(s.l, "r");
	*certificate = SLICE_LIT("k");
	s.l->tls.certificates = certificate;
	s.l->tls.ncertificates = 1;
	return s;
}

/* The statement changes the sample; the words are the refusal. */
#define CASE(of, change, words)                                                                                        \
	do {                                                                                                           \
		struct sample s = sample();                                                                            \
                                                                                                                       \
		change;                                                                                                \
		refused(&s, s.of->fact.kind, words);                                                                   \
	} while (0)

static void test_good(void **state)
{
	struct sample s = sample();

	(void)state;
	refused(&s, FACT_KINDS, NULL);
}

static void test_clusters(void **state)
{
	static const struct name_value wrong[] = { { SLICE_LIT("b"), SLICE_LIT("1") }, { SLICE_LIT("a"), SLICE_LIT("2") } };
	static const struct subset_keys none = { 0 };
	static const struct slice nothing = { "", 0 };
	static const struct status_range range = { 300, 200 };

	(void)state;
	CASE(c, s.c->connect_ms = 0, "connect_ms 0: at least 1");
	CASE(c, s.c->dns_host = SLICE_LIT("a"), "dns_port 0: 1 to 65535");
	CASE(c, s.c->ring_size = 0, "ring_size 0: at least 1");
	CASE(c, (s.c->outlier.enabled = true, s.c->outlier.interval_ms = 0),
	     "outlier: interval_ms and base_ejection_ms are at least 1");
	CASE(c, (s.c->subsets = &none, s.c->nsubsets = 1), "subsets[0]: no key; name at least one of the hosts' metadata");
	CASE(c, s.c->fallback = SUBSET_DEFAULT, "subset_default: missing; fallback default needs one");
	CASE(c, (s.c->subset_default = wrong, s.c->nsubset_default = 2), "subset_default: names must be in order, none twice");
	CASE(c, (s.c->health.type = HEALTH_TCP, s.c->health.healthy = 0), "health: healthy and unhealthy are at least 1");
	CASE(c, (s.c->health.type = HEALTH_TCP, s.c->health.timeout_ms = 0),
	     "health: interval_ms and timeout_ms are at least 1");
	CASE(c, (s.c->health.type = HEALTH_HTTP, s.c->health.path = SLICE_LIT("x")), "health.path x: must begin with /, without spaces");
	CASE(c, (s.c->health.type = HEALTH_TCP, s.c->health.expect = &range, s.c->health.nexpect = 1),
	     "health.expect[0] 300-200: 100 to 599, the lower one first");
	CASE(c, s.c->from_service = SLICE_LIT("s"), "from_registry and from_service: both or none, and no dns_host beside them");
	CASE(c, (s.c->tls.insecure = true, s.c->tls.sans = &nothing, s.c->tls.nsans = 1),
	     "tls.insecure: verifies nothing; without ca and sans");
	CASE(c, (s.c->tls.alpn = &nothing, s.c->tls.nalpn = 1), "tls.alpn[0]: a name of 0 bytes; it has 1 to 255");
	CASE(c, s.c->tls.ca = SLICE_LIT("none"),
	     "tls.ca: no secret \"none\": nobody has given one of that name");
}

static void test_listeners(void **state)
{
	static const struct route_backend web = { .cluster = { "web", 3 }, .weight = 1 };
	static const struct slice spdy = { "spdy", 4 }, nothing = { "", 0 }, star = { "a.*", 3 }, name = { "a.b", 3 };
	static const struct stream_rule empty = { 0 }, full = { .backends = &web, .nbackends = 1 },
					starred = { .snis = &star, .nsnis = 1, .backends = &web, .nbackends = 1 },
					named = { .snis = &name, .nsnis = 1, .backends = &web, .nbackends = 1 };

	(void)state;
	CASE(l, s.l->port = 0, "port 0: 1 to 65535");
	CASE(l, s.l->head_ms = 0, "head_ms 0: at least 1");
	CASE(l, s.l->max_head_bytes = 1, "max_head_bytes 1: at least 1024");
	CASE(l, s.l->max_headers = 0, "max_headers 0: at least 1; max_target_bytes 16384: 64 to max_head_bytes");
	CASE(l, s.l->max_target_bytes = 65537, "max_headers 100: at least 1; max_target_bytes 65537: 64 to max_head_bytes");
	CASE(l, s.l->max_target_bytes = 63, "max_headers 100: at least 1; max_target_bytes 63: 64 to max_head_bytes");
	CASE(l, (s.l->protocol = SLICE_LIT("bold")), "protocol \"bold\": http, http-proxy, tcp, udp, auto or one of RPC");
	CASE(l, s.l->protocol.n = 0, "protocol \"\": http, http-proxy, tcp, udp, auto or one of RPC");
	CASE(l, s.l->nroutes = 0, "no routes; want at least one");
	CASE(l, s.l->protocol = SLICE_LIT("http-proxy"), "routes: not for http-proxy; a request's service has them");
	CASE(l, (s.l->tls.mode = TLS_STRICT, s.l->tls.alpn = &spdy, s.l->tls.nalpn = 1),
	     "tls.alpn[0] spdy: http/1.1, for http also h2, or a protocol's own");
	CASE(l, (s.l->protocol = SLICE_LIT("tcp"), s.l->nroutes = 0, s.l->rules = &full, s.l->nrules = 1,
		 s.l->tls.mode = TLS_STRICT, s.l->tls.alpn = &nothing, s.l->tls.nalpn = 1),
	     "tls.alpn[0]: a name of 0 bytes; it has 1 to 255");
	CASE(l, (s.l->protocol = SLICE_LIT("tcp"), s.l->nroutes = 0, s.l->rules = &starred, s.l->nrules = 1),
	     "rules[0].snis[0] \"a.*\": a name such as a.example or *.example");
	CASE(l, (s.l->protocol = SLICE_LIT("udp"), s.l->nroutes = 0, s.l->rules = &named, s.l->nrules = 1),
	     "rules[0].snis: not over udp");
	CASE(l, (s.l->protocol = SLICE_LIT("udp"), s.l->nroutes = 0, s.l->rules = &full, s.l->nrules = 1,
		 s.l->capture = CAPTURE_EBPF), "capture: none or tproxy over udp");
	CASE(l, s.l->grace_ms = 1, "grace_ms: behind age_ms, which is 0");
	CASE(l, (s.l->protocol = SLICE_LIT("tcp"), s.l->nroutes = 0, s.l->rules = &full, s.l->nrules = 1, s.l->age_ms = 1),
	     "age_ms, grace_ms and max_conn_requests: not for tcp and udp");
	CASE(l, (s.l->protocol = SLICE_LIT("udp"), s.l->nroutes = 0, s.l->rules = &full, s.l->nrules = 1,
		 s.l->max_conn_requests = 1), "age_ms, grace_ms and max_conn_requests: not for tcp and udp");
	CASE(l, (s.l->tls.mode = TLS_STRICT, s.l->tls.ncertificates = 0), "tls.certificates: missing; name at least one");
	CASE(l, (s.l->tls.mode = TLS_STRICT, s.l->tls.require_client = true),
	     "tls.client_ca: missing; clients' certificates are held against it");
	CASE(l, (s.l->tls.mode = TLS_STRICT, s.l->tls.min_version = 0x0302),
	     "tls.min_version 770: 771 (TLS 1.2) or 772 (TLS 1.3)");
	CASE(l, (s.l->rules = &full, s.l->nrules = 1), "rules: for tcp and udp only; other protocols have routes");
	CASE(l, (s.l->protocol = SLICE_LIT("tcp"), s.l->nroutes = 0), "no rules; give at least one");
	CASE(l, (s.l->protocol = SLICE_LIT("udp"), s.l->nroutes = 0, s.l->nrules = 1, s.l->rules = &empty),
	     "rules[0]: no backends; name at least one cluster");
}

static void listener_serves(struct listener *l, const struct destination *d, size_t n)
{
	l->socketless = true;
	l->port = 0;
	l->serves = d;
	l->nserves = n;
}

static void listener_dispatches(struct listener *l)
{
	l->dispatch = true;
	l->capture = CAPTURE_EBPF;
	l->protocol.n = l->nroutes = 0;
}

static void test_listeners_for_others(void **state)
{
	const struct destination good[] = { { facts_ip("10.96.0.7"), 80 }, { facts_ip("fd00::7"), 80 } },
				 twice[] = { good[0], good[0] }, none = { .port = 80 }, portless = { .ip = good[0].ip };
	struct sample s = sample();

	(void)state;
	listener_serves(s.l, good, 2);
	refused(&s, FACT_KINDS, NULL);
	s = sample();
	listener_dispatches(s.l);
	refused(&s, FACT_KINDS, NULL);
	CASE(l, (listener_serves(s.l, good, 1), s.l->port = 80),
	     "socketless: without port, netns and dispatch, which are a socket's");
	CASE(l, (listener_serves(s.l, good, 1), s.l->netns = 5),
	     "socketless: without port, netns and dispatch, which are a socket's");
	CASE(l, (listener_serves(s.l, good, 1), s.l->protocol = SLICE_LIT("http-proxy"), s.l->nroutes = 0),
	     "socketless: not for http-proxy and udp, which do not take what another listener accepted");
	CASE(l, (listener_dispatches(s.l), s.l->protocol = SLICE_LIT("http-proxy")),
	     "dispatch: protocol, tls, routes and rules are those of the listeners it accepts for");
	CASE(l, listener_serves(s.l, NULL, 0), "no serves; a listener without a socket needs destinations");
	CASE(l, listener_serves(s.l, twice, 2), "destination 10.96.0.7 port 80 is listed twice");
	CASE(l, listener_serves(s.l, &none, 1), "serves :: is unspecified; a unicast address is needed");
	CASE(l, listener_serves(s.l, &portless, 1), "serves[0].port 0: 1 to 65535");
	CASE(l, (s.l->serves = good, s.l->nserves = 1), "serves: for a listener without a socket only");
	CASE(l, (listener_dispatches(s.l), s.l->capture = CAPTURE_NONE),
	     "dispatch: needs a capture, which finds what clients dialled");
	CASE(l, (listener_dispatches(s.l), s.l->nroutes = 1),
	     "dispatch: protocol, tls, routes and rules are those of the listeners it accepts for");
	CASE(l, (listener_dispatches(s.l), s.l->tls.mode = TLS_STRICT),
	     "dispatch: protocol, tls, routes and rules are those of the listeners it accepts for");
}

static void listener_captures(struct listener *l, const struct listener_range *r, size_t n)
{
	l->socketless = true;
	l->port = 0;
	l->capture = CAPTURE_EBPF;
	l->ranges = r;
	l->nranges = n;
}

static void test_captured_ranges(void **state)
{
	const struct listener_range good[] = { { { facts_ip("10.99.0.0"), 112 }, 0 }, { { facts_ip("10.99.0.0"), 112 }, 80 },
					       { { facts_ip("fd00:99::"), 64 }, 0 } },
				    twice[] = { good[1], good[1] }, dirty = { { facts_ip("10.99.0.1"), 112 }, 0 };
	const struct destination d = { facts_ip("10.96.0.7"), 80 };
	struct sample s = sample();

	(void)state;
	listener_captures(s.l, good, 3);
	refused(&s, FACT_KINDS, NULL);
	CASE(l, listener_captures(s.l, twice, 2), "range 10.99.0.0/16 port 80 is listed twice");
	CASE(l, listener_captures(s.l, &dirty, 1), "ranges[0].block: bits behind its length must be zero");
	CASE(l, (listener_captures(s.l, good, 1), s.l->capture = CAPTURE_NONE),
	     "ranges: of a listener without a socket they go with capture ebpf");
	CASE(l, (listener_captures(s.l, good, 1), s.l->serves = &d, s.l->nserves = 1), "ranges: not beside serves");
	CASE(l, (listener_captures(s.l, good, 1), s.l->port = 80),
	     "socketless: without port, netns and dispatch, which are a socket's");
	CASE(l, (listener_captures(s.l, good, 1), s.l->socketless = false, s.l->port = 80, s.l->capture = CAPTURE_NONE),
	     "ranges: for a listener without a socket only");
	CASE(l, s.l->capture = CAPTURE_EBPF, "capture ebpf: without a socket, or with dispatch");
}

/* NULL: both are taken. */
static void second_refused(struct listener *a, struct listener *b, const char *words)
{
	struct store *store = store_new();
	struct store_tx *tx = store_begin(store, SLICE_LIT("test"));
	struct registry_verdict v;

	store_put(tx, facts_cluster("web"));
	store_put(tx, &facts_route("r", "web")->fact);
	facts_listener_route(a, "r");
	facts_listener_route(b, "r");
	store_put(tx, &a->fact);
	store_put(tx, &b->fact);
	assert_true(store_commit(tx, 1, &v) == !words);
	if (words)
		assert_string_equal(v.refused[0].why, words);
	store_end(tx);
	store_free(store);
}

static struct listener *at(const char *name, uint64_t netns)
{
	struct listener *l = facts_listener(name, "10.1.0.5", 15001, "http");

	l->netns = netns;
	return l;
}

static struct listener *serving(const char *name, const char *ip)
{
	struct listener *l = facts_listener(name, "127.0.0.1", 80, "http");

	facts_listener_serves(l, ip, 80);
	return l;
}

/* One address may be many namespaces' own; a destination is one listener's, and whoever listens there is another thing. */
static void test_places(void **state)
{
	(void)state;
	second_refused(at("a", 7), at("b", 7),
		       "address 10.1.0.5 port 15001 TCP in namespace 7 is that of listener a (test all.yaml:7) already");
	second_refused(at("a", 7), at("b", 8), NULL);
	second_refused(at("a", 0), at("b", 1ull << 40), NULL);
	second_refused(serving("a", "10.96.0.7"), serving("b", "10.96.0.7"),
		       "destination 10.96.0.7 port 80 is that of listener a (test all.yaml:7) already");
	second_refused(serving("a", "10.96.0.7"), serving("b", "10.96.0.8"), NULL);
	second_refused(serving("a", "10.96.0.7"), facts_listener("b", "10.96.0.7", 80, "http"), NULL);
}

static void test_routes(void **state)
{
	static const struct text_match valued = { .type = TEXT_PRESENT, .name = { "a", 1 }, .value = { "b", 1 } },
				       bounded = { .type = TEXT_EXACT, .name = { "a", 1 }, .high = 1 };
	static const struct header_change alive = { HEADER_SET, { "Keep-Alive", 10 }, { "x", 1 } };
	static const struct hash_policy spaced = { .kind = HASH_HEADER, .name = { "a b", 3 } },
					split = { .kind = HASH_COOKIE, .name = { "a", 1 }, .path = { "/;x", 3 } },
					both = { .kind = HASH_COOKIE, .name = { "a", 1 }, .session = true, .ttl_s = 1 },
					none = { .kind = HASH_COOKIE, .name = { "a", 1 }, .same_site = SAME_SITE_NONE,
						 .secure = COOKIE_SECURE_NEVER };
	static const struct text_match nameless = { .type = TEXT_EXACT }, empty = { .type = TEXT_RANGE, .name = { "a", 1 } };

	(void)state;
	CASE(r, s.r->nrules = 0, "no rules; give at least one");
	CASE(r, s.rule->nbackends = 0, "rules[0]: needs one of backends, redirect_status and direct_status");
	CASE(r, s.rule->direct_status = 200, "rules[0]: needs one of backends, redirect_status and direct_status");
	CASE(r, (s.rule->nbackends = 0, s.rule->redirect_status = 304),
	     "rules[0]: redirect_status 304: 301, 302, 303, 307 or 308");
	CASE(r, s.rule->rpc_method = SLICE_LIT("m"),
	     "rules[0]: rpc_service and rpc_method: want both or neither, and arguments only beside them");
	CASE(r, (s.rule->nbackends = 0, s.rule->direct_status = 200, s.rule->rpc_method = s.rule->rpc_service = SLICE_LIT("m")),
	     "rules[0]: rpc_method: for rules with backends only");
	CASE(r, s.match->path.value = SLICE_LIT("a"), "rules[0].matches[0].path a: must begin with /");
	CASE(r, s.match->path.type = TEXT_CONTAINS, "rules[0].matches[0].path: this kind of condition is not for it");
	CASE(r, (s.match->headers = &nameless, s.match->nheaders = 1), "rules[0].matches[0].headers[0]: no name");
	CASE(r, (s.match->cookies = &empty, s.match->ncookies = 1), "rules[0].matches[0].cookies[0]: range 0 to 0 is empty");
	CASE(r, (s.match->path.type = TEXT_EXACT, s.rule->rewrite = PATH_PREFIX),
	     "rules[0].replacing the prefix: paths of the rule's matches must be of type prefix");
	CASE(r, (s.rule->rewrite = PATH_FULL, s.rule->rewrite_path = SLICE_LIT("x")),
	     "rules[0].rewrite_path x: must begin with /");
	CASE(r, s.rule->rewrite = PATH_REGEX, "rules[0].rewrite_regex: no value");
	CASE(r, (s.rule->timeout_ms = 5, s.rule->try_timeout_ms = 6),
	     "rules[0].try_timeout_ms 6: longer than the whole request's 5");
	CASE(r, s.rule->backoff_ms = 1, "rules[0].backoff_ms 1: more than max_backoff_ms 0");
	CASE(r, (s.match->headers = &valued, s.match->nheaders = 1),
	     "rules[0].matches[0].headers[0]: this kind of condition has no value");
	CASE(r, (s.match->headers = &bounded, s.match->nheaders = 1),
	     "rules[0].matches[0].headers[0]: low and high are a range's only");
	CASE(r, s.match->method = SLICE_LIT("GET /"), "rules[0].matches[0].method GET /: no method");
	CASE(r, (s.rule->request_headers = &alive, s.rule->nrequest_headers = 1),
	     "rules[0].request_headers[0] Keep-Alive: not to be changed by a rule");
	CASE(r, s.rule->rewrite_host = SLICE_LIT("a b"), "rules[0].rewrite_host a b: want a host name such as a.example");
	CASE(r, (s.rule->nbackends = 0, s.rule->redirect_status = 301, s.rule->redirect_host = SLICE_LIT("*.a")),
	     "rules[0].redirect_host *.a: want a host name such as a.example");
	CASE(r, (s.rule->nbackends = 0, s.rule->redirect_status = 301, s.rule->redirect_scheme = SLICE_LIT("ftp")),
	     "rules[0].redirect_scheme ftp: http or https");
	CASE(r, (s.rule->nbackends = 0, s.rule->direct_status = 200, s.rule->rewrite_host = SLICE_LIT("a")),
	     "rules[0]: changes of messages: for rules with backends only");
	CASE(r, (s.rule->hash = &spaced, s.rule->nhash = 1), "rules[0].hash[0] a b: no name of a header, cookie or parameter");
	CASE(r, (s.rule->hash = &split, s.rule->nhash = 1),
	     "rules[0].hash[0].path /;x: must begin with /, without spaces and semicolons");
	CASE(r, (s.rule->hash = &both, s.rule->nhash = 1), "rules[0].hash[0].ttl_s: a session's cookie has none");
	CASE(r, (s.rule->hash = &none, s.rule->nhash = 1), "rules[0].hash[0].same_site none: wants secure");
	CASE(r, s.rule->retries = 101, "rules[0].retries 101: at most 100");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_clusters),
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_listeners_for_others),
		cmocka_unit_test(test_captured_ranges),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
