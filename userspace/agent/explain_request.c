/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/explain_request.h"

#include <errno.h>
#include <stdlib.h>

#include "base/num.h"
#include "base/path.h"
#include "base/protocols.h"
#include "conf/config.h"
#include "model/dump.h"
#include "model/routers.h"
#include "proto/grpc.h"
#include "weft/str.h"

#define HEADERS_BYTES 8192

struct asker {
	struct explain_request *q;
	const struct snapshot *s;
	const struct listener *listener;        /* whose rules for paths hold; NULL: the service's client side */
	struct slice host;                      /* of the URL, without port */
	uint16_t port;                          /* of the URL, or the scheme's */
	struct err *e;
};

static struct slice word(struct explain_request *q, const struct http_request *rq, const char *name)
{
	char *text = arena_alloc(&q->arena, HEADERS_BYTES);

	if (!http_query(rq->query, name, text, HEADERS_BYTES))
		return (struct slice){ NULL, 0 };
	return slice_str(text);
}

/* ---- the message -------------------------------------------------------------------------------------------- */

static int header_line(struct asker *k, struct slice line)
{
	const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
	struct slice name, value;

	if (!colon || colon == line.p)
		return err_add(k->e, -EINVAL, "header %.*s: want NAME: VALUE", SLICE_ARG(line));
	name = (struct slice){ line.p, (size_t)(colon - line.p) };
	value = (struct slice){ colon + 1, line.n - name.n - 1 };
	while (value.n && value.p[0] == ' ')
		value = (struct slice){ value.p + 1, value.n - 1 };
	if (slice_eq_nocase(name, SLICE_LIT("host")) && !k->q->rpc)
		k->q->m.authority = value;
	return msg_push(&k->q->m, name, value);
}

static int headers(struct asker *k, struct slice text)
{
	int err = 0;

	while (text.n && !err) {
		const char *end = memchr(text.p, '\n', text.n);
		struct slice line = { text.p, end ? (size_t)(end - text.p) : text.n };

		if (line.n)
			err = header_line(k, line);
		text = end ? (struct slice){ end + 1, text.n - line.n - 1 } : (struct slice){ NULL, 0 };
	}
	return err;
}

/* "http://h:80/p?q", "/p?q", "*"; for CONNECT "h:80". */
static int url(struct asker *k, struct slice text)
{
	struct msg *m = &k->q->m;
	const char *mark = text.n ? memmem(text.p, text.n, "://", 3) : NULL, *slash;

	if (!text.n)
		return err_add(k->e, -EINVAL, "url: missing: such as http://web.example/orders?id=1");
	m->scheme = SLICE_LIT("http");
	if (slice_eq_str(m->method, "CONNECT")) {
		m->authority = text;
		return 0;
	}
	if (text.p[0] == '/' || slice_eq_str(text, "*")) {
		m->path = text;
		return 0;
	}
	if (!mark)
		return err_add(k->e, -EINVAL, "url %.*s: want http://HOST/PATH, https://HOST/PATH or /PATH", SLICE_ARG(text));
	m->scheme = (struct slice){ text.p, (size_t)(mark - text.p) };
	if (!slice_eq_str(m->scheme, "http") && !slice_eq_str(m->scheme, "https"))
		return err_add(k->e, -EINVAL, "url %.*s: the scheme must be http or https", SLICE_ARG(text));
	text = (struct slice){ mark + 3, text.n - m->scheme.n - 3 };
	slash = text.n ? memchr(text.p, '/', text.n) : NULL;
	m->authority = (struct slice){ text.p, slash ? (size_t)(slash - text.p) : text.n };
	m->path = slash ? (struct slice){ slash, text.n - m->authority.n } : SLICE_LIT("/");
	return 0;
}

/* As the proxy does before it routes. */
static int normalise(struct asker *k)
{
	const struct listener *l = k->listener;
	struct msg *m = &k->q->m;
	unsigned options = 0;
	const char *why = "";

	if (l && l->merge_slashes)
		options |= PATH_MERGE_SLASHES;
	if (l && l->reject_escaped_slashes)
		options |= PATH_REJECT_ESCAPED_SLASHES;
	m->path_raw = m->path;
	if (m->path.n && path_normalise(m->path, options, arena_alloc(&k->q->arena, m->path.n), &m->path, &why))
		return err_add(k->e, -EINVAL, "url: the proxy answers 400 to this path: %s", why);
	return 0;
}

