// SPDX-License-Identifier: Apache-2.0
/* Reading: a frame's fixed part, its head, its body, its checksum. Lengths come first, so that any frame can be skipped. */
#include "proto/bolt_priv.h"

#include <errno.h>
#include <zlib.h>
#include "base/bytes.h"
#include "base/magic.h"
#include "weft/conf.h"
#include "weft/str.h"

int bolt_fail(struct codec *c, enum proto_why why, const char *detail)
{
	struct bolt *s = bolt_of(c);

	c->why = why;
	c->detail = detail;
	s->rx.state = BOLT_RX_SKIP;
	s->rx.id = 0;
	s->rx.left = UINT64_MAX;
	return -EPROTO;
}

uint64_t bolt_next_id(struct bolt *s)
{
	uint64_t id = s->last;
	uint32_t low;

	do
		low = (uint32_t)++id;
	while (!low || low == (uint32_t)s->ping_id || calls_find_low(&s->calls, low));
	return s->last = id;
}

unsigned bolt_room(const struct codec *c)
{
	const struct bolt *s = bolt_of(c);
	uint32_t most = bolt_limit(c->limits->streams, BOLT_STREAMS_MAX);

	return c->server || s->away || s->calls.n >= most ? 0 : most - s->calls.n;
}

static void skip(struct bolt *s, uint64_t n)
{
	s->rx.state = BOLT_RX_SKIP;
	s->rx.id = 0;
	s->rx.m = NULL;
	s->rx.left = n;
}

void bolt_rx_abandon(struct bolt *s)
{
	uint64_t crc = bolt_has_crc(&s->rx.f) ? BOLT_CRC : 0;

	if (s->rx.state == BOLT_RX_HEAD)
		skip(s, bolt_frame_n(&s->rx.f));
	else if (s->rx.state == BOLT_RX_BODY || s->rx.state == BOLT_RX_CRC)
		skip(s, s->rx.left + crc);
}

/* The call that an answer belonged to. The room it leaves is told when nothing else is under way. */
static bool forget(struct codec *c, uint64_t id)
{
	struct bolt *s = bolt_of(c);
	bool full = !bolt_room(c);
	struct call *call = calls_find(&s->calls, id);

	if (call)
		calls_del(&s->calls, call);
	return full && bolt_room(c);
}

/* The frame is read: what follows is another. True: there is room again for requests of ours. */
static bool read_whole(struct codec *c)
{
	struct bolt *s = bolt_of(c);
	uint64_t id = s->rx.id;

	s->rx.state = BOLT_RX_FIXED;
	s->rx.id = 0;
	s->rx.m = NULL;
	return !c->server && forget(c, id);
}

static void tell_room(struct codec *c, bool roomy)
{
	if (roomy)
		c->sink->room(c->sink_arg);
}

/* ---- frames that are no messages ---------------------------------------------------------------------------- */

static int odd(struct codec *c, const char *detail)
{
	return c->sink->glitch(c->sink_arg) ? bolt_fail(c, PROTO_ABUSE, detail) : 1;
}

static int heartbeat(struct codec *c, const struct bolt_fixed *f)
{
	struct bolt *s = bolt_of(c);
	int err = 0;

	if (f->type == BOLT_RESPONSE) {
		if ((uint32_t)s->ping_id != f->id || !s->ping_id)
			return odd(c, "flood of answers to heartbeats");
		s->ping_id = 0;
		c->sink->ping(c->sink_arg, s->ping_token, true);
		return 1;
	}
	if (f->type == BOLT_REQUEST)
		err = bolt_put_ack(c, f);
	if (err)
		return err;
	c->sink->ping(c->sink_arg, f->id, false);
	return odd(c, "flood of heartbeats");
}

static int goaway(struct codec *c, const struct bolt_fixed *f)
{
	struct bolt *s = bolt_of(c);

	if (c->server)
		return odd(c, "flood of goaways");
	s->away = true;
	c->sink->goaway(c->sink_arg, f->id, PROTO_NONE);
	return 1;
}

static int check_crc(struct codec *c, uint32_t crc, const char *p)
{
	return crc == bytes_get32(p) ? 0 : bolt_fail(c, PROTO_CORRUPT, "checksum of a bolt frame is wrong");
}

