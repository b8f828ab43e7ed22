/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/dns.h"

#include <ares.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/dns_channel.h"
#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"
#include "base/vec.h"
#include "net/addr.h"
#include "weft/log.h"
#include "weft/str.h"

#define TTL_MOST_S 300u
#define RETRY_MOST_MS 60000u

STAT_DEFINE(dns_stat, "dns", DNS_STATS);

struct name {
	struct dns *dns;
	struct slice cluster;                   /* own, as is host */
	char *host;
	uint16_t port, given_port;              /* asked for now; of the addresses that the hub has */
	struct timer timer;                     /* next question; armed while none is under way */
	VEC(struct ip) ips;                     /* given to the hub */
	bool asking, gone;                      /* gone: freed by the answer */
	bool resolved;                          /* once at least */
	uint32_t retry_ms;
	const char *why;                        /* c-ares' static words of the last failure; NULL: the last answer was good */
};

static void ask(struct timer *t);

static void name_free(struct name *n)
{
	vec_fini(&n->ips);
	free((char *)n->cluster.p);
	free(n->host);
	free(n);
}

/* ---- answers ------------------------------------------------------------------------------------------------ */

struct found {
	VEC(struct ip) ips;
	uint32_t ttl_s;
};

static int ip_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct ip));
}

static void bound(struct found *f, int ttl_s)
{
	if (ttl_s < 0)
		f->ttl_s = 0;
	else if ((uint32_t)ttl_s < f->ttl_s)
		f->ttl_s = (uint32_t)ttl_s;
}

/* Each address once, in order, so that an answer in another order is the same. */
static struct found read_answer(const struct ares_addrinfo *answer)
{
	struct found f = { .ttl_s = TTL_MOST_S };
	size_t n = 0;

	for (const struct ares_addrinfo_node *a = answer->nodes; a; a = a->ai_next) {
		struct sockaddr_storage ss = { 0 };

		if ((a->ai_family != AF_INET && a->ai_family != AF_INET6) || a->ai_addrlen > sizeof(ss))
			continue;
		memcpy(&ss, a->ai_addr, a->ai_addrlen);
		vec_push(&f.ips, addr_from_sockaddr(&ss).ip);
		bound(&f, a->ai_ttl);
	}
	/* The names between, too: a service is moved by them. */
	for (const struct ares_addrinfo_cname *c = answer->cnames; c; c = c->next)
		bound(&f, c->ttl);
	if (f.ips.n)
		qsort(f.ips.v, f.ips.n, sizeof(f.ips.v[0]), ip_cmp);
	for (size_t i = 0; i < f.ips.n; i++)
		if (!i || ip_cmp(&f.ips.v[i], &f.ips.v[i - 1]))
			f.ips.v[n++] = f.ips.v[i];
	f.ips.n = n;
	return f;
}

static bool same(const struct name *n, const struct found *f)
{
	return n->port == n->given_port && n->ips.n == f->ips.n && (!f->ips.n || !memcmp(n->ips.v, f->ips.v, f->ips.n * sizeof(struct ip)));
}

static bool holds(const struct found *f, const struct ip *ip)
{
	return f->ips.n && bsearch(ip, f->ips.v, f->ips.n, sizeof(*ip), ip_cmp);
}

/* The old addresses go, and the new ones come, at one time. */
static void give(struct name *n, struct found *f)
{
	struct hub_source *s = &n->dns->source;
	struct fact_mark mark = { .registry = SLICE_LIT(DNS_REGISTRY), .file = slice_str(n->host) };
	char *key = mem_alloc(n->cluster.n + HOST_KEY_EXTRA);

	hub_sink.begin(s);
	for (size_t i = 0; i < n->ips.n; i++)
		if (n->given_port != n->port || !holds(f, &n->ips.v[i]))
			hub_sink.del(s, FACT_HOST, host_key(key, n->cluster, &n->ips.v[i], n->given_port));
	for (size_t i = 0; i < f->ips.n; i++) {
		struct host *h = host_new(n->cluster, &f->ips.v[i], n->port, &mark);

		h->weight = 1;
		hub_sink.put(s, &h->fact);
	}
	hub_sink.commit(s, ++n->dns->version);
	free(key);
	n->given_port = n->port;
	vec_clear(&n->ips);
	for (size_t i = 0; i < f->ips.n; i++)
		vec_push(&n->ips, f->ips.v[i]);
	stat_add(&n->dns->stat.changes, 1);
	log_info(n->host, "addresses for cluster %.*s: %zu", SLICE_ARG(n->cluster), n->ips.n);
}

