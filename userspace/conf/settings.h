/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings of an extension (filter, net filter, protocol, load balancer) on their way from the file to whoever runs it, in
 * another process: as text, and read there by the same rows that judged them in the file. Control thread.
 */
#pragma once
#include "weft/conf.h"
#include "weft/lb.h"
#include "weft/proto.h"

/*
 * A mapping as JSON on one line, members by name; the one named without (NULL: none) is left out. What rows take as a
 * number or a boolean stays one. n NULL: "{}". In a, NUL-terminated.
 */
struct slice settings_text(struct arena *a, const struct conf_node *n, const char *without);

/* What an extension says of its settings at one place. */
struct settings_kind {
	const struct conf_item *rows;           /* NULL: it takes none */
	size_t size;                            /* of its struct */
	int (*init)(void *conf, struct err *e); /* NULL = nothing beyond the rows */
	void (*fini)(void *conf);               /* accepts what a failed init left; NULL = nothing held */
};

/* Of methods that a fact names; ops NULL: of none, which takes none. */
static inline struct settings_kind lb_settings(const struct lb_ops *ops)
{
	return (struct settings_kind){ .rows = ops ? ops->conf : NULL, .size = ops ? ops->conf_size : 0 };
}

static inline struct settings_kind proto_settings(const struct proto_ops *ops)
{
	return (struct settings_kind){ .rows = ops ? ops->conf : NULL, .size = ops ? ops->conf_size : 0 };
}

/* Runs init on what a decode has filled, and fini on it again: 0, or what it said. */
int settings_try(const struct settings_kind *k, const void *conf, struct err *e);

/* A struct of settings with what its strings and lists point to. */
struct settings;
/* text: as above; empty: defaults alone. NULL: said in e, with its field. */
struct settings *settings_new(const struct settings_kind *k, struct slice text, struct err *e);
void settings_free(struct settings *s);         /* NULL is allowed */
const void *settings_conf(const struct settings *s); /* the struct; lives as long as s */
