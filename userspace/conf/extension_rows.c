/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/extension_rows.h"

#include <errno.h>
#include <stdio.h>
#include "conf/reader.h"
#include "weft/str.h"

/* ---- choices ------------------------------------------------------------------------------------------------- */

static const struct conf_item proxy_rows[] = {
	CONF_ITEM(struct listener_proxy, required, "required", BOOL, .dflt = "true",
		  .help = "false: connections without the header are taken too"),
	CONF_END
};

static struct conf_choice net_filters[EXTENSIONS_MAX + 2] = {
	{ .name = "proxy-protocol", .rows = proxy_rows, .size = sizeof(struct listener_proxy) },
};
static struct conf_choice filters[EXTENSIONS_MAX + 1];

const struct conf_item net_filter_rows[] = {
	CONF_ITEM(struct listener_filter, type, "type", CHOICE, .required = true, .choices = net_filters,
		  .help = "brings the fields below"),
	CONF_END
};

const struct conf_item listener_filter_rows[] = {
	CONF_ITEM(struct listener_filter, type, "type", CHOICE, .required = true, .choices = filters,
		  .help = "brings the fields below"),
	CONF_END
};

void extension_rows_fill(void)
{
	struct conf_choice *of_rules = route_filter_choices + FILTER_EXTENSIONS;
	size_t i;

	for (i = 0; extensions.filters[i]; i++) {
		const struct filter_ops *ops = extensions.filters[i];

		filters[i] = (struct conf_choice){ .name = ops->name, .rows = ops->listener.items, .size = ops->listener.size,
						   .ops = ops };
		of_rules[i] = (struct conf_choice){ .name = ops->name, .rows = ops->route.items, .size = ops->route.size, .ops = ops };
	}
	filters[i] = of_rules[i] = (struct conf_choice){ .name = NULL };
	for (i = 0; extensions.net_filters[i]; i++) {
		const struct net_filter_ops *ops = extensions.net_filters[i];

		net_filters[i + 1] = (struct conf_choice){ .name = ops->name, .rows = ops->conf, .size = ops->conf_size, .ops = ops };
	}
	net_filters[i + 1] = (struct conf_choice){ .name = NULL };
}

bool extension_is_proxy_protocol(const struct listener_filter *f)
{
	return f->type.choice == &net_filters[0];
}

/* ---- uses ---------------------------------------------------------------------------------------------------- */

struct settings_kind filter_settings(const struct filter_ops *ops, enum extension_place place)
{
	const struct filter_conf *c = place == EXTENSION_OF_LISTENER ? &ops->listener : &ops->route;

	return (struct settings_kind){ c->items, c->size, c->init, c->fini };
}

struct settings_kind net_filter_settings(const struct net_filter_ops *ops)
{
	return (struct settings_kind){ ops->conf, ops->conf_size, ops->conf_init, ops->conf_fini };
}

static struct settings_kind kind_of(const void *ops, enum extension_place place)
{
	return place == EXTENSION_NET ? net_filter_settings(ops) : filter_settings(ops, place);
}

static bool given_before(const struct conf_chosen *v, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (v[j].choice == v[i].choice)
			return true;
	return false;
}

/* ---- clusters that settings name ----------------------------------------------------------------------------- */

struct naming {
	struct fact *f;
	struct slice *out;                      /* NULL: they are counted only */
	size_t n;
};

static void name(struct naming *x, enum conf_type type, const struct conf_item *rows, const void *value);

static void name_in(struct naming *x, const struct conf_item *rows, const void *base)
{
	for (; rows && (rows->name || rows->type == CONF_LINE); rows++) {
		const void *value = (const char *)base + rows->offset;
		const struct conf_list *l = value;

		for (size_t i = 0; rows->size && rows->type == CONF_LIST && i < l->n; i++)
			name(x, rows->of, rows->rows, (const char *)l->v + i * rows->of_size);
		if (rows->size && rows->type != CONF_LIST)
			name(x, rows->type, rows->rows, value);
	}
}

static void name(struct naming *x, enum conf_type type, const struct conf_item *rows, const void *value)
{
	const struct slice *s = value;

	if (type == CONF_STRUCT)
		name_in(x, rows, value);
	if (type != CONF_CLUSTER || !s->n)
		return;
	if (x->out)
		x->out[x->n] = fact_slice(x->f, *s);
	x->n++;
}

static void name_clusters(struct fact *f, const struct conf_item *rows, const void *conf, struct extension_use *out)
{
	struct naming count = { .f = f }, fill = { .f = f };

	name_in(&count, rows, conf);
	if (!count.n)
		return;
	fill.out = fact_alloc(f, count.n * sizeof(*fill.out));
	name_in(&fill, rows, conf);
	out->clusters = fill.out;
	out->nclusters = fill.n;
}

/* node: of the element. */
static int make_use(struct making *m, struct fact *f, enum extension_place place, const struct conf_node *node,
		    const struct conf_chosen *c, struct extension_use *out)
{
	struct settings_kind kind = kind_of(c->choice->ops, place);
	struct err e = { 0 };

	if (settings_try(&kind, c->conf, &e))
		return conf_error(&m->r, node, "%s", err_text(&e));
	out->type = fact_slice(f, slice_str(c->choice->name));
	out->settings = fact_slice(f, settings_text(&m->arena, node, "type"));
	name_clusters(f, kind.rows, c->conf, out);
	return 0;
}

/* A filter that stands twice at one place would be one filter with two minds. */
static int make_uses(struct making *m, struct fact *f, enum extension_place place, const struct conf_node *list,
		     const struct conf_list *l, struct extension_use *out, size_t *n)
{
	const struct conf_chosen *v = l->v;     /* all that a struct listener_filter and a struct route_filter hold */
	const struct conf_node *node = list->first;
	int err = 0;

	for (size_t i = 0; i < l->n && node; i++, node = node->next) {
		size_t at;

		if (!v[i].choice->ops)
			continue;
		at = reader_enter_at(&m->r, i);
		if (place != EXTENSION_NET && given_before(v, i))
			err = conf_error(&m->r, node, "%s is given twice", v[i].choice->name);
		else if (make_use(m, f, place, node, &v[i], &out[*n]))
			err = -EINVAL;
		else
			++*n;
		reader_leave(&m->r, at);
	}
	return err;
}

int making_extensions(struct making *m, struct fact *f, enum extension_place place, const struct conf_node *node,
		      const struct conf_list *list, const struct extension_use **out, size_t *n)
{
	static const char *const words[] = { "filters", "filters", "netFilters" };
	const struct conf_node *at = conf_member(node, words[place]);
	struct extension_use *v = fact_alloc(f, list->n * sizeof(*v));
	size_t before = reader_enter(&m->r, words[place]);
	int err;

	*n = 0;
	err = at ? make_uses(m, f, place, at, list, v, n) : 0;
	reader_leave(&m->r, before);
	*out = v;
	return err;
}
