/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/stream_rule.h"

#include "net/addr.h"
#include "weft/str.h"

static bool sni_matches(struct slice pattern, struct slice sni)
{
	if (pattern.n < 2 || pattern.p[0] != '*' || pattern.p[1] != '.')
		return slice_eq_nocase(pattern, sni);
	/* As in a certificate: the star is one label. */
	for (size_t i = 0; i < sni.n; i++) {
		if (sni.p[i] == '.')
			return i && slice_eq_nocase((struct slice){ pattern.p + 1, pattern.n - 1 },
						    (struct slice){ sni.p + i, sni.n - i });
	}
	return false;
}

static bool any_sni(const struct stream_rule *r, struct slice sni)
{
	for (size_t i = 0; i < r->nsnis; i++) {
		if (sni_matches(r->snis[i], sni))
			return true;
	}
	return !r->nsnis;
}

static bool matches(const struct stream_rule *r, const struct net_peer *peer)
{
	if (r->nsources && !addr_in_blocks(&peer->source.ip, r->sources, r->nsources))
		return false;
	if (r->ndestinations && !addr_in_blocks(&peer->original.ip, r->destinations, r->ndestinations))
		return false;
	return (!r->port || r->port == peer->original.port) && any_sni(r, peer->sni);
}

const struct stream_rule *stream_rule_find(const struct listener *l, const struct net_peer *peer)
{
	for (size_t i = 0; i < l->nrules; i++) {
		if (matches(&l->rules[i], peer))
			return &l->rules[i];
	}
	return NULL;
}

bool stream_rule_asks_sni(const struct listener *l)
{
	for (size_t i = 0; i < l->nrules; i++) {
		if (l->rules[i].nsnis)
			return true;
	}
	return false;
}

const struct route_backend *stream_rule_backend(const struct stream_rule *r, uint64_t rnd)
{
	uint64_t total = 0;

	for (size_t i = 0; i < r->nbackends; i++)
		total += r->backends[i].weight;
	if (!total)
		return NULL;
	rnd %= total;
	for (size_t i = 0; i < r->nbackends; i++) {
		if (rnd < r->backends[i].weight)
			return &r->backends[i];
		rnd -= r->backends[i].weight;
	}
	return NULL;
}
