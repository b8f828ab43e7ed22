/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rule that a request met does to it: the request as it goes on, the place of a redirect, the hash that picks a
 * host. New texts lie in the message's arena. -ENOMEM: the stream's limit is reached.
 */
#pragma once
#include "model/router.h"
#include "weft/net_filter.h"

/*
 * Path (the query stays), host, then the rule's request headers. 0, -ENOMEM, -EINVAL: the rule's expression makes no path of
 * this one, or -E2BIG: it reached its bound (both 400: a path that the rule would have changed goes to no host).
 */
int rewrite_request(const struct route_hit *hit, struct matcher *mt, struct msg *m);
const char *rewrite_words(int err); /* of -EINVAL and -E2BIG; NULL: neither */
/* The rule's response headers. 0 or -ENOMEM. */
int rewrite_response(const struct route_hit *hit, struct msg *response);
/*
 * Location for a rule with redirect_status, of the request as it came. Scheme, host, port and path as the Gateway API has
 * them: a scheme that is given brings its own port, else the port asked for stays; 80 and 443 are not written where they
 * go without saying; the query stays. p NULL: out of memory.
 */
struct slice redirect_location(const struct route_hit *hit, struct msg *m);

struct route_hash {
	uint64_t value;                         /* the same on every worker and node */
	bool has;                               /* else no policy found anything to go by */
	struct slice set_cookie;                /* the response shall have it: a new client's value; empty: none */
};
/* By the rule's hash policies, of the request as it came. tls: the client came by TLS. 0 or -ENOMEM (of set_cookie). */
int route_hash(const struct route_hit *hit, struct matcher *mt, struct msg *m, const struct ip *client, bool tls,
	       struct route_hash *out);
