/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protocol: a codec between bytes and messages. It owns no descriptor, reads no clock, starts no
 * thread: bytes come in through decode(), messages go to a sink, answers leave through `out`. Its
 * limits are given to it; what needs time (idle, heartbeat, rate of resets) is the core's. One
 * codec per connection, on one worker.
 *
 * The proxy drives it (proxy/downstream.c, proxy/upstream.c), client/ too. Order of calls:
 *	sniff*  init  (decode | put_* | consumed | flush)*  [eof]  [freeze]  fini
 * The sink may call put_*, consumed and room of the codec that calls it, never decode, eof, flush,
 * freeze or fini.
 *
 * Pausing is what the core leaves undone: without consumed() a stream's window closes
 * (PROTO_WINDOWS), without decode() the connection's bytes stay in the socket, without put_data()
 * the answer waits at its sender. Nothing needs to be resumed but by doing it.
 */
#pragma once
#include "weft/buf.h"
#include "weft/msg.h"

struct conf_item;
struct codec;

/*
 * Why a stream or connection ended early. X(NAME, text, status of the local reply, safe to send
 * again elsewhere). Codecs map them to their wire: RST_STREAM codes (RFC 9113 7), bolt and Dubbo
 * status, closing for HTTP/1.
 */
#define PROTO_WHYS(X) \
	X(NONE, "no error", 0, false) \
	X(CANCELLED, "cancelled by the caller", 0, false) \
	X(REFUSED, "refused before it was processed", 503, true) \
	X(CLOSED, "connection closed in the middle", 502, false) \
	X(MALFORMED, "malformed", 400, false) \
	X(TOO_LARGE, "over a size limit", 413, false) \
	X(HEAD_TOO_LARGE, "head over a size limit", 431, false) \
	X(UNSUPPORTED, "version or feature not supported", 501, false) \
	X(CORRUPT, "checksum wrong", 502, false) \
	X(FLOW, "flow control violated", 502, false) \
	X(ABUSE, "flood of control frames or resets", 0, false) \
	X(TIMEOUT, "took too long", 504, false) \
	X(OVERLOAD, "too much at once", 503, true) \
	X(INTERNAL, "internal error", 502, false) \
	X(DRAINING, "connection is being drained", 503, true)
enum proto_why {
#define PROTO_WHY_ENUM_(NAME, text, status, again) PROTO_##NAME,
	PROTO_WHYS(PROTO_WHY_ENUM_)
#undef PROTO_WHY_ENUM_
	PROTO_WHY_COUNT
};

enum proto_match { PROTO_NO, PROTO_YES, PROTO_MORE };

enum {
	/*
	 * Many streams at once. Else one after the other (HTTP/1, calls without numbers on the wire): a
	 * connection to a host has one exchange at a time, and is closed when that was given up; what a
	 * client sends ahead waits, and is answered in order (decode()).
	 */
	PROTO_MULTIPLEX = 1u << 0,
	/* flow control per stream (h2); else a slow stream stops the reading */
	PROTO_WINDOWS = 1u << 1,
	/*
	 * A message is one frame (bolt, Dubbo): put_head needs body_len, and what follows it is its
	 * body, whole, before anything else is put. The core sees to both (docs/rpc.md, "Frames"): it
	 * collects a short body before put_head, and lets others wait behind a long one.
	 */
	PROTO_NEEDS_LENGTH = 1u << 2,
	PROTO_MOVES_BUSY = 1u << 3,             /* freeze() works with live streams (bolt, Dubbo) */
	/* requests name a service and a method (bolt, Dubbo), not a host and a path */
	PROTO_RPC = 1u << 4,
	/* hosts are asked by put_ping() also while nothing is under way (bolt: Java closes after 90 s) */
	PROTO_IDLE_PINGS = 1u << 5,
};

/*
 * Bounds a codec keeps by itself, filled by the core from the listener or cluster; 0 = the codec's
 * own default.
 */
struct proto_limits {
	/* decoded size of one head (RFC 9113 6.5.2), and how many */
	uint32_t head_bytes, headers;
	uint32_t target_bytes;                  /* h1 request target */
	/* a frame that must be collected whole (Dubbo attachments) */
	uint32_t frame_bytes;
	uint32_t streams;                       /* live at once, opened by the peer */
	uint32_t stream_window, conn_window;    /* bytes a sender may have under way */
	/*
	 * bytes of a request's body that go out before the peer is known to have taken the request on: what it
	 * resets by a GOAWAY (RFC 9113 6.8) had no more; 0: no bound
	 */
	uint32_t unsure_body;
	/* answers to pings and settings that may wait in out */
	uint32_t control_frames;
	bool upgrades;                          /* a peer is told that it may offer some (RFC 8441 3) */
};

