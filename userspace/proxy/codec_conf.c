// SPDX-License-Identifier: Apache-2.0
#include "proxy/codec_conf.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/extensions.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/protocols.h"
#include "conf/settings.h"
#include "weft/log.h"
#include "weft/str.h"

struct codec_conf {
	_Atomic uint32_t refs;
	const struct proto_ops *ops;
	struct settings *settings;              /* strings and lists of the struct lie in them */
	_Alignas(max_align_t) char conf[];      /* of ops->conf_size: all that a connection remembers */
};

/* By the slots of listeners and clusters; NULL: nothing is given. */
struct given {
	struct {
		const struct fact *fact;
		struct codec_conf *conf;
	} *v;
	uint32_t n;
};

struct codec_confs {
	struct codec_conf *dflt[EXTENSIONS_MAX]; /* as protocols() */
	struct given listeners, clusters;
};

/* ---- one ---------------------------------------------------------------------------------------------------------- */

static struct codec_conf *hold(struct codec_conf *c)
{
	if (c)
		atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

static void drop(struct codec_conf *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
		return;
	settings_free(c->settings);
	free(c);
}

void codec_conf_drop(const void *conf)
{
	if (conf)
		drop(container_of((char *)conf, struct codec_conf, conf[0]));
}

static struct codec_conf *conf_new(const struct proto_ops *ops, struct slice text, struct err *e)
{
	const struct settings_kind k = proto_settings(ops);
	struct settings *s = settings_new(&k, text, e);
	struct codec_conf *c = s ? mem_alloc(sizeof(*c) + ops->conf_size) : NULL;

	if (!c)
		return NULL;
	atomic_init(&c->refs, 1);
	c->ops = ops;
	c->settings = s;
	memcpy(c->conf, settings_conf(s), ops->conf_size);
	return c;
}

/* ---- of a snapshot ------------------------------------------------------------------------------------------------ */

static void given_free(struct given *g)
{
	for (uint32_t i = 0; i < g->n; i++)
		drop(g->v[i].conf);
	free(g->v);
}

static void confs_free(void *p)
{
	struct codec_confs *all = p;

	for (unsigned i = 0; i < EXTENSIONS_MAX; i++)
		drop(all->dflt[i]);
	given_free(&all->listeners);
	given_free(&all->clusters);
	free(all);
}

static const struct codec_confs *confs_in(const struct snapshot *s)
{
	return s ? s->annex[SNAPSHOT_CODECS].p : NULL;
}

static struct codec_conf *at(const struct given *g, const struct fact *f)
{
	return f->slot < g->n && g->v[f->slot].fact == f ? g->v[f->slot].conf : NULL;
}

/* was: what there was before, of the same fact when nothing has changed. */
static void add(struct given *g, const struct given *was, const struct fact *f, struct slice protocol, struct slice text)
{
	const struct proto_ops *ops = protocol_rpc(protocol);
	struct codec_conf *c = was ? hold(at(was, f)) : NULL;
	struct err e = { 0 };
	char name[128];

	if (!text.n || !ops || !ops->conf)
		return;
	if (!c)
		c = conf_new(ops, text, &e);
	g->v[f->slot].fact = f;
	g->v[f->slot].conf = c;
	if (c)
		return;
	snprintf(name, sizeof(name), "%.*s", SLICE_ARG(f->key));
	log_error(name, "settings of protocol %s: %s; its defaults are used", ops->name, err_text(&e));
}

static struct given given_new(uint32_t slots)
{
	struct given g = { .n = slots };

	g.v = mem_alloc((slots + 1) * sizeof(*g.v));
	return g;
}

static void add_defaults(struct codec_confs *all, const struct codec_confs *was)
{
	const struct proto_ops *const *p = protocols();
	struct err e = { 0 };

	for (unsigned i = 0; i < EXTENSIONS_MAX && p[i]; i++)
		if (p[i]->conf)
			all->dflt[i] = was && was->dflt[i] ? hold(was->dflt[i]) : conf_new(p[i], (struct slice){ 0 }, &e);
}

void codec_confs_attach(struct snapshot *s, const struct snapshot *before)
{
	struct codec_confs *all = mem_alloc(sizeof(*all));
	const struct codec_confs *was = confs_in(before);
	struct fact_set ls = snapshot_facts(s, FACT_LISTENER);
	struct cluster_set cs = snapshot_clusters(s);

	add_defaults(all, was);
	all->listeners = given_new(snapshot_slots(s, FACT_LISTENER));
	all->clusters = given_new(snapshot_slots(s, FACT_CLUSTER));
	for (size_t i = 0; i < ls.n; i++) {
		const struct listener *l = (const struct listener *)ls.v[i];

		add(&all->listeners, was ? &was->listeners : NULL, &l->fact, l->protocol, l->protocol_settings);
	}
	for (size_t i = 0; i < cs.n; i++) {
		const struct cluster_fact *c = cs.v[i]->conf;

		add(&all->clusters, was ? &was->clusters : NULL, &c->fact, c->protocol, c->protocol_settings);
	}
	s->annex[SNAPSHOT_CODECS] = (struct snapshot_annex){ all, confs_free };
}

/* ---- for connections ---------------------------------------------------------------------------------------------- */

static const void *find(const struct codec_confs *all, struct codec_conf *given, const struct proto_ops *ops)
{
	const struct proto_ops *const *p = protocols();

	if (given && given->ops == ops)
		return hold(given)->conf;
	for (unsigned i = 0; i < EXTENSIONS_MAX && p[i]; i++)
		if (p[i] == ops && all->dflt[i])
			return hold(all->dflt[i])->conf;
	return NULL;
}

const void *codec_conf_of_listener(const struct snapshot *s, const struct listener *l, const struct proto_ops *ops)
{
	const struct codec_confs *all = confs_in(s);

	return ops->conf && all ? find(all, l ? at(&all->listeners, &l->fact) : NULL, ops) : NULL;
}

const void *codec_conf_of_cluster(const struct snapshot *s, const struct cluster_fact *c, const struct proto_ops *ops)
{
	const struct codec_confs *all = confs_in(s);

	return ops->conf && all ? find(all, at(&all->clusters, &c->fact), ops) : NULL;
}
