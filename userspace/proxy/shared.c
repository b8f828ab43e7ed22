/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/shared.h"

#include <stdlib.h>
#include "base/magic.h"
#include "base/mem.h"

void shared_init(struct shared *n, unsigned workers)
{
	n->workers = workers;
	table_init(&n->clusters, 0);
}

void shared_fini(struct shared *n)
{
	assert_always(!n->clusters.n);
	table_fini(&n->clusters);
}

struct shared_cluster *shared_cluster_find(const struct shared *n, struct slice name)
{
	return table_get(&n->clusters, name);
}

struct shared_cluster *shared_cluster_hold(struct shared *n, struct slice name)
{
	struct shared_cluster *c = shared_cluster_find(n, name);

	if (!c) {
		c = mem_alloc(sizeof(*c));
		c->name = (struct slice){ mem_dup(name.p, name.n), name.n };
		c->all = n;
		c->due_ns = mem_alloc(n->workers * sizeof(*c->due_ns));
		table_init(&c->hosts, 0);
		table_put(&n->clusters, c->name, c);
	}
	c->refs++;
	return c;
}

void shared_cluster_drop(struct shared *n, struct shared_cluster *c)
{
	assert_always(c->refs);
	if (--c->refs)
		return;
	assert_always(!c->hosts.n);
	table_del(&n->clusters, c->name);
	table_fini(&c->hosts);
	free((char *)c->name.p);
	free(c->due_ns);
	free(c);
}

static struct slice key_slice(const uint64_t *key)
{
	return (struct slice){ (const char *)key, sizeof(*key) };
}

struct shared_host *shared_host_find(const struct shared_cluster *c, uint64_t key)
{
	return table_get(&c->hosts, key_slice(&key));
}

struct shared_host *shared_host_hold(struct shared *n, struct shared_cluster *c, uint64_t key, const struct net_addr *addr, uint64_t now_ns)
{
	struct shared_host *h = shared_host_find(c, key);

	if (!h) {
		h = mem_alloc(sizeof(*h) + n->workers * sizeof(h->count[0]));
		h->key = key;
		h->addr = *addr;
		atomic_init(&h->since_ns, c->seen ? now_ns : 0);
		table_put(&c->hosts, key_slice(&h->key), h);
	}
	h->refs++;
	return h;
}

/* Nobody counts any more: who does holds a plan. */
static void counts_free(struct shared *n, struct shared_host *h)
{
	for (unsigned i = 0; i < n->workers; i++)
		free(atomic_load_explicit(&h->count[i].stat, memory_order_relaxed));
	free(h->told);
	if (atomic_load_explicit(&h->counted, memory_order_relaxed))
		atomic_fetch_sub_explicit(&n->counted, 1, memory_order_relaxed);
}

void shared_host_drop(struct shared_cluster *c, struct shared_host *h)
{
	assert_always(h->refs);
	if (--h->refs)
		return;
	if (shared_host_state(h) & HOST_EJECTED)
		c->ejected--;
	table_del(&c->hosts, key_slice(&h->key));
	counts_free(c->all, h);
	free(h);
}

bool shared_host_set(struct shared_cluster *c, struct shared_host *h, uint32_t set, uint32_t clear, uint64_t now_ns)
{
	uint32_t was = shared_host_state(h), is = (was | set) & ~clear;

	if (was == is)
		return false;
	c->ejected += !!(is & HOST_EJECTED);
	c->ejected -= !!(was & HOST_EJECTED);
	if (!is)
		atomic_store_explicit(&h->since_ns, now_ns, memory_order_relaxed);
	atomic_store_explicit(&h->state, is, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->version, 1, memory_order_release);
	return true;
}
