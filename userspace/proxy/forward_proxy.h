/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listener of protocol "http-proxy": for applications with http_proxy set. The request names the service itself, by an
 * absolute URL or by CONNECT: its host is the service's name, its port one of the service's.
 */
#pragma once
#include "proxy/stream.h"

struct listener;

/*
 * The rule, or the cluster of the port where the service has no routes, into s->hit or s->backend. STREAM_BLOCKED: found;
 * else where to go on with an answer of our own: no such service, or a request that came through here before.
 */
enum stream_state forward_proxy_route(struct stream *s);
/* Via (RFC 9110 7.6.3), by which that is noticed. 0 or -ENOMEM. */
int forward_proxy_sign(struct stream *s);
/* Its value, which no other process has. Hosts read it, so it is nothing that has to stay unknown, such as hash_seed(). Any thread. */
struct slice forward_proxy_signature(void);
