/* SPDX-License-Identifier: Apache-2.0 */
/* /version /ready /live /stats /metrics /reload: the process itself. */
#include <bpf/libbpf.h>
#include <netinet/in.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/ready.h"
#include "agent/view.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/stat_text.h"
#include "conf/plugin.h"
#include "kern/read.h"
#include "model/dump.h"
#include "weft/str.h"

void view_version(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	struct utsname u;

	(void)rq;
	uname(&u);
	view_json(rs, json_pack("{ss si si si si ss ss si sf}", "version", WEFT_VERSION, "pluginAbi", WEFT_ABI, "mapsAbi", MAPS_ABI, "wireVersion",
				WIRE_VERSION, "reportVersion", REPORT_VERSION, "kernel", u.release, "libbpf",
				libbpf_version_string(), "pid", (int)getpid(), "uptimeSeconds",
				(clock_ns() - a->started_ns) / 1e9));
}

static json_t *brings_json(const struct weft_plugin *p)
{
	json_t *list = json_array();
	const void *ops;

	for (int k = 0; k < EXTENSION_KINDS; k++)
		for (size_t i = 0; (ops = extension_of(p, k, i)); i++)
			json_array_append_new(list, json_sprintf("%s %s", extension_words[k], extension_name(ops)));
	return list;
}

void view_plugins(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	json_t *list = json_array();

	(void)a;
	(void)rq;
	for (size_t i = 0; i < plugins.n; i++) {
		const struct plugin *p = &plugins.v[i];

		json_array_append_new(list, json_pack("{ss ss si so so}", "name", p->what->name, "version", p->what->version, "abi",
						      (int)p->what->abi, "path", dump_text(slice_str(p->path)), "brings",
						      brings_json(p->what)));
	}
	view_json(rs, json_pack("{si so}", "abi", WEFT_ABI, "plugins", list));
}

void view_live(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	(void)a;
	(void)rq;
	view_json(rs, json_pack("{sb}", "live", 1));
}

void view_ready(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	struct ready_condition c[READY_CONDITIONS];
	bool ready = ready_check(a, c);
	json_t *list = json_array();

	(void)rq;
	for (size_t i = 0; i < READY_CONDITIONS; i++)
		json_array_append_new(list, json_pack("{ss sb so}", "name", c[i].name, "ok", c[i].ok, "message",
						      dump_text(slice_str(c[i].message))));
	rs->status = ready ? 200 : 503;
	view_json(rs, json_pack("{sb so}", "ready", ready, "conditions", list));
}

/* ---- counters ----------------------------------------------------------------------------------------------- */

struct stat_set {
	const struct stat_desc *desc;
	const void *values;
};

#define SETS 16

static void all_sets(struct agent *a, struct stat_set out[SETS])
{
	out[0] = (struct stat_set){ &admin_stat_desc, &a->http.stat };
	out[1] = (struct stat_set){ &hub_stat_desc, &a->hub.stat };
	out[2] = (struct stat_set){ &store_stat_desc, store_stats(a->store) };
	out[3] = (struct stat_set){ &publish_stat_desc, &a->publish.stat };
	out[4] = (struct stat_set){ &kern_stat_desc, kern_stats(a->kern) };
	out[5] = (struct stat_set){ &child_stat_desc, &a->child.stat };
	out[6] = (struct stat_set){ &doors_stat_desc, &a->doors.stat };
	out[7] = (struct stat_set){ &secrets_stat_desc, &a->secrets.stat };
	out[8] = (struct stat_set){ &health_stat_desc, &a->health.stat };
	out[9] = (struct stat_set){ &dns_stat_desc, &a->dns.stat };
	out[10] = (struct stat_set){ &reload_stat_desc, &a->reload.stat };
	out[11] = (struct stat_set){ &pods_stat_desc, &a->pods.stat };
	out[12] = (struct stat_set){ &factory_stat_desc, &a->factory.stat };
	out[13] = (struct stat_set){ &discovery_stat_desc, &a->discovery.stat };
	out[14] = (struct stat_set){ &plugin_stat_desc, &plugins.stat };
	out[15] = (struct stat_set){ &client_stat_desc, &a->carrier.stat };
}

void view_stats(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	struct stat_set sets[SETS];
	json_t *all = json_object();

	(void)rq;
	all_sets(a, sets);
	for (size_t i = 0; i < SETS; i++) {
		const _Atomic uint64_t *v = sets[i].values;
		json_t *set = json_object();

		for (size_t k = 0; k < sets[i].desc->n; k++)
			json_object_set_new(set, sets[i].desc->rows[k].name, json_integer(stat_get(&v[k])));
		json_object_set_new(all, sets[i].desc->set, set);
	}
	view_json(rs, all);
}

