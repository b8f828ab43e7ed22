/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a stream share: its steps, one for each state, and how it moves between them. */
#pragma once
#include "proxy/chain.h"
#include "proxy/stream.h"

#define stream_MAGIC 0x57ea4001u
#define STREAM_DRAIN_MAX (1u << 20)             /* bytes of a request that are read and dropped behind its answer */

#define STREAM_STEP_(NAME, name) enum stream_state step_##name(struct stream *s);
STREAM_STATES(STREAM_STEP_)
#undef STREAM_STEP_

/* The next state, also from a callback while a step is running. stream_run() follows. */
void stream_go(struct stream *s, enum stream_state to);
/* An answer of our own, with flag and detail; REPLY, or DONE with the answer cut off where one was begun. */
enum stream_state stream_say(struct stream *s, int status, enum stream_flag f, const char *detail);
/* This try has failed without an answer: BACKOFF, or what stream_say() gives. */
enum stream_state stream_try_failed(struct stream *s, enum retry_cause cause, bool unsent, int status, enum stream_flag f,
				    const char *detail);

/* maxConnections is reached: QUEUE, from there CONNECT when there may be one; or what stream_say() gives. lonely: cluster_wait.lonely */
enum stream_state stream_wait_conn(struct stream *s, bool lonely);

/* ---- with filters (chain.h) ---- */

/* The rule is known, and no filter is in the way any more: where it goes on. */
enum stream_state stream_routed(struct stream *s);
/* The head is another one: BLOCKED with the rule that it meets now, or what stream_say() gives. */
enum stream_state stream_look_up_again(struct stream *s);
void stream_choose(struct stream *s);           /* the backend, where the rule has some */
void stream_continue(struct stream *s);         /* somebody reads the body: 100 is said, if it is waited for */
bool stream_granted(const struct stream *s);    /* the upgrade that the client offered */

/* Its last byte came, and no filter holds any. */
static inline bool stream_request_whole(const struct stream *s)
{
	return s->request_end && (!s->chain || chain_whole(s->chain, CHAIN_REQUEST));
}

static inline bool stream_response_whole(const struct stream *s)
{
	return s->response_end && (!s->chain || chain_whole(s->chain, CHAIN_RESPONSE));
}

/* ---- body.c ---- */

/* d becomes the end of a body, without being copied where it is long and the first bytes of in. 0 or -ENOMEM. */
int body_keep(struct buf *body, struct buf *in, struct slice d);
void body_to_host(struct stream *s);            /* what of the request's body the host's codec takes */
void body_to_client(struct stream *s);
void body_credit(struct stream *s);             /* what went on is made up for by the windows of both sides */
