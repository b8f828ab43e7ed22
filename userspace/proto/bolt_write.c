// SPDX-License-Identifier: Apache-2.0
/* Writing: frames of messages at once into out; our own frames behind the one that is half written. */
#include <errno.h>
#include <zlib.h>
#include "base/bytes.h"
#include "base/magic.h"
#include "proto/bolt_priv.h"
#include "weft/str.h"

#define COPY_MAX 2048u                          /* bytes of a body that are copied into out's tail rather than chained */

static int no_memory(struct codec *c)
{
	return bolt_fail(c, PROTO_OVERLOAD, "out of memory");
}

/* ---- frames of our own -------------------------------------------------------------------------------------- */

static struct buf *aside(struct codec *c)
{
	return bolt_of(c)->tx.id ? &bolt_of(c)->later : &c->out;
}

static int put_crc(struct buf *out, uint32_t crc)
{
	char p[BOLT_CRC];

	bytes_put32(p, crc);
	return buf_add(out, p, sizeof(p));
}

/* Of nothing but a fixed part. */
static int put_fixed(struct codec *c, struct bolt_fixed *f)
{
	char p[BOLT_FIXED_MAX + BOLT_CRC];
	unsigned n;

	f->class_n = f->header_n = 0;
	f->content_n = 0;
	n = bolt_fixed_write(f, p);
	if (bolt_has_crc(f)) {
		bytes_put32(p + n, (uint32_t)crc32(0, (const Bytef *)p, n));
		n += BOLT_CRC;
	}
	return buf_add(aside(c), p, n) ? no_memory(c) : 0;
}

/* With headers behind the fixed part. */
static int put_headers(struct codec *c, const struct bolt_fixed *f, const struct bolt_vars *v)
{
	struct buf b = { 0 };
	char p[BOLT_FIXED_MAX];
	struct slice all;
	int err;

	err = buf_add(&b, p, bolt_fixed_write(f, p));
	err = err ? err : bolt_vars_write(v, &b);
	if (!err && bolt_has_crc(f)) {
		all = buf_pull(&b, b.len);
		err = all.p ? put_crc(&b, (uint32_t)crc32_z(0, (const Bytef *)all.p, all.n)) : -ENOMEM;
	}
	if (!err)
		buf_move(aside(c), &b);
	buf_fini(&b);
	return err ? no_memory(c) : 0;
}

/* One that answers the peer lies in out until the peer reads it, which it may never do. */
static int put_answer(struct codec *c, struct bolt_fixed f)
{
	if (++bolt_of(c)->control > bolt_limit(c->limits->control_frames, BOLT_CONTROL_MAX))
		return bolt_fail(c, PROTO_ABUSE, "answers that are not read");
	f.type = BOLT_RESPONSE;
	return put_fixed(c, &f);
}

int bolt_put_ack(struct codec *c, const struct bolt_fixed *heartbeat)
{
	return put_answer(c, *heartbeat);
}

int bolt_put_refusal(struct codec *c, const struct bolt_fixed *request, enum bolt_status status)
{
	struct bolt_fixed f = *request;

	f.command = BOLT_ANSWER;
	f.status = (uint16_t)status;
	return put_answer(c, f);
}

/* A frame that nothing came before. */
static struct bolt_fixed own(const struct bolt *s, enum bolt_command command, uint64_t id)
{
	return (struct bolt_fixed){ .proto = s->proto, .ver1 = 1, .ver2 = 1, .type = BOLT_REQUEST, .command = (uint16_t)command,
				    .codec = BOLT_HESSIAN2, .id = (uint32_t)id };
}

int bolt_put_goaway(struct codec *c, bool final, enum proto_why why)
{
	const struct bolt_conf *conf = c->conf;
	struct bolt *s = bolt_of(c);
	struct bolt_fixed f;

	(void)final;
	(void)why;
	if (!c->server || !conf || !conf->goaway || s->told)
		return 0;
	s->told = true;
	f = own(s, BOLT_GOAWAY, bolt_next_id(s));
	return put_fixed(c, &f);
}

