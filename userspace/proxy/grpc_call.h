/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream that is a gRPC call: what it is known by, its time, its status and how it ends, over HTTP/1.1 as over HTTP/2.
 * docs/grpc.md. Worker.
 */
#pragma once
#include "proxy/stream.h"

static inline bool grpc_call(const struct stream *s)
{
	return s->request.flags & MSG_GRPC;
}

/* The request's head is there. Again where its path has changed before a rule looks. */
void grpc_call_begin(struct stream *s);
/* Before a try: the host is told what is left of the call's time, and how many times it was tried. 0 or -ENOMEM. */
int grpc_call_try(struct stream *s);
void grpc_call_answer(struct stream *s);        /* s->response is there */
void grpc_call_trailers(struct stream *s);      /* s->extra is there, behind it */
/* grpc-status of the answer's head, or what stands for HTTP's; MSG_NO_STATUS: it says that all is well so far. */
int grpc_call_status(const struct stream *s);
/* HTTP's status that stands for what became of the call, as the host has it. An answer came. */
int grpc_call_outcome(const struct stream *s);
/* An error that says nothing to a gRPC client. s->reply becomes what does: true, unless there is no memory. */
bool grpc_call_foreign(struct stream *s);
/* s->response is to be s->reply, as the head that is the whole answer. 0 or -ENOMEM. */
int grpc_call_reply(struct stream *s);
/*
 * The host's answer ends here, in its middle: trailers with the reason of the stream's flags. False: it cannot be said, and
 * the answer is to be cut off.
 */
bool grpc_call_end(struct stream *s, int status, const char *detail);