/*
 * Where a codec reports what it read. Implemented by the proxy and by client/. id is chosen by the
 * codec: not 0, never used twice on one connection, not the wire's number (peers may repeat
 * theirs).
 *
 * begin() comes as soon as a message is recognised (HTTP: its first byte; the head's timeout starts
 * there) and gives the zeroed msg to fill, its arena set. It is called for every head, MSG_INFO and
 * MSG_TRAILERS too; a client codec may begin a MSG_REQUEST (bolt callbacks). NULL = not taken: a
 * request is refused (PROTO_REFUSED), an answer is a late one and is skipped. Then head(), with end
 * when nothing follows: 0, or -EAGAIN = "decode no more in this call", which a codec that cannot
 * stop there (nghttp2, in the middle of its input) need not heed.
 *
 * A head with `upgrade` never has end, on a request nor on its answer: granted (101, 2xx to CONNECT),
 * both directions go on as bytes; answered otherwise, the request has ended with its head. A codec
 * sets it only where no body comes before.
 *
 * data() takes all of d and cannot refuse (llhttp cannot be paused inside a body): what it may
 * overshoot is bounded by what the core put into `in`. d is valid during the call; `in` is NULL, or the
 * buf whose first bytes d is: the core may take them out of it (buf_take), and the codec drops what
 * is left of them (proto_give() does both halves of that). end without bytes is allowed. Every byte
 * given is accounted for by consumed() one day.
 *
 * reset() is the last word on a stream, also between begin() and head() (a frame whose head makes
 * no sense, while the connection goes on). After it, and after both directions ended, the id is
 * unknown to both sides.
 */
struct proto_sink {
	struct msg *(*begin)(void *arg, uint64_t id, enum msg_kind kind);
	int (*head)(void *arg, uint64_t id, struct msg *m, bool end);
	void (*data)(void *arg, uint64_t id, struct buf *in, struct slice d, bool end);
	void (*trailers)(void *arg, uint64_t id, struct msg *m);
	void (*reset)(void *arg, uint64_t id, enum proto_why why);
	/* put_data() took less than it was given: there is room again. */
	void (*writable)(void *arg, uint64_t id);
	/* room() changed: settings of the peer, or a stream of ours ended. */
	void (*room)(void *arg);
	/*
	 * The peer takes no new streams (h2 GOAWAY, bolt 100, Dubbo "R", Connection: close). Before
	 * it the codec has reset every stream that the peer did not process with PROTO_DRAINING, or
	 * PROTO_REFUSED where it processed none.
	 * last: the wire's number, for the log.
	 */
	void (*goaway)(void *arg, uint64_t last, enum proto_why why);
	/*
	 * A heartbeat came and its answer is in out already; or, with ack, the answer to
	 * put_ping(token).
	 */
	void (*ping)(void *arg, uint64_t token, bool ack);
	/*
	 * The peer did something odd but legal (reset, empty frame, useless ping). Nonzero: end it
	 * with PROTO_ABUSE.
	 */
	int (*glitch)(void *arg);
	/*
	 * From here on the connection is stream id's bytes and nothing else: 101 or a 2xx to
	 * CONNECT went through. The core may stop calling the codec, and move bytes itself (splice,
	 * short-circuit), those left in `in` first.
	 */
	void (*opaque)(void *arg, uint64_t id);
};

/* What the core gives a codec; valid from init() to fini(). */
struct codec {
	const struct proto_ops *ops;
	void *state;                            /* state_size, zeroed */
	/* conf_size, const, shared with other connections */
	const void *conf;
	const struct proto_limits *limits;
	const struct proto_sink *sink;
	void *sink_arg;
	/* for the peer, in order; decode() and put_*() append, the core sends */
	struct buf out;
	bool server;                            /* requests come in; else they go out */
	/* set by the codec before it returns an error other than -EAGAIN */
	enum proto_why why;
	const char *detail;                     /* static text beside why, or NULL */
};

/* A response that the proxy makes up itself. Slices valid during the call. */
struct proto_reply {
	int status;                             /* HTTP's words: 404 no route, 429, 502, 503 ... */
	/* overrides the mapping; MSG_NO_STATUS = map status */
	int wire_status;
	/* body, or the message where the protocol has a field for it */
	struct slice text, content_type;
	const struct msg_header *headers;       /* added where the protocol can carry them */
	size_t nheaders;
};

/*
 * All const; a NULL method is allowed where it says so. Unless said: 0 or negative errno, and any
 * error but those named means that the connection is to be closed once out is sent (it may hold a
 * GOAWAY or a 400), with c->why set.
 */
struct proto_ops {
	const char *name;                       /* listeners[].protocol, clusters[].protocol */
	/* names in order of preference, NULL-ended; NULL = none (RFC 7301) */
	const char *const *alpn;
	unsigned flags;                         /* PROTO_* */
	/* rows of protocolSettings of a listener or cluster; NULL = none */
	const struct conf_item *conf;
	size_t conf_size, state_size;

	/*
	 * Whose bytes are these? PROTO_MORE with *need = bytes to see in all. NULL = only when
	 * declared.
	 */
	enum proto_match (*sniff)(struct slice head, size_t *need);
	/* May put a preface and settings into out. */
	int (*init)(struct codec *c);
	/* NULL = nothing held; accepts what a failed init left */
	void (*fini)(struct codec *c);

