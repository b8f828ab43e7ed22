/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 for the Admin API, on the agent's loop: GET, HEAD and POST without a body, keep-alive, bounded in connections, header bytes and
 * idle time. Listens on a unix socket (mode 0600) and on loopback TCP. A TCP request must name loopback or localhost in
 * Host, so that a web page cannot reach it by rebinding a name. Parsed by llhttp in strict mode (RFC 9112).
 */
#pragma once
#include "base/list.h"
#include "event/timer.h"
#include "weft/buf.h"
#include "weft/err.h"
#include "weft/stat.h"

#define HTTP_SERVER_STATS(X)                                                                                           \
	X(COUNTER, requests, "requests answered by the Admin API")                                                     \
	X(COUNTER, refused, "requests refused as malformed, too large or not allowed")                                 \
	X(COUNTER, connections_refused, "connections closed because too many were open")                               \
	X(GAUGE, connections, "open connections of the Admin API")
STAT_DECLARE(admin_stat, HTTP_SERVER_STATS);

struct http_request {
	struct slice path;                      /* decoded by nobody: paths of the Admin API are plain ASCII */
	struct slice query;                     /* after '?', may be empty */
	bool post;                              /* over the unix socket only, without a body; else GET or HEAD */
};

struct http_response {
	int status;                             /* 200 unless the handler says otherwise */
	const char *type;                       /* "application/json" unless the handler says otherwise */
	const char *allow;                      /* with status 405: methods; NULL: "GET, HEAD" */
	struct buf body;
};

typedef void http_handler(void *arg, const struct http_request *rq, struct http_response *rs);

struct http_server {
	struct loop *loop;
	http_handler *handler;
	void *arg;
	struct loop_io unix_io, tcp_io;
	struct timer rest;                      /* armed while no descriptor is left to accept with */
	char unix_path[108];
	struct list conns;
	unsigned nconns, ntcp;                  /* all of them; those over TCP */
	uint64_t head_ns;                       /* a request's line and headers are there by then, or it is refused (408) */
	struct admin_stat stat;
};

/*
 * Either address may be empty: unix_path a path (a stale socket is replaced, a live one is an error), tcp "ip:port" of
 * loopback. 0 or -errno with words.
 */
int http_server_open(struct http_server *s, struct loop *l, const char *unix_path, const char *tcp, http_handler *fn,
		     void *arg, struct err *e);
void http_server_close(struct http_server *s);  /* accepts a zeroed server */
/* Serves a connection that is there already (non-blocking stream socket). tcp: its Host must be local. */
void http_server_take(struct http_server *s, int take_fd, bool tcp);
/* Value of NAME in "a=1&b=2", percent-decoded into out (NUL-terminated, cut at size); false: absent. */
bool http_query(struct slice query, const char *name, char *out, size_t size);
