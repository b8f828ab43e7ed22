/* SPDX-License-Identifier: Apache-2.0 */
/* Slow and plain: every match of every route is looked at with strings of one's own, and the best of those kept. */
#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <errno.h>
#include <stdlib.h>
#include "base/magic.h"
#include "base/mem.h"
#include "route_kit.h"
#include "weft/str.h"

static char *text_of(struct slice s)
{
	return s.p ? mem_dup(s.p, s.n) : NULL;
}

/* ---- hosts -------------------------------------------------------------------------------------------------- */

/* Name in small letters without a dot at its end, and the port; -1: none. */
static char *split_host(struct slice host, long *port)
{
	char *name = mem_dup(host.n ? host.p : "", host.n), *colon = strrchr(name, ':');

	*port = -1;
	if (colon && strspn(colon + 1, "0123456789") == strlen(colon + 1)) {
		*port = colon[1] ? atol(colon + 1) : -1;
		*colon = 0;
	}
	if (name[0] && name[strlen(name) - 1] == '.')
		name[strlen(name) - 1] = 0;
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return name;
}

/* How specific the pattern is for this request: 0 = not for it. */
static long host_score(struct slice pattern, const struct msg *m)
{
	long want, port, score = 0;
	char *p = split_host(pattern, &want), *name = split_host(m->authority, &port);
	size_t np = strlen(p), nn = strlen(name);

	if (port < 0)
		port = slice_eq_str(m->scheme, "https") ? 443 : 80;
	if (!strcmp(p, "*"))
		score = 2;
	else if (p[0] != '*' && !strcmp(p, name))
		score = 1000000;
	else if (p[0] == '*' && nn >= np && !strcmp(name + nn - (np - 1), p + 1))
		score = 10 + 2 * (long)np;
	if (want >= 0)
		score = score && want == port ? score + 1 : 0;
	free(p);
	free(name);
	return score;
}

static long route_score(const struct route *r, const struct msg *m)
{
	long best = 0;

	for (size_t i = 0; i < r->nhosts; i++) {
		long score = host_score(r->hosts[i], m);

		best = score > best ? score : best;
	}
	return best;
}

/* ---- texts of a request ------------------------------------------------------------------------------------- */

static char *decoded(const char *p, size_t n)
{
	char *out = malloc(n + 1), *to = out;

	for (size_t i = 0; i < n; i++) {
		char two[3] = { 0 };

		if (p[i] == '%' && n - i > 2 && isxdigit((unsigned char)p[i + 1]) && isxdigit((unsigned char)p[i + 2])) {
			two[0] = p[i + 1];
			two[1] = p[i + 2];
			*to++ = (char)strtol(two, NULL, 16);
			i += 2;
		} else {
			*to++ = p[i] == '+' ? ' ' : p[i];
		}
	}
	*to = 0;
	return out;
}

static char *param_of(const struct msg *m, const char *name)
{
	char *all = text_of(m->path), *rest = all ? strchr(all, '?') : NULL, *piece, *found = NULL;

	if (rest)
		rest++;
	while (!found && rest && (piece = strsep(&rest, "&"))) {
		char *value = strchr(piece, '=');
		size_t n = value ? (size_t)(value - piece) : strlen(piece);
		char *is = decoded(piece, n);

		if (*piece && !strcmp(is, name))
			found = decoded(value ? value + 1 : "", value ? strlen(value + 1) : 0);
		free(is);
	}
	free(all);
	return found;
}

static char *cookie_in(char *line, const char *name)
{
	char *piece, *found = NULL;

	while (!found && (piece = strsep(&line, ";"))) {
		char *value = strchr(piece, '='), *p = piece + strspn(piece, " ");
		size_t n;

		if (value)
			*value++ = 0;
		n = strlen(p);
		while (n && p[n - 1] == ' ')
			p[--n] = 0;
		if (strcmp(p, name) || (!*p && !value))
			continue;
		value = value ? value : "";
		value += strspn(value, " ");
		n = strlen(value);
		while (n && value[n - 1] == ' ')
			n--;
		if (n > 1 && value[0] == '"' && value[n - 1] == '"')
			found = mem_dup(value + 1, n - 2);
		else
			found = mem_dup(value, n);
	}
	return found;
}

