/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sources.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/discovery.h"
#include "base/mem.h"
#include "conf/dump.h"
#include "event/timer.h"
#include "model/fact.h"
#include "weft/log.h"
#include "weft/str.h"

struct watch {
	struct list node;
	struct loop_io io;
	struct source *source;
	void (*fn)(struct registry *r, int fd);
	struct loop_deferred defer;
};

struct source {
	struct registry registry;
	struct hub_source hub;
	struct client client;
	struct loop *loop;
	struct list watches;
	struct timer timer;
	void (*timer_fn)(struct registry *r);
	char *name;
	const struct config *from;              /* where its settings lie */
	bool running;
};

static struct source *source_of(struct registry *r)
{
	return container_of(r, struct source, registry);
}

static void on_ready(struct loop_io *io, unsigned events)
{
	struct watch *w = io->arg;

	(void)events;
	w->fn(&w->source->registry, io->fd);
}

static void watch_free(struct loop_deferred *d)
{
	free(container_of(d, struct watch, defer));
}

static void watch_end(struct watch *w)
{
	struct loop *l = w->source->loop;

	list_del(&w->node);
	loop_del(l, &w->io);
	loop_defer(l, &w->defer, watch_free);
}

int registry_watch(struct registry *r, int fd, void (*fn)(struct registry *r, int fd))
{
	struct source *s = source_of(r);
	struct watch *w;
	int err;

	list_for(p, &s->watches) {
		w = container_of(p, struct watch, node);
		if (w->io.fd != fd)
			continue;
		if (fn)
			w->fn = fn;
		else
			watch_end(w);
		return 0;
	}
	if (!fn)
		return 0;
	w = mem_alloc(sizeof(*w));
	w->source = s;
	w->fn = fn;
	err = loop_add(s->loop, &w->io, fd, LOOP_READ, on_ready, w);
	if (err)
		free(w);
	else
		list_add_tail(&s->watches, &w->node);
	return err;
}

static void on_timer(struct timer *t)
{
	struct source *s = t->arg;

	s->timer_fn(&s->registry);
}

void registry_timer(struct registry *r, uint64_t after_ms, void (*fn)(struct registry *r))
{
	struct source *s = source_of(r);

	if (!fn) {
		timer_disarm(s->loop, &s->timer);
		return;
	}
	s->timer_fn = fn;
	timer_arm(s->loop, &s->timer, after_ms * 1000000, on_timer, s);
}

/* ---- life --------------------------------------------------------------------------------------------------- */

static struct source *source_new(struct sources *all, struct slice name, const char *type)
{
	struct source *s = mem_alloc(sizeof(*s));

	s->name = mem_dup(name.p, name.n);
	s->registry.name = slice_str(s->name);
	s->loop = all->loop;
	s->registry.sink = &hub_sink;
	s->registry.sink_arg = &s->hub;
	list_init(&s->watches);
	if (all->carrier) {
		http_client_init(&s->client, all->carrier);
		s->client.name = s->name;
		s->registry.client = &s->client;
	}
	hub_add(all->hub, &s->hub, s->name, type, &s->registry);
	return s;
}

static void source_free(struct source *s)
{
	if (s->running && s->registry.ops->stop)
		s->registry.ops->stop(&s->registry);
	client_fini(&s->client);
	timer_disarm(s->loop, &s->timer);
	list_for(p, &s->watches)
		watch_end(container_of(p, struct watch, node));
	hub_remove(&s->hub);
	free(s->registry.state);
	free(s->name);
	free(s);
}

static const struct registry_ops own_ops = { .name = "config" };

/* What no registry can bring is refused at once: a name that leads nowhere is a mistake then. */
static void set_late(const struct sources *s, size_t nregistries)
{
	store_late(s->hub->store, nregistries ? SLICE_LIT(CONFIG_REGISTRY) : (struct slice){ NULL, 0 });
}

/* The configuration's own facts are one transaction: what they refuse, the whole configuration refuses. */
static int give_own(struct sources *s, const struct config *c, struct err *e)
{
	s->own = source_new(s, SLICE_LIT(CONFIG_REGISTRY), own_ops.name);
	s->own->registry.ops = &own_ops;
	set_late(s, c->registries.n);
	hub_sink.begin(&s->own->hub);
	for (size_t i = 0; i < c->nfacts; i++)
		hub_sink.put(&s->own->hub, fact_hold(c->facts[i]));
	hub_sink.commit(&s->own->hub, ++s->version);
	hub_sink.synced(&s->own->hub);
	return s->own->hub.refusal_words ? err_add(e, -EINVAL, "%s", s->own->hub.refusal_words) : 0;
}

