// SPDX-License-Identifier: Apache-2.0
#include "proto/tars.h"

#include <errno.h>
#include <stdio.h>
#include "base/bytes.h"
#include "base/num.h"
#include "proto/frames.h"
#include "proto/tars_field.h"
#include "weft/str.h"

enum {
	LENGTH = 4,                             /* bytes before the fields */
	FIXED = 7,                              /* what detection looks at */
	PREFIX = 512,                           /* bytes of a long frame that are looked at first */
	FRAME_MAX = 1 << 20,                    /* of one that is collected, unless the limits say */
	CONTEXT_MAX = 1 << 16,                  /* bytes of names and headers, and how many of these, unless the limits say */
	HEADERS_MAX = 256,
	TUP = 2,                                /* versions from it on answer in the form of a request */
	ONEWAY = 1,                             /* a request's packet type */
};

/* Tags. Those of an answer differ from 3 on, but for `context`. */
enum { VERSION = 1, PACKET_TYPE, MESSAGE_TYPE, REQUEST_ID, SERVANT, FUNCTION, BUFFER, TIMEOUT, CONTEXT, STATUS };
enum { ANSWER_ID = 3, ANSWER_MESSAGE_TYPE, ANSWER_RET, ANSWER_BUFFER, ANSWER_STATUS, ANSWER_WORDS };

/* X(iRet, HTTP's status that stands for it). */
#define TARS_RETS(X)                                                                                                   \
	X(0, 200) X(-1, 400) X(-2, 500) X(-3, 404) X(-4, 404) X(-5, 503) X(-6, 504) X(-7, 504) X(-8, 502) X(-9, 503)   \
	X(-10, 404) X(-11, 404) X(-12, 400) X(-13, 502) X(-99, 500)

/* What stands in a frame. Offsets are the frame's. */
struct parts {
	bool tup_answer;                        /* an answer in the form of a request */
	unsigned version;
	int64_t packet_type, number, timeout, ret;
	struct slice servant, function, words;
	size_t number_at, head;                 /* the number's field begins and ends */
	size_t context_at, context_end;         /* the same of `context`, or where it would stand; 0: not known */
	size_t context_pairs;                   /* where its pairs begin */
	uint32_t pairs;
};

/* msg.priv: where the map is in the body. */
struct context {
	uint32_t at, end;
};

/* ---- fields ------------------------------------------------------------------------------------------------- */

static int put_context(struct tars_reader *r, struct tars_field f, struct parts *p, size_t begin)
{
	struct tars_reader again = *r;
	int err = tars_map(&again, f, &p->pairs);

	p->context_pairs = again.at;
	if (!err)
		err = tars_skip(r, f);
	p->context_at = begin;
	p->context_end = r->at;
	return err;
}

static int read_pair(struct tars_reader *r, struct slice *name, struct slice *value)
{
	struct tars_field f;
	int err = tars_head(r, &f);

	if (!err)
		err = tars_string(r, f, name);
	if (!err)
		err = tars_head(r, &f);
	return err ? err : tars_string(r, f, value);
}

/* TUP's answers have their result among the pairs of the status, as text. */
static int read_status(struct tars_reader *r, struct tars_field f, struct parts *p)
{
	uint32_t pairs;
	int err = tars_map(r, f, &pairs);

	for (uint32_t i = 0; i < pairs && !err; i++) {
		struct slice name, value;

		err = read_pair(r, &name, &value);
		if (!err && slice_eq_str(name, "STATUS_RESULT_CODE"))
			num_i64(value, &p->ret);
		if (!err && slice_eq_str(name, "STATUS_RESULT_DESC"))
			p->words = value;
	}
	return err;
}

