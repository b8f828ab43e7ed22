/* SPDX-License-Identifier: Apache-2.0 */
/* Hash policies of a rule: what of a request says to which host it belongs. */
#include <errno.h>
#include <stdio.h>
#include "base/hash.h"
#include "base/rand.h"
#include "model/rewrite.h"
#include "model/router_priv.h"
#include "weft/str.h"

static struct slice cookie_new(struct matcher *mt, struct msg *m, const struct hash_policy *p, struct slice *set)
{
	char value[17], life[32];
	size_t n, nlife;
	char *text;

	n = (size_t)snprintf(value, sizeof(value), "%016llx", (unsigned long long)rand_u64(&mt->rand));
	nlife = (size_t)snprintf(life, sizeof(life), "; Max-Age=%u", p->ttl_s);
	text = msg_alloc(m, p->name.n + 1 + n + nlife + sizeof("; Path=/; HttpOnly"));
	if (!text)
		return (struct slice){ NULL, 0 };
	set->p = text;
	set->n = (size_t)sprintf(text, "%.*s=%s%s; Path=/; HttpOnly", SLICE_ARG(p->name), value, life);
	return (struct slice){ text + p->name.n + 1, n };
}

static struct slice policy_text(const struct route_hit *hit, size_t i, struct matcher *mt, struct msg *m,
				const struct ip *client)
{
	const struct hash_policy *p = &hit->rule->hash[i];

	if (p->kind == HASH_SOURCE_IP)
		return (struct slice){ (const char *)client->b, sizeof(client->b) };
	return matcher_find(mt, hit->router, m, hit->compiled->hash_wants[i]);
}

int route_hash(const struct route_hit *hit, struct matcher *mt, struct msg *m, const struct ip *client,
	       struct route_hash *out)
{
	*out = (struct route_hash){ 0 };
	if (!hit->rule->nhash)
		return 0;
	matcher_begin(mt, hit->router);
	for (size_t i = 0; i < hit->rule->nhash; i++) {
		const struct hash_policy *p = &hit->rule->hash[i];
		struct slice text = policy_text(hit, i, mt, m, client);

		if (!text.p && p->kind == HASH_COOKIE && p->ttl_s && !out->set_cookie.n) {
			text = cookie_new(mt, m, p, &out->set_cookie);
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