static void again(struct name *n, uint64_t ms)
{
	timer_arm(n->dns->loop, &n->timer, (ms < n->dns->least_ms ? n->dns->least_ms : ms) * MSEC, ask, n);
}

static void failed(struct name *n, int status)
{
	const char *why = ares_strerror(status);

	stat_add(&n->dns->stat.failures, 1);
	if (!n->why || strcmp(n->why, why))
		log_warn(n->host, "cannot be resolved: %s; cluster %.*s goes on with %zu addresses", why,
			 SLICE_ARG(n->cluster), n->ips.n);
	n->why = why;
	n->retry_ms = !n->retry_ms ? n->dns->least_ms : n->retry_ms * 2 > RETRY_MOST_MS ? RETRY_MOST_MS : n->retry_ms * 2;
	again(n, n->retry_ms);
}

static void resolved(struct name *n, const struct ares_addrinfo *answer)
{
	struct found f = read_answer(answer);

	if (!f.ips.n) {
		failed(n, ARES_ENODATA);
	} else {
		if (n->why)
			log_info(n->host, "can be resolved again");
		n->why = NULL;
		n->retry_ms = 0;
		n->resolved = true;
		again(n, f.ttl_s * 1000ull);
		if (!same(n, &f))
			give(n, &f);
	}
	vec_fini(&f.ips);
}

static void finish(struct name *n, int status, const struct ares_addrinfo *answer)
{
	n->asking = false;
	if (n->gone || status == ARES_EDESTRUCTION)
		name_free(n);
	else if (answer)
		resolved(n, answer);
	else
		failed(n, status);
}

static void on_answer6(void *arg, int status, const struct ares_addrinfo *answer)
{
	finish(arg, status, answer);
}

static void on_answer4(void *arg, int status, const struct ares_addrinfo *answer)
{
	struct name *n = arg;

	/* The name exists, and has no such address. */
	if (!n->gone && (status == ARES_ENODATA || status == ARES_ENOTFOUND || (answer && !answer->nodes)))
		dns_channel_ask(n->dns->channel, n->host, AF_INET6, on_answer6, n);
	else
		finish(n, status, answer);
}

/* ---- questions ---------------------------------------------------------------------------------------------- */

/* While nothing works and nobody waits, resolv.conf is read anew: it may have been that. */
static bool channel_ready(struct dns *d, const struct name *n)
{
	struct err e = { 0 };

	if (d->channel && n->why && !dns_channel_busy(d->channel)) {
		dns_channel_free(d->channel);
		d->channel = NULL;
	}
	if (!d->channel)
		d->channel = dns_channel_new(d->loop, d->servers, &e);
	if (!d->channel)
		log_error("dns", "%s", err_text(&e));
	return d->channel;
}

static void ask(struct timer *t)
{
	struct name *n = t->arg;

	stat_add(&n->dns->stat.queries, 1);
	if (!channel_ready(n->dns, n)) {
		failed(n, ARES_ENOTINITIALIZED);
		return;
	}
	n->asking = true;
	dns_channel_ask(n->dns->channel, n->host, AF_INET, on_answer4, n);
}

/* ---- which names -------------------------------------------------------------------------------------------- */

/* It is in the table no more. */
static void name_end(struct name *n)
{
	timer_disarm(n->dns->loop, &n->timer);
	n->gone = true;
	if (!n->asking)
		name_free(n);
}

static struct name *name_begin(struct dns *d, const struct cluster_fact *c)
{
	struct name *n = mem_alloc(sizeof(*n));

	n->dns = d;
	n->cluster = (struct slice){ mem_dup(c->name.p, c->name.n), c->name.n };
	n->host = mem_dup(c->dns_host.p, c->dns_host.n);
	n->port = c->dns_port;
	table_put(&d->names, n->cluster, n);
	timer_arm(d->loop, &n->timer, 0, ask, n);
	return n;
}

