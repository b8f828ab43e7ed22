/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request from its first byte to its last: docs/proxy.md has the states. It finishes on the snapshot it was routed
 * with. Both ends are lent to it: the client's connection for as long as it lives, a host's for one try. Taken from the
 * worker's free ones and given back, with its arena and its armed timer. One worker.
 */
#pragma once
#include "base/arena.h"
#include "base/list.h"
#include "event/timer.h"
#include "model/router.h"
#include "proto/grpc_web.h"
#include "proxy/cluster.h"
#include "proxy/retry.h"
#include "weft/filter.h"

struct chain;
struct downstream;
struct hold;
struct relay_pipe;
struct upstream;
struct worker;

#define STREAM_STATES(X)                                                                                               \
	X(HEAD, head) X(ROUTE, route) X(FILTER, filter) X(PICK, pick) X(QUEUE, queue) X(CONNECT, connect) X(SEND, send) X(WAIT, wait)                    \
	X(BACKOFF, backoff) X(RESPOND, respond) X(RELAY, relay) X(REPLY, reply) X(TUNNEL, tunnel) X(FLUSH, flush)      \
	X(DONE, done)
enum stream_state {
#define STREAM_STATE_ENUM_(NAME, name) STREAM_##NAME,
	STREAM_STATES(STREAM_STATE_ENUM_)
#undef STREAM_STATE_ENUM_
	STREAM_STATE_COUNT,
	STREAM_BLOCKED = STREAM_STATE_COUNT     /* a step's word for "I stay" */
};

struct stream {
	/* What outlives a request, until give_back()'s boundary. */
	struct worker *w;
	struct arena arena;
	struct timer timer;                     /* may be armed for earlier than due_ns: then it is armed again */
	uint64_t due_ns;                        /* UINT64_MAX: never */
	struct msg request, response, extra, request_trailers; /* each zeroed where it begins; extra: 1xx, trailers */

	unsigned magic;
	uint8_t state;                          /* enum stream_state */
	uint8_t jump;                           /* where the running step's callbacks want to go; STREAM_BLOCKED: nowhere */
	uint8_t flagged_in;                     /* state at the first flag */
	bool running;                           /* a step is: others may not begin one */
	bool inner;                             /* a call-out: its client is an extension (callout.h) */
	bool request_end, request_sent;         /* its last byte came; was given to the host's codec */
	bool request_trailed, response_trailed; /* trailers came, and wait for the body before them */
	bool request_full, response_full;       /* reading stopped at LEG_HIGH */
	bool body_sent;                         /* a host's codec was given some of the request's body */
	bool response_begun;                    /* its head came from the host, in this try */
	bool response_said;                     /* some head of an answer was given to the client's codec */
	bool response_end, response_sent;
	bool client_opaque, host_opaque;        /* that side's codec has let go, or says that its stream is bytes */
	bool client_eof, host_eof;              /* as a tunnel: FIN came, */
	bool client_shut, host_shut;            /* was passed on to that side */
	bool continued;                         /* 100 was said to the client */
	bool close;                             /* the client's connection ends with this answer */
	bool cut;                               /* the answer could not be ended */
	uint8_t cut_why;                        /* enum proto_why, of one of many streams; 0: PROTO_CLOSED */
	bool responding;                        /* what the rule changes in an answer is changed */
	bool reply_begun;                       /* response is the answer of our own */
	bool draining;                          /* it is out, and the rest of the request is dropped so that the next one is found */
	bool tunnel;                            /* CONNECT that ends here: the host's connection is bytes from the start */
	bool flushing;                          /* FLUSH waits for the codec to serialise */
	bool serialised;                        /* it has: flush_at is known */
	bool picked;                            /* pick_done() is due */
	bool json_answered;                     /* of a call with JSON: the answer was made that */
	uint8_t web;                            /* enum grpc_kind of its answer, for gRPC-Web */
	bool web_text;                          /* its body comes as base64 */
	struct grpc_web_text web_in;            /* of that body */
	struct list node;                       /* of the downstream's, or of the worker's free ones */
	struct downstream *down;                /* NULL: the client is gone */
	uint64_t down_id;
	size_t unconsumed;                      /* bytes of the request's body for which the client got no new window */
	uint32_t flush_at;                      /* leg.written of the client's when the answer is out; of a oneway the host's */
	bool counted;                           /* of a oneway in this try: flush_at is known */
	struct upstream *up;                    /* of this try; NULL: none */
	uint64_t up_id;
	bool up_reused;                         /* it was open before */
	bool up_waits;                          /* it carries many, and is being opened, or clogged */
	struct list up_node, up_told;           /* upstream_many's, as the three below */
	struct stream *up_next;
	struct list turn_node;                  /* turns' */
	uint64_t up_mark;
	size_t up_unconsumed;                   /* bytes of the answer's body for which the host got no new window */
	struct hold *hold;
	const struct listener *listener;        /* of that snapshot: the worker's newest may not have it any more */
	struct buf request_body, response_body; /* decoded, not taken by the other codec yet */
	struct chain *chain;                    /* its filters; NULL: it has none */
	const struct router *router;
	struct route_hit hit;                   /* rule NULL: none */
	const struct route_backend *backend;
	const struct proto_ops *rpc;            /* spoken with its hosts; NULL: HTTP */
	struct msg *call;                       /* of a call with JSON: what hosts are told instead of the request; NULL: not yet */
	struct slice client_proto;              /* "http" or "https", as the client spoke to the first trusted hop */
	struct slice set_cookie;                /* the response shall have it; empty: none */
	struct cluster_ask ask;
	struct pick pick;
	struct net_addr host_addr;              /* of the last one picked; port 0: none */
	uint32_t cluster_slot;                  /* of the last one picked from */
	struct cluster_wait wait;
	struct retry retry;
	struct proto_reply reply;               /* an answer of our own, status 0: none; its slices live in the arena, or are static */
	struct slice location;                  /* of that answer, when it is a redirect */
	struct relay_pipe *request_pipe, *response_pipe; /* bytes of the body that pass by the codecs; NULL: they do not */
	struct stream_info info;
	uint64_t active_ns;                     /* last byte either way */
	uint64_t try_ns, wake_ns;               /* this try began; BACKOFF, or draining, ends */
	uint64_t drained;                       /* bytes of the request that came behind the answer's end */
};

