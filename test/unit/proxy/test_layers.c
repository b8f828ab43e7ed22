// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

#include <errno.h>
#include "netio/tls.h"
#include "proxy/layers.h"
#include "unit/net/certs.c"

static struct store *store;
static struct tlsctx_maker *maker;
static struct snapshot *now;

static void put_secret(struct store_tx *tx, const char *name, const char *from)
{
	struct secret *s = (struct secret *)facts_named(FACT_SECRET, name, 1);
	const struct secret *made = cert_find(from);

	s->certificate = fact_slice(&s->fact, made->certificate);
	s->private_key = fact_slice(&s->fact, made->private_key);
	store_put(tx, &s->fact);
}

static struct listener *tls_listener(const char *name, enum tls_mode mode)
{
	static uint16_t port = 10000;
	struct listener *l = facts_listener(name, "0.0.0.0", port++, "http-proxy");
	struct slice *certificate = fact_alloc(&l->fact, sizeof(*certificate));

	*certificate = SLICE_LIT("web");
	l->tls.mode = mode;
	l->tls.min_version = 0x0303;
	l->tls.certificates = certificate;
	l->tls.ncertificates = 1;
	return l;
}

static struct cluster_fact *tls_cluster(const char *name)
{
	struct cluster_fact *c = kit_cluster(name, LB_POLICY_RANDOM);

	c->tls.enabled = true;
	c->tls.ca = SLICE_LIT("ca");
	return c;
}

static void commit(struct store_tx *tx)
{
	struct registry_verdict v;
	struct snapshot *s;

	if (!store_commit(tx, 1, &v))
		fail_msg("refused: %s", v.nrefused ? v.refused[0].why : "?");
	store_end(tx);
	s = store_build(store, 0);
	layers_attach(s, now, maker);
	snapshot_drop(now);
	now = s;
	store_bury(store);
}

static int setup(void **state)
{
	const struct cert_want ca = { "ca", NULL, NULL, 0, 0 }, web = { "web", "ca", "DNS:web.example", 0, 0 };
	struct store_tx *tx;

	(void)state;
	cert_make(&ca);
	cert_make(&web);
	cert_text("rubbish", "no certificate");
	store = store_new();
	maker = tlsctx_maker_new();
	now = NULL;
	tx = store_begin(store, slice_str("test"));
	put_secret(tx, "ca", "ca");
	put_secret(tx, "web", "web");
	store_put(tx, &tls_listener("strict", TLS_STRICT)->fact);
	store_put(tx, &tls_listener("both", TLS_PERMISSIVE)->fact);
	store_put(tx, &facts_listener("plain", "0.0.0.0", 80, "http-proxy")->fact);
	store_put(tx, &tls_cluster("safe")->fact);
	store_put(tx, &kit_cluster("open", LB_POLICY_RANDOM)->fact);
	commit(tx);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	snapshot_drop(now);
	store_bury(store);
	store_free(store);
	tlsctx_maker_free(maker);
	certs_free();
	return 0;
}

static int listener_layers(const char *name, struct net_layer *out)
{
	const struct fact *f = snapshot_fact(now, FACT_LISTENER, slice_str(name));

	assert_non_null(f);
	return layers_of_listener(now, (const struct listener *)f, out);
}

static int cluster_layers(const char *name, struct net_layer *out)
{
	const struct fact *f = snapshot_fact(now, FACT_CLUSTER, slice_str(name));

	assert_non_null(f);
	return layers_of_cluster(now, (const struct cluster_fact *)f, out);
}

static void test_what_is_asked_for(void **state)
{
	struct net_layer out[LAYERS_MAX];

	(void)state;
	assert_int_equal(listener_layers("plain", out), 0);
	assert_int_equal(cluster_layers("open", out), 0);
	assert_int_equal(listener_layers("strict", out), 1);
	assert_ptr_equal(out[0].ops, &tls_ops);
	assert_non_null(out[0].conf);
	assert_int_equal(listener_layers("both", out), 1);
	assert_ptr_equal(out[0].ops, &tls_permissive_ops);
	assert_int_equal(cluster_layers("safe", out), 1);
	assert_ptr_equal(out[0].ops, &tls_ops);
}

static const void *conf_of(const char *listener)
{
	struct net_layer out[LAYERS_MAX];

	assert_int_equal(listener_layers(listener, out), 1);
	return out[0].conf;
}

static void test_only_what_changed_is_made_anew(void **state)
{
	const struct cert_want again = { "web", "ca", "DNS:web.example", 0, 0 };
	const void *was = conf_of("strict");
	struct net_layer out[LAYERS_MAX];
	struct store_tx *tx;
	const void *safe;

	(void)state;
	assert_int_equal(cluster_layers("safe", out), 1);
	safe = out[0].conf;
	tx = store_begin(store, slice_str("test"));
	store_put(tx, &kit_cluster("more", LB_POLICY_RANDOM)->fact);
	commit(tx);
	assert_ptr_equal(conf_of("strict"), was);
	cert_make(&again);
	tx = store_begin(store, slice_str("test"));
	put_secret(tx, "web", "web");
	commit(tx);
	assert_ptr_not_equal(conf_of("strict"), was);
	assert_int_equal(cluster_layers("safe", out), 1);
	assert_ptr_equal(out[0].conf, safe);
}

static void test_a_bad_secret_ends_nothing_and_opens_nothing(void **state)
{
	const void *was = conf_of("strict");
	struct net_layer out[LAYERS_MAX];
	struct store_tx *tx;

	(void)state;
	tx = store_begin(store, slice_str("test"));
	put_secret(tx, "web", "rubbish");
	store_put(tx, &tls_listener("fresh", TLS_STRICT)->fact);
	commit(tx);
	assert_ptr_equal(conf_of("strict"), was);
	assert_int_equal(listener_layers("fresh", out), -ENOKEY);
	tx = store_begin(store, slice_str("test"));
	put_secret(tx, "web", "web");
	commit(tx);
	assert_int_equal(listener_layers("fresh", out), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_what_is_asked_for),
		T(test_only_what_changed_is_made_anew),
		T(test_a_bad_secret_ends_nothing_and_opens_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
