/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/facts_priv.h"

#include <stdio.h>

#include "conf/extension_rows.h"
#include "conf/route_rows.h"
#include "weft/str.h"

#define RETRY_SAFE (1u << RETRY_ON_CONNECT_FAILURE | 1u << RETRY_ON_REFUSED_STREAM | 1u << RETRY_ON_RESET_BEFORE_REQUEST)

const struct route_backend *making_backends(struct fact *f, const struct conf_list *list)
{
	struct route_backend *v = fact_alloc(f, list->n * sizeof(*v));
	const struct route_to *b = list->v;

	for (size_t i = 0; i < list->n; i++) {
		v[i].cluster = fact_slice(f, b[i].cluster);
		v[i].weight = b[i].weight;
		v[i].subset = making_subset(f, b[i].subset, &v[i].nsubset);
	}
	return v;
}

/* ---- conditions ----------------------------------------------------------------------------------------------- */

static struct text_match text(struct fact *f, const struct route_text *t, const uint8_t *types)
{
	return (struct text_match){ types[t->type], fact_slice(f, t->name), fact_slice(f, t->value), t->low, t->high };
}

/* Where the value must be given: none means no condition. */
static struct text_match maybe(struct fact *f, const struct route_text *t, const uint8_t *types)
{
	return t->value.n ? text(f, t, types) : (struct text_match){ .type = TEXT_ANY };
}

static const struct text_match *texts(struct fact *f, const struct conf_list *list)
{
	struct text_match *v = fact_alloc(f, list->n * sizeof(*v));

	for (size_t i = 0; i < list->n; i++)
		v[i] = text(f, (const struct route_text *)list->v + i, text_types);
	return v;
}

static const struct route_match *matches(struct fact *f, const struct conf_list *list)
{
	struct route_match *v = fact_alloc(f, list->n * sizeof(*v));

	for (size_t i = 0; i < list->n; i++) {
		const struct route_matches *m = (const struct route_matches *)list->v + i;

		v[i] = (struct route_match){
			.path = maybe(f, &m->path, path_types),
			.method = fact_slice(f, m->method),
			.headers = texts(f, &m->headers),
			.params = texts(f, &m->params),
			.cookies = texts(f, &m->cookies),
			.nheaders = m->headers.n,
			.nparams = m->params.n,
			.ncookies = m->cookies.n,
			.service = maybe(f, &m->service, rpc_types),
			.rpc_method = maybe(f, &m->rpc_method, rpc_types),
			.identities = making_slices(f, &m->identities),
			.nidentities = m->identities.n,
		};
	}
	return v;
}

/* ---- filters -------------------------------------------------------------------------------------------------- */

static size_t changes_of(const struct route_headers *h)
{
	return h->set.n + h->add.n + h->remove.n;
}

static struct header_change *put_changes(struct fact *f, struct header_change *to, enum header_op op,
					 const struct conf_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct route_header *h = (const struct route_header *)list->v + i;

		*to++ = (struct header_change){ op, fact_slice(f, h->name), fact_slice(f, h->value) };
	}
	return to;
}

/* All filters of a kind, one behind the other. */
static const struct header_change *changes(struct fact *f, const struct conf_list *filters, enum route_filter_kind kind,
					   size_t *n)
{
	const struct route_filter *v = filters->v;
	struct header_change *all, *to;

	*n = 0;
	for (size_t i = 0; i < filters->n; i++)
		*n += route_filter_kind(&v[i]) == kind ? changes_of(v[i].type.conf) : 0;
	all = to = fact_alloc(f, *n * sizeof(*to));
	for (size_t i = 0; i < filters->n; i++) {
		const struct route_headers *h = v[i].type.conf;

		if (route_filter_kind(&v[i]) != kind)
			continue;
		for (size_t j = 0; j < h->remove.n; j++)
			*to++ = (struct header_change){ HEADER_REMOVE,
							fact_slice(f, ((const struct slice *)h->remove.v)[j]), { 0 } };
		to = put_changes(f, to, HEADER_SET, &h->set);
		to = put_changes(f, to, HEADER_ADD, &h->add);
	}
	return all;
}

static uint8_t path_change(const struct route_path *p)
{
	return p->line ? p->type + 1 : PATH_KEEP;
}