/* ---- from the client's side --------------------------------------------------------------------------------- */

struct stream *stream_new(struct downstream *d, uint64_t id); /* NULL: out of memory */
int stream_head(struct stream *s, bool end);    /* s->request is filled; as proto_sink.head */
void stream_data(struct stream *s, struct buf *in, struct slice d, bool end); /* in: as proto_sink.data */
void stream_trailers(struct stream *s);         /* s->request_trailers is filled; the request's end */
void stream_client_gone(struct stream *s, enum stream_flag why, const char *detail);
void stream_client_sent(struct stream *s);      /* the client's connection has room, or all of it is sent */
void stream_client_opaque(struct stream *s);
size_t stream_request_lying(const struct stream *s); /* bytes of its body that came and did not leave */
size_t stream_request_room(struct stream *s); /* bytes of it that may be read now */
/* 4xx before there is anything to route; then the connection closes. */
void stream_refuse(struct stream *s, int status, enum stream_flag flag, const char *detail);

/* ---- from the host's side ----------------------------------------------------------------------------------- */

void stream_up_open(struct stream *s);
void stream_up_failed(struct stream *s, int err); /* connecting did; s->up is NULL now */
struct msg *stream_up_begin(struct stream *s, enum msg_kind kind);
int stream_up_head(struct stream *s, struct msg *m, bool end);
void stream_up_data(struct stream *s, struct buf *in, struct slice d, bool end);
void stream_up_trailers(struct stream *s);
/* It ended before its answer did; the connection is closed by its owner. unsent: the host has not seen a byte. */
void stream_up_reset(struct stream *s, enum proto_why why, bool unsent);
void stream_up_sent(struct stream *s);
void stream_up_opaque(struct stream *s);
/*
 * Whether bytes of the body pass by the codecs now, through a pipe; then nothing of it is to be read otherwise, and the
 * stream may be gone.
 */
bool stream_response_passes(struct stream *s);
bool stream_request_passes(struct stream *s);
size_t stream_response_room(struct stream *s);

/* ---- within proxy/ ------------------------------------------------------------------------------------------ */

void stream_run(struct stream *s);              /* steps as far as it goes */
void stream_flag(struct stream *s, enum stream_flag f, const char *detail); /* the first detail stays */
/* Takes the try's connection away: kept for others when it may be, else closed. Accounts for the pick. */
void stream_end_try(struct stream *s, bool ok);
/* Ends the stream badly: what was said to the client is cut off. */
void stream_abort(struct stream *s, enum stream_flag f, const char *detail);
void stream_deadline(struct stream *s);         /* some time of it has changed */
uint64_t stream_age_ns(const struct stream *s); /* never 0 */
/* Of the time that the caller gave, or the route where that is less; from the request's head. 0: the caller gave none. */
uint64_t stream_caller_ns(const struct stream *s);
void streams_free(struct worker *w);            /* the worker's free ones */
