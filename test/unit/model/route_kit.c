/* SPDX-License-Identifier: Apache-2.0 */
#include "route_kit.h"

#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/magic.h"
#include "lib/facts.h"

/* ---- routes from text --------------------------------------------------------------------------------------- */

#define CONDS_MAX 16

static char *next_piece(char **rest, const char *separators)
{
	char *at = strsep(rest, separators);

	while (at && !*at)
		at = strsep(rest, separators);
	return at;
}

static struct text_match condition(struct fact *f, const char *name, size_t nname, const char *rest)
{
	static const char signs[] = "=^~$*?!#";
	static const uint8_t types[] = {
		TEXT_EXACT, TEXT_PREFIX, TEXT_REGEX, TEXT_SUFFIX, TEXT_CONTAINS, TEXT_PRESENT, TEXT_ABSENT, TEXT_RANGE,
	};
	struct text_match t = { .name = fact_slice(f, (struct slice){ name, nname }) };
	const char *at = strchr(signs, rest[0]);

	assert_always(at && *at);
	t.type = types[at - signs];
	if (t.type == TEXT_RANGE)
		assert_always(sscanf(rest + 1, "%" SCNd64 "..%" SCNd64, &t.low, &t.high) == 2);
	else
		t.value = fact_slice(f, slice_str(rest + 1));
	return t;
}

static void named_condition(struct fact *f, char *word, const struct text_match **list, size_t *n)
{
	struct text_match *v = (struct text_match *)*list;
	size_t nname = strcspn(word, "=^~$*?!#");

	if (!v)
		v = fact_alloc(f, CONDS_MAX * sizeof(*v));
	assert_always(*n < CONDS_MAX);
	v[(*n)++] = condition(f, word, nname, word + nname);
	*list = v;
}

static void match_word(struct fact *f, struct route_match *m, char *word)
{
	if (!strncmp(word, "path", 4)) {
		m->path = condition(f, "", 0, word + 4);
	} else if (!strncmp(word, "svc", 3)) {
		m->service = condition(f, "", 0, word + 3);
	} else if (!strncmp(word, "rpc", 3)) {
		m->rpc_method = condition(f, "", 0, word + 3);
	} else if (!strncmp(word, "m=", 2)) {
		m->method = fact_slice(f, slice_str(word + 2));
	} else if (!strncmp(word, "id=", 3)) {
		struct slice *id = fact_alloc(f, sizeof(*id));

		*id = fact_slice(f, slice_str(word + 3));
		m->identities = id;
		m->nidentities = 1;
	} else if (!strncmp(word, "h:", 2)) {
		named_condition(f, word + 2, &m->headers, &m->nheaders);
	} else if (!strncmp(word, "q:", 2)) {
		named_condition(f, word + 2, &m->params, &m->nparams);
	} else {
		assert_always(!strncmp(word, "c:", 2));
		named_condition(f, word + 2, &m->cookies, &m->ncookies);
	}
}

static void rule_fill(struct fact *f, struct route_rule *rule, const char *text)
{
	struct route_match *matches = fact_alloc(f, CONDS_MAX * sizeof(*matches));
	struct route_backend *backend = fact_alloc(f, sizeof(*backend));
	char *copy = strdup(text), *rest = copy, *more, *one, *word;

	backend->cluster = fact_slice(f, SLICE_LIT("c"));
	backend->weight = 1;
	rule->backends = backend;
	rule->nbackends = 1;
	for (; *text && rest; rest = more) {
		one = rest;
		more = strstr(rest, " | ");
		if (more) {
			*more = 0;
			more += 3;
		}
		assert_always(rule->nmatches < CONDS_MAX);
		while ((word = next_piece(&one, " ")))
			match_word(f, &matches[rule->nmatches], word);
		rule->nmatches++;
	}
	rule->matches = matches;
	free(copy);
}

struct route *kit_route(const struct kit_route *text)
{
	struct fact *f = facts_named(FACT_ROUTE, text->name, 1);
	struct route *r = (struct route *)f;
	struct route_rule *rules = fact_alloc(f, KIT_RULES * sizeof(*rules));
	struct slice *hosts = fact_alloc(f, CONDS_MAX * sizeof(*hosts));
	char *copy = strdup(text->hosts), *rest = copy, *host;

	while ((host = next_piece(&rest, ",")))
		hosts[r->nhosts++] = fact_slice(f, slice_str(host));
	for (size_t i = 0; i < KIT_RULES && text->rules[i]; i++)
		rule_fill(f, &rules[r->nrules++], text->rules[i]);
	r->hosts = hosts;
	r->rules = rules;
	free(copy);
	return r;
}

/* ---- requests ----------------------------------------------------------------------------------------------- */

static struct slice keep(struct arena *a, const char *p, size_t n)
{
	return arena_slice(a, (struct slice){ p, n });
}

static void request_line(struct arena *a, char *text, struct msg *m)
{
	char *url = strchr(text, ' '), *host, *path;

	assert_always(url);
	m->method = keep(a, text, url - text);
	url++;
	host = strstr(url, "://");
	assert_always(host);
	m->scheme = keep(a, url, host - url);
	host += 3;
	path = strpbrk(host, "/*");
	path = path ? path : host + strlen(host);
	m->authority = keep(a, host, path - host);
	m->path = m->path_raw = keep(a, path, strlen(path));
}

static void request_word(struct arena *a, char *word, struct kit_request *out)
{
	char *colon = strchr(word, ':');

	if (!strncmp(word, "@id=", 4)) {
		out->identity = keep(a, word + 4, strlen(word + 4));
	} else if (!strncmp(word, "@svc=", 5)) {
		out->m.service = keep(a, word + 5, strlen(word + 5));
	} else if (!strncmp(word, "@rpc=", 5)) {
		out->m.rpc_method = keep(a, word + 5, strlen(word + 5));
	} else {
		assert_always(colon);
		assert_always(!msg_push(&out->m, keep(a, word, colon - word),
					keep(a, colon + (colon[1] ? 2 : 1), strlen(colon + (colon[1] ? 2 : 1)))));
	}
}

void kit_request(struct arena *a, const char *text, struct kit_request *out)
{
	char *copy = arena_str(a, text), *word;

	*out = (struct kit_request){ .m = { .kind = MSG_REQUEST, .arena = a } };
	request_line(a, strsep(&copy, "|"), &out->m);
	while ((word = next_piece(&copy, "|")))
		request_word(a, word, out);
}

const char *kit_hit_name(const struct route_hit *hit, char *out)
{
	snprintf(out, 128, "%.*s/%u/%u", SLICE_ARG(hit->route->name), hit->rule_index, hit->match_index);
	return out;
}
