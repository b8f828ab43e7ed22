/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/forwarded.h"

#include <errno.h>

#include "base/num.h"
#include "weft/conf.h"
#include "weft/str.h"

/* ---- reading ------------------------------------------------------------------------------------------------ */

struct reader {
	const char *p, *end;
};

static bool is_token(unsigned char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void skip_blanks(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t'))
		r->p++;
}

static bool take(struct reader *r, char c)
{
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static bool token(struct reader *r, struct slice *out)
{
	out->p = r->p;
	while (r->p < r->end && is_token((unsigned char)*r->p))
		r->p++;
	out->n = (size_t)(r->p - out->p);
	return out->n;
}

/* Behind the first quote; what is within is not unescaped: no address needs that. */
static bool quoted(struct reader *r, struct slice *out)
{
	out->p = r->p;
	while (r->p < r->end && *r->p != '"') {
		unsigned char c = (unsigned char)*r->p++;

		if (c == '\\' && r->p == r->end)
			return false;
		if (c == '\\')
			c = (unsigned char)*r->p++;
		if (c != '\t' && (c < ' ' || c == 0x7f))
			return false;
	}
	out->n = (size_t)(r->p - out->p);
	return take(r, '"');
}

static int pair(struct reader *r, struct forwarded_hop *hop, unsigned *seen)
{
	static const struct slice names[] = { SLICE_LIT("for"), SLICE_LIT("proto"), SLICE_LIT("by"), SLICE_LIT("host") };
	struct slice name, value;

	if (!token(r, &name) || !take(r, '=') || !(take(r, '"') ? quoted(r, &value) : token(r, &value)))
		return -EINVAL;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!slice_eq_nocase(name, names[i]))
			continue;
		if (*seen & 1u << i)
			return -EINVAL;
		*seen |= 1u << i;
		if (i == 0)
			hop->node = value;
		else if (i == 1)
			hop->proto = value;
	}
	return 0;
}

static void push(struct forwarded *f, struct forwarded_hop hop)
{
	f->hop[f->n++ % FORWARDED_HOPS] = hop;
}

/* Blanks around ';' are not of the grammar, but some write them. */
static int element(struct reader *r, struct forwarded *f)
{
	struct forwarded_hop hop = { 0 };
	unsigned seen = 0;
	bool any = false;

	do {
		skip_blanks(r);
		if (r->p == r->end || *r->p == ';' || *r->p == ',')
			continue;
		any = true;
		if (pair(r, &hop, &seen))
			return -EINVAL;
		skip_blanks(r);
	} while (take(r, ';'));
	if (any)
		push(f, hop);
	return 0;
}

int forwarded_read(struct forwarded *f, struct slice value)
{
	struct reader r = { value.p, value.p + value.n };

	do {
		if (element(&r, f))
			return -EINVAL;
	} while (take(&r, ','));
	return r.p == r.end ? 0 : -EINVAL;
}

void forwarded_read_xff(struct forwarded *f, struct slice value)
{
	const char *end = value.p + value.n;

	for (const char *p = value.p, *stop; p < end; p = stop + 1) {
		struct slice node;

		stop = memchr(p, ',', (size_t)(end - p));
		stop = stop ? stop : end;
		while (p < stop && (*p == ' ' || *p == '\t'))
			p++;
		node = (struct slice){ p, (size_t)(stop - p) };
		while (node.n && (node.p[node.n - 1] == ' ' || node.p[node.n - 1] == '\t'))
			node.n--;
		if (node.n)
			push(f, (struct forwarded_hop){ .node = node });
	}
}

const struct forwarded_hop *forwarded_back(const struct forwarded *f, size_t i)
{
	return i < f->n && i < FORWARDED_HOPS ? &f->hop[(f->n - 1 - i) % FORWARDED_HOPS] : NULL;
}

/* ---- addresses ---------------------------------------------------------------------------------------------- */

static bool port_of(struct slice text, uint16_t *out)
{
	uint64_t port;

	if (num_u64(text, &port) || port > UINT16_MAX)
		return false;
	*out = (uint16_t)port;
	return true;
}

/* "[...]" with a port or without. */
static bool bracketed(struct slice node, struct net_addr *out)
{
	const char *close = memchr(node.p, ']', node.n);
	size_t n = close ? (size_t)(close - node.p) : 0;
	struct slice rest = { node.p + n + 1, close ? node.n - n - 1 : 0 };

	if (!close || ip_parse((struct slice){ node.p + 1, n - 1 }, &out->ip))
		return false;
	return !rest.n || (rest.p[0] == ':' && port_of((struct slice){ rest.p + 1, rest.n - 1 }, &out->port));
}

bool forwarded_addr(struct slice node, struct net_addr *out)
{
	const char *colon = node.n ? memchr(node.p, ':', node.n) : NULL;
	size_t n = colon ? (size_t)(colon - node.p) : node.n;

	*out = (struct net_addr){ 0 };
	if (!node.n)
		return false;
	if (node.p[0] == '[')
		return bracketed(node, out);
	/* One colon is a port's; X-Forwarded-For has IPv6 without brackets, which Forwarded never has. */
	if (colon && !memchr(colon + 1, ':', node.n - n - 1))
		return port_of((struct slice){ colon + 1, node.n - n - 1 }, &out->port) &&
		       !ip_parse((struct slice){ node.p, n }, &out->ip);
	return !ip_parse(node, &out->ip);
}

/* ---- writing ------------------------------------------------------------------------------------------------ */

static char *put(char *out, struct slice s)
{
	if (s.n)
		memcpy(out, s.p, s.n);
	return out + s.n;
}

static char *put_ip(char *out, const struct ip *ip)
{
	static const struct ip none;
	char text[46];

	if (!memcmp(ip, &none, sizeof(none)))
		return put(out, SLICE_LIT("unknown"));
	ip_name(ip, text);
	if (ip_is_v4(ip))
		return put(out, slice_str(text));
	return put(put(put(out, SLICE_LIT("\"[")), slice_str(text)), SLICE_LIT("]\""));
}

static char *put_value(char *out, struct slice s)
{
	size_t plain = 0;

	while (plain < s.n && is_token((unsigned char)s.p[plain]))
		plain++;
	if (plain == s.n)
		return put(out, s);
	*out++ = '"';
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			*out++ = '\\';
		*out++ = s.p[i];
	}
	*out++ = '"';
	return out;
}

size_t forwarded_write(char *out, const struct forwarded_words *w)
{
	char *p = put_ip(put(out, SLICE_LIT("for=")), w->client);

	p = put_ip(put(p, SLICE_LIT(";by=")), w->by);
	if (w->host.n)
		p = put_value(put(p, SLICE_LIT(";host=")), w->host);
	p = put(put(p, SLICE_LIT(";proto=")), w->proto);
	return (size_t)(p - out);
}
