/* SPDX-License-Identifier: Apache-2.0 */
/* Dubbo's codec: what its files share. */
#pragma once
#include "proto/dubbo.h"
#include "proto/frames.h"
#include "weft/str.h"

enum {
	DUBBO_HEAD = 16,                        /* bytes before the body */
	DUBBO_REQUEST = 0x80,                   /* third byte: else an answer */
	DUBBO_TWO_WAY = 0x40,
	DUBBO_EVENT = 0x20,
	DUBBO_SERIALIZATION = 0x1f,
	DUBBO_HESSIAN2 = 2,
	DUBBO_FRAME_MAX = 1 << 20,              /* bytes of a body that is collected, unless the limits say */
	DUBBO_PREFIX = 1024,                    /* of a longer one these are looked at first */
	DUBBO_HEAD_MAX = 1 << 16,               /* bytes of names and attachments, unless the limits say */
	DUBBO_HEADERS_MAX = 256,
};

/* X(name, number, HTTP's status that stands for it). */
#define DUBBO_STATUSES(X)                                                                                              \
	X(OK, 20, 200) X(SERIALIZATION_ERROR, 25, 500) X(CLIENT_TIMEOUT, 30, 504) X(SERVER_TIMEOUT, 31, 504)           \
	X(CHANNEL_INACTIVE, 35, 500) X(BAD_REQUEST, 40, 400) X(BAD_RESPONSE, 50, 500) X(SERVICE_NOT_FOUND, 60, 404)    \
	X(SERVICE_ERROR, 70, 500) X(SERVER_ERROR, 80, 500) X(CLIENT_ERROR, 90, 400)                                    \
	X(SERVER_THREADPOOL_EXHAUSTED, 100, 503)
enum dubbo_status {
#define DUBBO_STATUS_ENUM_(name, number, http) DUBBO_##name = number,
	DUBBO_STATUSES(DUBBO_STATUS_ENUM_)
#undef DUBBO_STATUS_ENUM_
};

/* What an answer's body begins with; *_WITH: attachments follow. */
enum dubbo_tag { DUBBO_THREW, DUBBO_VALUE, DUBBO_NULL, DUBBO_THREW_WITH, DUBBO_VALUE_WITH, DUBBO_NULL_WITH };

/* An attachment whose value is no string, or whose key is none: its bytes stay as they are. */
struct dubbo_kept {
	struct slice bytes;
	struct dubbo_kept *next;
};

/* Attachments of one message: msg.priv, in its arena. Offsets are the body's. */
struct dubbo_map {
	uint32_t at, end;                       /* of the map, its first and last byte included */
	struct slice open;                      /* how it begins: "H", or 'M' and its type */
	struct dubbo_kept *kept;
	/* headers that are no attachments: dubbo, interface, version; as they were made */
	const char *made[3];
};

/*
 * The body of a message, or its first bytes where it is not whole, into m: names, headers, priv. 0; -EAGAIN = more is needed;
 * -EPROTO, -E2BIG, -ENOMEM with *detail. An answer's value that makes no sense is no error: it passes without headers.
 */
int dubbo_read_request(struct codec *c, struct slice body, bool whole, struct msg *m, const char **detail);
int dubbo_read_response(struct codec *c, struct slice body, bool whole, struct msg *m, const char **detail);
/* m's headers as attachments, instead of the map; 0 or -ENOMEM. */
int dubbo_write_map(const struct msg *m, struct buf *out);
