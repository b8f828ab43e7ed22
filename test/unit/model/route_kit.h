/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes and requests for tests, from one line each, and the reference that says which rule a request meets: it looks at
 * everything, sorts nothing beforehand and shares no code with the router.
 *
 *	match:    "path=/a path^/a path~/a.* m=GET svc=S rpc^S id=I h:NAME=V q:NAME~V c:NAME?", conditions in between by blanks
 *	          = exact, ^ prefix, ~ regex, $ suffix, * contains, ? present, ! absent, #LOW..HIGH range
 *	rule:     matches in between by " | "; "" is a rule without any
 *	request:  "METHOD SCHEME://AUTHORITY/PATH", then "|NAME: VALUE" as often as wanted; "|@id=I", "|@svc=S", "|@rpc=S"
 */
#pragma once
#include "base/arena.h"
#include "model/router.h"

#define KIT_RULES 12

struct kit_route {
	const char *name, *hosts;               /* hosts by commas */
	const char *rules[KIT_RULES];           /* NULL ends them */
};

struct route *kit_route(const struct kit_route *text); /* a fact of one's own; fact_drop() */

struct kit_request {
	struct msg m;
	struct slice identity;
};
void kit_request(struct arena *a, const char *text, struct kit_request *out);

/* "route/rule/match" of a hit, "-" for none. out holds 128 bytes. Returns out. */
const char *kit_hit_name(const struct route_hit *hit, char *out);
/* The answer of the reference. */
const char *reference_match(const struct route *const *routes, size_t n, const struct kit_request *q, char *out);
