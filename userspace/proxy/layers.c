/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/layers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "netio/proxy_protocol.h"
#include "netio/tls.h"
#include "proxy/net_filters.h"
#include "proxy/overload.h"
#include "weft/log.h"
#include "weft/str.h"

/* TLS contexts by the slots of listeners and clusters; NULL: none is needed, or none could be made. */
struct contexts {
	struct tlsctx **v;
	uint32_t n;
};

struct layers {
	struct contexts listeners, clusters;
	struct net_filter_set **filters;        /* by the slot of listeners; NULL: it names none */
};

static struct contexts contexts_new(uint32_t n)
{
	return (struct contexts){ mem_alloc((n + 1) * sizeof(struct tlsctx *)), n };
}

static void contexts_free(struct contexts *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		tlsctx_drop(c->v[i]);
	free(c->v);
}

static void layers_free(void *p)
{
	struct layers *all = p;

	for (uint32_t i = 0; i < all->listeners.n; i++)
		net_filters_drop(all->filters[i]);
	free(all->filters);
	contexts_free(&all->listeners);
	contexts_free(&all->clusters);
	free(all);
}

static struct tlsctx *context_at(const struct contexts *c, uint32_t slot)
{
	return c && slot < c->n ? c->v[slot] : NULL;
}

static const struct secret *find_secret(void *arg, struct slice name)
{
	return (const struct secret *)snapshot_fact(arg, FACT_SECRET, name);
}

static const struct layers *layers_in(const struct snapshot *s)
{
	return s ? s->annex[SNAPSHOT_LAYERS].p : NULL;
}

/* The context that this name had; *same: nothing that it was made of has changed. */
static struct tlsctx *find_old(const struct snapshot *s, const struct snapshot *before, const struct fact *f, bool *same)
{
	const struct layers *last = layers_in(before);
	const struct fact *was = last ? snapshot_fact(before, (enum fact_kind)f->kind, f->key) : NULL;

	*same = was == f && s->facts[FACT_SECRET] == before->facts[FACT_SECRET];
	if (!was)
		return NULL;
	return context_at(f->kind == FACT_LISTENER ? &last->listeners : &last->clusters, was->slot);
}

/* A bad certificate must not end what works: until it is mended the last good one is shown. */
static struct tlsctx *make_do(struct slice name, struct tlsctx *old, const struct err *e)
{
	char *subject = mem_dup(name.p, name.n);

	log_error(subject, "TLS: %s; %s", err_text(e), old ? "going on with what was there before" : "no connection is taken");
	free(subject);
	return old ? tlsctx_hold(old) : NULL;
}

static void add_listeners(struct layers *all, struct snapshot *s, const struct snapshot *before, struct tlsctx_maker *m)
{
	const struct tlsctx_secrets secrets = { find_secret, s };
	struct fact_set set = snapshot_facts(s, FACT_LISTENER);

	for (size_t i = 0; i < set.n; i++) {
		const struct listener *l = (const struct listener *)set.v[i];
		struct tlsctx **to = &all->listeners.v[l->fact.slot], *old;
		struct err e = { 0 };
		bool same;

		if (l->tls.mode == TLS_OFF)
			continue;
		old = find_old(s, before, &l->fact, &same);
		*to = old && same ? tlsctx_hold(old) : tlsctx_server(m, &l->tls, &secrets, &e);
		if (!*to)
			*to = make_do(l->name, old, &e);
	}
}

static void add_clusters(struct layers *all, struct snapshot *s, const struct snapshot *before, struct tlsctx_maker *m)
{
	const struct tlsctx_secrets secrets = { find_secret, s };
	struct cluster_set set = snapshot_clusters(s);

	for (size_t i = 0; i < set.n; i++) {
		const struct cluster_fact *c = set.v[i]->conf;
		struct tlsctx **to = &all->clusters.v[c->fact.slot], *old;
		struct err e = { 0 };
		bool same;

		if (!c->tls.enabled)
			continue;
		old = find_old(s, before, &c->fact, &same);
		*to = old && same ? tlsctx_hold(old) : tlsctx_client(m, &c->tls, &secrets, &e);
		if (!*to)
			*to = make_do(c->name, old, &e);
	}
}

static void add_filters(struct layers *all, const struct snapshot *s, const struct snapshot *before)
{
	const struct layers *last = layers_in(before);
	struct fact_set set = snapshot_facts(s, FACT_LISTENER);

	for (size_t i = 0; i < set.n; i++) {
		const struct listener *l = (const struct listener *)set.v[i];
		const struct fact *was = last ? snapshot_fact(before, FACT_LISTENER, l->name) : NULL;
		struct net_filter_set *old = was ? last->filters[was->slot] : NULL;

		if (l->nnet_filters)
			all->filters[l->fact.slot] = old && was == &l->fact ? net_filters_hold(old) : net_filters_new(l, old);
	}
}

