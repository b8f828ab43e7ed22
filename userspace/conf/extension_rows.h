/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extensions that listeners and rules name by `type`, each bringing its own rows: filters and net filters, those of this
 * process (base/extensions.h). Control thread.
 */
#pragma once
#include "base/extensions.h"
#include "conf/facts_priv.h"
#include "conf/route_rows.h"
#include "conf/settings.h"

struct listener_filter {                        /* netFilters[], filters[] of a listener */
	struct conf_chosen type;
};

struct listener_proxy {                         /* proxy-protocol */
	bool required;
};

/* Of listeners; rules' are route_rows.h's. */
extern const struct conf_item listener_filter_rows[], net_filter_rows[];
/* Brings the choices up to date with what there is; before a file is read, or its rows are described. */
void extension_rows_fill(void);

bool extension_is_proxy_protocol(const struct listener_filter *f);

enum extension_place { EXTENSION_OF_LISTENER, EXTENSION_OF_RULE, EXTENSION_NET };
/*
 * Elements of a list of the element under way that are extensions, in order, as uses of a fact. node: of the list's owner.
 * Their init is tried: -EINVAL, said with its line. *n: how many.
 */
int making_extensions(struct making *m, struct fact *f, enum extension_place place, const struct conf_node *node,
		      const struct conf_list *list, const struct extension_use **out, size_t *n);
/* What a place says of its settings. */
struct settings_kind filter_settings(const struct filter_ops *ops, enum extension_place place);
struct settings_kind net_filter_settings(const struct net_filter_ops *ops);
