// SPDX-License-Identifier: Apache-2.0
#include "proxy/forward_proxy.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>

#include "base/num.h"
#include "base/rand.h"
#include "model/hold.h"
#include "model/routers.h"
#include "proxy/grpc_call.h"
#include "proxy/http.h"
#include "proxy/stream_priv.h"
#include "proxy/worker.h"
#include "weft/str.h"

#define VIA SLICE_LIT("via")
#define IDLE_MS 300000u                         /* of a stream whose service has no rules to say */

static char own[32];
static pthread_once_t own_once = PTHREAD_ONCE_INIT;

static void own_make(void)
{
	struct rand r;

	rand_init(&r);
	snprintf(own, sizeof(own), "1.1 weft-%016llx", (unsigned long long)rand_u64(&r));
}

struct slice forward_proxy_signature(void)
{
	pthread_once(&own_once, own_make);
	return slice_str(own);
}

static bool came_through_here(const struct msg *m)
{
	struct slice sign = forward_proxy_signature();

	for (const struct msg_header *h = msg_find(m, VIA); h; h = msg_find_next(m, h))
		if (h->value.n >= sign.n && memmem(h->value.p, h->value.n, sign.p, sign.n))
			return true;
	return false;
}

int forward_proxy_sign(struct stream *s)
{
	return msg_add(&s->request, VIA, forward_proxy_signature());
}

/* "orders.default:8080"; *port 0: none was said. */
static bool split(struct slice authority, struct slice *name, uint16_t *port)
{
	const char *colon = authority.n ? memrchr(authority.p, ':', authority.n) : NULL;
	uint64_t n = 0;

	*name = authority;
	if (colon && !memchr(colon, ']', (size_t)(authority.p + authority.n - colon))) {
		name->n = (size_t)(colon - authority.p);
		if (num_u64((struct slice){ colon + 1, authority.n - name->n - 1 }, &n) || !n || n > UINT16_MAX)
			return false;
	}
	*port = (uint16_t)n;
	return name->n;
}

/* Hosts have no case (RFC 3986 3.2.2), names of services may: as it was said, else in small letters. */
static const struct service_fact *find_service(struct stream *s, struct slice name)
{
	const struct fact *f = snapshot_fact(s->hold->snap, FACT_SERVICE, name);
	char *lower = f ? NULL : msg_alloc(&s->request, name.n);

	for (size_t i = 0; lower && i < name.n; i++)
		lower[i] = (char)tolower((unsigned char)name.p[i]);
	if (lower)
		f = snapshot_fact(s->hold->snap, FACT_SERVICE, (struct slice){ lower, name.n });
	return (const struct service_fact *)f;
}

static const struct service_port *port_numbered(const struct service_fact *f, uint16_t port)
{
	for (size_t i = 0; i < f->nports; i++)
		if (f->ports[i].port == port && f->ports[i].proto == IPPROTO_TCP)
			return &f->ports[i];
	return NULL;
}

/* gRPC has no port that goes without saying: the one that is said to speak it, else the only one. */
static const struct service_port *port_of_calls(const struct service_fact *f)
{
	const struct service_port *only = NULL;
	unsigned n = 0;

	for (size_t i = 0; i < f->nports; i++) {
		if (f->ports[i].proto != IPPROTO_TCP)
			continue;
		if (slice_eq_nocase(f->ports[i].app_protocol, SLICE_LIT("grpc")))
			return &f->ports[i];
		only = &f->ports[i];
		n++;
	}
	return n == 1 ? only : NULL;
}

/* NULL: there is none, *why says so. */
static const struct service_port *find_port(const struct stream *s, const struct service_fact *f, uint16_t port,
					    const char **why)
{
	bool call = !port && grpc_call(s);
	const struct service_port *p;

	*why = "no such service";
	if (!f)
		return NULL;
	p = call ? port_of_calls(f) : port_numbered(f, port ? port : 80);
	*why = call ? "the service has several ports, none of appProtocol grpc: one must be named" : "the service has no such port";
	return p;
}

/* A rule of our own for a service that has none. */
static int to_cluster(struct stream *s, const struct service_port *p)
{
	struct route_rule *rule = msg_alloc(&s->request, sizeof(*rule));
	struct route_backend *backend = msg_alloc(&s->request, sizeof(*backend));

	if (!rule || !backend)
		return -ENOMEM;
	*backend = (struct route_backend){ .cluster = p->cluster, .weight = 1 };
	*rule = (struct route_rule){ .backends = backend, .nbackends = 1, .idle_ms = IDLE_MS };
	s->hit.rule = rule;
	s->backend = backend;
	return 0;
}

enum stream_state forward_proxy_route(struct stream *s)
{
	const struct service_fact *f;
	const struct service_port *p;
	struct slice name;
	const char *why;
	uint16_t port;

	if (came_through_here(&s->request))
		return stream_say(s, 508, STREAM_NO_ROUTE, "the request came through this proxy before");
	if (!split(s->request.authority, &name, &port))
		return stream_say(s, 400, STREAM_CLIENT_MALFORMED, "no service is named");
	f = find_service(s, name);
	p = find_port(s, f, port, &why);
	if (!p)
		return stream_say(s, 404, STREAM_NO_ROUTE, why);
	s->tunnel = slice_eq_str(s->request.upgrade, "connect");
	s->router = f->nroutes && !s->tunnel ? snapshot_router(s->hold->snap, &f->fact) : NULL;
	if (s->router) {
		if (!router_match(s->router, s->w->http->matcher, &s->request, s->info.peer->identity, &s->hit))
			return stream_say(s, 404, STREAM_NO_ROUTE, "no route for this request");
		return STREAM_BLOCKED;
	}
	if (!p->cluster.n)
		return stream_say(s, 404, STREAM_NO_ROUTE, "the service's port has no cluster of its own");
	return to_cluster(s, p) ? stream_say(s, 503, STREAM_OVERLOADED, "out of memory") : STREAM_BLOCKED;
}