/* It has nothing behind its fixed part; what has is not looked at further. */
static int rx_control(struct codec *c, struct buf *in, const struct bolt_fixed *f)
{
	uint64_t n = bolt_frame_n(f);
	struct slice s;
	int r;

	if (bolt_has_crc(f) && n == bolt_fixed_n(f) + BOLT_CRC) {
		s = buf_pull(in, n);
		if (!s.p)
			return in->len < n ? 0 : bolt_fail(c, PROTO_OVERLOAD, "out of memory");
		r = check_crc(c, (uint32_t)crc32(0, (const Bytef *)s.p, (uInt)(n - BOLT_CRC)), s.p + n - BOLT_CRC);
		if (r)
			return r;
	}
	skip(bolt_of(c), n);
	return f->command == BOLT_GOAWAY ? goaway(c, f) : heartbeat(c, f);
}

/* ---- a message begins --------------------------------------------------------------------------------------- */

/* A request that nobody takes. */
static int refuse(struct codec *c, const struct bolt_fixed *f, enum bolt_status status)
{
	skip(bolt_of(c), bolt_frame_n(f));
	return f->type == BOLT_REQUEST ? bolt_put_refusal(c, f, status) : 0;
}

/* The message that comes in is not to be had; the connection goes on. */
static int drop(struct codec *c, enum proto_why why, const char *detail)
{
	struct bolt *s = bolt_of(c);
	uint64_t id = s->rx.id;
	bool roomy = forget(c, id);
	int err = 0;

	c->detail = detail;
	if (c->server)
		err = refuse(c, &s->rx.f, BOLT_CODEC_EXCEPTION);
	else
		skip(s, bolt_frame_n(&s->rx.f));
	c->sink->reset(c->sink_arg, id, why);
	tell_room(c, roomy);
	return err ? err : 1;
}

static int begin_request(struct codec *c, const struct bolt_fixed *f)
{
	struct bolt *s = bolt_of(c);
	struct call call = { .wire = f->id, .note = bolt_note(f) };

	if (s->calls.n >= bolt_limit(c->limits->streams, BOLT_STREAMS_MAX))
		return refuse(c, f, BOLT_BUSY);
	call.id = s->rx.id = bolt_next_id(s);
	if (f->type == BOLT_REQUEST && calls_add(&s->calls, call))
		return bolt_fail(c, PROTO_OVERLOAD, "out of memory");
	s->rx.m = c->sink->begin(c->sink_arg, call.id, f->type == BOLT_REQUEST ? MSG_REQUEST : MSG_ONEWAY);
	if (s->rx.m)
		return 0;
	forget(c, call.id);
	return refuse(c, f, BOLT_BUSY);
}

/* One that comes too late begins, too, so that it is counted: of no call that is known. */
static int begin_answer(struct codec *c, const struct bolt_fixed *f)
{
	struct bolt *s = bolt_of(c);
	struct call *call = calls_find_low(&s->calls, f->id);
	bool roomy;

	s->rx.id = call ? call->id : bolt_next_id(s);
	s->rx.m = c->sink->begin(c->sink_arg, s->rx.id, MSG_RESPONSE);
	if (call && s->rx.m)
		return 0;
	roomy = forget(c, s->rx.id);
	skip(s, bolt_frame_n(f));
	tell_room(c, roomy);
	return 0;
}

static int check_lengths(struct codec *c, const struct bolt_fixed *f)
{
	if (bolt_head_n(f) > bolt_limit(c->limits->head_bytes, BOLT_HEAD_MAX))
		return drop(c, PROTO_HEAD_TOO_LARGE, "class name and header map over their size limit");
	if (f->content_n > bolt_limit(c->limits->frame_bytes, BOLT_CONTENT_MAX))
		return drop(c, PROTO_TOO_LARGE, "content over its size limit");
	return 1;
}

static int begin(struct codec *c, const struct bolt_fixed *f)
{
	struct bolt *s = bolt_of(c);
	int err;

	if (c->server && f->type == BOLT_RESPONSE)
		return bolt_fail(c, PROTO_MALFORMED, "an answer where requests come");
	if (!c->server && f->type != BOLT_RESPONSE) {
		err = refuse(c, f, BOLT_NO_PROCESSOR);
		return err ? err : odd(c, "flood of requests from a host");
	}
	s->rx.state = BOLT_RX_HEAD;
	err = c->server ? begin_request(c, f) : begin_answer(c, f);
	if (err || s->rx.state != BOLT_RX_HEAD)
		return err ? err : 1;
	return check_lengths(c, f);
}

