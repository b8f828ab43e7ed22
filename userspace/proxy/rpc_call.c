// SPDX-License-Identifier: Apache-2.0
#include "proxy/rpc_call.h"

#include "base/protocols.h"
#include "proxy/downstream.h"
#include "proxy/json_call.h"
#include "proxy/stream_priv.h"
#include "proxy/upstream.h"
#include "weft/str.h"

bool rpc_call_speaks(struct stream *s, struct slice cluster_protocol)
{
	const struct proto_ops *own = rpc_call(s) ? s->info.proto : NULL;

	s->rpc = cluster_protocol.n ? protocol_rpc(cluster_protocol) : own;
	if (json_call(s))
		return json_call_speaks(cluster_protocol);
	return s->rpc == own;
}

bool rpc_call_collects(const struct stream *s)
{
	return s->rpc && s->rpc->flags & PROTO_NEEDS_LENGTH && !stream_request_whole(s) && !rpc_call_long(s);
}

bool rpc_call_waits(struct stream *s)
{
	struct turns *t = downstream_turns(s->down);
	const struct msg *m = &s->response;

	if (!t)
		return false;
	if (s->state == STREAM_RESPOND && !s->response_end && m->body_len >= 0 && m->body_len <= (int64_t)RPC_COLLECT_MAX)
		return true;
	return !turns_take(t, s);
}

bool rpc_oneway_gone(struct stream *s)
{
	const struct leg *l = s->up ? &s->up->leg : NULL;

	if (!s->request_sent || !l)
		return false;
	if (!s->counted) {
		s->counted = true;
		s->flush_at = l->written + (uint32_t)l->codec.out.len;
	}
	if ((int32_t)(l->written - s->flush_at) >= 0)
		return true;
	upstream_tell_sent(s);
	return false;
}
