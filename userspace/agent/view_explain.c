/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /explain: which path a connection would take. The decision is made by the connect program's own code in the kernel;
 * here its answer is only put into words.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/caller.h"
#include "agent/view.h"
#include "base/rand.h"
#include "kern/explain.h"
#include "kern/read.h"
#include "model/dump.h"
#include "weft/str.h"

#define SAMPLE_MAX 10000                        /* each is a system call on the agent's loop: 20 ms in all */

struct asked {
	uint8_t proto;
	struct conf_address address;
	struct caller caller;
	char from[512];
	long sample;
};

static int parse(struct agent *a, const struct http_request *rq, struct asked *q, struct err *e)
{
	char text[128], root[512], captured[512];
	struct kern_status s;

	kern_status(a->kern, &s);
	snprintf(root, sizeof(root), "%s", s.cgroup_root);
	snprintf(captured, sizeof(captured), "%s", s.cgroup);
	if (!http_query(rq->query, "protocol", text, sizeof(text)))
		snprintf(text, sizeof(text), "tcp");
	if (strcasecmp(text, "tcp") && strcasecmp(text, "udp"))
		return err_add(e, -EINVAL, "protocol: %s: must be tcp or udp, or http for a request", text);
	q->proto = strcasecmp(text, "tcp") ? IPPROTO_UDP : IPPROTO_TCP;
	if (!http_query(rq->query, "address", text, sizeof(text)))
		return err_add(e, -EINVAL, "address: missing: ADDRESS:PORT, such as 10.96.0.10:80 or [fd00::10]:80");
	if (conf_address_parse(slice_str(text), &q->address) || !q->address.port)
		return err_add(e, -EINVAL, "address: %s: must be ADDRESS:PORT, such as 10.96.0.10:80 or [fd00::10]:80", text);
	q->sample = 0;
	if (http_query(rq->query, "sample", text, sizeof(text)))
		q->sample = strtol(text, NULL, 10);
	if (q->sample < 0 || q->sample > SAMPLE_MAX)
		return err_add(e, -EINVAL, "sample: %s: must be 0 to %d", text, SAMPLE_MAX);
	if (!http_query(rq->query, "from", q->from, sizeof(q->from)))
		q->from[0] = '\0';
	return caller_find(&q->caller, q->from, root, captured, e);
}

static struct explain ask(const struct asked *q, uint32_t rnd)
{
	struct explain x = { .ask = { .port = htons(q->address.port), .proto = q->proto, .rnd = rnd, .netns = q->caller.netns } };

	memcpy(&x.ask.addr, &q->address.ip, sizeof(x.ask.addr));
	memcpy(x.ask.cgroup, q->caller.cgroup, sizeof(x.ask.cgroup));
	return x;
}

static json_t *address_json(const struct addr16 *addr, uint16_t port_be)
{
	struct conf_address a = { .port = ntohs(port_be) };
	char text[64];

	memcpy(&a.ip, addr, sizeof(a.ip));
	return json_string(conf_address_name(&a, text));
}

/* ---- backends ----------------------------------------------------------------------------------------------- */

struct candidates {
	json_t *list;
	uint32_t slots;                         /* of the service's table */
	bool in_turn;                           /* round robin: a sample is the turns that come next */
};

static bool add_candidate(void *arg, const struct read_backend *b)
{
	struct candidates *c = arg;

	json_array_append_new(c->list, json_pack("{sI so si ss si si sf}", "id", (json_int_t)b->id, "address",
						 address_json(&b->entry.addr, b->entry.port), "weight", (int)b->entry.weight,
						 "state", b->entry.state == BACKEND_ACTIVE ? "ready" : "draining", "open", b->open,
						 "slots", (int)b->slots, "share", c->slots ? (double)b->slots / c->slots : 0.0));
	return true;
}

static json_t *sample(struct agent *a, const struct asked *q, const struct candidates *c)
{
	json_t *counts = json_object(), *row;
	char key[16];
	struct rand r;
	size_t i;

	rand_init(&r);
	json_array_foreach(c->list, i, row) {
		snprintf(key, sizeof(key), "%lld", (long long)json_integer_value(json_object_get(row, "id")));
		json_object_set_new(counts, key, json_integer(0));
	}
	for (long n = 0; n < q->sample; n++) {
		struct explain x = ask(q, c->in_turn ? (uint32_t)n : (uint32_t)rand_u64(&r));
		json_t *count;

		x.ask.later = c->in_turn;
		if (read_explain(a->kern, &x))
			break;
		snprintf(key, sizeof(key), "%u", x.answer.backend_id);
		count = json_object_get(counts, key);
		if (count)
			json_integer_set(count, json_integer_value(count) + 1);
	}
	return counts;
}

/* ---- short-circuit ------------------------------------------------------------------------------------------ */

/* What is certain before the connection exists: the answer depends on the backend's end otherwise. */
static json_t *short_circuit(struct agent *a, uint8_t proto, const struct explain_answer *x)
{
	struct kern_status s;
	enum reason why = REASON_NONE;
	bool managed = x->workload.flags & WORKLOAD_MANAGED;

	kern_status(a->kern, &s);
	if (proto != IPPROTO_TCP)
		return json_pack("{ss ss}", "prospect", "no", "why", "only TCP is short-circuited");
	if (!(s.flags & CTL_SHORT_CIRCUIT))
		why = REASON_OFF;
	else if (s.flags & CTL_KILL)
		why = REASON_KILLED;
	else if ((!managed && !(s.flags & CTL_UNMANAGED_OK)) || x->workload.flags & WORKLOAD_PAUSED)
		why = REASON_UNMANAGED;
	if (why)
		return json_pack("{ss ss ss}", "prospect", "no", "reason", read_reason_name(why), "why", read_reason_text(why));
	if (s.flags & CTL_NO_SPLICE || x->workload.flags & WORKLOAD_NO_SPLICE)
		return json_pack("{ss ss}", "prospect", "yes", "why",
				 "both directions, if the backend is a workload of this node that promised not to splice");
	return json_pack("{ss ss ss}", "prospect", "half", "reason", read_reason_name(REASON_SPLICE), "why",
			 "answers go through the stack: the client's workload did not promise not to splice; requests skip it if the "
			 "backend is a workload of this node that did");
}

