/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/route_rows.h"

#include <errno.h>
#include <stdio.h>
#include "base/extensions.h"
#include "base/http_name.h"
#include "base/num.h"
#include "conf/fact_rows.h"
#include "weft/str.h"

/* ---- what rows cannot say ------------------------------------------------------------------------------------- */

int status_range_parse(struct slice text, struct status_range *out)
{
	const char *dash = text.n ? memchr(text.p, '-', text.n) : NULL;
	struct slice low = { text.p, dash ? (size_t)(dash - text.p) : text.n };
	struct slice high = dash ? (struct slice){ dash + 1, text.n - low.n - 1 } : low;
	uint64_t a, b;

	if (num_u64(low, &a) || num_u64(high, &b) || a < 100 || b > 599 || a > b)
		return -EINVAL;
	*out = (struct status_range){ (uint16_t)a, (uint16_t)b };
	return 0;
}

int check_status_range(const void *value, struct err *e)
{
	struct status_range range;

	if (status_range_parse(*(const struct slice *)value, &range))
		return err_add(e, -EINVAL, "want a status such as 503, or a range such as 500-599");
	return 0;
}

static int check_token(const void *value, struct err *e)
{
	if (http_is_token(*(const struct slice *)value))
		return 0;
	return err_add(e, -EINVAL, "want a name of letters, digits and !#$%%&'*+-.^_`|~");
}

static int check_header_name(const void *value, struct err *e)
{
	const struct slice *s = value;

	if (http_name_frames(*s))
		return err_add(e, -EINVAL, "%.*s frames or addresses the message and cannot be changed so", SLICE_ARG(*s));
	return check_token(value, e);
}

static int check_header_value(const void *value, struct err *e)
{
	const struct slice *s = value;

	for (size_t i = 0; i < s->n; i++) {
		if ((unsigned char)s->p[i] < ' ' || s->p[i] == 0x7f)
			return err_add(e, -EINVAL, "want a value without control characters");
	}
	return 0;
}

static int check_value(const struct route_text *t, uint8_t type, struct err *e)
{
	if (type == TEXT_REGEX && t->value.n > REGEX_MAX)
		return err_add(e, -EINVAL, "value: a regular expression of %zu bytes, want at most %u", t->value.n, REGEX_MAX);
	if ((type == TEXT_REGEX || type == TEXT_PREFIX || type == TEXT_SUFFIX || type == TEXT_CONTAINS) && !t->value.n)
		return err_add(e, -EINVAL, "value is missing");
	return 0;
}

/* Of headers, parameters and cookies. */
static int check_text(const void *value, struct err *e)
{
	const struct route_text *t = value;
	uint8_t type = text_types[t->type];

	if (type == TEXT_RANGE && t->low >= t->high)
		return err_add(e, -EINVAL, "want low and high, and low less than high");
	if (type != TEXT_RANGE && (t->low || t->high))
		return err_add(e, -EINVAL, "low and high are for type Range only");
	if ((type == TEXT_PRESENT || type == TEXT_ABSENT || type == TEXT_RANGE) && t->value.n)
		return err_add(e, -EINVAL, "value: this type has none");
	return check_value(t, type, e);
}

static int check_path(const void *value, struct err *e)
{
	const struct route_text *t = value;
	uint8_t type = path_types[t->type];

	if (type != TEXT_REGEX && (!t->value.n || t->value.p[0] != '/'))
		return err_add(e, -EINVAL, "value: want a path that begins with /");
	return check_value(t, type, e);
}

static int check_rpc(const void *value, struct err *e)
{
	const struct route_text *t = value;

	if (!t->value.n)
		return err_add(e, -EINVAL, "value is missing");
	return check_value(t, rpc_types[t->type], e);
}

