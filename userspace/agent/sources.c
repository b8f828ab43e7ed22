/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sources.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "event/timer.h"
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
	struct loop *loop;
	struct list watches;
	struct timer timer;
	void (*timer_fn)(struct registry *r);
	char *name;
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
	hub_add(all->hub, &s->hub, s->name, type, &s->registry);
	return s;
}

static void source_free(struct source *s)
{
	if (s->running && s->registry.ops->stop)
		s->registry.ops->stop(&s->registry);
	timer_disarm(s->loop, &s->timer);
	list_for(p, &s->watches)
		watch_end(container_of(p, struct watch, node));
	hub_remove(&s->hub);
	free(s->registry.state);
	free(s->name);
	free(s);
}

static const struct registry_ops own_ops = { .name = "config" };

/* The configuration's own facts are one transaction: what they refuse, the whole configuration refuses. */
static int give_own(struct sources *s, const struct config *c, struct err *e)
{
	s->own = source_new(s, SLICE_LIT(CONFIG_REGISTRY), own_ops.name);
	s->own->registry.ops = &own_ops;
	hub_sink.begin(&s->own->hub);
	for (size_t i = 0; i < c->nfacts; i++)
		hub_sink.put(&s->own->hub, fact_hold(c->facts[i]));
	hub_sink.commit(&s->own->hub, 1);
	hub_sink.synced(&s->own->hub);
	return s->own->hub.refusal_words ? err_add(e, -EINVAL, "%s", s->own->hub.refusal_words) : 0;
}

static int start_one(struct sources *all, const struct config_registry *c, struct err *e)
{
	const struct registry_ops *ops = c->type.choice->ops;
	struct source *s = source_new(all, c->name, ops->name);
	int err;

	all->v = mem_realloc(all->v, (all->n + 1) * sizeof(*all->v));
	all->v[all->n++] = s;
	s->registry.ops = ops;
	s->registry.conf = c->type.conf;
	s->registry.state = mem_alloc(ops->state_size ? ops->state_size : 1);
	err = ops->start(&s->registry, e);
	if (err)
		return err_add(e, err, "registry %s", s->name);
	s->running = true;
	return 0;
}

int sources_start(struct sources *s, struct loop *l, struct hub *hub, const struct config *c, struct err *e)
{
	const struct config_registry *r = c->registries.v;
	int err;

	*s = (struct sources){ .loop = l, .hub = hub };
	err = give_own(s, c, e);
	for (size_t i = 0; !err && i < c->registries.n; i++)
		err = start_one(s, &r[i], e);
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
			err = start_one(s, &r[i], e);
	/* After all have started: one may have given what another lacked. */
	for (size_t i = 0; !err && i < s->n; i++)
		s->v[i]->registry.ops->faults(&s->v[i]->registry, say, arg);
	return err;
}

void sources_stop(struct sources *s)
{
	if (!s->loop)
		return;
	while (s->n)
		source_free(s->v[--s->n]);
	if (s->own)
		source_free(s->own);
	free(s->v);
	s->v = NULL;
	s->own = NULL;
	s->loop = NULL;
}
