/* SPDX-License-Identifier: Apache-2.0 */
/* /connections: pairs that are open, from pair_map, and those that closed lately, from the ring buffer. */
#include "agent/agent.h"
#include "agent/view.h"
#include "base/clock.h"
#include "kern/events.h"
#include "kern/read.h"
#include "weft/str.h"

#define OPEN_MAX 10000                          /* listed at most; "more" says that there are others */

struct listing {
	struct agent *agent;
	json_t *list;
	uint64_t now_ns;
	bool more;
};

static json_t *name_or_cookie(struct slice name, uint64_t cookie)
{
	return name.n ? json_stringn(name.p, name.n) : json_sprintf("cookie %llu", (unsigned long long)cookie);
}

static json_t *direction(const struct pair_end *d, const char *path)
{
	return json_pack("{sI si ss ss}", "bytes", (json_int_t)d->bytes, "messages", (int)d->msgs, "path", path, "reason",
			 d->reason ? read_reason_name(d->reason) : "");
}

static bool add_open(void *arg, const struct read_pair *p)
{
	struct listing *l = arg;

	if (json_array_size(l->list) >= OPEN_MAX) {
		l->more = true;
		return false;
	}
	json_array_append_new(l->list,
			      json_pack("{so so so so so sf ss}", "client", name_or_cookie(p->workload[0], p->pair.end[SIDE_CLIENT].cookie), "server",
					name_or_cookie(p->workload[1], p->pair.end[SIDE_SERVER].cookie), "service",
					json_stringn(p->service.n ? p->service.p : "", p->service.n), "sent",
					direction(&p->pair.end[SIDE_CLIENT], p->state[0]), "received", direction(&p->pair.end[SIDE_SERVER], p->state[1]),
					"seconds", (l->now_ns - p->pair.opened_ns) / 1e9, "state", "open"));
	return true;
}

static bool add_closed(void *arg, const struct event_conn *c)
{
	struct listing *l = arg;
	struct slice client = read_workload_name(l->agent->kern, c->workload[0]);
	struct slice server = read_workload_name(l->agent->kern, c->workload[1]);
	struct read_service s;
	bool known = c->service && read_service(l->agent->kern, c->service, &s);

	json_array_append_new(l->list, json_pack("{so so so s{sI ss} s{sI ss} sf ss ss}", "client", name_or_cookie(client, c->cookie[0]),
						 "server", name_or_cookie(server, c->cookie[1]), "service",
						 known ? json_stringn(s.name.p, s.name.n) : json_string(""), "sent", "bytes",
						 (json_int_t)c->bytes[0], "path", c->bytes[0] ? "redirect" : "stack", "received", "bytes", (json_int_t)c->bytes[1], "path", c->bytes[1] ? "redirect" : "stack", "seconds",
						 (c->head.ns - c->opened_ns) / 1e9, "state", "closed", "reason",
						 read_reason_name(c->head.reason)));
	return true;
}

void view_connections(struct agent *a, const struct http_request *rq, struct http_response *rs)
{
	struct listing l = { .agent = a, .list = json_array(), .now_ns = clock_ns() };

	(void)rq;
	events_poll(a->kern);
	read_pairs(a->kern, add_open, &l);
	events_closed(a->kern, add_closed, &l);
	view_json(rs, json_pack("{so sb}", "connections", l.list, "more", l.more));
}