/* Gateway API's words: with or without a wildcard in front, perhaps a port. */
static int check_host(const void *value, struct err *e)
{
	const struct slice *s = value;
	const char *star = s->n ? memchr(s->p, '*', s->n) : NULL;
	bool wild = star && star == s->p && !memchr(s->p + 1, '*', s->n - 1) && (s->n == 1 || s->p[1] == '.');
	bool good = s->n && (!star || wild);

	for (size_t i = 0; good && i < s->n; i++)
		good = (unsigned char)s->p[i] > ' ' && s->p[i] != '/' && s->p[i] != 0x7f;
	return good ? 0 : err_add(e, -EINVAL, "want a host name such as a.example, *.example or *, perhaps with :PORT");
}

static int check_host_plain(const void *value, struct err *e)
{
	const struct slice *s = value;

	if (memchr(s->p, '*', s->n) || check_host(value, e))
		return err_add(e, -EINVAL, "want a host name such as a.example");
	return 0;
}

static int check_cookie_path(const void *value, struct err *e)
{
	return http_is_cookie_path(*(const struct slice *)value) ? 0 : err_add(e, -EINVAL, "want a path that begins with /, without spaces and semicolons");
}

static int check_cookie(const void *value, struct err *e)
{
	const struct route_cookie *c = value;

	if (c->lifetime && c->ttl_ns)
		return err_add(e, -EINVAL, "ttl: a cookie whose lifetimeType is Session has none");
	if (c->same_site == SAME_SITE_NONE && c->secure == COOKIE_SECURE_NEVER)
		return err_add(e, -EINVAL, "sameSite: browsers take None with secure only");
	return 0;
}

static int check_hash(const void *value, struct err *e)
{
	const struct route_hash *h = value;
	int n = !!h->header.n + !!h->param.n + !!h->cookie.name.n + h->source_ip;

	return n == 1 ? 0 : err_add(e, -EINVAL, "want one of header, cookie, queryParam and sourceIP");
}

static int check_path_change(const struct route_path *p, struct err *e)
{
	uint8_t change = p->type + 1;

	if (!p->line)
		return 0;
	if (change == PATH_REGEX && (!p->pattern.n || p->pattern.n > REGEX_MAX))
		return err_add(e, -EINVAL, "path.pattern: want a regular expression of 1 to %u bytes", REGEX_MAX);
	if (change != PATH_REGEX && p->pattern.n)
		return err_add(e, -EINVAL, "path.pattern is for type ReplaceRegularExpression only");
	if (change != PATH_REGEX && p->value.n && p->value.p[0] != '/')
		return err_add(e, -EINVAL, "path.value: want a path that begins with /");
	if (change == PATH_FULL && !p->value.n)
		return err_add(e, -EINVAL, "path.value: want a path that begins with /");
	return 0;
}

static int check_rewrite(const void *conf, struct err *e)
{
	const struct route_rewrite *r = conf;

	return check_path_change(&r->path, e);
}

static int check_redirect(const void *conf, struct err *e)
{
	static const uint16_t known[] = { 301, 302, 303, 307, 308 };
	const struct route_redirect *r = conf;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (r->status == known[i])
			return check_path_change(&r->path, e);
	}
	return err_add(e, -EINVAL, "statusCode: want 301, 302, 303, 307 or 308");
}

static bool is_java_letter(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || (!first && c >= '0' && c <= '9') || c & 0x80;
}

/* Identifiers with dots between. */
static bool is_java_name(struct slice s)
{
	bool first = true;

	for (size_t i = 0; i < s.n; i++) {
		if (!(s.p[i] == '.' ? !first : is_java_letter(s.p[i], first)))
			return false;
		first = s.p[i] == '.';
	}
	return !first;
}

static int check_java_name(const void *value, struct err *e)
{
	return is_java_name(*(const struct slice *)value) ? 0 : err_add(e, -EINVAL, "want a name as Java has it, such as com.x.Orders or find");
}

static int check_java_type(const void *value, struct err *e)
{
	struct slice s = *(const struct slice *)value;

	while (s.n > 2 && !memcmp(s.p + s.n - 2, "[]", 2))
		s.n -= 2;
	return is_java_name(s) ? 0 : err_add(e, -EINVAL, "want a type as Java has it, such as int, java.lang.String or long[], without <>");
}

