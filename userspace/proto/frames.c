// SPDX-License-Identifier: Apache-2.0
#include "proto/frames.h"

#include <errno.h>
#include "base/magic.h"
#include "weft/str.h"

enum {
	CALLS_MAX = 1 << 16,                    /* under way, unless the limits say */
	PREFIX_MAX = 1 << 16,                   /* bytes of a head, unless the limits say */
	LATER_MAX = 1 << 16,                    /* bytes of answers that wait behind a long frame */
};

/* What is said of an answer that nobody waits for: never an id of ours. */
#define LATE_BIT (1ull << 63)

void frames_init(struct codec *c, const struct frame_ops *ops)
{
	frames_of(c)->ops = ops;
}

void frames_fini(struct codec *c)
{
	struct frames *f = frames_of(c);

	calls_fini(&f->calls);
	buf_fini(&f->tx.instead);
	buf_fini(&f->later);
}

int frames_fail(struct codec *c, enum proto_why why, const char *detail)
{
	c->why = why;
	c->detail = detail;
	return -EPROTO;
}

static int no_memory(struct codec *c)
{
	return frames_fail(c, PROTO_OVERLOAD, "out of memory");
}

struct buf *frames_out(struct codec *c)
{
	struct frames *f = frames_of(c);

	return f->tx.left ? &f->later : &c->out;
}

int frames_glitch(struct codec *c)
{
	if (c->sink->glitch(c->sink_arg) || frames_of(c)->later.len > LATER_MAX)
		return frames_fail(c, PROTO_ABUSE, "too many frames that are no calls");
	return 0;
}

static uint32_t calls_max(const struct codec *c)
{
	return c->limits->streams ? c->limits->streams : CALLS_MAX;
}

unsigned frames_room(const struct codec *c)
{
	const struct frames *f = frames_of(c);
	uint32_t most = calls_max(c);

	return c->server || f->away || f->calls.n >= most ? 0 : most - f->calls.n;
}