	/*
	 * Takes from in what makes sense and drops it there. 0 = more bytes are needed. -EAGAIN =
	 * stopped with bytes left: head() asked for it, the answer to the last request is not
	 * written yet (no PROTO_MULTIPLEX), or an upgrade is undecided; to be called again after
	 * the next put_*(), or when the core is ready.
	 *
	 * PROTO_RPC without PROTO_MULTIPLEX: a server's stops behind the end of each request, a oneway
	 * too, with -EAGAIN, and is called again when the last byte of its answer is with the socket,
	 * or the oneway is gone. It need not remember: a second begin() before that is NULL. A client's
	 * takes whatever comes for the answer to the last put_head(); what nobody asked for ends the
	 * connection, and so does an exchange that is not awaited any more.
	 */
	int (*decode)(struct codec *c, struct buf *in);
	/*
	 * The peer sent FIN, in is empty or incomplete. Ends a body that runs to the end (RFC 9112
	 * 6.3); what is live afterwards the core resets with PROTO_CLOSED. NULL = no such body.
	 */
	int (*eof)(struct codec *c);

	/* How many requests may be begun now; 0 = none, 1 for an idle HTTP/1 client. */
	unsigned (*room)(const struct codec *c);
	/*
	 * A head of m->kind. *id == 0 begins a request and is set; else it is the stream to answer
	 * or to go on with. m may be of another protocol (m->proto != c->ops): then only the
	 * neutral fields count. m stays as it is until its direction has ended, so the codec may
	 * keep it (Dubbo writes attachments behind the body). -EAGAIN: no room; -ESHUTDOWN: the
	 * peer drains; -ENOTSUP: this message cannot be said here (an upgrade over bolt).
	 */
	int (*put_head)(struct codec *c, uint64_t *id, const struct msg *m, bool end);
	/*
	 * Moves bytes out of data as far as window and limits allow; end counts once data is empty.
	 * Returns bytes moved; less than all: sink->writable() follows. -ENOENT: stream is gone.
	 */
	ssize_t (*put_data)(struct codec *c, uint64_t id, struct buf *data, bool end);
	/* NULL = dropped, data's end is sent */
	int (*put_trailers)(struct codec *c, uint64_t id, const struct msg *m);
	/*
	 * -EPIPE = can only be said by closing the connection; -ECONNRESET = by resetting it, FIN
	 * would end the message well. NULL = nothing is said, a late answer is dropped.
	 */
	int (*put_reset)(struct codec *c, uint64_t id, enum proto_why why);
	/*
	 * NULL = made of put_head and put_data, gRPC by MSG_GRPC (proxy/reply.c). Not called for
	 * MSG_ONEWAY.
	 */
	int (*put_reply)(struct codec *c, uint64_t id, const struct msg *request,
			 const struct proto_reply *r);
	/*
	 * final false: "no new streams, please"; true: last word, with why. NULL = by closing when
	 * idle. Without PROTO_MULTIPLEX it comes while nothing is under way, and what the client
	 * sends all the same is answered (false); right before the head of the last answer (true,
	 * PROTO_DRAINING), or else behind it.
	 */
	int (*put_goaway)(struct codec *c, bool final, enum proto_why why);
	int (*put_ping)(struct codec *c, uint64_t token); /* NULL = the protocol has none */

	/*
	 * n bytes given by data() were passed on or dropped, also after the stream's end. NULL = no
	 * PROTO_WINDOWS.
	 */
	void (*consumed)(struct codec *c, uint64_t id, size_t n);
	/*
	 * Serialises what waits into out; once per loop iteration, before sending. NULL = put_*()
	 * write at once.
	 */
	int (*flush)(struct codec *c);
	/*
	 * How many bytes of stream id's body, that comes in or goes out, are as they are on the
	 * wire from here on: those may be moved past the codec (splice), which is told by passed().
	 * NULL = none are.
	 */
	uint64_t (*plain)(const struct codec *c, uint64_t id, bool in);
	void (*passed)(struct codec *c, uint64_t id, bool in, uint64_t n); /* less than plain() said */
	/* Nothing is live: may it carry another request? */
	bool (*reusable)(const struct codec *c);

	/*
	 * Hot upgrade. freeze appends a blob, first byte its version, and takes nothing in
	 * afterwards. 0 = all is in it; 1 = streams stay here (PROTO_MOVES_BUSY): put_*() for them
	 * goes on and leaves whole frames in out, which the core carries to the new process; -EBUSY
	 * = not now. thaw comes right after init; the blob is another process's word: -EINVAL when
	 * it makes no sense. Unread and unsent bytes are carried by the core. NULL = drains
	 * instead.
	 */
	int (*freeze)(struct codec *c, struct buf *blob);
	int (*thaw)(struct codec *c, struct slice blob);
};

/* data() of d, which are the first bytes of in; afterwards they are gone from it, taken by the core or dropped here. */
static inline void proto_give(struct codec *c, uint64_t id, struct buf *in, struct slice d, bool end)
{
	size_t before = in->len;

	c->sink->data(c->sink_arg, id, in, d, end);
	buf_drop(in, d.n - (before - in->len));
}
