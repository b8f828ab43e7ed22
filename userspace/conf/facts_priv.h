/* SPDX-License-Identifier: Apache-2.0 */
/* conf_facts() inside: elements of a file's lists become facts. */
#pragma once
#include "base/arena.h"
#include "base/table.h"
#include "base/vec.h"
#include "conf/reader.h"
#include "conf/settings.h"
#include "weft/registry.h"

struct making {
	struct conf_reader r; /* the caller's, with an arena of ours */
	struct slice registry;
	const struct conf_node *node; /* element under way */
	struct arena arena;
	struct table keys[FACT_KINDS]; /* key -> fact */
	struct table frontends;	       /* address, port, protocol -> service fact */
	struct table bound;	       /* the same -> listener fact */
	VEC(struct fact *) facts;
};

typedef int make_fn(struct making *m, const void *element);
make_fn make_cluster, make_route, make_listener;

/* at: a node of the element; where conf.d went over the main file, its parts may lie in several files. */
struct fact_mark making_mark(const struct making *m, const struct conf_node *at);
/* Element i of a list of the element. */
const struct conf_node *making_part(const struct making *m, const char *list, size_t i);
/* Says what is wrong at field of the element; -EINVAL. */
int making_error(struct making *m, const struct conf_node *at, const char *field, const char *words);
/* Keeps take_f when its key is new; shown: what is given twice else. 0 or -EINVAL. */
int making_keep(struct making *m, struct fact *take_f, const struct conf_node *at, const char *field, struct slice shown);
/* Says that what by has cannot be given again; -EINVAL. */
int making_taken(struct making *m, const struct conf_node *at, const char *field, const char *what, const struct fact *by);

const struct slice *making_slices(struct fact *f, const struct conf_list *list);
const struct status_range *making_statuses(struct fact *f, const struct conf_list *list);
const struct route_backend *making_backends(struct fact *f, const struct conf_list *list);
const struct name_value *making_subset(struct fact *f, struct pair_list l, size_t *n);
/* "cert|key" or the path of a CA: the key of a secret. */
struct slice making_certificate(struct fact *f, struct slice cert, struct slice key);
const struct slice *making_certificates(struct fact *f, const struct conf_list *list);
/* What make_route() does for a route of a listener: name is its key, node the route itself. */
int make_route_named(struct making *m, struct slice name, const struct conf_node *node, const void *route_conf);

/*
 * Member field of the element, which the extension who reads by its rows; *text: for the fact, empty where defaults will
 * do; of m's arena. 0, or -EINVAL said.
 */
int making_settings(struct making *m, const char *field, struct slice who, const struct settings_kind *k, struct slice *text);
/* The same for `protocolSettings`, which `protocol` reads, into out of f. */
int making_protocol_settings(struct making *m, struct fact *f, struct slice protocol, struct slice *out);

/* Milliseconds, more than none when it is more than none. */
static inline uint32_t making_ms(uint64_t ns)
{
	return (uint32_t)((ns + 999999) / 1000000);
}
