/* SPDX-License-Identifier: Apache-2.0 */
/* One frame's head: its fixed part, and behind it the class name and the header map. Pure. */
#pragma once
#include "weft/buf.h"
#include "weft/proto.h"

enum bolt_type { BOLT_RESPONSE, BOLT_REQUEST, BOLT_ONEWAY };
enum bolt_command { BOLT_HEARTBEAT = 0, BOLT_CALL = 1, BOLT_ANSWER = 2, BOLT_GOAWAY = 100 };
/* X(NAME, number, HTTP's status that stands for it, what Java calls it) */
#define BOLT_STATUSES(X)                                                                                               \
	X(SUCCESS, 0, 200, "SUCCESS") X(ERROR, 1, 500, "ERROR") X(SERVER_EXCEPTION, 2, 500, "SERVER_EXCEPTION")        \
	X(UNKNOWN, 3, 500, "UNKNOWN") X(BUSY, 4, 503, "SERVER_THREADPOOL_BUSY") X(ERROR_COMM, 5, 500, "ERROR_COMM")    \
	X(NO_PROCESSOR, 6, 500, "NO_PROCESSOR") X(TIMEOUT, 7, 504, "TIMEOUT") X(SEND_ERROR, 8, 500, "CLIENT_SEND_ERROR") \
	X(CODEC_EXCEPTION, 9, 500, "CODEC_EXCEPTION") X(CONNECTION_CLOSED, 16, 502, "CONNECTION_CLOSED")               \
	X(SERIAL_EXCEPTION, 17, 500, "SERVER_SERIAL_EXCEPTION") X(DESERIAL_EXCEPTION, 18, 500, "SERVER_DESERIAL_EXCEPTION")
enum bolt_status {
#define BOLT_STATUS_ENUM_(NAME, number, http, text) BOLT_##NAME = number,
	BOLT_STATUSES(BOLT_STATUS_ENUM_)
#undef BOLT_STATUS_ENUM_
};

#define BOLT_FIXED_MAX 24u
#define BOLT_FIXED_MIN 3u                       /* bytes that tell how long it is */
#define BOLT_CRC 4u
#define BOLT_HESSIAN2 1

/* As on the wire; what a version or a type has not is 0. */
struct bolt_fixed {
	uint32_t id, content_n;
	int32_t timeout;
	uint16_t command, status, class_n, header_n;
	uint8_t proto;                          /* version: 1 or 2 */
	uint8_t ver1, protocol_switch;          /* version 2 */
	uint8_t type;                           /* enum bolt_type */
	uint8_t ver2, codec;
};

/* Bytes of the fixed part that begins with s, of at least BOLT_FIXED_MIN; 0: no bolt, or no type of its. */
unsigned bolt_fixed_size(struct slice s);
/* From at least as many bytes. NULL, or what is wrong with it. */
const char *bolt_fixed_read(struct slice s, struct bolt_fixed *f);
unsigned bolt_fixed_write(const struct bolt_fixed *f, char p[BOLT_FIXED_MAX]); /* how many bytes */

static inline unsigned bolt_fixed_n(const struct bolt_fixed *f)
{
	return (f->type == BOLT_RESPONSE ? 20 : 22) + (f->proto == 2 ? 2 : 0);
}

static inline uint32_t bolt_head_n(const struct bolt_fixed *f)
{
	return bolt_fixed_n(f) + f->class_n + f->header_n;
}

static inline bool bolt_has_crc(const struct bolt_fixed *f)
{
	return f->proto == 2 && f->ver1 == 2 && (f->protocol_switch & 1);
}

static inline uint64_t bolt_frame_n(const struct bolt_fixed *f)
{
	return (uint64_t)bolt_head_n(f) + f->content_n + (bolt_has_crc(f) ? BOLT_CRC : 0);
}

/*
 * Fills m, whose raw is the whole head, from it. NULL, or what is wrong with the header map; *why says of which kind.
 * headers: how many there may be.
 */
const char *bolt_head_read(struct msg *m, const struct bolt_fixed *f, uint32_t headers, enum proto_why *why);

/* What stands behind the fixed part when it is written anew. */
struct bolt_vars {
	struct slice class_name;
	const struct msg_header *headers;
	size_t nheaders;
	struct msg_header more[2];              /* behind them */
	size_t nmore;
};

/* 0, or -ENOTSUP: too long for its 16 bits. Fills f's lengths. */
int bolt_vars_measure(const struct bolt_vars *v, struct bolt_fixed *f);
int bolt_vars_write(const struct bolt_vars *v, struct buf *out); /* 0 or -ENOMEM */

int bolt_status_http(int wire);                 /* what of HTTP's it means */
const char *bolt_status_text(int wire);         /* Java's name for it */
int bolt_status_wire(int http);
