/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP/1 connection's codec: the state that its files share. */
#pragma once
#include <llhttp.h>
#include "proto/http1.h"
#include "weft/str.h"

#define HTTP1_HEAD_MAX 65536u                   /* bytes, unless the limits say */
#define HTTP1_HEADERS_MAX 100u
#define HTTP1_TARGET_MAX 16384u
#define HTTP1_INFO_MAX 16                       /* 1xx before one response */
#define HTTP1_CONNECTIONS_MAX 8
#define HTTP1_CHUNK_LINE_MAX 1024u              /* a chunk's size and extensions */
#define HTTP1_CHUNK_EXT_MAX 16384u              /* extensions of one message */

/* Where reading stands. X(NAME, function): one function each, http1.c drives them. */
#define HTTP1_RX(X) \
	X(IDLE, idle)                   /* before the first byte of a message */ \
	X(HEAD, head) \
	X(LENGTH, length)               /* body of known length */ \
	X(CHUNK_SIZE, chunk_size) \
	X(CHUNK_DATA, chunk_data) \
	X(CHUNK_END, chunk_end) \
	X(TRAILERS, trailers) \
	X(TO_EOF, to_eof) \
	X(DONE, done)                   /* complete; the other direction is not */ \
	X(UPGRADE, upgrade)             /* undecided */ \
	X(OPAQUE, opaque) \
	X(CLOSED, closed)               /* what comes is no message any more */
enum http1_rx {
#define HTTP1_RX_ENUM_(NAME, function) RX_##NAME,
	HTTP1_RX(HTTP1_RX_ENUM_)
#undef HTTP1_RX_ENUM_
};

enum http1_tx {
	TX_IDLE,                                /* head not written */
	TX_LENGTH,
	TX_CHUNKED,
	TX_TO_EOF,                              /* closing ends it */
	TX_NONE,                                /* no body whatever the head says */
	TX_OPAQUE,
	TX_DONE,
};

/* rx_* is what is read, tx_* what is written: a server reads requests. */
struct http1 {
	uint64_t id;                            /* of the exchange under way, 0 = none */
	uint64_t last_id;
	struct msg *m;                          /* whose head is being read */
	uint64_t rx_left, tx_left;              /* bytes of the body, of the chunk */
	uint32_t seen, line;                    /* of the head: bytes looked through, where the last line begins */
	uint32_t ext;                           /* bytes of chunk extensions so far */
	uint8_t rx, tx;                         /* enum http1_rx, http1_tx */
	uint8_t minor;                          /* of the request's version */
	uint8_t infos;                          /* 1xx so far */
	bool blank;                             /* an empty line before the request was passed over */
	bool closing;                           /* no other exchange after this one */
	bool keep_10;                           /* a 1.0 client asked for keep-alive */
	bool chunked;                           /* of the message that is read: its head said so */
	bool is_head, is_connect;               /* the exchange's method */
	bool upgrade;                           /* the exchange's request offers a websocket */
	bool expects;                           /* client waits for 100, and got none yet */
	bool early;                             /* bytes came behind an undecided upgrade */
	bool drain;                             /* say Connection: close */
};

/* What the words of one head said, beside what is in the msg. */
struct http1_head {
	struct codec *c;
	struct msg *m;
	struct slice raw;
	struct slice target, name, value;       /* name and value: the line under way */
	struct slice host, te, upgrade, length, coding;
	uint64_t content_length;                /* of the line that says it */
	const char *detail;                     /* why a callback refused */
	const char *stopped;                    /* where llhttp found nonsense */
	enum proto_why why;
	uint16_t status;                        /* of the answer to a refused one */
	uint16_t code;                          /* of a response */
	uint8_t method, minor;                  /* llhttp_method_t; HTTP/1.minor */
	uint8_t nconnection, nhost, nlength, ncoding;
	uint32_t nlines, max_lines;
	bool in_value, trailing, complete, refused;
	bool close, keep_alive, wants_upgrade;  /* from Connection */
	bool expect;
	bool chunked, counted;                  /* Transfer-Encoding, Content-Length were understood */
	struct slice connection[HTTP1_CONNECTIONS_MAX]; /* the first nconnection ones */
};

static inline struct http1 *http1_of(const struct codec *c)
{
	return c->state;
}

static inline uint32_t http1_limit(uint32_t given, uint32_t dflt)
{
	return given ? given : dflt;
}

/* Case does not count; the first letter settles nearly all. word is a lower-case literal. */
static inline bool http1_is(struct slice s, const char *word, size_t n)
{
	return s.n == n && (s.p[0] | 0x20) == word[0] && !strncasecmp(s.p, word, n);
}
#define HTTP1_IS(s, word) http1_is((s), (word), sizeof(word) - 1)

/* Nothing more is taken in; a request that is refused gets an answer if none was begun and status is not 0. -EPROTO. */
int http1_fail(struct codec *c, enum proto_why why, int status, const char *detail);
/* Both directions ended: on to the next exchange. Harmless when they did not. */
void http1_next(struct codec *c);

/*
 * The length of a head or trailer section whose empty line is in s; 0 = more bytes are needed. h->seen and h->line keep
 * the place between calls. -EPROTO: a line that no head may have, already failed.
 */
ssize_t http1_section(struct codec *c, struct slice s, uint32_t max);
/* raw into h->m and framing into h (RFC 9112 6.3). 0 or -EPROTO, failed. */
int http1_head_parse(struct codec *c, struct slice raw, struct http1_head *h);
/*
 * h->raw into lines: each goes through http1_line(). By llhttp, whose word on what is wrong is the only one: 0 or -EPROTO,
 * failed. Or in one pass for heads that are plain, where both find the same; false: it is not plain, and h is half filled.
 */
int http1_head_llhttp(struct http1_head *h);
bool http1_head_plain(struct http1_head *h);
void http1_head_begin(struct codec *c, struct slice raw, struct http1_head *h); /* raw: in m's memory */
int http1_line(struct http1_head *h);           /* h->name and h->value are complete; 0, or not 0: refused */
int http1_trailers_parse(struct codec *c, struct slice raw, struct http1_head *h);
/* "1f;name=value", without its CRLF: 0 and the size, or -EPROTO, failed. */
int http1_chunk_line(struct codec *c, struct slice line, uint64_t *size);

/* No trailer, and no h2 or added header, may have these names. */
bool http1_is_hop(struct slice name);
bool http1_is_connection_forbidden(struct slice name);
bool http1_is_trailer_forbidden(struct slice name);
bool http1_is_token(struct slice s);
bool http1_is_target_text(struct slice s);      /* not empty, and nothing in it that no path or query may hold */
const char *http1_token_end(const char *p);     /* the first byte that is none of a token's; there must be one */
/* The first byte from p on that no header value may have, or end. */
const char *http1_value_end(const char *p, const char *end);
bool http1_is_authority(struct slice s);

int http1_put_head(struct codec *c, uint64_t *id, const struct msg *m, bool end);
ssize_t http1_put_data(struct codec *c, uint64_t id, struct buf *data, bool end);
int http1_put_trailers(struct codec *c, uint64_t id, const struct msg *m);
/* The last words of a server codec. */
void http1_put_refusal(struct codec *c, int status, const char *detail);