/* ---- who routes it ------------------------------------------------------------------------------------------ */

static void host_and_port(struct asker *k)
{
	struct slice a = k->q->m.authority;
	const char *colon = a.n ? memrchr(a.p, ':', a.n) : NULL;
	uint64_t port = slice_eq_str(k->q->m.scheme, "https") ? 443 : 80;

	k->host = a;
	if (colon && !num_u64((struct slice){ colon + 1, a.n - (size_t)(colon - a.p) - 1 }, &port))
		k->host.n = (size_t)(colon - a.p);
	k->port = port <= UINT16_MAX ? (uint16_t)port : 0;
}

static bool take_owner(struct asker *k, const struct fact *f)
{
	const struct router *r = snapshot_router(k->s, f);

	if (!r)
		return false;
	k->q->router = r;
	json_decref(k->q->at);
	k->q->at = json_pack("{so}", f->kind == FACT_LISTENER ? "listener" : "service", dump_text(f->key));
	k->listener = k->q->listener = f->kind == FACT_LISTENER ? (const struct listener *)f : NULL;
	return true;
}

static bool serves(const struct asker *k, const struct service_fact *s, bool numeric, const struct ip *ip)
{
	bool here = slice_eq(s->name, k->host), port = false;

	for (size_t i = 0; numeric && i < s->naddrs; i++)
		here |= !memcmp(&s->addrs[i], ip, sizeof(*ip));
	for (size_t i = 0; i < s->nports; i++)
		port |= s->ports[i].port == k->port;
	return here && port;
}

static bool by_service(struct asker *k)
{
	struct fact_set set = snapshot_facts(k->s, FACT_SERVICE);
	struct slice host = k->host;
	struct ip ip;
	bool numeric;

	if (host.n > 2 && host.p[0] == '[')
		host = (struct slice){ host.p + 1, host.n - 2 };
	numeric = !ip_parse(host, &ip);
	for (size_t i = 0; i < set.n; i++) {
		if (serves(k, (const struct service_fact *)set.v[i], numeric, &ip) && take_owner(k, set.v[i]))
			return true;
	}
	return false;
}

static bool is_http(const struct listener *l)
{
	bool takes = slice_eq_str(l->protocol, "http") || slice_eq_str(l->protocol, "http-proxy") || slice_eq_str(l->protocol, "auto");

	for (size_t i = 0; i < l->ndetect; i++)
		takes |= slice_eq_str(l->detect[i], "http");
	for (size_t i = 0; i < l->tls.nalpn; i++)
		takes |= slice_eq_str(l->tls.alpn[i], "h2") || slice_eq_str(l->tls.alpn[i], "http/1.1");
	return takes;
}

static int by_port(struct asker *k)
{
	struct fact_set set = snapshot_facts(k->s, FACT_LISTENER);
	const struct listener *on_port = NULL, *any = NULL;
	size_t ports = 0, all = 0;

	for (size_t i = 0; i < set.n; i++) {
		const struct listener *l = (const struct listener *)set.v[i];

		if (!is_http(l) || !l->nroutes)
			continue;
		all++;
		any = l;
		ports += l->port == k->port;
		on_port = l->port == k->port ? l : on_port;
	}
	if (ports == 1)
		any = on_port;
	if (!all)
		return err_add(k->e, -EINVAL, "there is no HTTP listener with routes");
	if (all > 1 && ports != 1)
		return err_add(k->e, -EINVAL, "%zu HTTP listeners, %zu of them on port %u: say which one with --listener NAME", all,
			       ports, k->port);
	take_owner(k, &any->fact);
	return 0;
}

static bool is_rpc(const struct listener *l)
{
	bool takes = slice_eq_str(l->protocol, "auto") || protocol_rpc(l->protocol);

	for (size_t i = 0; i < l->ndetect; i++)
		takes |= protocol_rpc(l->detect[i]) != NULL;
	for (size_t i = 0; i < l->tls.nalpn; i++)
		takes |= protocol_alpn(l->tls.alpn[i]) != NULL;
	return takes;
}

