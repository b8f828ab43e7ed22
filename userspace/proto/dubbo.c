// SPDX-License-Identifier: Apache-2.0
/* Frames: their heads, events, and answers of our own. What a body says is dubbo_body's. */
#include "proto/dubbo_priv.h"

#include <errno.h>
#include "base/bytes.h"
#include "proto/hessian.h"

enum { EVENT_MAX = 64 };                        /* bytes of an event's body that are looked at */

/* ---- heads of frames ---------------------------------------------------------------------------------------- */

static int put_frame_head(struct buf *out, unsigned flags, unsigned status, uint64_t number, uint64_t body)
{
	char h[DUBBO_HEAD] = { (char)0xda, (char)0xbb, (char)flags, (char)status };

	bytes_put64(h + 4, number);
	bytes_put32(h + 12, (uint32_t)body);
	return buf_add(out, h, sizeof(h));
}

static int http_status(int wire)
{
	switch (wire) {
#define DUBBO_STATUS_CASE_(name, number, http) \
	case number:                           \
		return http;
		DUBBO_STATUSES(DUBBO_STATUS_CASE_)
#undef DUBBO_STATUS_CASE_
	default:
		return 500;
	}
}

/* What is said of our own answers; Java's clients tell timeouts from the rest, and read the text. */
static int wire_status(int http)
{
	switch (http) {
	case 400: case 413: case 431:
		return DUBBO_BAD_REQUEST;
	case 429: case 503:
		return DUBBO_SERVER_THREADPOOL_EXHAUSTED;
	case 403:
		return DUBBO_SERVER_ERROR;
	case 404: case 502:
		return DUBBO_SERVICE_NOT_FOUND;
	case 504:
		return DUBBO_CLIENT_TIMEOUT;
	default:
		return DUBBO_SERVICE_ERROR;
	}
}