void layers_attach(struct snapshot *s, const struct snapshot *before, struct tlsctx_maker *m)
{
	struct layers *all = mem_alloc(sizeof(*all));

	all->listeners = contexts_new(snapshot_slots(s, FACT_LISTENER));
	all->clusters = contexts_new(snapshot_slots(s, FACT_CLUSTER));
	all->filters = mem_alloc((all->listeners.n + 1) * sizeof(struct net_filter_set *));
	add_listeners(all, s, before, m);
	add_filters(all, s, before);
	add_clusters(all, s, before, m);
	tlsctx_sweep(m);
	s->annex[SNAPSHOT_LAYERS] = (struct snapshot_annex){ all, layers_free };
}

static int add_tls(struct net_layer *out, const struct net_filter_ops *ops, const struct tlsctx *c)
{
	if (!c)
		return -ENOKEY;
	*out = (struct net_layer){ .ops = ops, .conf = c };
	return 0;
}

int layers_of_listener(const struct snapshot *s, const struct listener *l, struct net_layer out[LAYERS_MAX])
{
	const struct layers *all = layers_in(s);
	int n = 0, err = 0, more;

	if (l->proxy_header != PROXY_HEADER_OFF)
		out[n++] = (struct net_layer){ .ops = &proxy_protocol_ops, .conf = l };
	if (l->tls.mode != TLS_OFF)
		err = add_tls(&out[n++], l->tls.mode == TLS_PERMISSIVE ? &tls_permissive_ops : &tls_ops,
			      all ? context_at(&all->listeners, l->fact.slot) : NULL);
	if (err || !l->nnet_filters)
		return err ? err : n;
	more = net_filters_layers(all ? all->filters[l->fact.slot] : NULL, out + n);
	return more < 0 ? more : n + more;
}

int layers_of_cluster(const struct snapshot *s, const struct cluster_fact *c, struct net_layer out[LAYERS_MAX])
{
	const struct layers *all = layers_in(s);
	int n = 0, err = 0;

	if (c->proxy_protocol)
		out[n++] = (struct net_layer){ .ops = &proxy_protocol_out_ops };
	if (c->tls.enabled)
		err = add_tls(&out[n++], &tls_ops, all ? context_at(&all->clusters, c->fact.slot) : NULL);
	return err ? err : n;
}

struct slice layers_host(struct slice a)
{
	const char *colon = a.n ? memrchr(a.p, ':', a.n) : NULL;
	const char *bracket = a.n && a.p[0] == '[' ? memchr(a.p, ']', a.n) : NULL;

	if (bracket)
		return (struct slice){ a.p + 1, (size_t)(bracket - a.p) - 1 };
	/* More than one: an IPv6 address without brackets. */
	if (colon && memchr(a.p, ':', a.n) == colon)
		return (struct slice){ a.p, (size_t)(colon - a.p) };
	return a;
}

static uint32_t time_left(const struct layers_dial *d)
{
	uint64_t ms = d->conf->connect_ms, waited = d->waited_ns / MSEC;

	return !ms || waited < ms ? (uint32_t)(ms - (ms ? waited : 0)) : 1;
}

/* A connection by a socket that connects. */
static int open_up(struct conn *c, struct loop *l, int take_fd, const struct net_layer *layers, int n,
		   const struct layers_dial *d)
{
	int err = conn_open(c, l, take_fd, false, layers, (unsigned)n, time_left(d), d->on);

	if (!err)
		c->sessions = d->sessions;
	if (!err && n && d->client) {
		c->peer->source = d->client->source;
		c->peer->original = d->client->original;
	}
	if (!err && n)
		err = conn_ask_for(c, layers_host(d->authority));
	if (err)
		conn_close(c);
	return err;
}

int layers_dial(struct conn *c, struct loop *l, const struct layers_dial *d)
{
	struct net_layer layers[LAYERS_MAX];
	int n = layers_of_cluster(d->snap, d->conf, layers), fd;

	fd = n < 0 ? n : overload_fd(d->overload, sock_connect(&d->to, NULL, d->options));
	return fd < 0 ? fd : open_up(c, l, fd, layers, n, d);
}

int layers_dial_by(struct conn *c, struct loop *l, int take_fd, const struct layers_dial *d)
{
	struct net_layer layers[LAYERS_MAX];
	int n = layers_of_cluster(d->snap, d->conf, layers), err;

	err = n < 0 ? n : sock_connect_by(take_fd, &d->to, d->options);
	if (!err)
		return open_up(c, l, take_fd, layers, n, d);
	close(take_fd);
	return err;
}
