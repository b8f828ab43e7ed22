/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP/2 connection's codec: the state that its files share. */
#pragma once
#include <nghttp2/nghttp2.h>
#include "base/list.h"
#include "base/magic.h"
#include "proto/http2.h"
#include "weft/str.h"

#define HTTP2_HEAD_MAX 65536u                   /* bytes, decoded (RFC 9113 6.5.2), unless the limits say */
#define HTTP2_HEADERS_MAX 100u
#define HTTP2_TARGET_MAX 16384u
#define HTTP2_STREAMS_MAX 100u
#define HTTP2_STREAM_WINDOW (256u << 10)
#define HTTP2_CONN_WINDOW (1u << 20)
#define HTTP2_CONTROL_MAX 1000u                 /* answers in out that nobody reads */
#define HTTP2_INFO_MAX 16                       /* 1xx before one response */
#define HTTP2_CONTINUATIONS_MAX 8
#define HTTP2_SMALL_WINDOW 64u                  /* bytes: a body in such pieces is an attack */
#define HTTP2_FIRST_CREDIT 16u                  /* WINDOW_UPDATEs before anything was sent or asked */
#define HTTP2_LEARN 256u                        /* requests, of which one tells names that the others only point to */
#define HTTP2_MEMORY_MAX (16u << 20)            /* bytes that nghttp2 may hold for one connection */
#define HTTP2_MAGIC "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#define http2_stream_MAGIC 0x42573ea1u

struct http2_fields;

struct http2_stream {
	unsigned magic;
	int32_t wire;
	uint64_t id;                            /* the sink's: wire << 32 | slot + 1 */
	struct msg *m;                          /* whose head is being read */
	struct buf queue;                       /* taken by put_data, not framed yet */
	struct http2_fields *trailers;          /* behind the queue */
	struct list waits;                      /* put_data took less than it was given */
	int64_t tx_left;                        /* bytes of Content-Length to come; < 0: it was not said */
	uint64_t tx_body;                       /* bytes that put_data took */
	char *text;                             /* room of m's for its next fields: text_left bytes */
	uint64_t head_bytes;                    /* of the head being read, as RFC 9113 6.5.2 counts */
	uint32_t head_lines, text_left;
	uint32_t reset_code;                    /* for reset_after */
	uint32_t slot;
	uint16_t refused;                       /* status for the head being read; 0: none */
	uint8_t infos;                          /* 1xx so far */
	uint8_t upgrade;                        /* enum http2_upgrade */
	bool skip;                              /* the head being read is nobody's */
	bool is_head, no_body;                  /* method HEAD; nothing of the answer's body goes out */
	bool headed;                            /* the answer's final head came, or was put */
	bool peer_end;                          /* END_STREAM came */
	bool rx_end, tx_end;                    /* the sink was told; the core said */
	bool end_sent;                          /* END_STREAM is in out */
	bool small;                             /* the last window was, in which not all could go */
	bool gone;                              /* unknown to the core */
	bool deferred;                          /* nghttp2 waits for more of the body */
	bool ours;                              /* a reset of the core's */
	bool reset_after;                       /* once the answer is sent */
	char key[24];                           /* Sec-WebSocket-Key of the request that went out */
};

enum http2_upgrade { HTTP2_NO_UPGRADE, HTTP2_CONNECT, HTTP2_WEBSOCKET };

/* A head that goes out, or trailers that wait: pairs as nghttp2 wants them, behind them what they point to. */
struct http2_fields {
	nghttp2_nv *v;
	size_t n, room;
	bool bad;                               /* something that HTTP/2 cannot carry, or no memory */
	bool learn;                             /* the peer is to know names, too, whose values do not come again */
	nghttp2_nv first[40];
};

#define HTTP2_GAPS 4u
#define HTTP2_ENDED_WORDS 4u                    /* of 64 streams each */

