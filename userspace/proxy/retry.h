/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending a request again: the route's conditions, the pause between, the node's budget, and the request's body, of which
 * a copy is kept while it is streamed. Decides only; stream_try.c does.
 */
#pragma once
#include "weft/buf.h"
#include "weft/model.h"
#include "weft/proto.h"

#define RETRY_BODY_MAX (64u << 10)              /* of a request that can be sent again */
#define RETRY_PUSHBACK_MAX_MS 60000             /* a host that asks for a longer pause asks for none */

struct cluster_use;
struct stream;

struct retry {
	uint32_t done;                          /* tries of the policy beyond the first */
	uint32_t before;                        /* tries of the client's own, as a gRPC call says */
	uint32_t pushback_ms;                   /* pause that the host asked for */
	bool pushed;                            /* it did */
	uint8_t connecting;                     /* hosts left because they could not be connected to */
	bool idempotent;
	bool again;                             /* a dead pooled connection was replaced already */
	uint8_t refused, drained;               /* times that a host did not take it; that its connection went away before */
	bool keep;                              /* a copy is kept of the body that hosts are given */
	bool lost;                              /* one was given more than that */
	struct cluster_use *use;                /* cluster_retry_end() is due; NULL: not */
	struct buf body;                        /* its first bytes */
	size_t sent;                            /* of those a host was given in this try */
};

/* What became of a try. */
enum retry_cause { RETRY_CONNECT, RETRY_REFUSED, RETRY_RESET, RETRY_TIMEOUT, RETRY_STATUS };

void retry_start(struct stream *s);             /* the rule is known */
void retry_keep(struct stream *s);              /* s->request_body is about to be given to the codec of s->up, */
void retry_sent(struct stream *s, size_t n);    /* which took so much of it */
/* All of the body that came waits to be sent, again. 0 or -ENOMEM. */
int retry_rewind(struct stream *s);
/* The policy's word. unsent: the host saw nothing of the request. While the pick of the failed try is not done yet. */
bool retry_wanted(struct stream *s, enum retry_cause cause, int status, bool unsent);
uint32_t retry_left(const struct stream *s);
/* Beside the policy, once: may a request that a pooled connection swallowed be sent again? */
bool retry_pooled(struct stream *s, bool unsent);
/* Beside the policy, a few times: may one that a host has not processed, and said so, be sent again? */
bool retry_refused(struct stream *s);
bool retry_drained(struct stream *s);           /* the same of a connection that went away, as others' requests went through */
void retry_keep_from_now(struct stream *s);     /* the host may refuse it after it was given some of the body */
uint64_t retry_pause_ns(struct stream *s);      /* before the try that is `done` now; full jitter, or as the host asked */
void retry_end(struct stream *s);               /* gives back the budget */
void retry_fini(struct stream *s);
