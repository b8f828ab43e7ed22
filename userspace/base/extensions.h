/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The extensions of this process, those that are built in first, then those of plugins in the order of the configuration.
 * Filled before any thread runs and before a file is read that names one; afterwards only read, by any thread.
 */
#pragma once
#include "weft/err.h"
#include "weft/plugin.h"

#define EXTENSIONS_MAX 64u                      /* of one kind */

/* X(type of its methods, list, words) */
#define EXTENSIONS(X)                                                                                                  \
	X(net_filter, net_filters, "net filter")                                                                       \
	X(proto, protos, "protocol")                                                                                   \
	X(filter, filters, "filter")                                                                                   \
	X(lb, lbs, "load balancer")                                                                                    \
	X(registry, registries, "registry")

enum extension_kind {
#define EXTENSION_ENUM_(kind, list, words) EXTENSION_##kind,
	EXTENSIONS(EXTENSION_ENUM_)
#undef EXTENSION_ENUM_
	EXTENSION_KINDS
};
extern const char *const extension_words[EXTENSION_KINDS]; /* "load balancer" */

/* Each ends with NULL. */
struct extensions {
#define EXTENSION_LIST_(kind, list, words) const struct kind##_ops *list[EXTENSIONS_MAX + 1];
	EXTENSIONS(EXTENSION_LIST_)
#undef EXTENSION_LIST_
};
extern struct extensions extensions;

/* A struct KIND_ops, borrowed for ever. 0, -EEXIST: its name is taken, -ENOSPC. */
int extension_add(enum extension_kind kind, const void *ops);
unsigned extension_room(enum extension_kind kind); /* how many more there may be */
/* NULL: no such. */
const void *extension_find(enum extension_kind kind, struct slice name);
/* Member i of the list that a plugin brings; NULL: its end, or it has none of this kind. */
const void *extension_of(const struct weft_plugin *p, enum extension_kind kind, size_t i);
const char *extension_name(const void *ops);    /* of any kind */
/* -EINVAL with "want one of: first, a; not name": first is written out, behind it what the kind has beside those. */
int extension_unknown(enum extension_kind kind, struct slice name, const char *first, struct err *e);