static bool is_of(const struct name *n, const struct cluster_fact *c)
{
	return n->port == c->dns_port && slice_eq_str(c->dns_host, n->host);
}

static bool is_ours(const struct name *n, const struct cluster *c, const struct ip *ip)
{
	for (size_t i = 0; i < c->nhosts; i++) {
		struct fact_mark mark = fact_mark(&c->hosts[i]->fact);

		if (c->hosts[i]->port == n->given_port && !ip_cmp(&c->hosts[i]->ip, ip))
			return slice_eq_str(mark.registry, DNS_REGISTRY);
	}
	return false;
}

/*
 * The cluster has hosts of other origin now: the addresses that were found are nobody's, but for those that were given
 * along with the change.
 */
static void take_back(struct name *n, const struct cluster *c)
{
	struct found none = { 0 };
	size_t left = 0;

	for (size_t i = 0; i < n->ips.n; i++)
		if (is_ours(n, c, &n->ips.v[i]))
			n->ips.v[left++] = n->ips.v[i];
	n->ips.n = left;
	if (n->ips.n)
		give(n, &none);
}

/* Another name or port: what the old one gave is used until there is an answer. */
static void rename_cluster(struct dns *d, struct name *old, const struct cluster_fact *c)
{
	struct name *n;

	table_del(&d->names, old->cluster);
	n = name_begin(d, c);
	for (size_t i = 0; i < old->ips.n; i++)
		vec_push(&n->ips, old->ips.v[i]);
	n->given_port = old->given_port;
	name_end(old);
}

/* An answer came when its cluster had just gone: nobody waits for that transaction. */
static void forget_refusal(struct dns *d)
{
	if (!d->source.refused_tx)
		return;
	hub_sink.begin(&d->source);
	hub_sink.commit(&d->source, ++d->version);
}

static void update_cluster(struct dns *d, const struct cluster_change *change)
{
	const struct cluster_fact *c = change->now ? change->now->conf : NULL;
	struct name *n = table_get(&d->names, change->now ? change->now->name : change->old->name);

	if (c && c->dns_host.n) {
		if (!n)
			name_begin(d, c);
		else if (!is_of(n, c))
			rename_cluster(d, n, c);
		return;
	}
	if (!n)
		return;
	if (c)
		take_back(n, change->now);
	else
		forget_refusal(d);
	table_del(&d->names, n->cluster);
	name_end(n);
}

void dns_update(struct dns *d, const struct diff *diff)
{
	for (size_t i = 0; i < diff->clusters.n; i++)
		update_cluster(d, &diff->clusters.v[i]);
	stat_set(&d->stat.names, d->names.n);
}

const char *dns_words(const struct dns *d, struct slice cluster)
{
	static char words[160];
	const struct name *n = table_get(&d->names, cluster);

	if (!n)
		return NULL;
	if (n->why)
		snprintf(words, sizeof(words), "cannot be resolved: %s", n->why);
	else if (n->resolved)
		snprintf(words, sizeof(words), "%zu addresses", n->ips.n);
	else
		snprintf(words, sizeof(words), "not resolved yet");
	return words;
}

/* ---- life --------------------------------------------------------------------------------------------------- */

int dns_init(struct dns *d, struct loop *l, struct hub *h, const char *servers, struct err *e)
{
	int status = ares_library_init(ARES_LIB_INIT_ALL);

	*d = (struct dns){ .servers = servers };
	if (status != ARES_SUCCESS)
		return err_add(e, -ENOMEM, "resolver: %s", ares_strerror(status));
	d->loop = l;
	d->least_ms = DNS_LEAST_MS;
	table_init(&d->names, 0);
	hub_add(h, &d->source, DNS_REGISTRY, DNS_REGISTRY, NULL);
	d->source.synced = true;
	hub_sink.synced(&d->source);
	return 0;
}

void dns_fini(struct dns *d)
{
	struct table_entry *e;

	if (!d->loop)
		return;
	while ((e = table_next(&d->names, NULL)))
		name_end(table_del(&d->names, e->key));
	dns_channel_free(d->channel);
	table_fini(&d->names);
	hub_remove(&d->source);
	ares_library_cleanup();
	d->loop = NULL;
}