static void set_filter(struct fact *f, struct route_rule *r, const struct route_filter *filter)
{
	const struct route_redirect *to = filter->type.conf;
	const struct route_rewrite *w = filter->type.conf;
	const struct route_direct *d = filter->type.conf;

	switch (route_filter_kind(filter)) {
	case FILTER_REWRITE:
		r->rewrite_host = fact_slice(f, w->hostname);
		r->rewrite = path_change(&w->path);
		r->rewrite_regex = fact_slice(f, w->path.pattern);
		r->rewrite_path = fact_slice(f, w->path.value);
		break;
	case FILTER_REDIRECT:
		r->redirect_status = to->status;
		if (to->scheme)
			r->redirect_scheme = fact_slice(f, slice_str(redirect_schemes[to->scheme]));
		r->redirect_host = fact_slice(f, to->hostname);
		r->redirect_port = to->port;
		r->redirect_change = path_change(&to->path);
		r->redirect_path = fact_slice(f, to->path.value);
		break;
	case FILTER_DIRECT:
		r->direct_status = d->status;
		r->direct_body = fact_slice(f, d->body);
		break;
	default:
		break;
	}
}

static void set_filters(struct fact *f, struct route_rule *r, const struct conf_list *filters)
{
	r->request_headers = changes(f, filters, FILTER_REQUEST_HEADERS, &r->nrequest_headers);
	r->response_headers = changes(f, filters, FILTER_RESPONSE_HEADERS, &r->nresponse_headers);
	for (size_t i = 0; i < filters->n; i++)
		set_filter(f, r, (const struct route_filter *)filters->v + i);
}

/* ---- the rest of a rule --------------------------------------------------------------------------------------- */

static void set_retry(struct fact *f, struct route_rule *r, const struct route_retry *c)
{
	r->retries = c->attempts;
	for (size_t i = 0; i < c->on.n; i++)
		r->retry_on |= 1u << ((const uint8_t *)c->on.v)[i];
	if (c->codes.n)
		r->retry_on |= 1u << RETRY_ON_RETRIABLE_CODES;
	for (size_t i = 0; i < c->grpc.n; i++)
		r->retry_on |= 1u << (RETRY_ON_CANCELLED + ((const uint8_t *)c->grpc.v)[i]);
	if (c->attempts && !c->on.n)
		r->retry_on |= RETRY_SAFE;
	r->retry_codes = making_statuses(f, &c->codes);
	r->nretry_codes = c->codes.n;
	r->backoff_ms = making_ms(c->backoff_ns);
	r->max_backoff_ms = making_ms(c->max_backoff_ns);
	r->budget_percent = c->budget.percent;
	r->budget_min = c->budget.min_per_second;
}

static struct hash_policy cookie_policy(struct fact *f, const struct route_cookie *c)
{
	return (struct hash_policy){
		.kind = HASH_COOKIE,
		.name = fact_slice(f, c->name),
		.ttl_s = (uint32_t)((c->ttl_ns + 999999999) / 1000000000),
		.session = c->lifetime,
		.http_only = c->http_only,
		.secure = c->secure,
		.same_site = c->same_site,
		.path = fact_slice(f, c->path),
	};
}

static const struct hash_policy *hashes(struct fact *f, const struct conf_list *list)
{
	struct hash_policy *v = fact_alloc(f, list->n * sizeof(*v));

	for (size_t i = 0; i < list->n; i++) {
		const struct route_hash *h = (const struct route_hash *)list->v + i;

		if (h->cookie.name.n)
			v[i] = cookie_policy(f, &h->cookie);
		else
			v[i] = (struct hash_policy){
				.kind = h->header.n ? HASH_HEADER : h->param.n ? HASH_PARAM : HASH_SOURCE_IP,
				.name = fact_slice(f, h->header.n ? h->header : h->param),
			};
		v[i].terminal = h->terminal;
	}
	return v;
}

/* node: of the rule. */
static uint8_t upgrades(const struct conf_list *list, const struct conf_node *node)
{
	uint8_t bits = conf_member(node, "upgrades") ? 0 : UPGRADE_WEBSOCKET;

	for (size_t i = 0; i < list->n; i++)
		bits |= (uint8_t)(1u << ((const uint8_t *)list->v)[i]);
	return bits;
}