static char *cookie_of(const struct msg *m, const char *name)
{
	char *found = NULL;

	for (uint32_t i = 0; !found && i < m->nheaders; i++) {
		char *line;

		if (!slice_eq_nocase(m->headers[i].name, SLICE_LIT("cookie")))
			continue;
		line = text_of(m->headers[i].value);
		found = cookie_in(line, name);
		free(line);
	}
	return found;
}

static char *header_of(const struct msg *m, const char *name)
{
	if (!strcasecmp(name, "host") || !strcmp(name, ":authority"))
		return m->authority.n ? text_of(m->authority) : NULL;
	for (uint32_t i = 0; i < m->nheaders; i++) {
		if (slice_eq_nocase(m->headers[i].name, slice_str(name)))
			return text_of(m->headers[i].value);
	}
	return NULL;
}

/* ---- conditions --------------------------------------------------------------------------------------------- */

static bool regex_holds(const char *text, const char *pattern)
{
	char all[512];
	regex_t x;
	bool holds;

	snprintf(all, sizeof(all), "^(%s)$", pattern);
	assert_always(!regcomp(&x, all, REG_EXTENDED | REG_NOSUB));
	holds = !regexec(&x, text, 0, NULL, 0);
	regfree(&x);
	return holds;
}

static bool number_within(const char *text, int64_t low, int64_t high)
{
	size_t sign = text[0] == '-', digits = strspn(text + sign, "0123456789");
	long long v;

	if (!digits || text[sign + digits])
		return false;
	errno = 0;
	v = strtoll(text, NULL, 10);
	return !errno && v >= (long long)low && v < (long long)high;
}

static bool text_holds(const struct text_match *t, const char *text)
{
	char *value = text_of(t->value);
	size_t n = value ? strlen(value) : 0;
	bool holds = false;

	if (t->type == TEXT_ANY)
		holds = true;
	else if (t->type == TEXT_ABSENT || !text)
		holds = t->type == TEXT_ABSENT && !text;
	else if (t->type == TEXT_PRESENT)
		holds = true;
	else if (t->type == TEXT_EXACT)
		holds = !strcmp(text, value ? value : "");
	else if (t->type == TEXT_PREFIX)
		holds = !strncmp(text, value, n);
	else if (t->type == TEXT_SUFFIX)
		holds = strlen(text) >= n && !strcmp(text + strlen(text) - n, value);
	else if (t->type == TEXT_CONTAINS)
		holds = strstr(text, value);
	else if (t->type == TEXT_REGEX)
		holds = regex_holds(text, value);
	else if (t->type == TEXT_RANGE)
		holds = number_within(text, t->low, t->high);
	free(value);
	return holds;
}

static bool path_holds(const struct text_match *t, const char *path)
{
	char *value = text_of(t->value);
	size_t n = value ? strlen(value) : 0;
	bool holds;

	if (t->type != TEXT_PREFIX) {
		holds = text_holds(t, path);
	} else {
		while (n && value[n - 1] == '/')
			n--;
		holds = path[0] == '/' && !strncmp(path, value, n) && (path[n] == 0 || path[n] == '/');
	}
	free(value);
	return holds;
}

static bool list_holds(const struct text_match *v, size_t n, const struct msg *m,
		       char *(*get)(const struct msg *m, const char *name))
{
	bool holds = true;

	for (size_t i = 0; i < n; i++) {
		char *name = text_of(v[i].name), *text = get(m, name);

		holds &= text_holds(&v[i], text);
		free(text);
		free(name);
	}
	return holds;
}

