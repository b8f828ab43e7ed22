/* SPDX-License-Identifier: Apache-2.0 */
/* What each path of the Admin API shows: rendered from the snapshot and the maps when asked, never from a second truth. */
#pragma once
#include <jansson.h>
#include "agent/http_server.h"

struct agent;
struct buf;
struct stat_desc;

/* Answers with v and drops it; NULL: out of memory, 500. */
void view_json(struct http_response *rs, json_t *take_v);
void view_error(struct http_response *rs, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* What the proxy counted under this name, a member a row; nothing when it said nothing. */
void view_counts(const struct agent *a, const struct stat_desc *d, struct slice name, json_t *o);
void view_counts_member(const struct agent *a, const struct stat_desc *d, struct slice name, json_t *o); /* the same as "counts" */
struct listener_range;
/* "10.99.0.0/16", "[fd00:99::/64]:80"; out holds VIEW_RANGE bytes. Returns it. */
#define VIEW_RANGE 72
const char *view_range(const struct listener_range *r, char *out);
struct listener;
struct route_rule;
/* The filters that its requests pass, in the order in which proxy/chain.c has them; l NULL: the rule's alone. A new reference. */
json_t *view_filters_of(const struct listener *l, const struct route_rule *r);
struct settings_kind;
/* What an extension works with, defaults included, as member of o; nothing when it takes no settings. */
void view_settings(json_t *o, const char *member, const struct settings_kind *k, struct slice text);
/* For rendering piece by piece: appends to rs->body. 0 or -ENOMEM. */
int view_write(void *rs, struct slice piece);

typedef void view_fn(struct agent *a, const struct http_request *rq, struct http_response *rs);

/* view_process.c */
view_fn view_version, view_plugins, view_ready, view_live, view_stats, view_metrics, view_reload;
/* view_model.c */
view_fn view_config, view_snapshot, view_services, view_clusters, view_certificates;
/* view_registries.c */
view_fn view_registries;
void view_watch_metrics(struct agent *a, struct buf *b);
/* view_routes.c, view_explain_http.c */
view_fn view_routes, view_explain_http;
/* view_filters.c, view_listeners.c, view_methods.c, view_overload.c */
view_fn view_filters, view_listeners, view_methods, view_overload;
/* view_kernel.c */
view_fn view_kernel, view_kernel_map, view_kernel_reasons;
/* view_connections.c, view_explain.c */
view_fn view_connections, view_explain;
