/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's connection whose answers are frames that nothing may come between (PROTO_NEEDS_LENGTH), or come one by one: whose
 * answer is being written, and who waits behind it; and what of its requests lies here, where no window bounds it. It lies in
 * front of the state of the connection's codec, so connections of other protocols pay nothing. One worker.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/list.h"
#include "weft/proto.h"

struct stream;

struct turns {
	_Alignas(16) struct stream *talking;    /* NULL: between two frames */
	struct list waiting;                    /* by stream.turn_node, as the next */
	struct list leaving;                    /* whose answer is written, and not with the socket yet */
	size_t held;                            /* bytes of requests' bodies that did not go on yet */
	bool full;                              /* so many that nothing is read */
	bool clogged;                           /* nothing is read until the client has taken some of its answers */
	bool passing;
};

#define TURNS_HELD_HIGH (1u << 20)
#define TURNS_HELD_LOW (TURNS_HELD_HIGH / 2)
#define TURNS_OUT_HIGH (256u << 10)             /* bytes of answers that the client does not take, before it is clogged */
#define TURNS_OUT_LOW (TURNS_OUT_HIGH / 2)

static inline bool turns_wanted(const struct proto_ops *ops)
{
	return ops->flags & PROTO_NEEDS_LENGTH || (ops->flags & (PROTO_RPC | PROTO_MULTIPLEX)) == PROTO_RPC;
}
/* Zeroed state of such a codec, behind its turns; NULL: out of memory. */
void *turns_new(const struct proto_ops *ops);
void turns_free(void *state);
static inline struct turns *turns_of(void *state)
{
	return (struct turns *)state - 1;
}

/* May s write its answer now? Then nobody else does until it is passed on. Else stream_run(s) comes. */
bool turns_take(struct turns *t, struct stream *s);
void turns_pass(struct turns *t, struct stream *s); /* s leaves; accepts one without the turn */
void turns_written(struct turns *t, struct stream *s); /* its answer is */
