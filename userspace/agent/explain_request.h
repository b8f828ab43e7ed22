/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request that somebody asks about: "?http=GET&url=http://h/p&headers=...", or a call of an RPC protocol: "?rpc=SERVICE&
 * method=METHOD&headers=...", made into the message that the proxy would route, and the router that it would ask.
 */
#pragma once
#include <jansson.h>
#include "agent/http_server.h"
#include "base/arena.h"
#include "model/router.h"
#include "model/snapshot.h"

struct explain_request {
	struct arena arena;
	struct msg m;
	struct slice identity;
	struct ip client;                       /* the client's address, as the proxy takes it */
	bool has_client;                        /* it was said */
	bool rpc;                               /* a call of an RPC protocol */
	const struct router *router;            /* the snapshot's */
	const struct listener *listener;        /* of that router; NULL: a service's */
	json_t *at;                             /* {"listener": ...} or {"service": ...} */
};

/*
 * Words of the query: http METHOD, url, headers ("name: value" by lines), listener NAME, from IDENTITY, client IP. Without listener:
 * the service with routes that the URL's host and port name, else the one HTTP listener with routes, or the one of several
 * on the URL's port; of a call, the one listener of RPC. 0, or -EINVAL with words. Finish it in both cases.
 */
int explain_request_init(struct explain_request *q, const struct snapshot *s, const struct http_request *rq, struct err *e);
void explain_request_fini(struct explain_request *q);
