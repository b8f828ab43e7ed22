// SPDX-License-Identifier: Apache-2.0
#include "proto/dubbo_thrift.h"

#include <errno.h>
#include <stdio.h>
#include "base/bytes.h"
#include "proto/frames.h"
#include "weft/str.h"

enum {
	FIXED = 6,                              /* length and da bc */
	HEAD_MIN = 13,                          /* before the service's text: length of it is over at 17 */
	PREFIX = 512,                           /* bytes that are looked at first */
	NAME_MAX_BYTES = 1 << 15,
	EXCEPTION_MAX = 1 << 12,                /* bytes of a frame whose exception is read */
};

enum { CALL = 1, REPLY, EXCEPTION, ONEWAY };    /* types of Thrift's messages */
enum { UNKNOWN_METHOD = 1, INTERNAL_ERROR = 6, PROTOCOL_ERROR = 7 }; /* of its exceptions */
enum { FIELD_STOP = 0, FIELD_I32 = 8, FIELD_STRING = 11 };

/* ---- what stands in a frame --------------------------------------------------------------------------------- */

/* Bytes of a frame in order. short_of: they are not all there; wrong: no frame has such ones. */
struct reader {
	const char *p;
	size_t n, at;
	bool short_of, wrong;
};

static const char *take(struct reader *r, size_t n)
{
	static const char zero[8];

	if (r->short_of || r->wrong || r->n - r->at < n) {
		r->short_of = true;
		return zero;
	}
	r->at += n;
	return r->p + r->at - n;
}

static uint32_t take32(struct reader *r)
{
	return bytes_get32(take(r, 4));
}

static struct slice take_text(struct reader *r)
{
	uint32_t n = take32(r);
	const char *p;

	if (n > NAME_MAX_BYTES)
		r->wrong = true;
	p = take(r, r->wrong ? 0 : n);
	return r->short_of || r->wrong ? (struct slice){ "", 0 } : (struct slice){ p, n };
}

struct parts {
	struct slice service, method;
	uint64_t number;
	size_t number_at, head;                 /* where the number stands, and Thrift's message begins */
	unsigned type;
	uint32_t seqid;
	size_t body;                            /* where what the message holds begins */
};

static int result(const struct reader *r)
{
	return r->wrong ? -EPROTO : r->short_of ? -EAGAIN : 0;
}

static int read_head(struct reader *r, struct parts *p)
{
	take(r, HEAD_MIN);
	p->service = take_text(r);
	p->number_at = r->at;
	p->number = bytes_get64(take(r, 8));
	p->head = r->at;
	return result(r);
}