static int start_one(struct sources *all, const struct config *from, const struct config_registry *c, struct err *e)
{
	const struct registry_ops *ops = c->type.choice->ops;
	struct source *s = source_new(all, c->name, ops->name);
	int err;

	all->v = mem_realloc(all->v, (all->n + 1) * sizeof(*all->v));
	all->v[all->n++] = s;
	s->from = from;
	s->registry.ops = ops;
	s->registry.conf = c->type.conf;
	s->registry.state = mem_alloc(ops->state_size ? ops->state_size : 1);
	err = ops->start(&s->registry, e);
	if (err)
		return err_add(e, err, "registry %s", s->name);
	s->running = true;
	return 0;
}

int sources_start(struct sources *s, struct loop *l, struct hub *hub, struct http_carrier *carrier, const struct config *c,
		  struct err *e)
{
	const struct config_registry *r = c->registries.v;
	int err;

	*s = (struct sources){ .loop = l, .hub = hub, .carrier = carrier };
	err = give_own(s, c, e);
	for (size_t i = 0; !err && i < c->registries.n; i++)
		err = start_one(s, c, &r[i], e);
	return err;
}

int sources_check(struct sources *s, struct loop *l, struct hub *hub, const struct config *c,
		  void (*say)(void *arg, const char *line), void *arg, struct err *e)
{
	const struct config_registry *r = c->registries.v;
	int err;

	*s = (struct sources){ .loop = l, .hub = hub };
	err = give_own(s, c, e);
	for (size_t i = 0; !err && i < c->registries.n; i++)
		if (((const struct registry_ops *)r[i].type.choice->ops)->faults)
			err = start_one(s, c, &r[i], e);
	/* After all have started: one may have given what another lacked. */
	for (size_t i = 0; !err && i < s->n; i++)
		s->v[i]->registry.ops->faults(&s->v[i]->registry, say, arg);
	return err;
}

/* ---- another configuration ---------------------------------------------------------------------------------- */

struct change {
	struct sources *s;
	const struct config *now;               /* the new one */
	void (*say)(void *arg, const char *line);
	void *arg;
	bool bad;
};

/* Settings are compared as they would be shown: what differs there differs. */
static bool same_settings(const struct source *s, const struct config_registry *r)
{
	json_t *a, *b;
	bool same;

	if (s->registry.ops != r->type.choice->ops)
		return false;
	a = conf_dump(s->registry.ops->conf, s->registry.conf);
	b = conf_dump(s->registry.ops->conf, r->type.conf);
	same = json_equal(a, b);
	json_decref(a);
	json_decref(b);
	return same;
}

static const struct config_registry *registry_of(const struct config *c, const struct source *s)
{
	const struct config_registry *r = c->registries.v;

	for (size_t i = 0; i < c->registries.n; i++) {
		if (slice_eq_str(r[i].name, s->name))
			return &r[i];
	}
	return NULL;
}

static struct source *source_of_name(const struct sources *s, struct slice name)
{
	for (size_t i = 0; i < s->n; i++) {
		if (slice_eq_str(name, s->v[i]->name))
			return s->v[i];
	}
	return NULL;
}

const struct client *sources_client(const struct sources *s, const char *name)
{
	const struct source *of = source_of_name(s, slice_str(name));

	return of ? of->registry.client : NULL;
}

static void mark_leaving(struct sources *s, const struct config *c)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct config_registry *r = registry_of(c, s->v[i]);

		s->v[i]->hub.leaving = !r || !s->v[i]->running || !same_settings(s->v[i], r);
	}
}

/* Whether the facts of this registry are ours to change now. */
static bool ours(const struct sources *s, struct slice registry)
{
	const struct source *of = source_of_name(s, registry);

	return slice_eq_str(registry, CONFIG_REGISTRY) || (of && of->hub.leaving);
}

static void del_fact(const struct sources *s, struct store_tx *tx, const struct fact *f)
{
	if (ours(s, f->place->registry))
		store_del(tx, f->kind, f->key);
}