bool frames_reusable(const struct codec *c)
{
	const struct frames *f = frames_of(c);

	return !f->calls.n && !f->away && f->rx == FRAMES_IDLE && !f->tx.left;
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

/* The stream is not to hear of the frame that is being read any more. */
static void forget(struct frames *f, uint64_t id)
{
	if (f->rx == FRAMES_IDLE || f->id != id)
		return;
	f->skip = true;
	f->m = NULL;
}

static int answer(struct codec *c, const struct frame_answer *a)
{
	return frames_of(c)->ops->answer(c, a) ? no_memory(c) : 0;
}

/* To the request that is being read. */
static int answer_this(struct codec *c, int status, struct slice text)
{
	const struct frame *f = &frames_of(c)->frame;

	return answer(c, &(struct frame_answer){ .number = f->number, .note = f->note, .status = status, .wire = MSG_NO_STATUS,
						  .text = text });
}

/* A call of ours has its answer, or wants none any more. */
static bool call_over(struct frames *f, uint64_t id)
{
	struct call *call = calls_find(&f->calls, id);

	if (call)
		calls_del(&f->calls, call);
	return call;
}

/* The message makes no sense, or is too much; the connection lives. */
static int refuse(struct codec *c, int err)
{
	struct frames *f = frames_of(c);
	enum proto_why why = err == -EPROTO ? PROTO_MALFORMED : err == -E2BIG ? PROTO_HEAD_TOO_LARGE : PROTO_TOO_LARGE;
	const char *detail = f->detail;
	bool waits;

	forget(f, f->id);
	c->sink->reset(c->sink_arg, f->id, why);
	/* Unless the sink has answered by itself. */
	waits = call_over(f, f->id) && c->server;
	return waits ? answer_this(c, err == -EPROTO ? 400 : 431, slice_str(detail)) : 0;
}

/* A request as soon as it is one: who sends the rest slowly is on the clock. */
static void begin_request(struct codec *c)
{
	struct frames *f = frames_of(c);

	f->id = ++f->last;
	f->m = f->calls.n < calls_max(c) ? c->sink->begin(c->sink_arg, f->id, f->frame.msg) : NULL;
	f->skip = !f->m;
	if (!f->m)
		f->id = 0;
}

/* The caller's number is known, and whether it waits. */
static int register_request(struct codec *c)
{
	struct frames *f = frames_of(c);

	if (f->frame.msg != MSG_REQUEST)
		return 0;
	if (!f->skip)
		return calls_add(&f->calls, (struct call){ f->id, f->frame.number, f->frame.note }) ? no_memory(c) : 0;
	if (!f->id)
		return answer_this(c, 503, SLICE_LIT("too many calls at once"));
	return 0;
}

/* A client's call whose number that is. */
static const struct call *find_number_of_ours(const struct frames *f, uint64_t number)
{
	return f->ops->short_numbers ? calls_find_low(&f->calls, (uint32_t)number) : calls_find(&f->calls, number);
}

static void begin_response(struct codec *c)
{
	struct frames *f = frames_of(c);

	const struct call *call = find_number_of_ours(f, f->frame.number);

	f->skip = !call;
	f->id = call ? call->id : f->frame.number | LATE_BIT;
	f->m = c->sink->begin(c->sink_arg, f->id, MSG_RESPONSE);
	if (f->m && f->skip)
		c->sink->reset(c->sink_arg, f->id, PROTO_CANCELLED);
	f->skip |= !f->m;
}

/* 1 = go on. */
static int rx_idle(struct codec *c, struct buf *in)
{
	struct frames *f = frames_of(c);
	size_t n = in->len < f->ops->fixed ? in->len : f->ops->fixed;
	struct slice s = buf_pull(in, n);
	int err;

	if (!n)
		return 0;
	if (!s.p)
		return no_memory(c);
	f->frame = (struct frame){ .msg = c->server ? MSG_REQUEST : MSG_RESPONSE };
	err = f->ops->look(c, s, &f->frame);
	if (err || n < f->ops->fixed)
		return err;
	assert_hot(f->frame.size >= n && f->frame.want >= n && f->frame.want <= f->frame.size);
	f->rx = FRAMES_COLLECT;
	f->left = f->frame.size;
	f->id = 0;
	f->m = NULL;
	f->skip = false;
	if (f->frame.kind == FRAME_MESSAGE && c->server) {
		begin_request(c);
		err = f->frame.numbered ? register_request(c) : 0;
	}
	return err ? err : 1;
}

/* n bytes of the frame are done with. */
static void drop(struct frames *f, struct buf *in, uint64_t n)
{
	buf_drop(in, n);
	f->left -= n;
	f->rx = f->left ? FRAMES_BODY : FRAMES_IDLE;
}

/* The answer of a call is over. */
static void answered(struct codec *c, uint64_t id)
{
	struct frames *f = frames_of(c);
	bool full = !f->away && !frames_room(c);

	if (!c->server && call_over(f, id) && full)
		c->sink->room(c->sink_arg);
}

static int collect_more(struct codec *c, bool whole)
{
	struct frames *f = frames_of(c);
	uint32_t max = c->limits->head_bytes ? c->limits->head_bytes : PREFIX_MAX;

	if (!whole && f->frame.want < max) {
		f->frame.want = 2 * f->frame.want < f->frame.size ? 2 * f->frame.want : f->frame.size;
		return 0;
	}
	f->detail = whole ? "frame is shorter than what it says" : "head over a size limit";
	if (!f->frame.numbered)
		return frames_fail(c, whole ? PROTO_MALFORMED : PROTO_HEAD_TOO_LARGE, f->detail);
	return refuse(c, whole ? -EPROTO : -E2BIG);
}

/* Number and kind where the first bytes did not tell. 1: known; else as of collect_more() and refuse(). */
static int find_number(struct codec *c, struct slice s)
{
	struct frames *f = frames_of(c);
	int err;

	if (f->frame.numbered)
		return 1;
	err = f->ops->number(c, s, &f->frame);
	if (err == -EAGAIN)
		return collect_more(c, s.n == f->frame.size);
	if (err)
		return err;
	f->frame.numbered = true;
	err = c->server ? register_request(c) : 0;
	return err ? err : 1;
}

/* Head of a message that is wanted. 0 or what decode() returns. */
static int read_head(struct codec *c, struct buf *in, struct slice s)
{
	struct frames *f = frames_of(c);
	ssize_t n = f->ops->read(c, s, &f->frame, f->m);
	struct msg *m = f->m;
	uint64_t id = f->id;

	if (n == -EAGAIN)
		return collect_more(c, s.n == f->frame.size);
	if (n < 0)
		return refuse(c, (int)n);
	m->proto = c->ops;
	m->kind = f->frame.msg;
	m->flags |= MSG_EXACT_NAMES;
	f->m = NULL;
	drop(f, in, (uint64_t)n);
	m->body_len = (int64_t)f->left;
	if (f->left)
		return c->sink->head(c->sink_arg, id, m, false);
	f->id = 0;
	answered(c, id);
	return c->sink->head(c->sink_arg, id, m, true);
}

static int rx_collect(struct codec *c, struct buf *in)
{
	struct frames *f = frames_of(c);
	struct slice s;
	int err;

	if (f->skip && f->frame.numbered) {
		f->rx = FRAMES_BODY;
		return 1;
	}
	if (in->len < f->frame.want)
		return 0;
	s = buf_pull(in, f->frame.want);
	if (!s.p)
		return no_memory(c);
	if (f->frame.kind == FRAME_CONTROL) {
		err = f->ops->control(c, s, &f->frame);
		f->skip = true;
		drop(f, in, s.n);
		return err ? err : 1;
	}
	err = find_number(c, s);
	if (err <= 0)
		return err < 0 ? err : 1;
	if (!c->server && !f->m && !f->skip)
		begin_response(c);
	err = f->skip ? 0 : read_head(c, in, s);
	return err ? err : 1;
}

static int rx_body(struct codec *c, struct buf *in)
{
	struct frames *f = frames_of(c);
	struct slice d = buf_head(in);
	uint64_t id = f->id;
	bool skip = f->skip;

	if (!d.n)
		return 0;
	if (d.n > f->left)
		d.n = f->left;
	f->left -= d.n;
	if (!f->left) {
		f->rx = FRAMES_IDLE;
		f->id = 0;
		answered(c, id);
	}
	if (skip)
		buf_drop(in, d.n);
	else
		proto_give(c, id, in, d, !f->left);
	return 1;
}

int frames_decode(struct codec *c, struct buf *in)
{
	static int (*const read[])(struct codec *, struct buf *) = {
		[FRAMES_IDLE] = rx_idle,
		[FRAMES_COLLECT] = rx_collect,
		[FRAMES_BODY] = rx_body,
	};
	int r;

	do
		r = read[frames_of(c)->rx](c, in);
	while (r > 0);
	return r;
}

/* ---- writing ------------------------------------------------------------------------------------------------ */

/* A frame is through: what waited for that goes behind it. */
static void written(struct codec *c)
{
	struct frames *f = frames_of(c);

	if (c->server)
		call_over(f, f->tx.id);
	f->tx.id = 0;
	buf_move(&c->out, &f->later);
}

/* The next number that no call under way has. */
static uint64_t next_id(struct frames *f)
{
	do
		f->last++;
	while (!(uint32_t)f->last || find_number_of_ours(f, f->last));
	return f->last;
}

int frames_put_begin(struct codec *c, uint64_t *id, const struct msg *m, uint64_t *number)
{
	struct frames *f = frames_of(c);
	const struct call *call;

	if (m->kind == MSG_INFO || m->kind == MSG_TRAILERS || m->upgrade.n || m->proto != c->ops || m->body_len < 0)
		return -ENOTSUP;
	if (f->tx.left)
		return -EAGAIN;
	if (c->server) {
		call = calls_find(&f->calls, *id);
		*number = call ? call->wire : 0;
		return call ? 0 : -ENOENT;
	}
	if (f->away)
		return -ESHUTDOWN;
	if (!frames_room(c))
		return -EAGAIN;
	*id = next_id(f);
	*number = f->ops->short_numbers ? (uint32_t)*id : *id;
	return m->kind == MSG_REQUEST && calls_add(&f->calls, (struct call){ .id = *id }) ? no_memory(c) : 0;
}

void frames_put_body(struct codec *c, uint64_t id, uint64_t body, struct frames_tx *edit)
{
	struct frames *f = frames_of(c);

	f->tx = edit ? *edit : (struct frames_tx){ .at = UINT64_MAX };
	f->tx.id = id;
	f->tx.left = body;
	if (body)
		return;
	buf_move(&c->out, &f->tx.instead);
	written(c);
}

static int move(struct buf *to, struct buf *data, uint64_t n)
{
	if (n < data->len)
		return buf_take(to, data, n);
	buf_move(to, data);
	return 0;
}

/* The bytes that stand instead of others, once those are all dropped. */
static size_t replace(struct codec *c, struct buf *data)
{
	struct frames_tx *tx = &frames_of(c)->tx;
	size_t n = tx->drop < data->len ? tx->drop : data->len;

	buf_drop(data, n);
	tx->drop -= n;
	if (!tx->drop) {
		buf_move(&c->out, &tx->instead);
		tx->at = UINT64_MAX;
	}
	return n;
}

ssize_t frames_put_data(struct codec *c, uint64_t id, struct buf *data, bool end)
{
	struct frames_tx *tx = &frames_of(c)->tx;
	size_t before = data->len;

	if (!id || id != tx->id)
		return -ENOENT;
	assert_always(data->len <= tx->left);
	while (data->len) {
		uint64_t n = data->len < tx->at ? data->len : tx->at;

		if (n && move(&c->out, data, n))
			return no_memory(c);
		tx->at -= tx->at == UINT64_MAX ? 0 : n;
		tx->left -= n;
		if (!tx->at)
			tx->left -= replace(c, data);
	}
	if (!tx->left)
		written(c);
	else if (end)
		return frames_fail(c, PROTO_INTERNAL, "a body is shorter than was said");
	return (ssize_t)before;
}

/* The caller does not wait any more. False: it did not. */
static bool take_caller(struct frames *f, uint64_t id, struct frame_answer *a)
{
	struct call *call = calls_find(&f->calls, id);

	if (!call)
		return false;
	a->number = call->wire;
	a->note = call->note;
	calls_del(&f->calls, call);
	return true;
}

/* A frame that is half written can neither be ended nor taken back. */
static bool half_written(const struct frames *f, uint64_t id)
{
	return f->tx.left && f->tx.id == id;
}

int frames_put_reset(struct codec *c, uint64_t id, enum proto_why why)
{
	static const struct {
		const char *text;
		int status;
	} says[] = {
#define FRAMES_WHY_(NAME, text, status, again) { text, status },
		PROTO_WHYS(FRAMES_WHY_)
#undef FRAMES_WHY_
	};
	struct frame_answer a = { .status = says[why].status ? says[why].status : 500, .wire = MSG_NO_STATUS };
	struct frames *f = frames_of(c);

	if (!id)
		return 0;
	forget(f, id);
	if (half_written(f, id))
		return -EPIPE;
	if (!c->server)
		return call_over(f, id), 0;
	a.text = slice_str(says[why].text);
	return take_caller(f, id, &a) ? answer(c, &a) : 0;
}

int frames_put_reply(struct codec *c, uint64_t id, const struct msg *request, const struct proto_reply *r)
{
	struct frame_answer a = { .request = request, .status = r->status, .wire = r->wire_status, .text = r->text };
	struct frames *f = frames_of(c);

	if (half_written(f, id))
		return -EPIPE;
	if (!take_caller(f, id, &a))
		return 0;
	if (f->m && f->id == id)
		forget(f, id);
	return answer(c, &a);
}
