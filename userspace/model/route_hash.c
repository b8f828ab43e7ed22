/* SPDX-License-Identifier: Apache-2.0 */
/* Hash policies of a rule: what of a request says to which host it belongs. */
#include <errno.h>
#include <stdio.h>
#include "base/hash.h"
#include "base/rand.h"
#include "model/rewrite.h"
#include "model/router_priv.h"
#include "weft/str.h"

/* RFC 6265 4.1.1 */
static struct slice cookie_new(struct matcher *mt, struct msg *m, const struct hash_policy *p, bool tls, struct slice *set)
{
	static const char *const same_site[] = { "", "; SameSite=Lax", "; SameSite=Strict", "; SameSite=None" };
	bool secure = p->secure == COOKIE_SECURE_ALWAYS || (p->secure == COOKIE_SECURE_TLS && tls);
	size_t room = p->name.n + p->path.n + 128, n;
	char *text = msg_alloc(m, room), life[32] = "";

	if (!text)
		return (struct slice){ NULL, 0 };
	if (!p->session)
		snprintf(life, sizeof(life), "; Max-Age=%u", p->ttl_s);
	n = (size_t)snprintf(text, room, "%.*s=%016llx%s; Path=%.*s%s%s%s", SLICE_ARG(p->name), (unsigned long long)rand_u64(&mt->rand),
			     life, (int)(p->path.n ? p->path.n : 1), p->path.n ? p->path.p : "/", secure ? "; Secure" : "",
			     p->http_only ? "; HttpOnly" : "", same_site[p->same_site]);
	*set = (struct slice){ text, n };
	return (struct slice){ text + p->name.n + 1, 16 };
}

static struct slice policy_text(const struct route_hit *hit, size_t i, struct matcher *mt, struct msg *m,
				const struct ip *client)
{
	const struct hash_policy *p = &hit->rule->hash[i];

	if (p->kind == HASH_SOURCE_IP)
		return (struct slice){ (const char *)client->b, sizeof(client->b) };
	return matcher_find(mt, hit->router, m, hit->compiled->hash_wants[i]);
}

int route_hash(const struct route_hit *hit, struct matcher *mt, struct msg *m, const struct ip *client, bool tls,
	       struct route_hash *out)
{
	*out = (struct route_hash){ 0 };
	if (!hit->rule->nhash)
		return 0;
	matcher_begin(mt, hit->router);
	for (size_t i = 0; i < hit->rule->nhash; i++) {
		const struct hash_policy *p = &hit->rule->hash[i];
		struct slice text = policy_text(hit, i, mt, m, client);

		if (!text.p && p->kind == HASH_COOKIE && (p->ttl_s || p->session) && !out->set_cookie.n) {
			text = cookie_new(mt, m, p, tls, &out->set_cookie);
			if (!text.p)
				return -ENOMEM;
		}
		if (!text.p)
			continue;
		/* Turned by one bit, so that the same text in two policies does not cancel out. */
		out->value = (out->value << 1 | out->value >> 63) ^ hash_bytes(text, HASH_STABLE);
		out->has = true;
		if (p->terminal)
			break;
	}
	return 0;
}
