/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream that is a call of an RPC protocol, or that goes to hosts which speak one: what it does differently from an HTTP
 * request. docs/rpc.md. Worker.
 */
#pragma once
#include "proxy/leg.h"
#include "proxy/stream.h"

#define RPC_COLLECT_MAX LEG_HIGH                /* bytes of a body that are collected before its frame begins */
#define RPC_STREAMS_MAX 10000u                  /* calls under way on one connection */

static inline bool rpc_call(const struct stream *s)
{
	return s->info.proto->flags & PROTO_RPC;
}

static inline bool rpc_oneway(const struct stream *s)
{
	return s->request.kind == MSG_ONEWAY;
}

/* Its host's protocol, by what the cluster says: s->rpc. False: it is another than the caller's. */
bool rpc_call_speaks(struct stream *s, struct slice cluster_protocol);
/* The whole body is to be here before anything goes to a host. */
bool rpc_call_collects(const struct stream *s);
/* Its body is too long for that: no other call may be begun on its connection until it is through. */
static inline bool rpc_call_long(const struct stream *s)
{
	return s->rpc && s->rpc->flags & PROTO_NEEDS_LENGTH && s->request.body_len > (int64_t)RPC_COLLECT_MAX;
}
/* The answer waits: for its end, if it is short, or behind that of another call. */
bool rpc_call_waits(struct stream *s);
/* A oneway call is done: all of it went to the host's socket. */
bool rpc_oneway_gone(struct stream *s);
