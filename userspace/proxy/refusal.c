/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/refusal.h"

#include <stdio.h>

#include "net/addr.h"
#include "proxy/http.h"
#include "weft/log.h"
#include "weft/str.h"

static const char *const whys[PROTO_WHY_COUNT] = {
#define PROTO_WHY_TEXT_(NAME, text, status, again) text,
	PROTO_WHYS(PROTO_WHY_TEXT_)
#undef PROTO_WHY_TEXT_
};

const char *refusal_text(enum proto_why why)
{
	return whys[why];
}

/* At once, or only for who looks closely. */
static void say(struct calm *c, uint64_t now_ns, const char *subject, const char *words)
{
	unsigned held;

	if (calm_may(c, now_ns, &held))
		log_info(subject, "%s (%u more in the seconds before)", words, held);
	else
		log_debug(subject, "%s", words);
}

static _Atomic uint64_t *counter(struct http_stat *s, enum proto_why why)
{
	switch (why) {
	case PROTO_TOO_LARGE:
	case PROTO_HEAD_TOO_LARGE:
		return &s->malformed_large;
	case PROTO_UNSUPPORTED:
		return &s->malformed_unsupported;
	case PROTO_ABUSE:
	case PROTO_OVERLOAD:
		return &s->malformed_abuse;
	default:
		return &s->malformed_syntax;
	}
}

void refusal_note(struct http *h, const char *listener, const struct net_peer *peer, enum proto_why why, const char *detail,
		  uint64_t now_ns)
{
	char from[ADDR_TEXT_MAX], words[256];

	stat_add(&h->stat.malformed, 1);
	stat_add(counter(&h->stat, why), 1);
	snprintf(words, sizeof(words), "client %s: %s", addr_text(&peer->source, from), detail ? detail : whys[why]);
	say(&h->malformed, now_ns, listener, words);
}

void refusal_gave_up(struct http *h, struct slice route, const struct net_peer *peer, uint64_t now_ns)
{
	char from[ADDR_TEXT_MAX], words[512];

	snprintf(words, sizeof(words), "route %.*s: an expression is given up at its bound, for a request of client %s",
		 (int)(route.n < 300 ? route.n : 300), route.p, addr_text(&peer->source, from));
	say(&h->gave_up, now_ns, "routes", words);
}
