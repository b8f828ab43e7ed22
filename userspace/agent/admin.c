/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/admin.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "agent/agent.h"
#include "agent/view.h"
#include "conf/dump.h"
#include "conf/settings.h"
#include "model/dump.h"
#include "weft/str.h"

static view_fn view_index;

static const struct path {
	const char *path;                       /* ends with '/': everything below it */
	view_fn *fn;
	const char *help;
} paths[] = {
	{ "/", view_index, "this list" },
	{ "/version", view_version, "versions of the daemon and its contracts" },
	{ "/plugins", view_plugins, "plugins that are loaded: name, version, ABI, file, and what each brings" },
	{ "/ready", view_ready, "200 when every condition is well, else 503; says which is not" },
	{ "/live", view_live, "200 while the agent's loop runs" },
	{ "/metrics", view_metrics, "Prometheus text" },
	{ "/stats", view_stats, "the same counters as JSON" },
	{ "/config", view_config, "the configuration in force, defaults included" },
	{ "/snapshot", view_snapshot, "every fact of the current snapshot" },
	{ "/services", view_services, "services with their ports, backends and counters" },
	{ "/clusters", view_clusters, "clusters with their hosts" },
	{ "/listeners", view_listeners, "listeners: whether they listen, else why not, and what they count" },
	{ "/filters", view_filters, "filters and net filters: who names them, whom they ask, and what they count" },
	{ "/methods", view_methods, "methods of gRPC and RPC protocols that were called, and what they count" },
	{ "/overload", view_overload, "how full the proxy is: memory, connections, descriptors, and its level" },
	{ "/certificates", view_certificates, "certificates that listeners and clusters use; never keys" },
	{ "/connections", view_connections, "short-circuited connections: open, and lately closed" },
	{ "/kernel", view_kernel, "rung, programs, maps, features, self-test" },
	{ "/kernel/maps/", view_kernel_map, "entries of one map: /kernel/maps/NAME?limit=100" },
	{ "/kernel/reasons", view_kernel_reasons, "why connections took the path they took" },
	{ "/routes", view_routes, "routes with their rules, and who has them" },
	{ "/explain", view_explain, "?protocol=tcp&address=10.96.0.10:80[&from=CGROUP|PID][&sample=N], or "
				    "?http=GET&url=http://web/a[&headers=NAME: VALUE by lines][&listener=NAME][&from=IDENTITY][&client=IP], or "
				    "?rpc=SERVICE&method=METHOD[&headers=...][&listener=NAME][&from=IDENTITY][&client=IP]" },
	{ "/registries", view_registries, "registries, their state and what was refused" },
};

/* What changes something: POST, over the unix socket only. */
static const struct path posts[] = {
	{ "/reload", view_reload, "reads the configuration again; what is wrong with it, what waits for a restart" },
};

#define NPATHS (sizeof(paths) / sizeof(paths[0]))
#define NPOSTS (sizeof(posts) / sizeof(posts[0]))

static void view_index(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	json_t *list = json_array();

	(void)a;
	(void)rq;
	for (size_t i = 0; i < NPATHS; i++)
		json_array_append_new(list, json_pack("{ssss}", "path", paths[i].path, "help", paths[i].help));
	for (size_t i = 0; i < NPOSTS; i++)
		json_array_append_new(list, json_pack("{ssssss}", "path", posts[i].path, "method", "POST", "help",
						      posts[i].help));
	view_json(rs, json_pack("{so}", "paths", list));
}

static bool matches(const struct path *p, struct slice asked)
{
	struct slice own = slice_str(p->path);

	if (own.n > 1 && own.p[own.n - 1] == '/')
		return asked.n > own.n && slice_starts(asked, own);
	return slice_eq(asked, own);
}

static const struct path *find(const struct path *v, size_t n, struct slice asked)
{
	for (size_t i = 0; i < n; i++) {
		if (matches(&v[i], asked))
			return &v[i];
	}
	return NULL;
}

void admin_handle(void *agent, const struct http_request *rq, struct http_response *rs)
{
	const struct path *get = find(paths, NPATHS, rq->path), *post = find(posts, NPOSTS, rq->path);
	const struct path *p = rq->post ? post : get;

	if (p) {
		p->fn(agent, rq, rs);
	} else if (get || post) {
		rs->allow = get ? "GET, HEAD" : "POST";
		view_error(rs, 405, get ? "only GET and HEAD" : "only POST, and over the unix socket only");
	} else {
		view_error(rs, 404, "no such path; GET / lists them");
	}
}

/* ---- what views share --------------------------------------------------------------------------------------- */

int view_write(void *rs, struct slice piece)
{
	return buf_add(&((struct http_response *)rs)->body, piece.p, piece.n);
}

static int dump_piece(const char *p, size_t n, void *rs)
{
	return view_write(rs, (struct slice){ p, n });
}

void view_json(struct http_response *rs, json_t *take_v)
{
	if (!take_v || json_dump_callback(take_v, dump_piece, rs, JSON_COMPACT) || buf_add(&rs->body, "\n", 1)) {
		buf_drop(&rs->body, rs->body.len);
		rs->status = 500;
	}
	json_decref(take_v);
}

void view_counts(const struct agent *a, const struct stat_desc *d, struct slice name, json_t *o)
{
	const _Atomic uint64_t *v = tally_get(&a->tally, d, name);

	for (size_t i = 0; v && i < d->n; i++)
		json_object_set_new(o, d->rows[i].name, json_integer((json_int_t)stat_get(&v[i])));
}

void view_counts_member(const struct agent *a, const struct stat_desc *d, struct slice name, json_t *o)
{
	json_t *counts = json_object();

	view_counts(a, d, name, counts);
	if (json_object_size(counts))
		json_object_set(o, "counts", counts);
	json_decref(counts);
}

void view_settings(json_t *o, const char *member, const struct settings_kind *k, struct slice text)
{
	struct settings *s = k->rows ? settings_new(k, text, NULL) : NULL;

	if (s)
		json_object_set_new(o, member, conf_dump(k->rows, settings_conf(s)));
	settings_free(s);
}

void view_error(struct http_response *rs, int status, const char *fmt, ...)
{
	char words[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	rs->status = status;
	view_json(rs, json_pack("{so}", "error", dump_text(slice_str(words))));
}
