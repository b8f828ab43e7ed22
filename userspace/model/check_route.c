/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of routes. */
#include <stdarg.h>
#include <stdio.h>
#include "base/http_name.h"
#include "model/check_kinds.h"
#include "model/regex.h"
#include "model/router.h"
#include "weft/str.h"

struct rule_check {
	struct store_tx *tx;
	const struct op *op;
	char path[64];                          /* of what is looked at: "rules[0].matches[1]." */
};

__attribute__((format(printf, 2, 3))) static void wrong(const struct rule_check *c, const char *fmt, ...)
{
	char words[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	tx_refuse(c->tx, c->op, "%s%s", c->path, words);
}

/* ---- what others have too ------------------------------------------------------------------------------------- */

void check_sorted(struct store_tx *tx, const struct op *op, const char *path, const struct name_value *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (slice_cmp(v[i - 1].name, v[i].name) >= 0)
			tx_refuse(tx, op, "%s: names must be in order, none twice", path);
	}
}

void check_statuses(struct store_tx *tx, const struct op *op, const char *path, const struct status_range *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].low < 100 || v[i].high > 599 || v[i].low > v[i].high)
			tx_refuse(tx, op, "%s[%zu] %u-%u: 100 to 599, the lower one first", path, i, v[i].low, v[i].high);
	}
}

void check_backends(struct store_tx *tx, const struct op *op, const char *path, const struct route_backend *v, size_t n)
{
	char at[96];

	for (size_t i = 0; i < n; i++) {
		snprintf(at, sizeof(at), "%sbackends[%zu].subset", path, i);
		check_sorted(tx, op, at, v[i].subset, v[i].nsubset);
	}
}

/* ---- conditions ----------------------------------------------------------------------------------------------- */

#define TYPE(t) (1u << TEXT_##t)
#define WHOLE (TYPE(ANY) | TYPE(EXACT) | TYPE(PREFIX) | TYPE(REGEX))
#define NAMED (~TYPE(ANY))

static void regex_ok(const struct rule_check *c, const char *what, struct slice pattern)
{
	struct err e = { 0 };

	if (regex_check(pattern, &e))
		wrong(c, "%s: %s", what, err_text(&e));
}

static void text_check(const struct rule_check *c, const char *what, const struct text_match *m, unsigned types)
{
	bool valued = m->type == TEXT_PREFIX || m->type == TEXT_REGEX || m->type == TEXT_SUFFIX || m->type == TEXT_CONTAINS;

	if (!(types & 1u << m->type))
		wrong(c, "%s: this kind of condition is not for it", what);
	if (types == NAMED && !m->name.n)
		wrong(c, "%s: no name", what);
	if (m->type == TEXT_RANGE && m->low >= m->high)
		wrong(c, "%s: range %lld to %lld is empty", what, (long long)m->low, (long long)m->high);
	if (valued && !m->value.n)
		wrong(c, "%s: no value", what);
	if ((m->type == TEXT_PRESENT || m->type == TEXT_ABSENT || m->type == TEXT_RANGE) && m->value.n)
		wrong(c, "%s: this kind of condition has no value", what);
	if (m->type != TEXT_RANGE && (m->low || m->high))
		wrong(c, "%s: low and high are a range's only", what);
	if (m->type == TEXT_REGEX && m->value.n)
		regex_ok(c, what, m->value);
}

static void texts_check(const struct rule_check *c, const char *list, const struct text_match *v, size_t n)
{
	char what[48];

	for (size_t i = 0; i < n; i++) {
		snprintf(what, sizeof(what), "%s[%zu]", list, i);
		text_check(c, what, &v[i], NAMED);
	}
}

static void match_check(const struct rule_check *c, const struct route_match *m)
{
	const struct text_match *p = &m->path;

	text_check(c, "path", p, WHOLE);
	if ((p->type == TEXT_EXACT || p->type == TEXT_PREFIX) && (!p->value.n || p->value.p[0] != '/'))
		wrong(c, "path %.*s: must begin with /", SLICE_ARG(p->value));
	if (m->method.n && !http_is_token(m->method))
		wrong(c, "method %.*s: no method", SLICE_ARG(m->method));
	text_check(c, "service", &m->service, WHOLE);
	text_check(c, "rpc_method", &m->rpc_method, WHOLE);
	texts_check(c, "headers", m->headers, m->nheaders);
	texts_check(c, "params", m->params, m->nparams);
	texts_check(c, "cookies", m->cookies, m->ncookies);
}