static int put_answer(struct codec *c, const struct frame_answer *a)
{
	unsigned status = (unsigned)(a->wire == MSG_NO_STATUS ? wire_status(a->status) : a->wire);
	struct buf body = { 0 };
	int err = hessian_put_string(&(struct hessian_out){ .buf = &body }, a->text);

	if (!err)
		err = put_frame_head(frames_out(c), DUBBO_HESSIAN2, status, a->number, body.len);
	buf_move(frames_out(c), &body);
	return err;
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

static uint64_t frame_max(const struct codec *c)
{
	return c->limits->frame_bytes ? c->limits->frame_bytes : DUBBO_FRAME_MAX;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int look(struct codec *c, struct slice s, struct frame *f)
{
	unsigned flags;

	if (memcmp(s.p, "\xda\xbb", s.n < 2 ? s.n : 2))
		return frames_fail(c, PROTO_MALFORMED, "not Dubbo: a frame does not begin with da bb");
	if (s.n < DUBBO_HEAD)
		return 0;
	flags = (uint8_t)s.p[2];
	f->number = bytes_get64(s.p + 4);
	f->numbered = true;
	f->size = DUBBO_HEAD + bytes_get32(s.p + 12);
	f->want = DUBBO_HEAD;
	if (f->size - DUBBO_HEAD > INT32_MAX)
		return frames_fail(c, PROTO_MALFORMED, "a body's length is over 2 GiB");
	if (flags & DUBBO_EVENT || (!c->server && flags & DUBBO_REQUEST)) {
		f->kind = FRAME_CONTROL;
		f->want = smaller(f->size, DUBBO_HEAD + EVENT_MAX);
		return 0;
	}
	if (c->server && !(flags & DUBBO_REQUEST))
		return frames_fail(c, PROTO_MALFORMED, "an answer came from a client");
	if (c->server && !(flags & DUBBO_TWO_WAY))
		f->msg = MSG_ONEWAY;
	if ((flags & DUBBO_SERIALIZATION) != DUBBO_HESSIAN2)
		return 0;
	f->want = f->size - DUBBO_HEAD <= frame_max(c) ? f->size : smaller(f->size, DUBBO_HEAD + DUBBO_PREFIX);
	return 0;
}

static ssize_t read_message(struct codec *c, struct slice s, const struct frame *f, struct msg *m)
{
	struct slice body = { s.p + DUBBO_HEAD, s.n - DUBBO_HEAD };
	bool whole = s.n == f->size;
	int err = 0;

	m->raw = msg_dup(m, (struct slice){ s.p, DUBBO_HEAD });
	frames_of(c)->detail = "more than one message may hold";
	if (!m->raw.p)
		return -ENOMEM;
	m->serialization = (uint8_t)s.p[2] & DUBBO_SERIALIZATION;
	m->wire_status = c->server ? MSG_NO_STATUS : (uint8_t)s.p[3];
	m->status = c->server ? 0 : http_status(m->wire_status);
	if (m->serialization != DUBBO_HESSIAN2)
		return DUBBO_HEAD;
	err = (c->server ? dubbo_read_request : dubbo_read_response)(c, body, whole, m, &frames_of(c)->detail);
	return err ? err : DUBBO_HEAD;
}

/* ---- events ------------------------------------------------------------------------------------------------- */

/* Null in hessian2; other serializations have bytes of their own for it, which are given back. */
static int answer_heartbeat(struct codec *c, const struct frame *f, struct slice s)
{
	unsigned serialization = (uint8_t)s.p[2] & DUBBO_SERIALIZATION;
	struct slice body = serialization == DUBBO_HESSIAN2 ? SLICE_LIT("N") :
							      (struct slice){ s.p + DUBBO_HEAD, s.n - DUBBO_HEAD };
	int err = put_frame_head(frames_out(c), DUBBO_EVENT | serialization, DUBBO_OK, f->number, body.n);

	if (!err)
		err = buf_add(frames_out(c), body.p, body.n);
	return err ? frames_fail(c, PROTO_OVERLOAD, "out of memory") : 0;
}

/* Only hessian2 can be read; Java sends no other event that wants no answer. */
static bool says_readonly(struct slice s)
{
	bool known = ((uint8_t)s.p[2] & DUBBO_SERIALIZATION) == DUBBO_HESSIAN2;

	return !known || (s.n >= DUBBO_HEAD + 2 && !memcmp(s.p + DUBBO_HEAD, "\1R", 2));
}

/* A host calls its caller: nobody here takes that. */
static int refuse_call(struct codec *c, unsigned flags, uint64_t number)
{
	struct frame_answer a = { .number = number, .wire = DUBBO_SERVER_ERROR };
	int err = frames_glitch(c);

	if (err || !(flags & DUBBO_TWO_WAY))
		return err;
	a.text = SLICE_LIT("calls from a host to its caller are not passed on");
	return put_answer(c, &a) ? frames_fail(c, PROTO_OVERLOAD, "out of memory") : 0;
}

static int control(struct codec *c, struct slice s, const struct frame *f)
{
	unsigned flags = (uint8_t)s.p[2];
	int err;

	if (!(flags & DUBBO_EVENT))
		return refuse_call(c, flags, f->number);
	if (!(flags & DUBBO_REQUEST)) {
		c->sink->ping(c->sink_arg, f->number, true);
		return 0;
	}
	if (!c->server && !(flags & DUBBO_TWO_WAY) && says_readonly(s)) {
		frames_of(c)->away = true;
		c->sink->goaway(c->sink_arg, f->number, PROTO_NONE);
		return 0;
	}
	err = frames_glitch(c);
	if (err || !(flags & DUBBO_TWO_WAY) || s.n < f->size)
		return err;
	c->sink->ping(c->sink_arg, f->number, false);
	return answer_heartbeat(c, f, s);
}

/* ---- writing ------------------------------------------------------------------------------------------------ */

static const struct frame_ops frame_ops = {
	.fixed = DUBBO_HEAD,
	.look = look,
	.read = read_message,
	.control = control,
	.answer = put_answer,
};

static int put_out(struct codec *c, const struct msg *m, uint64_t number, uint64_t body)
{
	bool request = m->kind == MSG_REQUEST || m->kind == MSG_ONEWAY;
	bool as_it_came = m->raw.n == DUBBO_HEAD && !(m->flags & MSG_CHANGED);
	unsigned flags = (unsigned)m->serialization & DUBBO_SERIALIZATION;
	unsigned status = request ? 0 : (unsigned)m->wire_status;

	if (as_it_came) {
		flags = (uint8_t)m->raw.p[2];
		status = (uint8_t)m->raw.p[3];
	} else if (request) {
		flags |= DUBBO_REQUEST | (m->kind == MSG_REQUEST ? DUBBO_TWO_WAY : 0);
	}
	return put_frame_head(&c->out, flags, status, number, body);
}

/* Where the map of attachments lies in the body, and what stands there instead. */
static int edit_of(const struct msg *m, struct frames_tx *edit)
{
	const struct dubbo_map *map = m->priv;

	*edit = (struct frames_tx){ .at = UINT64_MAX };
	if (!map || !(m->flags & MSG_CHANGED) || (uint64_t)m->body_len < map->end)
		return 0;
	edit->at = map->at;
	edit->drop = map->end - map->at;
	return dubbo_write_map(m, &edit->instead);
}

static int put_head(struct codec *c, uint64_t *id, const struct msg *m, bool end)
{
	struct frames_tx edit;
	uint64_t number, body;
	int err = frames_put_begin(c, id, m, &number);

	(void)end;              /* body_len says it */
	if (err)
		return err;
	err = edit_of(m, &edit);
	body = (uint64_t)m->body_len + edit.instead.len - edit.drop;
	if (!err)
		err = body > INT32_MAX ? -EMSGSIZE : put_out(c, m, number, body);
	if (err) {
		buf_fini(&edit.instead);
		return frames_fail(c, PROTO_INTERNAL, "out of memory, or a body over 2 GiB");
	}
	frames_put_body(c, *id, (uint64_t)m->body_len, &edit);
	return 0;
}

static int put_event(struct codec *c, unsigned flags, uint64_t number, struct slice body)
{
	struct buf *out = frames_out(c);
	int err = put_frame_head(out, DUBBO_REQUEST | DUBBO_EVENT | DUBBO_HESSIAN2 | flags, 0, number, body.n);

	if (!err)
		err = buf_add(out, body.p, body.n);
	return err ? frames_fail(c, PROTO_OVERLOAD, "out of memory") : 0;
}

/* Clients begin no calls here any more; there is no last word. */
static int put_goaway(struct codec *c, bool final, enum proto_why why)
{
	(void)why;
	return final || !c->server ? 0 : put_event(c, 0, 0, SLICE_LIT("\1R"));
}

static int put_ping(struct codec *c, uint64_t token)
{
	return put_event(c, DUBBO_TWO_WAY, token, SLICE_LIT("N"));
}

/* ---- ops ---------------------------------------------------------------------------------------------------- */

/* The first frame of a client is a request, or an event of one. */
static enum proto_match sniff(struct slice head, size_t *need)
{
	unsigned flags;

	*need = 4;
	if (memcmp(head.p, "\xda\xbb", head.n < 2 ? head.n : 2))
		return PROTO_NO;
	if (head.n < 4)
		return PROTO_MORE;
	flags = (uint8_t)head.p[2];
	return flags & DUBBO_REQUEST && flags & DUBBO_SERIALIZATION && !head.p[3] ? PROTO_YES : PROTO_NO;
}

static int init(struct codec *c)
{
	frames_init(c, &frame_ops);
	return 0;
}

const struct proto_ops proto_dubbo = {
	.name = "dubbo",
	FRAMES_METHODS,
	.sniff = sniff,
	.init = init,
	.put_head = put_head,
	.put_goaway = put_goaway,
	.put_ping = put_ping,
};