int bolt_put_ping(struct codec *c, uint64_t token)
{
	struct bolt *s = bolt_of(c);
	struct bolt_fixed f;

	s->ping_id = bolt_next_id(s);
	s->ping_token = token;
	f = own(s, BOLT_HEARTBEAT, s->ping_id);
	f.timeout = -1;
	return put_fixed(c, &f);
}

/* ---- heads -------------------------------------------------------------------------------------------------- */

static void begin(struct bolt *s, uint64_t id, const struct bolt_fixed *f)
{
	s->proto = f->proto;
	s->tx.id = id;
	s->tx.left = f->content_n;
	s->tx.with_crc = bolt_has_crc(f);
	s->tx.crc = 0;
}

/* The frame is whole. What waited for it goes. */
static int end_frame(struct codec *c)
{
	struct bolt *s = bolt_of(c);
	struct call *call = c->server ? calls_find(&s->calls, s->tx.id) : NULL;

	if (call)
		calls_del(&s->calls, call);
	s->tx.id = 0;
	if (s->tx.with_crc && put_crc(&c->out, s->tx.crc))
		return no_memory(c);
	buf_move(&c->out, &s->later);
	return 0;
}

static int put(struct codec *c, const void *p, size_t n)
{
	struct bolt *s = bolt_of(c);

	if (s->tx.with_crc)
		s->tx.crc = (uint32_t)crc32_z(s->tx.crc, p, n);
	return n ? buf_add(&c->out, p, n) : 0;
}

static int put_raw(struct codec *c, const struct bolt_fixed *f, struct slice raw)
{
	char p[BOLT_FIXED_MAX];
	unsigned n = bolt_fixed_write(f, p);
	int err = put(c, p, n);

	return err ? err : put(c, raw.p + n, raw.n - n);
}

static int put_anew(struct codec *c, struct bolt_fixed *f, const struct bolt_vars *v)
{
	struct bolt *s = bolt_of(c);
	char p[BOLT_FIXED_MAX];
	struct buf b = { 0 };
	int err = put(c, p, bolt_fixed_write(f, p));

	err = err ? err : bolt_vars_write(v, s->tx.with_crc ? &b : &c->out);
	for (struct slice d = buf_head(&b); d.n && !err; d = buf_head(&b)) {
		err = put(c, d.p, d.n);
		buf_drop(&b, d.n);
	}
	buf_fini(&b);
	return err;
}

/* What is not said of a message that came as no frame: version 1, or 2 with a checksum; hessian2. */
static bool read_raw(const struct codec *c, const struct msg *m, struct bolt_fixed *f)
{
	const struct bolt_conf *conf = c->conf;
	bool ours = m->proto == c->ops && m->raw.n, sum = conf && conf->checksum && !c->server;

	if (ours)
		bolt_fixed_read(m->raw, f);
	else
		*f = (struct bolt_fixed){ .proto = sum ? 2 : 1, .ver1 = sum ? 2 : 1, .protocol_switch = sum, .ver2 = 1, .codec = BOLT_HESSIAN2 };
	return ours;
}

/* The fields that may have been changed, or were never on bolt's wire. */
static void fill(struct bolt_fixed *f, const struct msg *m, bool ours)
{
	if (m->serialization > 0 && m->serialization <= UINT8_MAX)
		f->codec = (uint8_t)m->serialization;
	if (m->timeout_ms > 0 || !ours)
		f->timeout = m->timeout_ms;
	f->command = f->type == BOLT_RESPONSE ? BOLT_ANSWER : BOLT_CALL;
	f->status = (uint16_t)(ours && m->wire_status >= 0 ? m->wire_status : bolt_status_wire(m->status));
}

/* A request that came as no frame says in fields what bolt's says in headers. */
static void add_named(struct bolt_vars *v, const struct msg *m, const char *name, struct slice value)
{
	if (value.n && !msg_find(m, slice_str(name)))
		v->more[v->nmore++] = (struct msg_header){ slice_str(name), value };
}