/* ---- what is done --------------------------------------------------------------------------------------------- */

static void headers_check(const struct rule_check *c, const char *list, const struct header_change *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!v[i].name.n)
			wrong(c, "%s[%zu]: no name", list, i);
		else if (!http_is_token(v[i].name))
			wrong(c, "%s[%zu] %.*s: no name of a header", list, i, SLICE_ARG(v[i].name));
		else if (http_name_frames(v[i].name))
			wrong(c, "%s[%zu] %.*s: not to be changed by a rule%s", list, i, SLICE_ARG(v[i].name),
			      slice_eq_nocase(v[i].name, SLICE_LIT("host")) ? "; URLRewrite has a hostname" : "");
	}
}

/* Instead of a prefix there may be nothing. */
static void path_check(const struct rule_check *c, const char *what, uint8_t change, struct slice path)
{
	bool rooted = path.n && path.p[0] == '/';

	if ((change == PATH_FULL && !rooted) || (change == PATH_PREFIX && path.n && !rooted))
		wrong(c, "%s %.*s: must begin with /", what, SLICE_ARG(path));
}

/* Of one host, as it stands in a Host header or an URL. */
static void host_check(const struct rule_check *c, const char *what, struct slice host)
{
	if (host.n && (memchr(host.p, '*', host.n) || !router_host_valid(host)))
		wrong(c, "%s %.*s: want a host name such as a.example", what, SLICE_ARG(host));
}

static void rewrite_check(const struct rule_check *c, const struct route_rule *r)
{
	struct err e = { 0 };

	host_check(c, "rewrite_host", r->rewrite_host);
	host_check(c, "redirect_host", r->redirect_host);
	if (r->redirect_scheme.n && !slice_eq_str(r->redirect_scheme, "http") && !slice_eq_str(r->redirect_scheme, "https"))
		wrong(c, "redirect_scheme %.*s: http or https", SLICE_ARG(r->redirect_scheme));
	path_check(c, "rewrite_path", r->rewrite, r->rewrite_path);
	path_check(c, "redirect_path", r->redirect_change, r->redirect_path);
	if (r->rewrite == PATH_REGEX && !r->rewrite_regex.n)
		wrong(c, "rewrite_regex: no value");
	else if (r->rewrite == PATH_REGEX && regex_check_replacement(r->rewrite_regex, r->rewrite_path, &e))
		wrong(c, "rewrite_regex: %s", err_text(&e));
	if (r->redirect_change == PATH_REGEX)
		wrong(c, "redirect_change regex: not for redirects");
}

/* The prefix that is replaced is the one that matched; without any it is "/". */
static void prefix_check(const struct rule_check *c, const struct route_rule *r)
{
	bool all = true;

	for (size_t i = 0; i < r->nmatches; i++)
		all &= r->matches[i].path.type == TEXT_PREFIX || r->matches[i].path.type == TEXT_ANY;
	if (!all && (r->rewrite == PATH_PREFIX || r->redirect_change == PATH_PREFIX))
		wrong(c, "replacing the prefix: paths of the rule's matches must be of type prefix");
}

static void target_check(const struct rule_check *c, const struct route_rule *r)
{
	static const uint16_t redirects[] = { 301, 302, 303, 307, 308 };
	bool known = !r->redirect_status;

	if (!!r->nbackends + !!r->redirect_status + !!r->direct_status != 1)
		wrong(c, "needs one of backends, redirect_status and direct_status");
	for (size_t i = 0; i < sizeof(redirects) / sizeof(redirects[0]); i++)
		known |= r->redirect_status == redirects[i];
	if (!known)
		wrong(c, "redirect_status %u: 301, 302, 303, 307 or 308", r->redirect_status);
	if (!r->nbackends && (r->nrequest_headers || r->nresponse_headers || r->rewrite || r->rewrite_host.n))
		wrong(c, "changes of messages: for rules with backends only");
	if (r->direct_status && r->direct_status < 200)
		wrong(c, "direct_status %u: 200 to 599", r->direct_status);
	if (!!r->rpc_method.n != !!r->rpc_service.n || (r->nrpc_arguments && !r->rpc_method.n))
		wrong(c, "rpc_service and rpc_method: want both or neither, and arguments only beside them");
	if (r->rpc_method.n && !r->nbackends)
		wrong(c, "rpc_method: for rules with backends only");
}