static int request_field(struct tars_reader *r, struct tars_field f, struct parts *p)
{
	switch (f.tag) {
	case SERVANT:
		return tars_string(r, f, &p->servant);
	case FUNCTION:
		return tars_string(r, f, &p->function);
	case TIMEOUT:
		return tars_int(r, f, &p->timeout);
	case STATUS:
		return p->tup_answer ? read_status(r, f, p) : tars_skip(r, f);
	default:
		return tars_skip(r, f);
	}
}

static int answer_field(struct tars_reader *r, struct tars_field f, struct parts *p)
{
	switch (f.tag) {
	case ANSWER_RET:
		return tars_int(r, f, &p->ret);
	case ANSWER_WORDS:
		return tars_string(r, f, &p->words);
	default:
		return tars_skip(r, f);
	}
}

/* The number of the call stands under tag 3 or 4; an answer of TUP shows by what is under tag 5. */
static int number_field(struct tars_reader *r, struct tars_field f, struct parts *p, size_t begin, bool request)
{
	if (f.tag != (request ? REQUEST_ID : ANSWER_ID))
		return tars_skip(r, f);
	p->number_at = begin;
	if (tars_int(r, f, &p->number))
		return -EPROTO;
	p->head = r->at;
	return 0;
}

static int one_field(struct tars_reader *r, struct tars_field f, struct parts *p, size_t begin, bool request)
{
	int64_t v;
	int err;

	switch (f.tag) {
	case VERSION:
		err = tars_int(r, f, &v);
		p->version = (unsigned)v & 0xffff;
		return err;
	case PACKET_TYPE:
		return tars_int(r, f, &p->packet_type);
	case ANSWER_ID:
	case REQUEST_ID:
		return number_field(r, f, p, begin, request);
	case CONTEXT:
		return put_context(r, f, p, begin);
	default:
		return request ? request_field(r, f, p) : answer_field(r, f, p);
	}
}

/*
 * Fields in order, up to the end or to what says enough. 0; -ENODATA: s ends before that; -EPROTO; -EOVERFLOW: values too
 * deep for us behind what was read.
 */
static int read_fields(struct slice s, struct parts *p, bool request, bool whole)
{
	struct tars_reader r = { s, LENGTH };
	unsigned last = 0;
	int err = 0;

	*p = (struct parts){ .tup_answer = p->tup_answer };
	while (!err && r.at < s.n) {
		size_t begin = r.at;
		struct tars_field f;

		err = tars_head(&r, &f);
		if (!err && f.tag <= last && last)
			err = -EPROTO;
		if (!err && f.tag > CONTEXT && !p->context_at)
			p->context_at = p->context_end = begin;
		/* Enough of a frame that is not whole. */
		if (!err && !whole && f.tag > (request ? FUNCTION : ANSWER_RET))
			return 0;
		last = f.tag;
		if (!err)
			err = one_field(&r, f, p, begin, request);
	}
	if (err || !whole)
		return err ? err : -ENODATA;
	if (!p->context_at)
		p->context_at = p->context_end = r.at;
	return 0;
}

/* The type of what stands under tag 5, if that is there. */
static bool is_tup_answer(struct slice s)
{
	struct tars_reader r = { s, LENGTH };
	struct tars_field f;

	while (!tars_head(&r, &f)) {
		if (f.tag >= SERVANT)
			return f.tag == SERVANT && (f.type == TARS_STRING1 || f.type == TARS_STRING4);
		if (tars_skip(&r, f))
			return false;
	}
	return false;
}