static int put_message(struct codec *c, uint64_t id, const struct msg *m, struct bolt_fixed *f, bool as_it_came)
{
	struct bolt_vars v = { .class_name = m->class_name, .headers = m->headers, .nheaders = m->nheaders };
	int err = 0;

	if (as_it_came) {
		begin(bolt_of(c), id, f);
		return put_raw(c, f, m->raw);
	}
	if ((m->proto != c->ops || !m->raw.n) && m->kind != MSG_RESPONSE) {
		add_named(&v, m, "service", m->service);
		add_named(&v, m, "sofa_head_method_name", m->rpc_method);
	}
	err = bolt_vars_measure(&v, f);
	if (err)
		return err;
	begin(bolt_of(c), id, f);
	return put_anew(c, f, &v);
}

static enum bolt_type type_of(const struct msg *m)
{
	return m->kind == MSG_REQUEST ? BOLT_REQUEST : m->kind == MSG_ONEWAY ? BOLT_ONEWAY : BOLT_RESPONSE;
}

/* What it goes out as. False: it cannot go as it came. */
static bool prepare(struct codec *c, const struct msg *m, const struct call *call, bool end, struct bolt_fixed *f)
{
	bool ours = read_raw(c, m, f), same = ours && !(m->flags & MSG_CHANGED);
	uint32_t content = end ? 0 : (uint32_t)m->body_len;

	same = same && f->type == type_of(m) && f->content_n == content;
	f->type = (uint8_t)type_of(m);
	f->content_n = content;
	/* The caller's own version, checksum or not, and codec where the answer does not say. */
	if (call && f->proto != (uint8_t)call->note) {
		same = false;
		f->proto = (uint8_t)call->note;
		f->ver1 = (uint8_t)(call->note >> 8);
		f->protocol_switch = (uint8_t)(call->note >> 16);
	}
	if (call && !ours)
		f->codec = (uint8_t)(call->note >> 24);
	if (!same)
		fill(f, m, ours);
	return same;
}

static int finish_head(struct codec *c, const struct bolt_fixed *f, int err)
{
	if (err && err != -ENOTSUP)
		return no_memory(c);
	return err || f->content_n ? err : end_frame(c);
}

static int put_request(struct codec *c, uint64_t *id, const struct msg *m, bool end)
{
	struct bolt *s = bolt_of(c);
	struct bolt_fixed f;
	bool same;
	int err;

	if (s->away)
		return -ESHUTDOWN;
	if (!bolt_room(c))
		return -EAGAIN;
	same = prepare(c, m, NULL, end, &f);
	*id = bolt_next_id(s);
	f.id = (uint32_t)*id;
	err = put_message(c, *id, m, &f, same);
	if (!err && f.type == BOLT_REQUEST)
		err = calls_add(&s->calls, (struct call){ .id = *id, .wire = f.id });
	if (err == -ENOTSUP)
		*id = 0;
	return finish_head(c, &f, err);
}

static int put_response(struct codec *c, uint64_t id, const struct msg *m, bool end)
{
	struct call *call = calls_find(&bolt_of(c)->calls, id);
	struct bolt_fixed f;
	bool same;

	if (!call)
		return -ENOENT;
	same = prepare(c, m, call, end, &f);
	f.id = (uint32_t)call->wire;
	return finish_head(c, &f, put_message(c, id, m, &f, same));
}

int bolt_put_head(struct codec *c, uint64_t *id, const struct msg *m, bool end)
{
	bool request = m->kind == MSG_REQUEST || m->kind == MSG_ONEWAY;

	assert_always(request == !*id);
	if (bolt_of(c)->tx.id)
		return bolt_fail(c, PROTO_INTERNAL, "a frame in the middle of another");
	if (m->upgrade.n || (!request && m->kind != MSG_RESPONSE))
		return -ENOTSUP;
	if (!end && (m->body_len < 0 || m->body_len > UINT32_MAX))
		return -ENOTSUP;
	return request ? put_request(c, id, m, end) : put_response(c, *id, m, end);
}

/* ---- bodies ------------------------------------------------------------------------------------------------- */

