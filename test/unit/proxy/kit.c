// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

extern const struct lb_ops lb_round_robin, lb_random_host, lb_least_request, lb_ring_hash, lb_maglev, lb_peak_ewma,
	lb_original_destination;
const struct lb_ops *const kit_lbs[] = { &lb_round_robin, &lb_random_host, &lb_least_request, &lb_ring_hash,
					 &lb_maglev, &lb_peak_ewma, &lb_original_destination, NULL };

void kit_init(struct kit *k)
{
	memset(k, 0, sizeof(*k));
	k->store = store_new();
	k->now_ns = clock_ns();
	shared_init(&k->shared, KIT_WORKERS);
	assert_int_equal(loop_init(&k->loop), 0);
	assert_int_equal(mailbox_init(&k->mail, &k->loop), 0);
	k->outlier.loop = &k->loop;
	k->outlier.shared = &k->shared;
	for (unsigned w = 0; w < KIT_WORKERS; w++) {
		struct clusters_conf c = { .loop = &k->loop, .adoption = &k->adoption[w], .worker = w, .seed = 77 + w,
					   .up = &k->mail, .up_arg = &k->outlier };

		k->clusters[w] = clusters_new(&c);
	}
}

void kit_fini(struct kit *k)
{
	for (unsigned w = 0; w < KIT_WORKERS; w++) {
		clusters_free(k->clusters[w]);
		adoption_fini(&k->adoption[w]);
	}
	mailbox_fini(&k->mail);
	loop_fini(&k->loop);
	snapshot_drop(k->now);
	store_bury(k->store);
	shared_fini(&k->shared);
	store_free(k->store);
}

struct store_tx *kit_begin(struct kit *k)
{
	k->tx = store_begin(k->store, slice_str("test"));
	return k->tx;
}

void kit_commit(struct kit *k)
{
	struct registry_verdict v;
	struct snapshot *s;

	if (!store_commit(k->tx, 1, &v))
		fail_msg("refused: %s", v.nrefused ? v.refused[0].why : "?");
	store_end(k->tx);
	s = store_build(k->store, 0);
	plans_attach(s, k->now, &k->shared, kit_lbs, k->now_ns);
	snapshot_drop(k->now);
	k->now = s;
	for (unsigned w = 0; w < KIT_WORKERS; w++) {
		adoption_send(&k->adoption[w], snapshot_hold(s));
		assert_true(adoption_take(&k->adoption[w]));
		clusters_adopt(k->clusters[w]);
	}
	store_bury(k->store);
}

struct cluster_fact *kit_cluster(const char *name, enum lb_policy lb)
{
	struct cluster_fact *c = (struct cluster_fact *)facts_cluster(name);

	c->lb = lb;
	c->connect_ms = 1000;
	c->ring_size = 1024;
	return c;
}

void kit_put(struct kit *k, void *take_fact)
{
	store_put(k->tx, take_fact);
}

struct host *kit_host(const char *cluster, unsigned last, uint16_t port)
{
	char ip[32];
	struct host *h;

	snprintf(ip, sizeof(ip), "10.0.0.%u", last);
	h = facts_host(cluster, ip, port);
	h->weight = 1;
	return h;
}

void kit_hosts(struct kit *k, const char *cluster, unsigned first, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		kit_put(k, kit_host(cluster, first + i, 80));
}

void kit_metadata(struct host *h, const char *name, const char *value)
{
	struct name_value v = { slice_str(name), slice_str(value) };

	h->metadata = fact_pairs(&h->fact, &v, 1);
}

struct route_backend kit_backend(const char *cluster)
{
	return (struct route_backend){ .cluster = slice_str(cluster), .weight = 1 };
}

unsigned kit_last(const struct host *h)
{
	return h->ip.b[15];
}

int kit_pick(struct kit *k, unsigned w, const char *cluster, struct pick *p)
{
	struct route_backend b = kit_backend(cluster);
	struct cluster_ask ask = { .backend = &b, .lb.now_ns = k->now_ns };
	int err = cluster_pick(k->clusters[w], &ask, CLUSTER_REQUEST, p);

	return err ? err : (int)kit_last(p->host);
}

void kit_ok(struct kit *k, struct pick *p)
{
	struct lb_result r = { .now_ns = k->now_ns, .took_ns = MSEC, .status = 200, .ok = true };

	pick_done(p, &r);
}

void kit_fail(struct kit *k, struct pick *p, int status)
{
	struct lb_result r = { .now_ns = k->now_ns, .took_ns = status ? MSEC : 0, .status = status };

	pick_done(p, &r);
}

void kit_turn(struct kit *k)
{
	assert_int_equal(loop_once(&k->loop, 0), 0);
}