static void del_all(const struct sources *s, struct store_tx *tx, const struct snapshot *now)
{
	struct cluster_set clusters = snapshot_clusters(now);

	for (int k = 0; k < FACT_KINDS; k++) {
		struct fact_set set = k == FACT_HOST ? (struct fact_set){ 0 } : snapshot_facts(now, k);

		for (size_t i = 0; i < set.n; i++)
			del_fact(s, tx, set.v[i]);
	}
	for (size_t i = 0; i < clusters.n; i++) {
		for (size_t h = 0; h < clusters.v[i]->nhosts; h++)
			del_fact(s, tx, &clusters.v[i]->hosts[h]->fact);
	}
}

/* The transaction may change everybody's facts, so this looks whose they are. */
static void put_fact(struct change *c, struct store_tx *tx, const struct fact *f)
{
	const struct fact *old = store_fact(c->s->hub->store, f->kind, f->key);
	struct fact_mark mark = fact_mark(f), its;
	char *line, place[256];

	/* What is absent is nobody's; what was found for a cluster is its giver's when that names its hosts itself now. */
	if (old && !ours(c->s, old->place->registry) && !(f->kind == FACT_CLUSTER && ((const struct cluster_fact *)old)->absent) &&
	    !(f->kind == FACT_HOST && slice_eq_str(old->place->registry, DISCOVERY_REGISTRY))) {
		its = fact_mark(old);
		line = mem_printf("%.*s:%u: %s %.*s: given by another registry already (%s); only that one may change it",
				  SLICE_ARG(mark.file), mark.line, fact_words[f->kind], SLICE_ARG(f->key),
				  fact_mark_name(&its, place, sizeof(place)));
		c->say(c->arg, line);
		free(line);
		c->bad = true;
		return;
	}
	hub_seen(c->s->hub, f);
	store_put(tx, fact_hold(f));
}

static bool change_facts(struct change *c, const struct snapshot *now)
{
	struct store_tx *tx = store_begin(c->s->hub->store, (struct slice){ NULL, 0 });

	del_all(c->s, tx, now);
	for (size_t i = 0; i < c->now->nfacts; i++)
		put_fact(c, tx, c->now->facts[i]);
	if (!c->bad)
		return hub_replace(&c->s->own->hub, tx, ++c->s->version, c->say, c->arg);
	store_end(tx);
	return false;
}

static void end_leaving(struct sources *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i]->hub.leaving) {
			log_info(s->v[i]->name, "this registry is stopped");
			source_free(s->v[i]);
		} else {
			s->v[kept++] = s->v[i];
		}
	}
	s->n = kept;
}

/* One that cannot start says so like one that has a fault: by readiness, and in the views. */
static void start_missing(struct sources *s, const struct config *c)
{
	const struct config_registry *r = c->registries.v;

	for (size_t i = 0; i < c->registries.n; i++) {
		struct err e = { 0 };
		int err;

		if (source_of_name(s, r[i].name))
			continue;
		err = start_one(s, c, &r[i], &e);
		if (err)
			hub_sink.health(&s->v[s->n - 1]->hub, err, err_text(&e));
	}
}

static bool used(const struct sources *s, const struct config *c)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i]->from == c)
			return true;
	}
	return false;
}

void sources_retire(struct sources *s, struct config *take_was)
{
	size_t kept = 0;

	config_drop_facts(take_was);
	vec_push(&s->retired, take_was);
	for (size_t i = 0; i < s->retired.n; i++) {
		if (used(s, s->retired.v[i]))
			s->retired.v[kept++] = s->retired.v[i];
		else
			config_free(s->retired.v[i]);
	}
	s->retired.n = kept;
}

bool sources_change(struct sources *s, const struct config *c, const struct snapshot *now,
		    void (*say)(void *arg, const char *line), void *arg)
{
	struct change change = { .s = s, .now = c, .say = say, .arg = arg };

	mark_leaving(s, c);
	set_late(s, c->registries.n);
	if (!change_facts(&change, now)) {
		set_late(s, s->n);
		for (size_t i = 0; i < s->n; i++)
			s->v[i]->hub.leaving = false;
		return false;
	}
	end_leaving(s);
	start_missing(s, c);
	return true;
}

void sources_stop(struct sources *s)
{
	if (!s->loop)
		return;
	while (s->n)
		source_free(s->v[--s->n]);
	if (s->own)
		source_free(s->own);
	for (size_t i = 0; i < s->retired.n; i++)
		config_free(s->retired.v[i]);
	vec_fini(&s->retired);
	free(s->v);
	s->v = NULL;
	s->own = NULL;
	s->loop = NULL;
}
