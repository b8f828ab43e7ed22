/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A browser's gRPC-Web call, which a host gets as gRPC: types and bodies are made into each other as they pass, trailers
 * into the frame that ends the body. Of listeners with grpcWeb. docs/grpc.md. Worker.
 */
#pragma once
#include "weft/types.h"

struct buf;
struct stream;

/* The head is there: is it one? Then it is gRPC from here on. 0 or -ENOMEM. */
int web_call_begin(struct stream *s);
/* Adds a piece of the request's body to s->request_body, as the host gets it. 0, -ENOMEM, -EINVAL: it is no base64. */
int web_call_request(struct stream *s, struct buf *in, struct slice d, bool end); /* in: as proto_sink.data */
int web_call_head(struct stream *s);            /* s->response is as the host said it. 0 or -ENOMEM */
int web_call_data(struct stream *s, struct buf *in, struct slice d); /* adds a piece of the answer's body to s->response_body */
/* s->extra, the trailers, becomes the end of s->response_body. 0 or -ENOMEM. */
int web_call_trailers(struct stream *s);
struct slice web_call_type(const struct stream *s); /* content-type of an answer of our own */
