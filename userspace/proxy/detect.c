// SPDX-License-Identifier: Apache-2.0
#include "proxy/detect.h"

#include "base/protocols.h"
#include "proto/http1.h"
#include "proto/http2.h"
#include "weft/str.h"

static bool declares_http(const struct listener *l)
{
	return slice_eq_str(l->protocol, "http") || slice_eq_str(l->protocol, "http-proxy");
}

static bool is_http(const struct proto_ops *p)
{
	return p == &proto_http1 || p == &proto_http2;
}

static bool also_takes(const struct listener *l, const struct proto_ops *p)
{
	if (slice_eq_str(l->protocol, "auto"))
		return true;
	for (size_t i = 0; i < l->ndetect; i++)
		if (is_http(p) ? slice_eq_str(l->detect[i], "http") : slice_eq_str(l->detect[i], p->name))
			return true;
	return false;
}

bool detect_takes(const struct listener *l, const struct proto_ops *p)
{
	bool declared = is_http(p) ? declares_http(l) : protocol_rpc(l->protocol) == p;

	return declared || also_takes(l, p);
}

bool detect_any(const struct listener *l)
{
	return declares_http(l) || protocol_rpc(l->protocol) || slice_eq_str(l->protocol, "auto");
}

const struct proto_ops *detect_settled(const struct listener *l, struct slice alpn)
{
	if (slice_eq_str(alpn, "h2"))
		return &proto_http2;
	if (alpn.n)
		return protocol_alpn(alpn) ? protocol_alpn(alpn) : &proto_http1;
	return l->ndetect ? NULL : protocol_rpc(l->protocol);
}

/* One that cannot be told by its bytes is taken only where it is declared. */
static enum proto_match sniff(const struct proto_ops *p, struct slice head)
{
	size_t need = head.n;

	return p->sniff ? p->sniff(head, &need) : PROTO_NO;
}

static enum proto_match among(const struct listener *l, struct slice head, const struct proto_ops *first,
			      const struct proto_ops **out)
{
	enum proto_match m = first ? sniff(first, head) : PROTO_NO;

	*out = first;
	for (const struct proto_ops *const *p = protocols(); m == PROTO_NO && *p; p++) {
		if (*p == first || !also_takes(l, *p))
			continue;
		m = sniff(*p, head);
		*out = *p;
	}
	return m;
}

/* What is of none is for the declared protocol to refuse, in its own words. */
enum proto_match detect_protocol(const struct listener *l, struct buf *in, const struct proto_ops **out)
{
	struct slice head = buf_pull(in, in->len < DETECT_BYTES ? in->len : DETECT_BYTES);
	bool http = l && declares_http(l);
	const struct proto_ops *declared = http ? &proto_http1 : l ? protocol_rpc(l->protocol) : NULL;
	enum proto_match m;

	if (!l || !head.p)
		return PROTO_NO;
	m = among(l, head, http ? &proto_http2 : declared, out);
	if (m != PROTO_NO || !declared)
		return m;
	*out = declared;
	return PROTO_YES;
}
