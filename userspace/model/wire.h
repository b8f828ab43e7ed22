/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts as a byte stream, agent to proxy. Little-endian frames of {u32 length of what follows, u8 type, body}, the first
 * one WIRE_HELLO with the version; docs/model.md describes the bytes. What is decoded is canonical: encoding it again
 * gives the same bytes. Decoding allocates at most 16 bytes per byte of frame beside the fact's own struct.
 */
#pragma once
#include "model/diff.h"
#include "model/overload.h"
#include "weft/buf.h"
#include "weft/err.h"

#define WIRE_MAGIC 0x74666577u                  /* "weft" */
#define WIRE_VERSION 5
#define WIRE_FRAME_MAX (FACT_BYTES_MAX + 1024)  /* length field */

enum wire_type {
	WIRE_HELLO = 1, WIRE_BEGIN, WIRE_PUT, WIRE_DEL, WIRE_COMMIT, WIRE_SNAPSHOT,
	WIRE_BEAT, WIRE_SOCKET,                 /* each about one descriptor, which came with it (net/handover.h) */
	WIRE_STATE, WIRE_STEER, WIRE_LOG,       /* the latter two as well */
	WIRE_SOCKETS,                           /* and this */
	WIRE_OVERLOAD,
	WIRE_TICKETS,                           /* its descriptor is the page of tickets' keys (net/tlsctx.h) */
	WIRE_TYPES
};

/* Each appends one frame. 0, or -ENOMEM: the stream is broken; put also -EMSGSIZE: nothing was appended. */
int wire_hello(struct buf *b);
int wire_begin(struct buf *b);
int wire_put(struct buf *b, const struct fact *f);
int wire_del(struct buf *b, enum fact_kind kind, struct slice key);
int wire_commit(struct buf *b, uint64_t version);
int wire_snapshot(struct buf *b, uint64_t number); /* "build now, and call it so" */
int wire_beat(struct buf *b);                  /* the heartbeat words' map */
int wire_steer(struct buf *b);                 /* steer_map (kern/steer.h) */
/* The index-th socket of a listener; it takes the place of one of the same name and index. Comes before the snapshot. */
int wire_socket(struct buf *b, struct slice listener, uint32_t index);
int wire_state(struct buf *b, struct slice host_key, uint8_t state); /* HOST_* (overlay.h): of what the agent checks */
/* A file of the access log, "text" or "json"; index 0 takes the place of all there were, others come beside it. */
int wire_log(struct buf *b, struct slice format, uint32_t index);
/* One unbound, unconnected, non-blocking TCP socket of a namespace, made because worker asked (report_want()). */
int wire_sockets(struct buf *b, uint64_t netns, uint32_t worker, uint8_t family); /* AF_INET, AF_INET6 */
int wire_overload(struct buf *b, const struct overload_limits *l);
int wire_tickets(struct buf *b);
/* One transaction that turns d->old into d->now, and its snapshot frame. A new peer: d of (NULL, now), after hello. */
int wire_diff(struct buf *b, const struct diff *d);

size_t wire_size(const struct fact *f);         /* bytes of its put frame */

/* Called in the order of the stream. Negative errno ends decoding and is returned by wire_feed. */
struct wire_sink {
	int (*begin)(void *arg);
	int (*put)(void *arg, struct fact *take_f);
	int (*del)(void *arg, enum fact_kind kind, struct slice key); /* key: for the call only */
	int (*commit)(void *arg, uint64_t version);
	int (*snapshot)(void *arg, uint64_t number);
	int (*beat)(void *arg);
	int (*socket)(void *arg, struct slice listener, uint32_t index); /* listener: for the call only */
	int (*state)(void *arg, struct slice host_key, uint8_t state); /* key: for the call only */
	int (*steer)(void *arg);
	int (*log)(void *arg, struct slice format, uint32_t index); /* format: for the call only */
	int (*sockets)(void *arg, uint64_t netns, uint32_t worker, uint8_t family);
	int (*overload)(void *arg, const struct overload_limits *l); /* l: for the call only */
	int (*tickets)(void *arg);
};

struct wire_decoder {
	const struct wire_sink *sink;
	void *arg;
	bool greeted, open;                     /* hello was seen; between begin and commit */
	int err;                                /* once wrong, stays wrong */
};

void wire_decoder_init(struct wire_decoder *d, const struct wire_sink *sink, void *arg);
/*
 * Consumes the whole frames of b and leaves the rest. 0 or -errno with words: -EPROTO wrong bytes, -EPROTONOSUPPORT
 * another version, -EMSGSIZE frame too long, else what the sink said.
 */
int wire_feed(struct wire_decoder *d, struct buf *b, struct err *e);