static void set_call(struct fact *f, struct route_rule *r, const struct route_call *c)
{
	struct name_value *v = fact_alloc(f, c->arguments.n * sizeof(*v));

	r->rpc_service = fact_slice(f, c->service);
	r->rpc_version = fact_slice(f, c->version);
	r->rpc_group = fact_slice(f, c->group);
	r->rpc_method = fact_slice(f, c->method);
	r->rpc_arguments = v;
	r->nrpc_arguments = c->arguments.n;
	r->rpc_body_max = c->line ? (uint32_t)c->body_bytes : 0;
	for (size_t i = 0; i < c->arguments.n; i++) {
		const struct route_argument *a = (const struct route_argument *)c->arguments.v + i;

		v[i] = (struct name_value){ fact_slice(f, a->name), fact_slice(f, a->type) };
	}
}

static void set_rule(struct fact *f, struct route_rule *r, const struct route_conf_rule *c, const struct conf_node *node)
{
	r->matches = matches(f, &c->matches);
	r->nmatches = c->matches.n;
	set_filters(f, r, &c->filters);
	r->backends = making_backends(f, &c->backends);
	r->nbackends = c->backends.n;
	r->timeout_ms = making_ms(c->timeouts.request_ns);
	r->try_timeout_ms = making_ms(c->timeouts.backend_ns);
	r->idle_ms = making_ms(c->timeouts.idle_ns);
	set_retry(f, r, &c->retry);
	r->hash = hashes(f, &c->hash);
	r->nhash = c->hash.n;
	r->upgrades = upgrades(&c->upgrades, node);
	set_call(f, r, &c->rpc);
}

static int rule_extensions(struct making *m, struct fact *f, struct route_rule *r, const struct route_conf_rule *c, size_t i,
			   const struct conf_node *node)
{
	size_t before = reader_enter(&m->r, "rules"), at = reader_enter_at(&m->r, i);
	int err = making_extensions(m, f, EXTENSION_OF_RULE, node, &c->filters, &r->filters, &r->nfilters);

	reader_leave(&m->r, at);
	reader_leave(&m->r, before);
	return err;
}

/* A cluster that other registries bring is not known here: then requests are answered with 502. */
static int call_backends(struct making *m, const struct route_rule *r, size_t i, const struct conf_node *node)
{
	const struct conf_node *at = r->rpc_method.n ? conf_member(node, "backends")->first : NULL;
	char path[80];
	int err = 0;

	for (size_t k = 0; at && k < r->nbackends; k++, at = at->next) {
		const struct cluster_fact *c = table_get(&m->keys[FACT_CLUSTER], r->backends[k].cluster);

		if (!c || slice_eq_str(c->protocol, "bolt") || slice_eq_str(c->protocol, "dubbo"))
			continue;
		snprintf(path, sizeof(path), "rules[%zu].backends[%zu].cluster", i, k);
		err = making_error(m, conf_member(at, "cluster"), path, "rpc wants a cluster whose protocol is bolt or dubbo");
	}
	return err;
}

int make_route_named(struct making *m, struct slice name, const struct conf_node *node, const void *route_conf)
{
	static const struct slice any = { "*", 1 };
	const struct route_conf *c = route_conf;
	const struct conf_list hosts = c->hosts.n ? c->hosts : (struct conf_list){ (void *)&any, 1 };
	struct fact_mark where = making_mark(m, node);
	const struct conf_node *at = conf_member(node, "rules");
	struct route_rule *rules;
	struct route *f;
	int err = 0;

	if (!c->rules.n)
		return making_error(m, node, "rules", "want at least one rule");
	f = (struct route *)fact_new(FACT_ROUTE, name, &where);
	f->hosts = making_slices(&f->fact, &hosts);
	f->nhosts = hosts.n;
	rules = fact_alloc(&f->fact, c->rules.n * sizeof(*rules));
	at = at->first;
	for (size_t i = 0; i < c->rules.n; i++, at = at->next) {
		const struct route_conf_rule *rule = (const struct route_conf_rule *)c->rules.v + i;

		set_rule(&f->fact, &rules[i], rule, at);
		err = rule_extensions(m, &f->fact, &rules[i], rule, i, at) ?: err;
		err = call_backends(m, &rules[i], i, at) ?: err;
	}
	f->rules = rules;
	f->nrules = c->rules.n;
	return making_keep(m, &f->fact, node, "name", name) ?: err;
}

int make_route(struct making *m, const void *element)
{
	return make_route_named(m, ((const struct route_conf *)element)->name, m->node, element);
}