/* Where the next frame begins, and what the heads of frames said. */
struct http2_scan {
	uint8_t head[13];                       /* of the frame under way, as far as it came, and a few bytes behind it */
	uint8_t have;
	uint32_t magic, left;                   /* bytes to come of the preface, of the frame's payload */
	uint32_t last;                          /* stream opened last */
	uint64_t ended[HTTP2_ENDED_WORDS];      /* a bit for each of the last streams: the client ended it */
	uint32_t settings;                      /* frames with settings */
	uint32_t continuations;                 /* of the head under way */
	uint64_t headers;                       /* frames with a head; those that nghttp2 told of: begun */
	uint64_t begun;
	uint32_t ngaps;
	struct {
		uint32_t after, before;         /* streams between these were left out */
	} gaps[HTTP2_GAPS];
};

/* By numbers of streams, all that are not above it. */
struct http2_taken {
	int32_t upto;                           /* the peer took */
	int32_t heads;                          /* their heads are in out */
	int32_t wanted;                         /* a body waits to know it of these */
	int32_t asking;                         /* the SETTINGS sent last ask for; 0: they do not */
	int32_t told;                           /* those that were acknowledged did */
	uint32_t unacked;                       /* frames of SETTINGS under way */
	bool acked;                             /* in what is being read */
};

struct http2 {
	struct codec *c;
	nghttp2_session *session;
	nghttp2_mem mem;
	size_t held;                            /* bytes of mem */
	struct http2_slot {
		struct http2_stream *s;
		uint32_t next;                  /* free one behind this */
	} *slots;
	uint32_t nslots, free_slot, live;
	struct http2_stream *last;              /* looked up last; NULL: none, or it is gone */
	struct list waiting;                    /* streams whose put_data took less */
	size_t queued;                          /* bytes in all queues */
	uint32_t control;                       /* answers to control frames in out since it was last empty */
	uint32_t window_credit;                 /* WINDOW_UPDATEs that what was sent and asked is worth */
	uint32_t asked;                         /* heads of requests that went out */
	struct http2_scan scan;
	struct http2_taken taken;
	struct slice piece;                     /* of a body, given when it is known whether it is the last; n 0: none */
	uint64_t piece_of;
	uint32_t pings;                         /* since the last frame of a stream */
	uint32_t code;                          /* of the last GOAWAY; 0: as c->why says */
	bool goaway_in, goaway_out;
	bool notice_waits, ping_waits;          /* for the first GOAWAY to go out; for that, too: nghttp2 sends pings first */
	uint64_t ping_token;                    /* of that ping */
	bool goaway_final;                      /* said, or about to be: which stream is the last one is settled */
	bool stopping;                          /* failed by the head of a frame; those before it are being read */
	bool failed;                            /* c->why is set; nothing more is taken in */
	bool closed;                            /* and was told */
	bool frame_room;                        /* it has the room that its thread's connections share */
};

static inline struct http2 *http2_of(const struct codec *c)
{
	return c->state;
}

static inline uint32_t http2_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint32_t http2_limit(uint32_t given, uint32_t dflt)
{
	return given ? given : dflt;
}

/* s is as word, which is a literal. */
#define HTTP2_IS(s, word) ((s).n == sizeof(word) - 1 && !memcmp((s).p, (word), sizeof(word) - 1))

/* ---- http2.c: the connection ---- */

/* The first reason stays. Nothing more is taken in; decode() or flush() says it to the peer and to the core. */
void http2_fail(struct http2 *h, enum proto_why why, const char *detail);
/* Counts something odd; the connection may fail by it. */
void http2_glitch(struct http2 *h);
enum proto_why http2_why(uint32_t code);
uint32_t http2_code(enum proto_why why);

/* ---- http2_scan.c ---- */

/* How many of the next bytes nghttp2 may have: all, or with h->failed those before the frame that failed it. */
size_t http2_scan(struct http2 *h, struct slice s);

/* ---- http2_stream.c: which there are ---- */