/* 1: all of it is in *s; 0: not yet. */
static int fixed_part(struct codec *c, struct buf *in, struct slice *s)
{
	unsigned n;

	*s = buf_pull(in, in->len < BOLT_FIXED_MAX ? in->len : BOLT_FIXED_MAX);
	if (!s->n)
		return in->len ? bolt_fail(c, PROTO_OVERLOAD, "out of memory") : 0;
	if (s->p[0] != 1 && s->p[0] != 2)
		return bolt_fail(c, PROTO_MALFORMED, "not bolt: a frame begins with its version, 1 or 2");
	if (s->n < BOLT_FIXED_MIN)
		return 0;
	n = bolt_fixed_size(*s);
	if (!n)
		return bolt_fail(c, PROTO_MALFORMED, "type of frame that bolt does not have");
	return s->n >= n;
}

static int rx_fixed(struct codec *c, struct buf *in)
{
	struct bolt *s = bolt_of(c);
	struct slice raw;
	const char *detail;
	int r = fixed_part(c, in, &raw);

	if (r <= 0)
		return r;
	detail = bolt_fixed_read(raw, &s->rx.f);
	if (detail)
		return bolt_fail(c, PROTO_MALFORMED, detail);
	s->proto = s->rx.f.proto;
	if (s->rx.f.command == BOLT_HEARTBEAT || s->rx.f.command == BOLT_GOAWAY)
		return rx_control(c, in, &s->rx.f);
	return begin(c, &s->rx.f);
}

/* ---- and goes on -------------------------------------------------------------------------------------------- */

static int parse(struct codec *c, struct slice raw)
{
	struct bolt *s = bolt_of(c);
	struct msg *m = s->rx.m;
	enum proto_why why = PROTO_NONE;
	const char *detail;

	m->proto = c->ops;
	m->raw = msg_dup(m, raw);
	if (!m->raw.p)
		return bolt_fail(c, PROTO_OVERLOAD, "out of memory");
	detail = bolt_head_read(m, &s->rx.f, bolt_limit(c->limits->headers, BOLT_HEADERS_MAX), &why);
	return detail ? drop(c, why, detail) : 0;
}

/* A body that is none ends with its checksum, before anybody hears of it. */
static int rx_head(struct codec *c, struct buf *in)
{
	struct bolt *s = bolt_of(c);
	const struct bolt_fixed *f = &s->rx.f;
	size_t head = bolt_head_n(f), all = f->content_n ? head : bolt_frame_n(f);
	struct slice raw = buf_pull(in, all);
	bool end = !f->content_n, roomy = false;
	uint64_t id = s->rx.id;
	struct msg *m = s->rx.m;
	int r = 0;

	if (!raw.p)
		return in->len < all ? 0 : bolt_fail(c, PROTO_OVERLOAD, "out of memory");
	if (bolt_has_crc(f))
		s->rx.crc = (uint32_t)crc32(0, (const Bytef *)raw.p, (uInt)head);
	if (all > head)
		r = check_crc(c, s->rx.crc, raw.p + head);
	if (!r)
		r = parse(c, (struct slice){ raw.p, head });
	if (r)
		return r;
	buf_drop(in, all);
	s->rx.state = f->content_n == 1 && bolt_has_crc(f) ? BOLT_RX_CRC : BOLT_RX_BODY;
	s->rx.left = f->content_n;
	if (end)
		roomy = read_whole(c);
	r = c->sink->head(c->sink_arg, id, m, end);
	tell_room(c, roomy);
	return r ? -EAGAIN : 1;
}

static int rx_body(struct codec *c, struct buf *in)
{
	struct bolt *s = bolt_of(c);
	bool crc = bolt_has_crc(&s->rx.f), end, roomy = false;
	struct slice d = buf_head(in);
	uint64_t id = s->rx.id, most = s->rx.left - crc;

	if (!d.n)
		return 0;
	if (d.n > most)
		d.n = most;
	if (crc)
		s->rx.crc = (uint32_t)crc32_z(s->rx.crc, (const Bytef *)d.p, d.n);
	s->rx.left -= d.n;
	end = !s->rx.left;
	if (end)
		roomy = read_whole(c);
	else if (s->rx.left == crc)
		s->rx.state = BOLT_RX_CRC;
	proto_give(c, id, in, d, end);
	tell_room(c, roomy);
	return 1;
}

