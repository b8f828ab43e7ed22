/* SPDX-License-Identifier: Apache-2.0 */
/* /listeners: the snapshot's listeners, whether their sockets are open, and what the proxy counts. */
#include "agent/agent.h"
#include "agent/view.h"
#include "base/protocols.h"
#include "conf/settings.h"
#include "kern/read.h"
#include "model/dump.h"
#include "model/fact.h"
#include "model/listener_stat.h"
#include "net/addr.h"
#include "weft/str.h"

/* Of its ranges, those whose clients are not sent to the proxy. */
static size_t unserved(const struct agent *a, const struct listener *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->nranges; i++) {
		const struct prefix *p = read_range(a->kern, &l->ranges[i]);

		n += !p || !p->served;
	}
	return n;
}

static const char *message_of(const struct agent *a, const struct listener *l, const struct door *d)
{
	const char *off;

	if (!unserved(a, l))
		return d && d->err ? d->why : "";
	off = kern_ranges_off(a->kern);
	return off ? off : "the proxy does not know all of its ranges yet";
}

/* One without a socket is served by those that take in for others. */
static const char *state_of(const struct agent *a, const struct listener *l, const struct door *d)
{
	if (l->socketless)
		return unserved(a, l) ? "waiting" : "served";
	return !d || (!d->n && !d->err) ? "waiting" : d->err ? "refused" : "listening";
}

const char *view_range(const struct listener_range *r, char *out)
{
	char block[64];

	ip_block_name(&r->block, block);
	if (!r->port)
		snprintf(out, VIEW_RANGE, "%s", block);
	else
		snprintf(out, VIEW_RANGE, strchr(block, ':') ? "[%s]:%u" : "%s:%u", block, r->port);
	return out;
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
	char text[ADDR_TEXT_MAX], range[VIEW_RANGE];
	json_t *list;

	if (!l->socketless)
		return json_string(addr_text(&at, text));
	list = json_array();
	for (size_t i = 0; i < l->nranges; i++)
		json_array_append_new(list, json_string(view_range(&l->ranges[i], range)));
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
			      "protocol", dump_text(l->protocol), "state", state_of(a, l, d), "message",
			      message_of(a, l, d), "sockets", d ? (int)d->n : 0,
			      "workerChoice", d && d->steered ? "least-loaded" : "hash", "tlsMode", tls[l->tls.mode], "capture",
			      capture[l->capture], "routes", names(l->routes, l->nroutes), "source",
			      fact_mark_name(&mark, where, sizeof(where)));
	struct settings_kind protocol = proto_settings(protocol_rpc(l->protocol));

	view_settings(o, "protocolSettings", &protocol, l->protocol_settings);
	if (l->nranges)
		json_object_set_new(o, "failMode", json_string(l->fail == FAIL_CLOSED ? "closed" : "open"));
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