static void metric_head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_reasons(struct agent *a, struct buf *b)
{
	uint64_t n[REASON_MAX];

	read_reasons(a->kern, n);
	metric_head(b, "weft_kernel_reason_total", "counter", "connections by why they took their path (include/kern/reason.h)");
	for (unsigned i = 0; i < REASON_MAX; i++)
		buf_printf(b, "weft_kernel_reason_total{reason=\"%s\"} %llu\n", read_reason_name(i), (unsigned long long)n[i]);
}

struct service_metric {
	const char *name, *help;
	size_t offset;                          /* in struct service_stat */
};

static const struct service_metric service_metrics[] = {
	{ "weft_service_picked_total", "connections and datagram flows translated to a backend",
	  offsetof(struct service_stat, picked) },
	{ "weft_service_refused_total", "connections refused: no backend, or fail mode closed",
	  offsetof(struct service_stat, refused) },
	{ "weft_service_opened_total", "TCP connections established, while the programs of the short-circuit are loaded", offsetof(struct service_stat, opened) },
	{ "weft_service_accelerated_total", "closed connections of which at least one direction was short-circuited",
	  offsetof(struct service_stat, accelerated) },
	{ "weft_service_sent_bytes_total", "bytes short-circuited from clients to backends, counted at close",
	  offsetof(struct service_stat, tx_bytes) },
	{ "weft_service_received_bytes_total", "bytes short-circuited from backends to clients, counted at close",
	  offsetof(struct service_stat, rx_bytes) },
};

struct service_put {
	struct arena *arena;                    /* of the labels */
	struct buf *b;
	const struct service_metric *m;
};

static bool put_service(void *arg, const struct read_service *s)
{
	struct service_put *p = arg;
	const uint64_t *v = (const void *)((const char *)&s->stat + p->m->offset);

	buf_printf(p->b, "%s{service=\"%s\",port=\"%u\",protocol=\"%s\",family=\"%s\"} %llu\n", p->m->name,
		   stat_escape(p->arena, s->name), s->port, s->proto == IPPROTO_TCP ? "TCP" : "UDP",
		   s->family == AF_INET ? "IPv4" : "IPv6", (unsigned long long)*v);
	arena_reset(p->arena);
	return true;
}

static void put_services(struct agent *a, struct buf *b)
{
	struct arena labels;

	arena_init(&labels);
	for (size_t i = 0; i < sizeof(service_metrics) / sizeof(service_metrics[0]); i++) {
		struct service_put p = { &labels, b, &service_metrics[i] };

		metric_head(b, p.m->name, "counter", p.m->help);
		read_services(a->kern, put_service, &p);
	}
	arena_fini(&labels);
}

static void put_conditions(struct agent *a, struct buf *b)
{
	struct ready_condition c[READY_CONDITIONS];

	ready_check(a, c);
	metric_head(b, "weft_ready", "gauge", "1 for a condition of readiness that is well");
	for (size_t i = 0; i < READY_CONDITIONS; i++)
		buf_printf(b, "weft_ready{condition=\"%s\"} %d\n", c[i].name, c[i].ok);
}

void view_metrics(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	struct stat_set sets[SETS];

	(void)rq;
	rs->type = "text/plain; version=0.0.4; charset=utf-8";
	all_sets(a, sets);
	for (size_t i = 0; i < SETS; i++)
		stat_render(&rs->body, sets[i].desc, &(struct stat_series){ .instances = &sets[i].values, .n = 1 }, 1);
	put_conditions(a, &rs->body);
	judge_metrics(&a->judge, &rs->body);
	tally_metrics(&a->tally, &rs->body);
	put_reasons(a, &rs->body);
	put_services(a, &rs->body);
	view_watch_metrics(a, &rs->body);
}

/* ---- reload ------------------------------------------------------------------------------------------------- */

static json_t *words_of(struct slice names)
{
	json_t *list = json_array();

	while (names.n) {
		const char *space = memchr(names.p, ' ', names.n);
		size_t n = space ? (size_t)(space - names.p) : names.n;

		json_array_append_new(list, json_stringn(names.p, n));
		names.p += n + !!space;
		names.n -= n + !!space;
	}
	return list;
}

void view_reload(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	struct conf_errors errors = { 0 };
	json_t *list = json_array();
	struct buf restart;
	int err;

	(void)rq;
	buf_init(&restart);
	err = reload_now(&a->reload, &restart, &errors);
	for (size_t i = 0; err && i < errors.n; i++)
		json_array_append_new(list, dump_text(slice_str(errors.text[i])));
	rs->status = err ? 422 : 200;
	view_json(rs, json_pack("{sb so so si}", "reloaded", !err, "errors", list, "restart",
				words_of(buf_pull(&restart, restart.len)), "more", err ? (int)errors.more : 0));
	conf_errors_fini(&errors);
	buf_fini(&restart);
}
