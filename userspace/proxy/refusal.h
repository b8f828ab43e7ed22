/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients sent that cannot be read, or was not looked at to its end: counted by why, and said in the log once a second
 * at most, with --log-level debug each time. One worker.
 */
#pragma once
#include "weft/net_filter.h"
#include "weft/proto.h"

struct http;

/* A client's connection ends for what it sent. why, detail: the codec's; detail NULL: why says it. now: of the loop. */
const char *refusal_text(enum proto_why why);
void refusal_note(struct http *h, const char *listener, const struct net_peer *peer, enum proto_why why, const char *detail,
		  uint64_t now_ns);
/* An expression of this route was given up at a bound: it counts as one that does not match. */
void refusal_gave_up(struct http *h, struct slice route, const struct net_peer *peer, uint64_t now_ns);