static int by_kind(struct asker *k)
{
	struct fact_set set = snapshot_facts(k->s, FACT_LISTENER);
	const struct fact *any = NULL;
	size_t n = 0;

	for (size_t i = 0; i < set.n; i++) {
		const struct listener *l = (const struct listener *)set.v[i];

		if (!is_rpc(l) || !l->nroutes)
			continue;
		any = set.v[i];
		n++;
	}
	if (!n)
		return err_add(k->e, -EINVAL, "no listener of an RPC protocol has routes; for rules with `rpc`: weft explain http");
	if (n != 1)
		return err_add(k->e, -EINVAL, "%zu listeners of RPC protocols: say which one with --listener NAME", n);
	take_owner(k, any);
	return 0;
}

static int owner(struct asker *k, struct slice listener)
{
	const struct fact *f;

	if (!listener.n && k->q->rpc)
		return by_kind(k);
	if (!listener.n)
		return by_service(k) ? 0 : by_port(k);
	f = snapshot_fact(k->s, FACT_LISTENER, listener);
	if (!f)
		return err_add(k->e, -EINVAL, "no listener named %.*s", SLICE_ARG(listener));
	if (!take_owner(k, f))
		return err_add(k->e, -EINVAL, "listener %.*s has no routes", SLICE_ARG(listener));
	return 0;
}

/* Of a POST; what browsers say is gRPC before it is routed, where the listener takes it. */
static int call(struct asker *k)
{
	struct msg *m = &k->q->m;
	struct slice format;
	enum grpc_kind kind = grpc_kind_of(msg_get(m, SLICE_LIT("content-type")), &format);
	bool web = (kind == GRPC_WEB || kind == GRPC_WEB_TEXT) && k->listener && k->listener->grpc_web;

	if (!slice_eq_str(m->method, "POST"))
		return 0;
	if (web && grpc_kind_set(m, GRPC_PLAIN, format))
		return err_add(k->e, -ENOMEM, "no memory");
	grpc_recognise(m, false);
	return 0;
}

static int client(struct explain_request *q, struct slice text, struct err *e)
{
	q->has_client = text.n;
	if (text.n && ip_parse(text, &q->client))
		return err_add(e, -EINVAL, "client %.*s: want an IP address", SLICE_ARG(text));
	return 0;
}

static int rpc_call(struct asker *k, const struct http_request *rq, struct slice service)
{
	struct msg *m = &k->q->m;
	int err;

	k->q->rpc = true;
	m->flags |= MSG_EXACT_NAMES;
	m->service = service;
	m->rpc_method = word(k->q, rq, "method");
	err = headers(k, word(k->q, rq, "headers"));
	return err ? err : owner(k, word(k->q, rq, "listener"));
}

int explain_request_init(struct explain_request *q, const struct snapshot *s, const struct http_request *rq, struct err *e)
{
	struct asker k = { .q = q, .s = s, .e = e };
	struct slice service;
	int err;

	*q = (struct explain_request){ .m = { .kind = MSG_REQUEST, .status = MSG_NO_STATUS } };
	arena_init(&q->arena);
	q->m.arena = &q->arena;
	q->m.method = word(q, rq, "http");
	q->identity = word(q, rq, "from");
	service = word(q, rq, "rpc");
	if (service.n) {
		err = client(q, word(q, rq, "client"), e);
		return err ? err : rpc_call(&k, rq, service);
	}
	err = url(&k, word(q, rq, "url"));
	if (!err)
		err = client(q, word(q, rq, "client"), e);
	/* The URL says where the request goes, a Host header for whom it is. */
	host_and_port(&k);
	if (!err)
		err = headers(&k, word(q, rq, "headers"));
	if (!k.host.n)
		host_and_port(&k);
	if (!err)
		err = owner(&k, word(q, rq, "listener"));
	if (!err)
		err = normalise(&k);
	return err ? err : call(&k);
}

void explain_request_fini(struct explain_request *q)
{
	json_decref(q->at);
	arena_fini(&q->arena);
}