/* ---- rules ----------------------------------------------------------------------------------------------------- */

static unsigned filters_of(const struct route_conf_rule *r, enum route_filter_kind kind)
{
	const struct route_filter *v = r->filters.v;
	unsigned n = 0;

	for (size_t i = 0; i < r->filters.n; i++)
		n += route_filter_kind(&v[i]) == kind;
	return n;
}

static bool prefix_replaced(const struct route_conf_rule *r)
{
	const struct route_filter *v = r->filters.v;

	for (size_t i = 0; i < r->filters.n; i++) {
		enum route_filter_kind kind = route_filter_kind(&v[i]);
		const struct route_path *p = kind == FILTER_REWRITE ? &((const struct route_rewrite *)v[i].type.conf)->path :
					     kind == FILTER_REDIRECT ?
					     &((const struct route_redirect *)v[i].type.conf)->path : NULL;

		if (p && p->line && p->type + 1 == PATH_PREFIX)
			return true;
	}
	return false;
}

/* Who names no path means the prefix "/", as in the Gateway API. */
static bool all_prefixes(const struct route_conf_rule *r)
{
	const struct route_matches *v = r->matches.v;

	for (size_t i = 0; i < r->matches.n; i++) {
		if (v[i].path.value.n && path_types[v[i].path.type] != TEXT_PREFIX)
			return false;
	}
	return true;
}

/* Whoever answers here asks nobody. */
static int check_answered(const struct route_conf_rule *r, struct err *e)
{
	if (filters_of(r, FILTER_REWRITE) || filters_of(r, FILTER_REQUEST_HEADERS) || filters_of(r, FILTER_RESPONSE_HEADERS))
		return err_add(e, -EINVAL, "filters: a rule with RequestRedirect or DirectResponse has no backend whose messages "
					   "others could change");
	if (r->retry.attempts || r->retry.on.n || r->retry.codes.n || r->hash.n || r->timeouts.request_ns || r->timeouts.backend_ns)
		return err_add(e, -EINVAL, "retry, hash and timeouts: only for rules with backends");
	return 0;
}

/* What is tried again without any try would never be. */
static int check_retry(const struct route_retry *t, struct err *e)
{
	bool listed = false;

	for (size_t i = 0; i < t->on.n; i++)
		listed |= ((const uint8_t *)t->on.v)[i] == RETRY_ON_RETRIABLE_CODES;
	if (!t->attempts && (t->on.n || t->codes.n || t->grpc.n))
		return err_add(e, -EINVAL, "retry.attempts: want at least 1 beside on, codes and grpcStatus");
	if (listed && !t->codes.n)
		return err_add(e, -EINVAL, "retry.codes: retriable-status-codes wants some");
	if (t->backoff_ns > t->max_backoff_ns)
		return err_add(e, -EINVAL, "retry.backoff: want at most maxBackoff");
	return 0;
}

static int check_call(const struct route_conf_rule *r, struct err *e)
{
	const struct route_argument *v = r->rpc.arguments.v;

	if (!r->rpc.service.n || !r->rpc.method.n)
		return err_add(e, -EINVAL, "rpc: want service and method");
	if (!r->backends.n)
		return err_add(e, -EINVAL, "rpc: only for rules with backends");
	for (size_t i = 0; i < r->rpc.arguments.n; i++)
		for (size_t k = 0; k < i; k++)
			if (v[i].name.n && slice_eq(v[i].name, v[k].name))
				return err_add(e, -EINVAL, "rpc.arguments: %.*s is given twice", SLICE_ARG(v[i].name));
	return 0;
}