static int read_parts(const struct codec *c, struct slice s, struct parts *p, bool whole)
{
	int err;

	p->tup_answer = !c->server && is_tup_answer(s);
	err = read_fields(s, p, c->server || p->tup_answer, whole);
	if (!err && !p->head)
		err = -EPROTO;
	return err == -ENODATA ? whole ? -EPROTO : -EAGAIN : err;
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

static uint64_t frame_max(const struct codec *c)
{
	return c->limits->frame_bytes ? c->limits->frame_bytes : FRAME_MAX;
}

static int look(struct codec *c, struct slice s, struct frame *f)
{
	if (s.n > LENGTH && (uint8_t)s.p[LENGTH] >> 4 != VERSION)
		return frames_fail(c, PROTO_MALFORMED, "not Tars: a packet does not begin with its version");
	if (s.n < FIXED)
		return 0;
	f->size = bytes_get32(s.p);
	if (f->size > INT32_MAX)
		return frames_fail(c, PROTO_MALFORMED, "a packet's length is over 2 GiB");
	if (f->size < FIXED)
		return frames_fail(c, PROTO_MALFORMED, "a packet is shorter than its head");
	f->want = f->size <= frame_max(c) || f->size < PREFIX ? f->size : PREFIX;
	return 0;
}

static int number(struct codec *c, struct slice s, struct frame *f)
{
	struct parts p;
	int err = read_parts(c, s, &p, s.n == f->size);

	if (err == -EOVERFLOW && p.head)
		err = 0;
	if (err == -EAGAIN)
		return err;
	if (err)
		return frames_fail(c, PROTO_MALFORMED, "a packet's fields make no sense");
	f->number = (uint32_t)p.number;
	f->note = p.version;
	if (c->server && p.packet_type == ONEWAY)
		f->msg = MSG_ONEWAY;
	return 0;
}

static int http_status(int64_t ret)
{
	switch (ret) {
#define TARS_RET_CASE_(ret, http) \
	case ret:                 \
		return http;
		TARS_RETS(TARS_RET_CASE_)
#undef TARS_RET_CASE_
	default:
		return ret > 0 ? 200 : 500;
	}
}

static int add_headers(struct codec *c, struct slice kept, const struct parts *p, struct msg *m)
{
	uint32_t most = c->limits->headers ? c->limits->headers : HEADERS_MAX;
	struct tars_reader r = { kept, p->context_pairs - p->context_at };
	int err = 0;

	for (uint32_t i = 0; i < p->pairs && !err; i++) {
		struct slice name, value;

		if (i == most) {
			frames_of(c)->detail = "too many headers in a packet's context";
			return -E2BIG;
		}
		err = read_pair(&r, &name, &value);
		if (!err)
			err = msg_push(m, name, value);
	}
	return err == -ENOMEM ? err : err ? -EPROTO : 0;
}

static int read_context(struct codec *c, struct slice s, const struct parts *p, struct msg *m)
{
	size_t room = c->limits->head_bytes ? c->limits->head_bytes : CONTEXT_MAX, n = p->context_end - p->context_at;
	struct context *x = msg_alloc(m, sizeof(*x));
	struct slice kept;
	int err;

	if (n > room) {
		frames_of(c)->detail = "context of a packet is over a size limit";
		return -E2BIG;
	}
	kept = msg_dup(m, (struct slice){ s.p + p->context_at, n });
	if (!x || !kept.p)
		return -ENOMEM;
	err = p->pairs ? add_headers(c, kept, p, m) : 0;
	*x = (struct context){ (uint32_t)(p->context_at - p->head), (uint32_t)(p->context_end - p->head) };
	m->priv = x;
	if (err)
		m->nheaders = 0;
	return err;
}

static struct slice keep(struct msg *m, struct slice s)
{
	return s.n ? msg_dup(m, s) : (struct slice){ "", 0 };
}

static int read_answer(const struct parts *p, struct msg *m)
{
	m->status = http_status(p->ret);
	m->wire_status = (int)((p->ret < 0 ? -(uint64_t)p->ret : (uint64_t)p->ret) & INT32_MAX);
	if (p->ret > 0)
		m->flags |= MSG_EXCEPTION;
	m->reason = keep(m, p->words);
	return m->reason.p ? 0 : -ENOMEM;
}

static ssize_t read_message(struct codec *c, struct slice s, const struct frame *f, struct msg *m)
{
	bool whole = s.n == f->size;
	struct parts p;
	int err = read_parts(c, s, &p, whole);
	bool known = !err && whole;

	frames_of(c)->detail = "more than one message may hold";
	m->raw = msg_dup(m, (struct slice){ s.p, p.head });
	m->service = keep(m, p.servant);
	m->rpc_method = keep(m, p.function);
	if (!m->raw.p || !m->service.p || !m->rpc_method.p)
		return -ENOMEM;
	m->serialization = (int)p.version;
	m->wire_status = MSG_NO_STATUS;
	if (p.timeout > 0)
		m->timeout_ms = p.timeout > INT32_MAX ? INT32_MAX : (int32_t)p.timeout;
	err = c->server ? 0 : read_answer(&p, m);
	if (!err && known) {
		frames_of(c)->detail = "context of a packet makes no sense";
		err = read_context(c, s, &p, m);
	}
	return err ? err : (ssize_t)p.head;
}

/* ---- answers of our own ------------------------------------------------------------------------------------- */

static int ret_of(const struct frame_answer *a)
{
	if (a->wire != MSG_NO_STATUS)
		return -a->wire;
	switch (a->status) {
	case 400: case 413: case 431:
		return -1;
	case 404:
		return -4;
	case 429: case 503:
		return -9;
	case 502:
		return -8;
	case 504:
		return -7;
	default:
		return -99;
	}
}

static int put_empty_bytes(struct buf *b, unsigned tag)
{
	int err = tars_put_head(b, tag, TARS_BYTES);

	if (!err)
		err = tars_put_head(b, 0, TARS_INT1);
	return err ? err : tars_put_int(b, 0, 0);
}

static int put_answer_packet(struct buf *b, const struct frame_answer *a)
{
	int err = tars_put_int(b, VERSION, a->note) || tars_put_int(b, PACKET_TYPE, 0) ||
		  tars_put_int(b, ANSWER_ID, (int32_t)a->number) || tars_put_int(b, ANSWER_MESSAGE_TYPE, 0) ||
		  tars_put_int(b, ANSWER_RET, ret_of(a)) || put_empty_bytes(b, ANSWER_BUFFER) || tars_put_map(b, ANSWER_STATUS, 0) ||
		  tars_put_string(b, ANSWER_WORDS, a->text);

	return err ? -ENOMEM : 0;
}

/* What TUP's clients look for in the status of an answer. */
static int put_tup_packet(struct buf *b, const struct frame_answer *a)
{
	struct slice none = { "", 0 };
	char ret[12];
	int err = tars_put_int(b, VERSION, a->note) || tars_put_int(b, PACKET_TYPE, 0) || tars_put_int(b, MESSAGE_TYPE, 0) ||
		  tars_put_int(b, REQUEST_ID, (int32_t)a->number) ||
		  tars_put_string(b, SERVANT, a->request ? a->request->service : none) ||
		  tars_put_string(b, FUNCTION, a->request ? a->request->rpc_method : none) || put_empty_bytes(b, BUFFER) ||
		  tars_put_int(b, TIMEOUT, 0) || tars_put_map(b, CONTEXT, 0) || tars_put_map(b, STATUS, 2);

	snprintf(ret, sizeof(ret), "%d", ret_of(a));
	return err || tars_put_string(b, 0, SLICE_LIT("STATUS_RESULT_CODE")) || tars_put_string(b, 1, slice_str(ret)) ||
			       tars_put_string(b, 0, SLICE_LIT("STATUS_RESULT_DESC")) || tars_put_string(b, 1, a->text) ? -ENOMEM : 0;
}

static int put_length(struct buf *out, uint64_t n)
{
	char length[LENGTH];

	bytes_put32(length, (uint32_t)n);
	return buf_add(out, length, sizeof(length));
}

static int answer(struct codec *c, const struct frame_answer *a)
{
	struct buf packet = { 0 };
	int err = a->note >= TUP ? put_tup_packet(&packet, a) : put_answer_packet(&packet, a);

	if (!err)
		err = put_length(frames_out(c), LENGTH + packet.len);
	buf_move(frames_out(c), &packet);
	return err;
}

/* ---- writing ------------------------------------------------------------------------------------------------ */

static const struct frame_ops frame_ops = {
	.fixed = FIXED,
	.short_numbers = true,
	.look = look,
	.number = number,
	.read = read_message,
	.answer = answer,
};

static int write_context(const struct msg *m, struct buf *b)
{
	int err = tars_put_map(b, CONTEXT, m->nheaders);

	for (uint32_t i = 0; i < m->nheaders && !err; i++) {
		err = tars_put_string(b, 0, m->headers[i].name);
		if (!err)
			err = tars_put_string(b, 1, m->headers[i].value);
	}
	return err;
}

/* The head as it came, but for length and number, which may take another number of bytes. */
static int put_raw(struct codec *c, const struct msg *m, uint64_t number, uint64_t body)
{
	struct tars_reader r = { m->raw, LENGTH };
	struct buf id = { 0 };
	struct tars_field f = { 0 };
	size_t at = LENGTH;
	int err = 0;

	/* The number is the last field of it. */
	while (!err && r.at < m->raw.n) {
		at = r.at;
		err = tars_head(&r, &f) || tars_skip(&r, f) ? -EINVAL : 0;
	}
	if (!err)
		err = tars_put_int(&id, f.tag, (int32_t)number);
	if (!err)
		err = put_length(&c->out, at + id.len + body);
	if (!err)
		err = buf_add(&c->out, m->raw.p + LENGTH, at - LENGTH);
	buf_move(&c->out, &id);
	return err;
}

static int put_head(struct codec *c, uint64_t *id, const struct msg *m, bool end)
{
	struct frames_tx edit = { .at = UINT64_MAX };
	const struct context *x = m->priv;
	uint64_t number;
	int err = m->raw.n <= LENGTH ? -ENOTSUP : frames_put_begin(c, id, m, &number);

	(void)end;              /* body_len says it */
	if (err)
		return err;
	if (x && m->flags & MSG_CHANGED && (uint64_t)m->body_len >= x->end) {
		edit.at = x->at;
		edit.drop = x->end - x->at;
		err = write_context(m, &edit.instead);
	}
	if (!err)
		err = put_raw(c, m, number, (uint64_t)m->body_len + edit.instead.len - edit.drop);
	if (err) {
		buf_fini(&edit.instead);
		return frames_fail(c, PROTO_OVERLOAD, "out of memory");
	}
	frames_put_body(c, *id, (uint64_t)m->body_len, &edit);
	return 0;
}

/* ---- ops ---------------------------------------------------------------------------------------------------- */

/* A length below 16 MiB, a version from 1 to 3 in one byte, and the packet's type in its shortest form. */
static enum proto_match sniff(struct slice head, size_t *need)
{
	static const struct {
		uint8_t at, least, most;
	} bytes[] = { { 0, 0, 0 }, { 4, VERSION << 4 | TARS_INT1, VERSION << 4 | TARS_INT1 }, { 5, 1, 3 },
		      { 6, PACKET_TYPE << 4 | TARS_INT1, PACKET_TYPE << 4 | TARS_ZERO } };

	*need = FIXED;
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		uint8_t c;

		if (head.n <= bytes[i].at)
			return PROTO_MORE;
		c = (uint8_t)head.p[bytes[i].at];
		if (c < bytes[i].least || c > bytes[i].most)
			return PROTO_NO;
	}
	return PROTO_YES;
}

static int init(struct codec *c)
{
	frames_init(c, &frame_ops);
	return 0;
}

const struct proto_ops proto_tars = {
	.name = "tars",
	FRAMES_METHODS,
	.sniff = sniff,
	.init = init,
	.put_head = put_head,
};