struct http2_stream *http2_stream_new(struct http2 *h, int32_t wire); /* NULL: out of memory */
void http2_stream_free(struct http2 *h, struct http2_stream *s);
void http2_streams_free(struct http2 *h);
struct http2_stream *http2_stream_get(const struct http2 *h, uint64_t id); /* NULL: unknown to the core */
static inline int32_t http2_wire(uint64_t id)
{
	return (int32_t)(id >> 32);
}
/* The stream is reset now, or its request never goes out. */
void http2_stream_reset(struct http2 *h, struct http2_stream *s, uint32_t code);
/* Its last word to the sink, unless both directions have ended. */
void http2_stream_lost(struct http2 *h, struct http2_stream *s, enum proto_why why);
/* Both directions have ended for the core: it does not know the stream any more. */
void http2_stream_settle(struct http2_stream *s);
struct http2_stream *http2_stream_look_up(struct http2 *h, int32_t wire);
/* By nghttp2's number; NULL: none of ours. Each field of a head asks for the same one. */
static inline struct http2_stream *http2_stream_of(struct http2 *h, int32_t wire)
{
	return h->last && h->last->wire == wire ? h->last : http2_stream_look_up(h, wire);
}

/* ---- http2_taken.c: which of a client's requests the peer has taken on ---- */

size_t http2_taken_room(const struct http2 *h, const struct http2_stream *s); /* bytes of its body that may go out unknown */
void http2_taken_ask(struct http2 *h, const struct http2_stream *s); /* more than that are to go */
void http2_taken_head_sent(struct http2 *h, int32_t wire);
void http2_taken_upto(struct http2 *h, int32_t upto); /* the peer has said something on that stream */
void http2_taken_acked(struct http2 *h);        /* SETTINGS of ours were acknowledged */
void http2_taken_settle(struct http2 *h);       /* all that came was read */

/* ---- http2_read.c, http2_head.c: what comes in ---- */

int http2_on_frame(nghttp2_session *session, const nghttp2_frame *f, void *arg);
int http2_on_data(nghttp2_session *session, uint8_t flags, int32_t wire, const uint8_t *p, size_t n, void *arg);
int http2_on_begin_headers(nghttp2_session *session, const nghttp2_frame *f, void *arg);
int http2_on_header(nghttp2_session *session, const nghttp2_frame *f, nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags,
		    void *arg);
int http2_on_invalid_header(nghttp2_session *session, const nghttp2_frame *f, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
			    uint8_t flags, void *arg);
void http2_give_piece(struct http2 *h);         /* before anything else is told, and before the bytes go */
void http2_msg_init(const struct http2 *h, struct msg *m, enum msg_kind kind);
/* The head of s is complete: checked, given to the sink. end: nothing follows. */
void http2_head_done(struct http2 *h, struct http2_stream *s, bool end);

/* ---- http2_write.c, http2_fields.c: what goes out ---- */

int http2_put_head(struct codec *c, uint64_t *id, const struct msg *m, bool end);
ssize_t http2_put_data(struct codec *c, uint64_t id, struct buf *data, bool end);
int http2_put_trailers(struct codec *c, uint64_t id, const struct msg *m);
/* status, and nothing else: a request that is refused before the core knows what it was. */
void http2_put_refusal(struct http2 *h, struct http2_stream *s, int status);
void http2_tell_waiting(struct http2 *h, struct http2_stream *only); /* writable(): NULL = all that wait */
int http2_send_data(nghttp2_session *session, nghttp2_frame *f, const uint8_t *head, size_t n, nghttp2_data_source *source,
		    void *arg);

void http2_fields_init(struct http2_fields *f);
void http2_fields_fini(struct http2_fields *f);
void http2_fields_add(struct http2_fields *f, struct slice name, struct slice value);
/* Headers of m that HTTP/2 carries. websocket: but for the handshake's, which it has not. */
void http2_fields_headers(struct http2_fields *f, const struct msg *m, bool trailers, bool websocket);
/* A copy in the connection's memory that outlives the msg; NULL: out of memory. To h->mem.free(), as it is. */
struct http2_fields *http2_fields_keep(struct http2 *h, const struct http2_fields *f);

/* ---- http2_memory.c, http2_websocket.c ---- */

void http2_memory_init(struct http2 *h);
void http2_websocket_key(char out[24]);         /* made up */
void http2_websocket_accept(const char key[24], char out[28]); /* RFC 6455 4.2.2 */