static bool match_holds(const struct route_match *t, const struct kit_request *q)
{
	char *path = mem_dup(q->m.path.n ? q->m.path.p : "", q->m.path.n), *end = strchr(path, '?');
	char *service = q->m.service.n ? text_of(q->m.service) : NULL;
	char *method = q->m.rpc_method.n ? text_of(q->m.rpc_method) : NULL;
	bool holds, known = !t->nidentities;

	if (end)
		*end = 0;
	for (size_t i = 0; i < t->nidentities; i++)
		known |= q->identity.n && slice_eq(t->identities[i], q->identity);
	holds = known && path_holds(&t->path, path) && (!t->method.n || slice_eq(t->method, q->m.method)) &&
		text_holds(&t->service, service) && text_holds(&t->rpc_method, method) &&
		list_holds(t->headers, t->nheaders, &q->m, header_of) &&
		list_holds(t->params, t->nparams, &q->m, param_of) && list_holds(t->cookies, t->ncookies, &q->m, cookie_of);
	free(method);
	free(service);
	free(path);
	return holds;
}

/* ---- the best ----------------------------------------------------------------------------------------------- */

#define RANKS 12

static void text_ranks(const struct text_match *t, long *rank)
{
	rank[0] = t->type == TEXT_ANY ? 0 : t->type == TEXT_EXACT ? 3 : t->type == TEXT_PREFIX ? 2 : 1;
	rank[1] = t->type == TEXT_PREFIX ? (long)t->value.n : 0;
}

/* What counts, the most important first; larger wins. */
static void ranks_of(const struct route_match *t, long rank[RANKS])
{
	size_t n = t->path.value.n;

	while (n && t->path.value.p[n - 1] == '/')
		n--;
	rank[0] = t->path.type == TEXT_EXACT ? 2 : t->path.type == TEXT_REGEX ? 1 : 0;
	rank[1] = t->path.type == TEXT_PREFIX ? (long)n : 0;
	text_ranks(&t->service, rank + 2);
	text_ranks(&t->rpc_method, rank + 4);
	rank[6] = t->method.n > 0;
	rank[7] = (long)t->nheaders;
	rank[8] = (long)t->nparams;
	rank[9] = (long)t->ncookies;
	rank[10] = t->nidentities > 0;
	rank[11] = 0;
}

static bool outranks(const long *a, const long *b)
{
	for (int i = 0; i < RANKS; i++) {
		if (a[i] != b[i])
			return a[i] > b[i];
	}
	return false;
}

struct best {
	bool any;
	long rank[RANKS];
	char name[128];
};

static void consider(struct best *best, const struct route *r, size_t rule, size_t match, const struct kit_request *q)
{
	static const struct route_match nothing;
	const struct route_match *t = r->rules[rule].nmatches ? &r->rules[rule].matches[match] : &nothing;
	long rank[RANKS];

	if (!match_holds(t, q))
		return;
	ranks_of(t, rank);
	if (best->any && !outranks(rank, best->rank))
		return;
	best->any = true;
	memcpy(best->rank, rank, sizeof(rank));
	snprintf(best->name, sizeof(best->name), "%.*s/%zu/%zu", SLICE_ARG(r->name), rule, match);
}

const char *reference_match(const struct route *const *routes, size_t n, const struct kit_request *q, char *out)
{
	struct best best = { .name = "-" };
	long most = 0;

	for (size_t i = 0; i < n; i++) {
		long score = route_score(routes[i], &q->m);

		most = score > most ? score : most;
	}
	for (size_t i = 0; most && i < n; i++) {
		const struct route *r = routes[i];

		if (route_score(r, &q->m) != most)
			continue;
		for (size_t k = 0; k < r->nrules; k++) {
			for (size_t j = 0; !j || j < r->rules[k].nmatches; j++)
				consider(&best, r, k, j, q);
		}
	}
	strcpy(out, best.name);
	return out;
}