static int read_parts(struct slice s, struct parts *p)
{
	struct reader r = { .p = s.p, .n = s.n };
	uint32_t version;
	int err = read_head(&r, p);

	if (err)
		return err;
	version = take32(&r);
	p->type = version & 0xff;
	if (!r.short_of && version >> 16 != 0x8001)
		r.wrong = true;
	p->method = take_text(&r);
	p->seqid = take32(&r);
	p->body = r.at;
	return result(&r);
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

static int look(struct codec *c, struct slice s, struct frame *f)
{
	uint64_t size;

	if (s.n > 4 && memcmp(s.p + 4, "\xda\xbc", s.n - 4))
		return frames_fail(c, PROTO_MALFORMED, "not dubbo-thrift: da bc does not follow the frame's length");
	if (s.n < FIXED)
		return 0;
	size = 4 + (uint64_t)bytes_get32(s.p);
	if (size > INT32_MAX)
		return frames_fail(c, PROTO_MALFORMED, "a frame's length is over 2 GiB");
	if (size < FIXED)
		return frames_fail(c, PROTO_MALFORMED, "a frame is shorter than its head");
	f->size = size;
	f->want = size < PREFIX ? size : PREFIX;
	return 0;
}

static int number(struct codec *c, struct slice s, struct frame *f)
{
	struct parts p;
	int err = read_parts(s, &p);
	bool answer = p.type == REPLY || p.type == EXCEPTION;

	if (err == -EPROTO)
		return frames_fail(c, PROTO_MALFORMED, "a frame's head makes no sense");
	if (err)
		return err;
	if (c->server == answer || p.type > ONEWAY || !p.type)
		return frames_fail(c, PROTO_MALFORMED, "a message is of a type that this side does not send");
	f->number = p.number;
	f->note = p.seqid;
	if (p.type == ONEWAY)
		f->msg = MSG_ONEWAY;
	return 0;
}

static int exception_status(int type)
{
	return type == UNKNOWN_METHOD ? 404 : type == PROTOCOL_ERROR ? 400 : 500;
}

/* Fields 1 (text) and 2 (type) of Thrift's own exception. */
static int read_exception(struct slice s, struct msg *m)
{
	struct reader r = { .p = s.p, .n = s.n };
	uint8_t field = (uint8_t)*take(&r, 1);

	m->wire_status = 0;
	while (field != FIELD_STOP && !result(&r)) {
		uint16_t id = bytes_get16(take(&r, 2));
		struct slice text;

		if (field == FIELD_STRING) {
			text = take_text(&r);
			if (id == 1 && text.n)
				m->reason = msg_dup(m, text);
		} else if (field == FIELD_I32) {
			m->wire_status = (int)take32(&r) & 0xff;
		} else {
			break;
		}
		field = (uint8_t)*take(&r, 1);
	}
	m->status = exception_status(m->wire_status);
	return m->reason.n && !m->reason.p ? -ENOMEM : 0;
}

/* A result other than what was returned is an exception that the method declares. */
static void read_reply(struct slice s, struct msg *m)
{
	struct reader r = { .p = s.p, .n = s.n };
	uint8_t field = (uint8_t)*take(&r, 1);
	uint16_t id = bytes_get16(take(&r, 2));

	m->status = 200;
	if (field != FIELD_STOP && !result(&r) && id)
		m->flags |= MSG_EXCEPTION;
}

static int add_headers(struct msg *m, const struct parts *p)
{
	static const char *const types[] = { "", "call", "reply", "exception", "oneway" };
	char *seqid = msg_alloc(m, 12);
	int err = seqid ? 0 : -ENOMEM;

	if (!err)
		snprintf(seqid, 12, "%u", p->seqid);
	if (!err)
		err = msg_push(m, SLICE_LIT("service"), p->service);
	if (!err)
		err = msg_push(m, SLICE_LIT("method"), p->method);
	if (!err)
		err = msg_push(m, SLICE_LIT("messageType"), slice_str(types[p->type]));
	return err ? err : msg_push(m, SLICE_LIT("seqId"), slice_str(seqid));
}

static ssize_t read_message(struct codec *c, struct slice s, const struct frame *f, struct msg *m)
{
	struct slice kept;
	struct parts p;
	int err = read_parts(s, &p);

	frames_of(c)->detail = "more than one message may hold";
	if (err)
		return err;
	if (p.type == EXCEPTION && s.n < f->size && f->size <= EXCEPTION_MAX)
		return -EAGAIN;
	kept = msg_dup(m, (struct slice){ s.p, p.body });
	if (!kept.p)
		return -ENOMEM;
	read_parts(kept, &p);
	m->raw = (struct slice){ kept.p, p.head };
	m->service = p.service;
	m->rpc_method = p.method;
	m->serialization = m->wire_status = MSG_NO_STATUS;
	if (p.type == EXCEPTION)
		err = read_exception((struct slice){ s.p + p.body, s.n - p.body }, m);
	else if (p.type == REPLY)
		read_reply((struct slice){ s.p + p.body, s.n - p.body }, m);
	if (!err)
		err = add_headers(m, &p);
	return err ? err : (ssize_t)p.head;
}

/* ---- writing ------------------------------------------------------------------------------------------------ */

static int put_text(struct buf *b, struct slice s)
{
	char n[4];

	bytes_put32(n, (uint32_t)s.n);
	return buf_add(b, n, sizeof(n)) || buf_add(b, s.p, s.n) ? -ENOMEM : 0;
}

static int exception_type(const struct frame_answer *a)
{
	if (a->wire != MSG_NO_STATUS)
		return a->wire;
	switch (a->status) {
	case 404:
		return UNKNOWN_METHOD;
	case 400: case 413: case 431:
		return PROTOCOL_ERROR;
	default:
		return INTERNAL_ERROR;
	}
}

/* An exception of Thrift's own, to whom it is known. */
static int put_exception(struct buf *b, const struct frame_answer *a)
{
	char head[] = "\x80\x01\0\3", seqid[4], type[] = "\x08\0\2....";
	int err = buf_add(b, head, 4);

	bytes_put32(seqid, a->note);
	bytes_put32(type + 3, (uint32_t)exception_type(a));
	if (!err)
		err = put_text(b, a->request ? a->request->rpc_method : (struct slice){ "", 0 });
	if (!err)
		err = buf_add(b, seqid, 4) || buf_add(b, "\x0b\0\1", 3);
	if (!err)
		err = put_text(b, a->text);
	if (!err)
		err = buf_add(b, type, 8);      /* and the end: FIELD_STOP */
	return err ? -ENOMEM : 0;
}

static int answer(struct codec *c, const struct frame_answer *a)
{
	struct slice service = a->request ? a->request->service : (struct slice){ "", 0 };
	char head[HEAD_MIN] = "....\xda\xbc", number[8];
	struct buf *out = frames_out(c), body = { 0 };
	uint32_t rest, length;
	int err = put_exception(&body, a);

	rest = (uint32_t)(HEAD_MIN + 4 + service.n + 8);
	length = (uint32_t)(rest - 4 + body.len);
	bytes_put32(head, length);
	bytes_put32(head + 6, length);
	bytes_put16(head + 10, (uint16_t)(rest - 4));
	head[12] = 1;
	bytes_put64(number, a->number);
	if (!err)
		err = buf_add(out, head, sizeof(head)) || put_text(out, service) || buf_add(out, number, 8) ? -ENOMEM : 0;
	buf_move(out, &body);
	return err;
}

static const struct frame_ops frame_ops = {
	.fixed = FIXED,
	.look = look,
	.number = number,
	.read = read_message,
	.answer = answer,
};

static int put_head(struct codec *c, uint64_t *id, const struct msg *m, bool end)
{
	char lengths[10], wire[8];
	uint64_t number;
	uint32_t more;
	int err = m->raw.n < HEAD_MIN + 12 ? -ENOTSUP : frames_put_begin(c, id, m, &number);

	(void)end;              /* body_len says it */
	if (err)
		return err;
	/* Both lengths change by as much as the body did. */
	memcpy(lengths, m->raw.p, sizeof(lengths));
	more = (uint32_t)(m->raw.n - 4 + (size_t)m->body_len) - bytes_get32(lengths);
	bytes_put32(lengths, bytes_get32(lengths) + more);
	bytes_put32(lengths + 6, bytes_get32(lengths + 6) + more);
	bytes_put64(wire, number);
	if (buf_add(&c->out, lengths, sizeof(lengths)) || buf_add(&c->out, m->raw.p + 10, m->raw.n - 18) || buf_add(&c->out, wire, 8))
		return frames_fail(c, PROTO_OVERLOAD, "out of memory");
	frames_put_body(c, *id, (uint64_t)m->body_len, NULL);
	return 0;
}

/* ---- ops ---------------------------------------------------------------------------------------------------- */

/* Of frames below 16 MiB: their first byte is one that text does not have. */
static enum proto_match sniff(struct slice head, size_t *need)
{
	*need = FIXED;
	if (head.n && head.p[0])
		return PROTO_NO;
	if (head.n > 4 && memcmp(head.p + 4, "\xda\xbc", head.n < FIXED ? 1 : 2))
		return PROTO_NO;
	return head.n < FIXED ? PROTO_MORE : PROTO_YES;
}

static int init(struct codec *c)
{
	frames_init(c, &frame_ops);
	return 0;
}

const struct proto_ops proto_dubbo_thrift = {
	.name = "dubbo-thrift",
	FRAMES_METHODS,
	.sniff = sniff,
	.init = init,
	.put_head = put_head,
};
