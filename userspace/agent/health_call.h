/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One grpc.health.v1.Health/Check or one GET over the project's HTTP/2, or one heartbeat of another protocol, on a connection
 * of its own, from the first byte to the verdict. Only bytes: the connection and the time are the caller's. Agent's loop.
 */
#pragma once
#include "weft/types.h"

struct buf;
struct health_call;
struct proto_ops;

/* NULL: out of memory, or an authority that HTTP/2 cannot say. */
struct health_call *health_call_new(struct slice authority, struct slice service, bool tls);
/* GET path; the head of its answer is the end. */
struct health_call *health_call_get(struct slice authority, struct slice path, bool tls);
struct health_call *health_call_ping(const struct proto_ops *ops); /* one with put_ping; NULL: out of memory */
int health_call_status(const struct health_call *c); /* of the answer to a GET; 0: none came */
void health_call_free(struct health_call *c);   /* accepts NULL */
struct buf *health_call_out(struct health_call *c); /* for the host; what is sent is dropped from it */
/* True: it is over. */
bool health_call_read(struct health_call *c, struct buf *in);
const char *health_call_why(const struct health_call *c); /* what is wrong; NULL: the host says SERVING, or answered */