static int check_rule(const void *value, struct err *e)
{
	const struct route_conf_rule *r = value;
	unsigned redirects = filters_of(r, FILTER_REDIRECT), directs = filters_of(r, FILTER_DIRECT);

	if (filters_of(r, FILTER_REWRITE) > 1)
		return err_add(e, -EINVAL, "filters: URLRewrite is given twice");
	if (redirects + directs + !!r->backends.n != 1)
		return err_add(e, -EINVAL, "want one of backends, a RequestRedirect and a DirectResponse");
	if (prefix_replaced(r) && !all_prefixes(r))
		return err_add(e, -EINVAL, "filters: ReplacePrefixMatch: paths of the matches must be of type PathPrefix");
	if (r->timeouts.request_ns && r->timeouts.backend_ns > r->timeouts.request_ns)
		return err_add(e, -EINVAL, "timeouts.backendRequest: want at most the request's");
	if (!r->backends.n && check_answered(r, e))
		return -EINVAL;
	if (r->rpc.line && check_call(r, e))
		return -EINVAL;
	return check_retry(&r->retry, e);
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

static const char *const text_words[] = { "Exact",  "RegularExpression", "Present", "Absent", "Prefix",
					  "Suffix", "Contains",		 "Range",   NULL };
const uint8_t text_types[] = { TEXT_EXACT,  TEXT_REGEX,	   TEXT_PRESENT, TEXT_ABSENT, TEXT_PREFIX,
			       TEXT_SUFFIX, TEXT_CONTAINS, TEXT_RANGE };
static const char *const path_words[] = { "PathPrefix", "Exact", "RegularExpression", NULL };
const uint8_t path_types[] = { TEXT_PREFIX, TEXT_EXACT, TEXT_REGEX };
static const char *const rpc_words[] = { "Exact", "Prefix", "RegularExpression", NULL };
const uint8_t rpc_types[] = { TEXT_EXACT, TEXT_PREFIX, TEXT_REGEX };
/* enum path_change, less one */
static const char *const rewrite_words[] = { "ReplacePrefixMatch", "ReplaceFullPath", "ReplaceRegularExpression", NULL };
static const char *const redirect_words[] = { "ReplacePrefixMatch", "ReplaceFullPath", NULL };
const char *const redirect_schemes[] = { "same", "http", "https", NULL };
static const char *const upgrade_words[] = { "websocket", "connect", NULL };

static const struct conf_item text_rows[] = {
	CONF_ITEM(struct route_text, name, "name", STRING, .required = true, .max = 256, .check = check_header_value,
		  .help = "of the header (in any case), parameter or cookie"),
	CONF_ITEM(struct route_text, type, "type", ENUM, .names = text_words, .dflt = "Exact",
		  .help = "RegularExpression: PCRE2, matches the whole value; Range: a whole number, low <= it < high"),
	CONF_ITEM(struct route_text, value, "value", STRING, .max = 8192, .help = "what it is compared with"),
	CONF_ITEM(struct route_text, low, "low", INT, .min = INT64_MIN, .max = INT64_MAX, .dflt = "0",
		  .help = "of a Range: it is not below; may be negative"),
	CONF_ITEM(struct route_text, high, "high", INT, .min = INT64_MIN, .max = INT64_MAX, .dflt = "0",
		  .help = "of a Range: it is below"),
	CONF_END
};

static const struct conf_item path_rows[] = {
	CONF_ITEM(struct route_text, type, "type", ENUM, .names = path_words, .dflt = "PathPrefix",
		  .help = "PathPrefix: whole segments, `/v2` is not in `/v20`; RegularExpression: PCRE2, matches the whole path"),
	CONF_ITEM(struct route_text, value, "value", STRING, .max = 8192, .required = true, .help = "without the query"),
	CONF_END
};

static const struct conf_item rpc_rows[] = {
	CONF_ITEM(struct route_text, type, "type", ENUM, .names = rpc_words, .dflt = "Exact", .help = "how it is compared"),
	CONF_ITEM(struct route_text, value, "value", STRING, .max = 8192, .required = true, .help = "what it is compared with"),
	CONF_END
};

static const struct conf_item match_rows[] = {
	CONF_ITEM(struct route_matches, path, "path", STRUCT, .rows = path_rows, .check = check_path,
		  .help = "of the request, normalised"),
	CONF_ITEM(struct route_matches, method, "method", STRING, .min = 1, .max = 64, .check = check_token,
		  .help = "such as GET; none: any"),
	CONF_ITEMS(struct route_matches, headers, "headers", STRUCT, struct route_text, .rows = text_rows, .check = check_text,
		   .help = "all of them hold"),
	CONF_ITEMS(struct route_matches, params, "queryParams", STRUCT, struct route_text, .rows = text_rows,
		   .check = check_text, .help = "all of them hold"),
	CONF_ITEMS(struct route_matches, cookies, "cookies", STRUCT, struct route_text, .rows = text_rows, .check = check_text,
		   .help = "all of them hold"),
	CONF_ITEM(struct route_matches, service, "service", STRUCT, .rows = rpc_rows, .check = check_rpc,
		  .help = "RPC: the interface that is called"),
	CONF_ITEM(struct route_matches, rpc_method, "rpcMethod", STRUCT, .rows = rpc_rows, .check = check_rpc,
		  .help = "RPC: its method"),
	CONF_ITEMS(struct route_matches, identities, "identities", STRING, struct slice,
		   .help = "SPIFFE ids of clients, one of them; none: anybody"),
	CONF_END
};

static const struct conf_item header_rows[] = {
	CONF_ITEM(struct route_header, name, "name", STRING, .required = true, .max = 256, .check = check_header_name,
		  .help = "of the header"),
	CONF_ITEM(struct route_header, value, "value", STRING, .max = 8192, .check = check_header_value, .help = "its value"),
	CONF_END
};

static const struct conf_item headers_rows[] = {
	CONF_ITEMS(struct route_headers, set, "set", STRUCT, struct route_header, .rows = header_rows,
		   .help = "in place of those of the name"),
	CONF_ITEMS(struct route_headers, add, "add", STRUCT, struct route_header, .rows = header_rows,
		   .help = "beside those of the name"),
	CONF_ITEMS(struct route_headers, remove, "remove", STRING, struct slice, .max = 256, .check = check_header_name,
		   .help = "names of headers"),
	CONF_END
};

static const struct conf_item rewrite_path_rows[] = {
	CONF_LINE_ITEM(struct route_path, line),
	CONF_ITEM(struct route_path, type, "type", ENUM, .names = rewrite_words, .required = true,
		  .help = "ReplacePrefixMatch: the prefix that matched; ReplaceFullPath: the path; "
			  "ReplaceRegularExpression: what `pattern` matches"),
	CONF_ITEM(struct route_path, value, "value", STRING, .max = 8192, .help = "what takes its place; $1 is the first group"),
	CONF_ITEM(struct route_path, pattern, "pattern", STRING, .max = REGEX_MAX, .help = "of ReplaceRegularExpression: PCRE2"),
	CONF_END
};

static const struct conf_item redirect_path_rows[] = {
	CONF_LINE_ITEM(struct route_path, line),
	CONF_ITEM(struct route_path, type, "type", ENUM, .names = redirect_words, .required = true,
		  .help = "ReplacePrefixMatch: the prefix that matched; ReplaceFullPath: the path"),
	CONF_ITEM(struct route_path, value, "value", STRING, .max = 8192, .help = "what takes its place"),
	CONF_END
};

static const struct conf_item rewrite_rows[] = {
	CONF_ITEM(struct route_rewrite, hostname, "hostname", STRING, .max = NAME_MAX_BYTES, .check = check_host_plain,
		  .help = "that the backend sees; none: as asked"),
	CONF_ITEM(struct route_rewrite, path, "path", STRUCT, .rows = rewrite_path_rows, .help = "none: as asked"),
	CONF_END
};

static const struct conf_item redirect_rows[] = {
	CONF_ITEM(struct route_redirect, scheme, "scheme", ENUM, .names = redirect_schemes, .dflt = "same",
		  .help = "same: as asked"),
	CONF_ITEM(struct route_redirect, hostname, "hostname", STRING, .max = NAME_MAX_BYTES, .check = check_host_plain,
		  .help = "none: as asked"),
	CONF_ITEM(struct route_redirect, path, "path", STRUCT, .rows = redirect_path_rows, .help = "none: as asked"),
	CONF_ITEM(struct route_redirect, port, "port", INT, .min = 1, .max = 65535,
		  .help = "none: as asked, or the scheme's when that is given"),
	CONF_ITEM(struct route_redirect, status, "statusCode", INT, .min = 301, .max = 308, .dflt = "302",
		  .help = "301, 302, 303, 307 or 308"),
	CONF_END
};

static const struct conf_item direct_rows[] = {
	CONF_ITEM(struct route_direct, status, "status", INT, .required = true, .min = 200, .max = 599, .help = "of the answer"),
	CONF_ITEM(struct route_direct, body, "body", STRING, .max = 65536, .help = "of the answer"),
	CONF_END
};

struct conf_choice route_filter_choices[FILTER_EXTENSIONS + EXTENSIONS_MAX + 1] = {
	[FILTER_REQUEST_HEADERS] = { .name = "RequestHeaderModifier", .rows = headers_rows, .size = sizeof(struct route_headers) },
	[FILTER_RESPONSE_HEADERS] = { .name = "ResponseHeaderModifier", .rows = headers_rows, .size = sizeof(struct route_headers) },
	[FILTER_REWRITE] = { .name = "URLRewrite", .rows = rewrite_rows, .size = sizeof(struct route_rewrite), .check = check_rewrite },
	[FILTER_REDIRECT] = { .name = "RequestRedirect", .rows = redirect_rows, .size = sizeof(struct route_redirect),
			      .check = check_redirect },
	[FILTER_DIRECT] = { .name = "DirectResponse", .rows = direct_rows, .size = sizeof(struct route_direct) },
};

enum route_filter_kind route_filter_kind(const struct route_filter *f)
{
	ptrdiff_t i = f->type.choice - route_filter_choices;

	return i < FILTER_EXTENSIONS ? (enum route_filter_kind)i : FILTER_EXTENSIONS;
}

static const struct conf_item filter_rows[] = {
	CONF_ITEM(struct route_filter, type, "type", CHOICE, .required = true, .choices = route_filter_choices,
		  .help = "brings the fields below"),
	CONF_END
};

const struct conf_item route_backend_rows[] = {
	CONF_ITEM(struct route_to, cluster, "cluster", STRING, .required = true, .max = NAME_MAX_BYTES,
		  .help = "name of a cluster"),
	CONF_ITEM(struct route_to, weight, "weight", INT, .max = BACKEND_WEIGHT_MAX, .dflt = "1",
		  .help = "share of the requests relative to the others"),
	CONF_ITEM(struct route_to, subset, "subset", MAP, .help = "only endpoints with this metadata; see the cluster's `subsets`"),
	CONF_END
};

static const struct conf_item timeouts_rows[] = {
	CONF_ITEM(struct route_timeouts, request_ns, "request", DURATION, .max = CONF_HOURS_MAX, .dflt = "0s",
		  .help = "from the whole request to the whole answer, retries within; 0s: none"),
	CONF_ITEM(struct route_timeouts, backend_ns, "backendRequest", DURATION, .max = CONF_HOURS_MAX, .dflt = "0s",
		  .help = "of one try, until the answer's head; 0s: none"),
	CONF_ITEM(struct route_timeouts, idle_ns, "idle", DURATION, .max = CONF_HOURS_MAX, .dflt = "5m",
		  .help = "no byte either way; 0s: none"),
	CONF_END
};

static const struct conf_item budget_rows[] = {
	CONF_ITEM(struct route_budget, percent, "percent", INT, .max = 100, .dflt = "20",
		  .help = "of the active requests that may be retries"),
	CONF_ITEM(struct route_budget, min_per_second, "minPerSecond", INT, .max = 1000000, .dflt = "10",
		  .help = "retries that are always allowed"),
	CONF_END
};

static const char *const grpc_words[] = { "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable", NULL };

static const struct conf_item retry_rows[] = {
	CONF_ITEM(struct route_retry, attempts, "attempts", INT, .max = RETRIES_MAX, .dflt = "0",
		  .help = "tries beyond the first; each goes to another endpoint while there is one"),
	CONF_ITEMS(struct route_retry, on, "on", ENUM, uint8_t, .names = retry_on_names,
		   .help = "none: connect-failure, refused-stream, reset-before-request, which are always safe"),
	CONF_ITEMS(struct route_retry, codes, "codes", STRING, struct slice, .check = check_status_range,
		   .help = "statuses such as 503 or 500-599 that are tried again"),
	CONF_ITEMS(struct route_retry, grpc, "grpcStatus", ENUM, uint8_t, .names = grpc_words,
		   .help = "statuses of gRPC that are tried again; the same words may stand in `on`"),
	CONF_ITEM(struct route_retry, backoff_ns, "backoff", DURATION, .max = CONF_HOURS_MAX, .dflt = "25ms",
		  .help = "the first pause is drawn from zero to it, each further one from twice as much"),
	CONF_ITEM(struct route_retry, max_backoff_ns, "maxBackoff", DURATION, .max = CONF_HOURS_MAX, .dflt = "250ms",
		  .help = "the longest pause"),
	CONF_ITEM(struct route_retry, budget, "budget", STRUCT, .rows = budget_rows, .help = "so that retries do not make it worse"),
	CONF_END
};

static const char *const lifetime_words[] = { "Permanent", "Session", NULL };
static const char *const secure_words[] = { "auto", "true", "false", NULL };
static const char *const same_site_words[] = { "unset", "Lax", "Strict", "None", NULL };

static const struct conf_item cookie_rows[] = {
	CONF_ITEM(struct route_cookie, name, "name", STRING, .required = true, .max = 256, .check = check_token, .help = "of the cookie"),
	CONF_ITEM(struct route_cookie, ttl_ns, "ttl", DURATION, .max = CONF_HOURS_MAX, .dflt = "0s",
		  .help = "a client without the cookie gets one for so long; 0s: it does not, unless lifetimeType is Session"),
	CONF_ITEM(struct route_cookie, lifetime, "lifetimeType", ENUM, .names = lifetime_words, .dflt = "Permanent",
		  .help = "Session: a client without the cookie gets one until it ends, without a ttl"),
	CONF_ITEM(struct route_cookie, path, "path", STRING, .max = 1024, .check = check_cookie_path, .dflt = "/",
		  .help = "Path of a cookie that is made"),
	CONF_ITEM(struct route_cookie, secure, "secure", ENUM, .names = secure_words, .dflt = "auto",
		  .help = "Secure of a cookie that is made; auto: when the client came by TLS"),
	CONF_ITEM(struct route_cookie, http_only, "httpOnly", BOOL, .dflt = "true", .help = "HttpOnly of a cookie that is made"),
	CONF_ITEM(struct route_cookie, same_site, "sameSite", ENUM, .names = same_site_words, .dflt = "unset",
		  .help = "SameSite of a cookie that is made; unset: the browser's own rule; None wants Secure"),
	CONF_END
};

static const struct conf_item hash_rows[] = {
	CONF_ITEM(struct route_hash, header, "header", STRING, .max = 256, .check = check_token, .help = "name of a header"),
	CONF_ITEM(struct route_hash, cookie, "cookie", STRUCT, .rows = cookie_rows, .check = check_cookie, .help = "a cookie"),
	CONF_ITEM(struct route_hash, param, "queryParam", STRING, .max = 256, .check = check_token, .help = "name of a parameter"),
	CONF_ITEM(struct route_hash, source_ip, "sourceIP", BOOL, .dflt = "false", .help = "true: the client's address"),
	CONF_ITEM(struct route_hash, terminal, "terminal", BOOL, .dflt = "false",
		  .help = "true: found, the ones behind it are not asked"),
	CONF_END
};

static const struct conf_item argument_rows[] = {
	CONF_ITEM(struct route_argument, name, "name", STRING, .max = 256, .help = "of the member, where the body is an object"),
	CONF_ITEM(struct route_argument, type, "type", STRING, .required = true, .max = 512, .check = check_java_type,
		  .help = "as Java declares it: int, java.lang.String, long[], com.x.Order; without parameters in <>"),
	CONF_END
};

static const struct conf_item call_rows[] = {
	CONF_LINE_ITEM(struct route_call, line),
	CONF_ITEM(struct route_call, service, "service", STRING, .max = 1024, .check = check_java_name, .help = "the interface"),
	CONF_ITEM(struct route_call, version, "version", STRING, .max = 256, .help = "of the service; not given: none, with bolt 1.0"),
	CONF_ITEM(struct route_call, group, "group", STRING, .max = 256, .help = "of the service, with bolt its uniqueId; not given: none"),
	CONF_ITEM(struct route_call, method, "method", STRING, .max = 256, .check = check_java_name, .help = "that is called"),
	CONF_ITEMS(struct route_call, arguments, "arguments", STRUCT, struct route_argument, .rows = argument_rows,
		   .help = "in their order; the body is an array of them, or an object with their names"),
	CONF_ITEM(struct route_call, body_bytes, "bodyBytes", SIZE, .min = 1024, .max = RPC_BODY_MOST, .dflt = "60KiB",
		  .help = "of the JSON, which is collected whole; more: status 413. Calls of more than 64 KiB are not tried again"),
	CONF_END
};

static const struct conf_item rule_rows[] = {
	CONF_ITEMS(struct route_conf_rule, matches, "matches", STRUCT, struct route_matches, .rows = match_rows,
		   .help = "one of them holds; none: every request"),
	CONF_ITEMS(struct route_conf_rule, filters, "filters", STRUCT, struct route_filter, .rows = filter_rows,
		   .help = "what is changed, in this order"),
	CONF_ITEMS(struct route_conf_rule, backends, "backends", STRUCT, struct route_to, .rows = route_backend_rows,
		   .help = "clusters that take the requests"),
	CONF_ITEM(struct route_conf_rule, timeouts, "timeouts", STRUCT, .rows = timeouts_rows, .help = "how long things may take"),
	CONF_ITEM(struct route_conf_rule, retry, "retry", STRUCT, .rows = retry_rows, .help = "what is tried again"),
	CONF_ITEMS(struct route_conf_rule, hash, "hash", STRUCT, struct route_hash, .rows = hash_rows, .check = check_hash,
		   .help = "what ring-hash and maglev go by, all that is found"),
	CONF_ITEMS(struct route_conf_rule, upgrades, "upgrades", ENUM, uint8_t, .names = upgrade_words,
		   .help = "protocols that a client may change to; not given: websocket"),
	CONF_ITEM(struct route_conf_rule, rpc, "rpc", STRUCT, .rows = call_rows,
		  .help = "the method that a request with JSON calls, of backends with protocol bolt or dubbo (docs/rpc.md)"),
	CONF_END
};

#define HOSTS_ROW                                                                                                      \
	CONF_ITEMS(struct route_conf, hosts, "hosts", STRING, struct slice, .max = NAME_MAX_BYTES + 6, .check = check_host, \
		   .help = "host names it is for, `*.example` too; none: any")
#define RULES_ROW                                                                                                      \
	CONF_ITEMS(struct route_conf, rules, "rules", STRUCT, struct route_conf_rule, .rows = rule_rows, .required = true,  \
		   .check = check_rule,                                                                                \
		   .help = "the most specific match counts: exact path, longest prefix, method, headers, parameters, order")

const struct conf_item fact_route_rows[] = {
	CONF_ITEM(struct route_conf, name, "name", STRING, .required = true, .max = NAME_MAX_BYTES, .check = check_fact_name,
		  .help = "unique over all registries"),
	HOSTS_ROW, RULES_ROW, CONF_END
};

const struct conf_item route_inline_rows[] = { HOSTS_ROW, RULES_ROW, CONF_END };
