/* SPDX-License-Identifier: Apache-2.0 */
#include "model/rewrite.h"

#include <errno.h>
#include <stdio.h>
#include "base/path.h"
#include "model/router_priv.h"
#include "weft/str.h"

/* "/a?b": "/a" and "?b". */
static struct slice path_only(struct slice all, struct slice *query)
{
	const char *at = all.n ? memchr(all.p, '?', all.n) : NULL;
	struct slice path = { all.p, at ? (size_t)(at - all.p) : all.n };

	*query = (struct slice){ at, all.n - path.n };
	return path;
}

/* Pieces behind each other, in the message's arena. p NULL: out of memory. */
static struct slice join(struct msg *m, const struct slice *v, size_t n)
{
	size_t bytes = 0, at = 0;
	char *p;

	for (size_t i = 0; i < n; i++)
		bytes += v[i].n;
	p = msg_alloc(m, bytes + 1);
	if (!p)
		return (struct slice){ NULL, 0 };
	for (size_t i = 0; i < n; i++) {
		if (v[i].n)
			memcpy(p + at, v[i].p, v[i].n);
		at += v[i].n;
	}
	return (struct slice){ p, bytes };
}

#define JOIN(m, ...)                                                                                                   \
	join(m, (const struct slice[]){ __VA_ARGS__ }, sizeof((const struct slice[]){ __VA_ARGS__ }) / sizeof(struct slice))

/* ---- paths -------------------------------------------------------------------------------------------------- */

/* "/foo" or "/foo/" of "/foo/bar" by "/x" or "/x/" is "/x/bar"; by "" or "/" it is "/bar". Nothing left is "/". */
static struct slice prefix_changed(struct msg *m, const struct route_match *match, struct slice with, struct slice path,
				   struct slice query)
{
	struct slice prefix = { NULL, 0 }, rest = path;

	if (match && match->path.type == TEXT_PREFIX)
		prefix = router_prefix(match->path.value);
	if (slice_starts(path, prefix))
		rest = (struct slice){ path.p + prefix.n, path.n - prefix.n };
	with = router_prefix(with);
	if (!with.n && !rest.n)
		rest = SLICE_LIT("/");
	return JOIN(m, with, rest, query);
}

/* What is cut out of a path may leave "/../" or half a percent-code: the host gets the one form of it, or nothing. */
static int regex_change(struct msg *m, const struct route_hit *hit, struct matcher *mt, struct slice path,
			struct slice query, struct slice *to)
{
	const char *why;
	struct slice out;
	char *room;

	if (!hit->compiled->rewrite)
		return 0;
	if (!regex_replace(hit->compiled->rewrite, mt->regex, path, hit->rule->rewrite_path, &out)) {
		bool bound = regex_gave_up(mt->regex);

		if (bound && hit->route)
			mt->gave_up = hit->route->name;
		return bound ? -E2BIG : 0;
	}
	out = JOIN(m, out.n && out.p[0] == '/' ? SLICE_LIT("") : SLICE_LIT("/"), out, query);
	room = out.p ? msg_alloc(m, out.n) : NULL;
	return room ? path_normalise(out, 0, room, to, &why) : -ENOMEM;
}

const char *rewrite_words(int err)
{
	if (err == -E2BIG)
		return "the route's rewrite reached its bound with this path";
	return err == -EINVAL ? "the route's rewrite makes no path of this one" : NULL;
}

static int path_rewrite(const struct route_hit *hit, struct matcher *mt, struct msg *m)
{
	struct slice query, path = path_only(m->path, &query), to = m->path;
	int err = 0;

	/* "*" and the authority form have no path to change. */
	if (!path.n || path.p[0] != '/')
		return 0;
	if (hit->rule->rewrite == PATH_PREFIX)
		to = prefix_changed(m, hit->match, hit->rule->rewrite_path, path, query);
	else if (hit->rule->rewrite == PATH_FULL)
		to = JOIN(m, hit->rule->rewrite_path, query);
	else if (hit->rule->rewrite == PATH_REGEX)
		err = regex_change(m, hit, mt, path, query, &to);
	if (!to.p)
		return -ENOMEM;
	if (err || to.p == m->path.p)
		return err;
	m->path = to;
	msg_touch(m);
	return 0;
}