/* ---- the answer --------------------------------------------------------------------------------------------- */

static json_t *service_json(struct agent *a, const struct explain_answer *x)
{
	static const char *const algo[] = { "random", "round-robin", "maglev", "least-request" };
	struct read_service s;
	json_t *o;

	if (!x->service_id || !read_service(a->kern, x->service_id, &s))
		return json_null();
	o = json_pack("{ss% si sI ss% ss si sb sb}", "name", s.name.p, s.name.n, "port", s.port, "id", (json_int_t)x->service_id,
		      "cluster", s.cluster.p, s.cluster.n, "algorithm", x->service.algo < LB_ALGO_MAX ? algo[x->service.algo] : "?",
		      "affinitySeconds", (int)x->service.affinity_s, "l7", (x->service.flags & SERVICE_L7) != 0, "failClosed",
		      (x->service.flags & SERVICE_FAIL_CLOSED) != 0);
	return o;
}

/* The listener's own range that holds the address; answers name it by length and port. */
static bool is_range(const struct listener_range *r, const struct asked *q, const struct explain_answer *x)
{
	struct ip_block b = { q->address.ip, (uint8_t)x->service.off };

	ip_block_mask(&b);
	return r->block.bits == b.bits && r->port == ntohs((uint16_t)x->service.slot) && !memcmp(&r->block.ip, &b.ip, sizeof(b.ip));
}

static json_t *range_json(const struct agent *a, const struct asked *q, const struct explain_answer *x)
{
	struct fact_set set = a->publish.now ? snapshot_facts(a->publish.now, FACT_LISTENER) : (struct fact_set){ 0 };
	char text[VIEW_RANGE];

	for (size_t i = 0; x->service_id == ORIGIN_RANGE && i < set.n; i++) {
		const struct listener *l = (const struct listener *)set.v[i];

		for (size_t k = 0; k < l->nranges; k++)
			if (is_range(&l->ranges[k], q, x))
				return json_pack("{so ss ss}", "listener", dump_text(l->name), "range", view_range(&l->ranges[k], text),
						 "failMode", x->service.flags & SERVICE_FAIL_CLOSED ? "closed" : "open");
	}
	return json_null();
}

static const char *error_word(int err)
{
	switch (err) {
	case 0: return "";
	case -EHOSTUNREACH: return "EHOSTUNREACH";
	case -ECONNREFUSED: return "ECONNREFUSED";
	case -EPERM: return "EPERM";
	default: return "error";
	}
}

static json_t *answer(struct agent *a, const struct asked *q, const struct explain_answer *x)
{
	static const char *const path[] = { "none", "kernel", "proxy" };
	struct candidates c = { json_array(), x->service.n, x->service.algo == LB_ROUND_ROBIN };
	char asked[64];
	json_t *o;

	if (x->service_id)
		read_backends(a->kern, x->service_id, add_candidate, &c);
	conf_address_name(&q->address, asked);
	o = json_pack("{ss ss s{ss sI sI} so so ss ss ss ss so so so}", "protocol", q->proto == IPPROTO_TCP ? "tcp" : "udp", "address",
		      asked, "from", "cgroup", q->caller.path, "netns", (json_int_t)q->caller.netns,
		      "workload", (json_int_t)x->workload.id, "service", service_json(a, x), "range", range_json(a, q, x), "path",
		      path[x->path <= EXPLAIN_PATH_PROXY ? x->path : 0], "reason", read_reason_name(x->reason), "why",
		      read_reason_text(x->reason), "error", error_word(x->err), "target",
		      x->path == EXPLAIN_PATH_NONE ? (x->err ? json_null() : json_string(asked)) : address_json(&x->target_addr, x->target_port), "shortCircuit", short_circuit(a, q->proto, x),
		      "backends", json_incref(c.list));
	if (x->backend_id)
		json_object_set_new(o, "choice", json_pack("{sI so si}", "id", (json_int_t)x->backend_id, "address",
							   address_json(&x->backend.addr, x->backend.port), "tries", (int)x->tries));
	if (q->sample && x->service_id)
		json_object_set_new(o, "sample", json_pack("{si so}", "size", (int)q->sample, "picked", sample(a, q, &c)));
	json_decref(c.list);
	return o;
}

void view_explain(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	struct err e = { 0 };
	struct explain x;
	struct asked q;
	struct rand r;
	char method[16];
	int err;

	if (http_query(rq->query, "http", method, sizeof(method)) || http_query(rq->query, "rpc", method, sizeof(method))) {
		view_explain_http(a, rq, rs);
		return;
	}
	err = parse(a, rq, &q, &e);
	if (err) {
		view_error(rs, 400, "%s", err_text(&e));
		return;
	}
	rand_init(&r);
	x = ask(&q, rand_u64(&r));
	err = read_explain(a->kern, &x);
	if (err == -ENOTSUP)
		view_error(rs, 503, "the kernel side is off: nothing is translated; /kernel says why");
	else if (err)
		view_error(rs, 500, "explain: %s", strerror(-err));
	else
		view_json(rs, answer(a, &q, &x.answer));
}
