/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net_filters.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/magic.h"
#include "base/mem.h"
#include "conf/extension_rows.h"
#include "proxy/callout.h"
#include "proxy/http.h"
#include "proxy/worker.h"
#include "weft/log.h"
#include "weft/str.h"

/* One net filter with settings of one place. */
struct net_unit {
	_Atomic uint32_t refs;                  /* sets, connections */
	const struct net_filter_ops *ops;       /* NULL: nobody has it */
	unsigned index;                         /* of ops in extensions.net_filters */
	struct settings *settings;              /* NULL: they could not be made */
	struct slice text;
};

struct net_filter_set {
	uint32_t refs;                          /* control thread */
	size_t n;
	struct net_unit *unit[NET_FILTERS_MAX];
};

static void unit_hold(void *owner)
{
	struct net_unit *u = owner;

	atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
}

static void unit_drop(void *owner)
{
	struct net_unit *u = owner;

	if (atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) != 1)
		return;
	settings_free(u->settings);
	free((char *)u->text.p);
	free(u);
}

/* A net filter's loop is its worker's. */
static struct client *call(void *owner, struct loop *l)
{
	struct worker *w = container_of(l, struct worker, thread.loop);
	const struct net_unit *u = owner;
	struct callout_owner *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	callout_owner_init(o, w, &w->http->net_filter_calls[u->index], u->ops->name, CALLOUTS_OF_STREAM);
	return &o->client;
}

static void call_end(struct client *take_c)
{
	client_fini(take_c);
	free(container_of(take_c, struct callout_owner, client));
}

static const struct net_keep keep = { unit_hold, unit_drop, call, call_end };

/* The agent took these settings by the same rows: a refusal here means that the two disagree. */
static struct net_unit *unit_new(const struct listener *l, const struct extension_use *use)
{
	struct net_unit *u = mem_alloc(sizeof(*u));
	struct err e = { 0 };

	atomic_init(&u->refs, 1);
	u->text = (struct slice){ mem_dup(use->settings.p, use->settings.n), use->settings.n };
	u->ops = extension_find(EXTENSION_net_filter, use->type);
	if (u->ops) {
		while (extensions.net_filters[u->index] != u->ops)
			u->index++;
		const struct settings_kind kind = net_filter_settings(u->ops);

		u->settings = settings_new(&kind, use->settings, &e);
	}
	if (!u->settings)
		log_error("proxy", "listener %.*s: net filter %.*s: %s; no connection is taken", SLICE_ARG(l->name),
			  SLICE_ARG(use->type), u->ops ? err_text(&e) : "there is none of this name");
	return u;
}

static struct net_unit *find_unit(const struct net_filter_set *old, const struct extension_use *use)
{
	for (size_t i = 0; old && i < old->n; i++) {
		struct net_unit *u = old->unit[i];

		if (u->ops && slice_eq_str(use->type, u->ops->name) && slice_eq(use->settings, u->text))
			return u;
	}
	return NULL;
}

struct net_filter_set *net_filters_new(const struct listener *l, const struct net_filter_set *old)
{
	struct net_filter_set *s = mem_alloc(sizeof(*s));

	assert_always(l->nnet_filters <= NET_FILTERS_MAX);
	s->refs = 1;
	for (; s->n < l->nnet_filters; s->n++) {
		struct net_unit *u = find_unit(old, &l->net_filters[s->n]);

		if (u)
			unit_hold(u);
		else
			u = unit_new(l, &l->net_filters[s->n]);
		s->unit[s->n] = u;
	}
	return s;
}

struct net_filter_set *net_filters_hold(struct net_filter_set *s)
{
	s->refs++;
	return s;
}

void net_filters_drop(struct net_filter_set *s)
{
	if (!s || --s->refs)
		return;
	for (size_t i = 0; i < s->n; i++)
		unit_drop(s->unit[i]);
	free(s);
}

int net_filters_layers(const struct net_filter_set *s, struct net_layer *out)
{
	for (size_t i = 0; s && i < s->n; i++) {
		struct net_unit *u = s->unit[i];

		if (!u->settings)
			return -ENOKEY;
		out[i] = (struct net_layer){ u->ops, settings_conf(u->settings), u, &keep };
	}
	return s ? (int)s->n : 0;
}
