/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/route_words.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "weft/str.h"

struct words {
	char *text;
	size_t n;
	FILE *out;
	const char *gap;                        /* before the next piece */
};

static void begin(struct words *w)
{
	*w = (struct words){ .gap = "" };
	w->out = open_memstream(&w->text, &w->n);
	if (!w->out)
		abort();
}

static void next(struct words *w, const char *gap)
{
	fputs(w->gap, w->out);
	w->gap = gap;
}

static char *end(struct words *w)
{
	fclose(w->out);
	return w->text;
}

static const char *type_word(const struct text_match *t, bool path)
{
	static const char *const words[TEXT_MATCHES] = {
		[TEXT_ANY] = "any",	    [TEXT_EXACT] = "Exact",   [TEXT_PREFIX] = "Prefix",	    [TEXT_REGEX] = "RegularExpression",
		[TEXT_PRESENT] = "Present", [TEXT_ABSENT] = "Absent", [TEXT_SUFFIX] = "Suffix", [TEXT_CONTAINS] = "Contains",
		[TEXT_RANGE] = "Range",
	};

	return path && t->type == TEXT_PREFIX ? "PathPrefix" : words[t->type];
}

static void put_condition(struct words *w, const char *what, const struct text_match *t)
{
	if (t->type == TEXT_ANY)
		return;
	next(w, ", ");
	fputs(what, w->out);
	if (t->name.n)
		fprintf(w->out, " %.*s", SLICE_ARG(t->name));
	fprintf(w->out, "%s%s", *what ? " " : "", type_word(t, !*what));
	if (t->type == TEXT_RANGE)
		fprintf(w->out, " %lld to below %lld", (long long)t->low, (long long)t->high);
	else if (t->type != TEXT_PRESENT && t->type != TEXT_ABSENT)
		fprintf(w->out, " %.*s", SLICE_ARG(t->value));
}

char *route_condition_words(enum route_lack kind, const struct text_match *t)
{
	struct words w;

	begin(&w);
	put_condition(&w, route_lack_words[kind], t);
	return end(&w);
}

static void put_list(struct words *w, const char *what, const struct text_match *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_condition(w, what, &v[i]);
}

char *route_match_words(const struct route_match *m)
{
	struct words w;

	begin(&w);
	if (m) {
		put_condition(&w, "", &m->path);
		if (m->method.n) {
			next(&w, ", ");
			fprintf(w.out, "%.*s", SLICE_ARG(m->method));
		}
		put_condition(&w, route_lack_words[ROUTE_LACK_SERVICE], &m->service);
		put_condition(&w, route_lack_words[ROUTE_LACK_RPC_METHOD], &m->rpc_method);
		put_list(&w, route_lack_words[ROUTE_LACK_HEADER], m->headers, m->nheaders);
		put_list(&w, route_lack_words[ROUTE_LACK_PARAM], m->params, m->nparams);
		put_list(&w, route_lack_words[ROUTE_LACK_COOKIE], m->cookies, m->ncookies);
		for (size_t i = 0; i < m->nidentities; i++) {
			next(&w, i + 1 < m->nidentities ? " or " : ", ");
			fprintf(w.out, "%s%.*s", i ? "" : "from ", SLICE_ARG(m->identities[i]));
		}
	}
	if (!*w.gap)
		fputs("every request", w.out);
	return end(&w);
}

char *route_subset_words(const struct name_value *v, size_t n)
{
	struct words w;

	begin(&w);
	for (size_t i = 0; i < n; i++) {
		next(&w, ", ");
		fprintf(w.out, "%.*s=%.*s", SLICE_ARG(v[i].name), SLICE_ARG(v[i].value));
	}
	return end(&w);
}

static void put_backend(struct words *w, const struct route_backend *b, bool alone)
{
	char *subset = route_subset_words(b->subset, b->nsubset);

	next(w, "; ");
	fprintf(w->out, "to %.*s", SLICE_ARG(b->cluster));
	if (!alone)
		fprintf(w->out, ", weight %u", b->weight);
	if (*subset)
		fprintf(w->out, ", subset %s", subset);
	free(subset);
}

char *route_action_words(const struct route_rule *r)
{
	struct words w;

	begin(&w);
	if (r->redirect_status)
		fprintf(w.out, "redirect %u", r->redirect_status);
	else if (r->direct_status)
		fprintf(w.out, "answer %u", r->direct_status);
	for (size_t i = 0; i < r->nbackends; i++)
		put_backend(&w, &r->backends[i], r->nbackends == 1);
	return end(&w);
}