/* Nobody gets the whole of a body before it is known to be right: then it could go on as if it were. */
static int rx_crc(struct codec *c, struct buf *in)
{
	struct bolt *s = bolt_of(c);
	struct slice p = buf_pull(in, 1 + BOLT_CRC);
	uint64_t id = s->rx.id;
	bool roomy;
	int err;

	if (!p.p)
		return in->len < 1 + BOLT_CRC ? 0 : bolt_fail(c, PROTO_OVERLOAD, "out of memory");
	err = check_crc(c, (uint32_t)crc32(s->rx.crc, (const Bytef *)p.p, 1), p.p + 1);
	if (err)
		return err;
	roomy = read_whole(c);
	proto_give(c, id, in, (struct slice){ p.p, 1 }, true);
	buf_drop(in, BOLT_CRC);
	tell_room(c, roomy);
	return 1;
}

static int rx_skip(struct codec *c, struct buf *in)
{
	struct bolt *s = bolt_of(c);
	size_t n = in->len < s->rx.left ? in->len : s->rx.left;

	buf_drop(in, n);
	s->rx.left -= n;
	if (s->rx.left)
		return 0;
	s->rx.state = BOLT_RX_FIXED;
	return 1;
}

/* ---- ops ---------------------------------------------------------------------------------------------------- */

static int decode(struct codec *c, struct buf *in)
{
	static int (*const read[])(struct codec *, struct buf *) = {
#define BOLT_RX_FUNCTION_(NAME, function) rx_##function,
		BOLT_RX(BOLT_RX_FUNCTION_)
#undef BOLT_RX_FUNCTION_
	};
	int r;

	if (c->out.len < BOLT_OUT_IDLE)
		bolt_of(c)->control = 0;
	do
		r = read[bolt_of(c)->rx.state](c, in);
	while (r > 0);
	return r;
}

static bool reusable(const struct codec *c)
{
	const struct bolt *s = bolt_of(c);

	return !s->calls.n && !s->away && !s->tx.id && s->rx.state == BOLT_RX_FIXED;
}

/* Of what only clients say: a heartbeat or a request. HTTP, TLS and Dubbo begin otherwise. */
static enum proto_match sniff(struct slice head, size_t *need)
{
	size_t type = 1;
	unsigned command;

	*need = 4;
	if (!head.n)
		return PROTO_MORE;
	if (head.p[0] == 2) {
		*need = 5;
		type = 2;
		if (head.n > 1 && head.p[1] != 1 && head.p[1] != 2)
			return PROTO_NO;
	} else if (head.p[0] != 1) {
		return PROTO_NO;
	}
	if (head.n > type && head.p[type] != BOLT_REQUEST && head.p[type] != BOLT_ONEWAY)
		return PROTO_NO;
	if (head.n > type + 1 && head.p[type + 1])
		return PROTO_NO;
	if (head.n < *need)
		return PROTO_MORE;
	command = (uint8_t)head.p[type + 2];
	return command == BOLT_HEARTBEAT || command == BOLT_CALL ? PROTO_YES : PROTO_NO;
}

static int init(struct codec *c)
{
	bolt_of(c)->proto = 1;
	return 0;
}

static void fini(struct codec *c)
{
	struct bolt *s = bolt_of(c);

	calls_fini(&s->calls);
	buf_fini(&s->later);
}

static const struct conf_item rows[] = {
	CONF_ITEM(struct bolt_conf, goaway, "goaway", BOOL,
		  .help = "clients are told by command 100 that their connection will close; not for Java's bolt library, which ends it then"),
	CONF_ITEM(struct bolt_conf, checksum, "checksum", BOOL,
		  .help = "of a cluster: calls that are made of JSON go to its hosts in version 2, with a checksum; else in version 1"),
	CONF_END
};

static const char *const alpn[] = { "bolt", NULL };

const struct proto_ops proto_bolt = {
	.name = "bolt",
	.alpn = alpn,
	.flags = PROTO_MULTIPLEX | PROTO_NEEDS_LENGTH | PROTO_RPC | PROTO_IDLE_PINGS,
	.conf = rows,
	.conf_size = sizeof(struct bolt_conf),
	.state_size = sizeof(struct bolt),
	.sniff = sniff,
	.init = init,
	.fini = fini,
	.decode = decode,
	.room = bolt_room,
	.put_head = bolt_put_head,
	.put_data = bolt_put_data,
	.put_reset = bolt_put_reset,
	.put_reply = bolt_put_reply,
	.put_goaway = bolt_put_goaway,
	.put_ping = bolt_put_ping,
	.reusable = reusable,
};