/* ---- headers ------------------------------------------------------------------------------------------------ */

static int headers_change(struct msg *m, const struct header_change *v, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && err != -ENOMEM; i++) {
		if (v[i].op == HEADER_SET)
			err = msg_set(m, v[i].name, v[i].value);
		else if (v[i].op == HEADER_ADD)
			err = msg_add(m, v[i].name, v[i].value);
		else
			msg_del(m, v[i].name);
	}
	return err == -ENOMEM ? err : 0;
}

static int host_rewrite(const struct route_rule *rule, struct msg *m)
{
	if (!rule->rewrite_host.n)
		return 0;
	m->authority = msg_dup(m, rule->rewrite_host);
	if (!m->authority.p)
		return -ENOMEM;
	msg_touch(m);
	return msg_find(m, SLICE_LIT("host")) ? msg_set(m, SLICE_LIT("host"), m->authority) : 0;
}

int rewrite_request(const struct route_hit *hit, struct matcher *mt, struct msg *m)
{
	const struct route_rule *rule = hit->rule;
	int err = rule->rewrite == PATH_KEEP ? 0 : path_rewrite(hit, mt, m);

	if (!err)
		err = host_rewrite(rule, m);
	return err ? err : headers_change(m, rule->request_headers, rule->nrequest_headers);
}

int rewrite_response(const struct route_hit *hit, struct msg *response)
{
	return headers_change(response, hit->rule->response_headers, hit->rule->nresponse_headers);
}

/* ---- redirects ---------------------------------------------------------------------------------------------- */

/* "example.org:8080" -> name, port digits. */
static struct slice authority_name(struct slice authority, struct slice *port)
{
	size_t n = 0;

	*port = (struct slice){ NULL, 0 };
	while (n < authority.n && authority.p[authority.n - 1 - n] >= '0' && authority.p[authority.n - 1 - n] <= '9')
		n++;
	if (n == authority.n || authority.p[authority.n - 1 - n] != ':')
		return authority;
	*port = (struct slice){ authority.p + authority.n - n, n };
	return (struct slice){ authority.p, authority.n - n - 1 };
}

static struct slice redirect_path(const struct route_hit *hit, struct msg *m)
{
	const struct route_rule *rule = hit->rule;
	struct slice query, path = path_only(m->path, &query);

	if (!path.n || path.p[0] != '/')
		path = SLICE_LIT("/");
	if (rule->redirect_change == PATH_PREFIX)
		return prefix_changed(m, hit->match, rule->redirect_path, path, query);
	if (rule->redirect_change == PATH_FULL)
		return JOIN(m, rule->redirect_path, query);
	return JOIN(m, path, query);
}

static bool port_is_scheme(struct slice scheme, struct slice port)
{
	return slice_eq_str(port, slice_eq_str(scheme, "https") ? "443" : "80");
}

struct slice redirect_location(const struct route_hit *hit, struct msg *m)
{
	const struct route_rule *rule = hit->rule;
	struct slice path = redirect_path(hit, m), asked, port, host = authority_name(m->authority, &asked), scheme;
	char digits[8];

	scheme = rule->redirect_scheme.n ? rule->redirect_scheme : m->scheme.n ? m->scheme : SLICE_LIT("http");
	if (rule->redirect_host.n)
		host = rule->redirect_host;
	/* Nobody said for whom the request was (HTTP/1.0): one slash only, or a browser takes what follows for a host. */
	if (!host.n) {
		while (path.n > 1 && path.p[1] == '/')
			path = (struct slice){ path.p + 1, path.n - 1 };
		return path;
	}
	port = rule->redirect_scheme.n ? (struct slice){ NULL, 0 } : asked;
	if (rule->redirect_port)
		port = (struct slice){ digits, (size_t)snprintf(digits, sizeof(digits), "%u", rule->redirect_port) };
	if (!path.p)
		return path;
	if (!port.n || port_is_scheme(scheme, port))
		return JOIN(m, scheme, SLICE_LIT("://"), host, path);
	return JOIN(m, scheme, SLICE_LIT("://"), host, SLICE_LIT(":"), port, path);
}