static int put_piece(struct codec *c, struct buf *data, size_t n, bool copied)
{
	struct slice d = buf_head(data);

	if (!copied)
		return buf_take(&c->out, data, n);
	if (buf_add(&c->out, d.p, n))
		return -ENOMEM;
	buf_drop(data, n);
	return 0;
}

/* Many small chunks cost more to send than to copy. */
static int put_body(struct codec *c, struct buf *data)
{
	struct bolt *s = bolt_of(c);
	bool copied = data->len <= COPY_MAX;
	int err = 0;

	if (!s->tx.with_crc && !copied) {
		buf_move(&c->out, data);
		return 0;
	}
	for (struct slice d = buf_head(data); d.n && !err; d = buf_head(data)) {
		if (s->tx.with_crc)
			s->tx.crc = (uint32_t)crc32_z(s->tx.crc, (const Bytef *)d.p, d.n);
		err = put_piece(c, data, d.n, copied);
	}
	return err;
}

/* Its length was promised, and behind it another frame begins. */
ssize_t bolt_put_data(struct codec *c, uint64_t id, struct buf *data, bool end)
{
	struct bolt *s = bolt_of(c);
	size_t n = data->len;
	int err = 0;

	if (!id || id != s->tx.id)
		return n ? -ENOENT : 0;
	if (n > s->tx.left || (end && n < s->tx.left))
		return bolt_fail(c, PROTO_INTERNAL, "body of another length than its head says");
	if (put_body(c, data))
		return no_memory(c);
	s->tx.left -= (uint32_t)n;
	if (!s->tx.left)
		err = end_frame(c);
	return err ? err : (ssize_t)n;
}

/* ---- answers that are no host's ----------------------------------------------------------------------------- */

static int reply(struct codec *c, struct call *call, int status, const struct msg_header *headers, size_t n)
{
	struct bolt_fixed f = { .proto = (uint8_t)call->note, .ver1 = (uint8_t)(call->note >> 8), .ver2 = 1,
				.protocol_switch = (uint8_t)(call->note >> 16), .codec = (uint8_t)(call->note >> 24),
				.type = BOLT_RESPONSE, .command = BOLT_ANSWER, .status = (uint16_t)status, .id = (uint32_t)call->wire };
	struct bolt_vars v = { .headers = headers, .nheaders = n };

	calls_del(&bolt_of(c)->calls, call);
	return n && !bolt_vars_measure(&v, &f) ? put_headers(c, &f, &v) : put_fixed(c, &f);
}

int bolt_put_reply(struct codec *c, uint64_t id, const struct msg *request, const struct proto_reply *r)
{
	struct bolt *s = bolt_of(c);
	struct call *call = calls_find(&s->calls, id);

	(void)request;
	if (!call)
		return -ENOENT;
	if (s->tx.id == id)
		return -EPIPE;
	return reply(c, call, r->wire_status >= 0 ? r->wire_status : bolt_status_wire(r->status), r->headers, r->nheaders);
}

/* A caller that waits is told, unless it is the caller who gave up. */
static int refuse(struct codec *c, struct call *call, enum proto_why why)
{
	static const int statuses[PROTO_WHY_COUNT] = {
#define BOLT_WHY_STATUS_(NAME, text, status, again) [PROTO_##NAME] = status,
		PROTO_WHYS(BOLT_WHY_STATUS_)
#undef BOLT_WHY_STATUS_
	};

	if (statuses[why])
		return reply(c, call, bolt_status_wire(statuses[why]), NULL, 0);
	calls_del(&bolt_of(c)->calls, call);
	return 0;
}

/* Only closing ends a frame that has begun. */
int bolt_put_reset(struct codec *c, uint64_t id, enum proto_why why)
{
	struct bolt *s = bolt_of(c);
	struct call *call;

	if (!id)
		return 0;
	if (id == s->rx.id)
		bolt_rx_abandon(s);
	call = calls_find(&s->calls, id);
	if (id == s->tx.id) {
		if (call)
			calls_del(&s->calls, call);
		return -EPIPE;
	}
	if (!call)
		return 0;
	if (c->server)
		return refuse(c, call, why);
	calls_del(&s->calls, call);
	return 0;
}
