/* SPDX-License-Identifier: Apache-2.0 */
/* /listeners: the snapshot's listeners, whether their sockets are open, and what the proxy counts. */
#include "agent/agent.h"
#include "agent/view.h"
#include "base/protocols.h"
#include "conf/settings.h"
#include "model/dump.h"
#include "model/fact.h"
#include "model/listener_stat.h"
#include "net/addr.h"
#include "weft/str.h"

/* One without a socket is served by those that take in for others. */
static const char *state_of(const struct listener *l, const struct door *d)
{
	if (l->socketless)
		return "served";
	return !d || (!d->n && !d->err) ? "waiting" : d->err ? "refused" : "listening";
}

static json_t *names(const struct slice *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, dump_text(v[i]));
	return list;
}

/* Where it listens, or the destinations that it serves. */
static json_t *address_json(const struct listener *l)
{
	struct net_addr at = { l->ip, l->port };
	char text[ADDR_TEXT_MAX];
	json_t *list;

	if (!l->socketless)
		return json_string(addr_text(&at, text));
	list = json_array();
	for (size_t i = 0; i < l->nserves; i++) {
		at = (struct net_addr){ l->serves[i].ip, l->serves[i].port };
		json_array_append_new(list, json_string(addr_text(&at, text)));
	}
	return list;
}

static json_t *listener_json(const struct agent *a, const struct listener *l)
{
	static const char *const tls[] = { "off", "strict", "permissive" };
	static const char *const capture[] = { "none", "ebpf", "redirect", "tproxy" };
	const struct door *d = doors_find(&a->doors, l->name);
	struct fact_mark mark = fact_mark(&l->fact);
	char where[256];
	json_t *o = json_pack("{so so so ss ss si ss ss ss so ss}", "name", dump_text(l->name), "address", address_json(l),
			      "protocol", dump_text(l->protocol), "state", state_of(l, d), "message",
			      d && d->err ? d->why : "", "sockets", d ? (int)d->n : 0,
			      "workerChoice", d && d->steered ? "least-loaded" : "hash", "tls", tls[l->tls.mode], "capture",
			      capture[l->capture], "routes", names(l->routes, l->nroutes), "source",
			      fact_mark_name(&mark, where, sizeof(where)));
	struct settings_kind protocol = proto_settings(protocol_rpc(l->protocol));

	view_settings(o, "protocolSettings", &protocol, l->protocol_settings);
	if (l->netns)
		json_object_set_new(o, "namespace", json_integer((json_int_t)l->netns));
	view_counts(a, &listener_stat_desc, l->name, o);
	return o;
}

void view_listeners(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	struct fact_set set = a->publish.now ? snapshot_facts(a->publish.now, FACT_LISTENER) : (struct fact_set){ 0 };
	json_t *list = json_array();

	(void)rq;
	for (size_t i = 0; i < set.n; i++)
		json_array_append_new(list, listener_json(a, (const struct listener *)set.v[i]));
	view_json(rs, json_pack("{so}", "listeners", list));
}