static void tries_check(const struct rule_check *c, const struct route_rule *r)
{
	char path[96];

	snprintf(path, sizeof(path), "%sretry_codes", c->path);
	check_statuses(c->tx, c->op, path, r->retry_codes, r->nretry_codes);
	if (r->timeout_ms && r->try_timeout_ms > r->timeout_ms)
		wrong(c, "try_timeout_ms %u: longer than the whole request's %u", r->try_timeout_ms, r->timeout_ms);
	if (r->backoff_ms > r->max_backoff_ms)
		wrong(c, "backoff_ms %u: more than max_backoff_ms %u", r->backoff_ms, r->max_backoff_ms);
}

/* What of it would stand in a Set-Cookie. */
static void cookie_check(const struct rule_check *c, size_t i, const struct hash_policy *h)
{
	if (h->path.n && !http_is_cookie_path(h->path))
		wrong(c, "hash[%zu].path %.*s: must begin with /, without spaces and semicolons", i, SLICE_ARG(h->path));
	if (h->session && h->ttl_s)
		wrong(c, "hash[%zu].ttl_s: a session's cookie has none", i);
	if (h->same_site == SAME_SITE_NONE && h->secure == COOKIE_SECURE_NEVER)
		wrong(c, "hash[%zu].same_site none: wants secure", i);
}

static void hash_check(const struct rule_check *c, const struct route_rule *r)
{
	for (size_t i = 0; i < r->nhash; i++) {
		const struct hash_policy *h = &r->hash[i];

		if (h->kind == HASH_SOURCE_IP)
			continue;
		if (!h->name.n)
			wrong(c, "hash[%zu]: no name", i);
		else if (!http_is_token(h->name))
			wrong(c, "hash[%zu] %.*s: no name of a header, cookie or parameter", i, SLICE_ARG(h->name));
		if (h->kind == HASH_COOKIE)
			cookie_check(c, i, h);
	}
}

static void rule_check(struct rule_check *c, size_t i, const struct route_rule *r)
{
	for (size_t j = 0; j < r->nmatches; j++) {
		snprintf(c->path, sizeof(c->path), "rules[%zu].matches[%zu].", i, j);
		match_check(c, &r->matches[j]);
	}
	snprintf(c->path, sizeof(c->path), "rules[%zu].", i);
	headers_check(c, "request_headers", r->request_headers, r->nrequest_headers);
	headers_check(c, "response_headers", r->response_headers, r->nresponse_headers);
	rewrite_check(c, r);
	prefix_check(c, r);
	tries_check(c, r);
	hash_check(c, r);
	check_backends(c->tx, c->op, c->path, r->backends, r->nbackends);
	snprintf(c->path, sizeof(c->path), "rules[%zu]: ", i);
	target_check(c, r);
}

void check_route(struct store_tx *tx, const struct op *op)
{
	const struct route *r = (const struct route *)op->fact;
	struct rule_check c = { .tx = tx, .op = op };

	if (!r->nhosts)
		tx_refuse(tx, op, "no hosts; name at least one, \"*\" is any");
	if (!r->nrules)
		tx_refuse(tx, op, "no rules; give at least one");
	for (size_t i = 0; i < r->nhosts; i++) {
		if (!router_host_valid(r->hosts[i]))
			tx_refuse(tx, op, "hosts[%zu] \"%.*s\": want *, *.NAME or NAME, with :PORT where only that one is meant", i,
				  SLICE_ARG(r->hosts[i]));
	}
	for (size_t i = 0; i < r->nrules; i++)
		rule_check(&c, i, &r->rules[i]);
}
