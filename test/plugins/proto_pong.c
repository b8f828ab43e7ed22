/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A protocol without numbers, one exchange after the other on a connection (no PROTO_MULTIPLEX), by lines:
 *	CALL service method length [name=value]...	and so many bytes; TELL: the same, which nobody answers
 *	ANSWER status length [name=value]...		and so many bytes; 0 good, 1 nobody, 2 busy, 3 late
 *	PING, PONG, BYE					BYE: "I begin nothing more", or "send no more"
 * The field "timeout" is the caller's, in ms.
 */
#include <errno.h>
#include <string.h>
#include <weft/plugin.h>

#define LINE_MAX 8192u

struct pong {                   /* one connection, of a client or to a host */
	uint64_t id;            /* of the exchange that is under way, or was last */
	uint64_t token;         /* of our PING */
	uint64_t left;          /* bytes of its body are to come */
	bool skip;              /* and nobody wants them */
	bool bye;               /* said */
};

struct pong_conf {              /* protocolSettings: {nobody: 7} */
	uint32_t nobody;
};

static const struct conf_item pong_rows[] = {
	CONF_ITEM(struct pong_conf, nobody, "nobody", INT, .min = 1, .max = 255, .dflt = "1",
		  .help = "status that a caller is told where no route leads"),
	CONF_END
};

static const int http[] = { 200, 404, 503, 504 };

static int malformed(struct codec *c, const char *detail)
{
	c->why = PROTO_MALFORMED;
	c->detail = detail;
	return -EPROTO;
}

/* ---- what comes ---------------------------------------------------------------------------------------------- */

static struct slice word(struct slice *line)
{
	const char *end = line->n ? memchr(line->p, ' ', line->n) : NULL;
	struct slice w = { line->p, end ? (size_t)(end - line->p) : line->n };

	line->p += end ? w.n + 1 : w.n;
	line->n -= end ? w.n + 1 : w.n;
	return w;
}

static int64_t number(struct slice w)
{
	int64_t n = 0;

	for (size_t i = 0; i < w.n; i++) {
		if (w.p[i] < '0' || w.p[i] > '9')
			return -1;
		n = n * 10 + w.p[i] - '0';
	}
	return w.n && w.n < 12 ? n : -1;
}

static int fields(struct msg *m, struct slice line)
{
	while (line.n) {
		struct slice w = word(&line);
		const char *eq = w.n ? memchr(w.p, '=', w.n) : NULL;
		struct slice name = { w.p, eq ? (size_t)(eq - w.p) : 0 }, value = { eq ? eq + 1 : NULL, eq ? w.n - name.n - 1 : 0 };

		if (!name.n)
			return -EPROTO;
		if (slice_eq_str(name, "timeout"))
			m->timeout_ms = (int32_t)number(value);
		if (msg_push(m, name, value))
			return -ENOMEM;
	}
	return 0;
}

/* Behind the first word. -EAGAIN: the next one waits for the answer to this one. */
static int head(struct codec *c, enum msg_kind kind, struct slice line)
{
	struct pong *s = c->state;
	struct slice service = c->server ? word(&line) : (struct slice){ 0 };
	struct slice method = c->server ? word(&line) : (struct slice){ 0 };
	int64_t status = c->server ? 0 : number(word(&line)), n = number(word(&line));
	struct msg *m;

	if (status < 0 || n < 0 || (c->server && !method.n))
		return malformed(c, "a line that is no head");
	s->id += c->server;
	s->left = (uint64_t)n;
	m = c->sink->begin(c->sink_arg, s->id, kind);
	s->skip = !m;
	if (!m)
		return c->server ? buf_printf(&c->out, "ANSWER 2 0\n") : 0;
	line = msg_dup(m, line);
	m->kind = kind;
	m->proto = c->ops;
	m->flags |= MSG_EXACT_NAMES;
	m->service = msg_dup(m, service);
	m->rpc_method = msg_dup(m, method);
	m->body_len = n;
	m->wire_status = c->server ? MSG_NO_STATUS : (int)status;
	m->status = c->server ? 0 : status < 4 ? http[status] : 500;
	if (fields(m, line))
		return malformed(c, "a field without a name");
	return c->sink->head(c->sink_arg, s->id, m, !n) || (c->server && !n) ? -EAGAIN : 0;
}

static int line_came(struct codec *c, struct slice line)
{
	struct pong *s = c->state;
	struct slice first = word(&line);

	if (slice_eq_str(first, "PING")) {
		c->sink->ping(c->sink_arg, 0, false);
		if (c->sink->glitch(c->sink_arg)) {
			c->why = PROTO_ABUSE;
			return -EPROTO;
		}
		return buf_printf(&c->out, "PONG\n");
	}
	if (slice_eq_str(first, "PONG"))
		c->sink->ping(c->sink_arg, s->token, true);
	else if (slice_eq_str(first, "BYE"))
		c->sink->goaway(c->sink_arg, s->id, PROTO_NONE);
	else if (c->server && slice_eq_str(first, "CALL"))
		return head(c, MSG_REQUEST, line);
	else if (c->server && slice_eq_str(first, "TELL"))
		return head(c, MSG_ONEWAY, line);
	else if (!c->server && slice_eq_str(first, "ANSWER"))
		return head(c, MSG_RESPONSE, line);
	else
		return malformed(c, "a line that begins with no word of the protocol");
	return 0;
}

static int body(struct codec *c, struct buf *in)
{
	struct pong *s = c->state;
	struct slice d = buf_head(in);

	d.n = d.n < s->left ? d.n : s->left;
	s->left -= d.n;
	if (s->skip)
		buf_drop(in, d.n);
	else
		proto_give(c, s->id, in, d, !s->left);
	return c->server && !s->left ? -EAGAIN : 0;
}

static bool readable(struct slice line)
{
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] < ' ' || line.p[i] > '~')
			return false;
	return true;
}

static int pong_decode(struct codec *c, struct buf *in)
{
	struct pong *s = c->state;
	int err = 0;

	while (in->len && !err) {
		struct slice line;
		const char *end;

		if (s->left) {
			err = body(c, in);
			continue;
		}
		line = buf_pull(in, in->len < LINE_MAX ? in->len : LINE_MAX);
		end = line.p ? memchr(line.p, '\n', line.n) : NULL;
		if (!end)
			return in->len < LINE_MAX && readable(line) ? 0 : malformed(c, "a line that is none");
		line.n = (size_t)(end - line.p);
		err = line_came(c, line);
		buf_drop(in, line.n + 1);
	}
	return err;
}

/* ---- what goes ----------------------------------------------------------------------------------------------- */

/* A value with a blank cannot be said: it is left out. */
static int put_fields(struct codec *c, const struct msg *m)
{
	int err = 0;

	for (uint32_t i = 0; i < m->nheaders && !err; i++) {
		struct slice name = m->headers[i].name, value = m->headers[i].value;

		if (!memchr(name.p, ' ', name.n) && (!value.n || !memchr(value.p, ' ', value.n)))
			err = buf_printf(&c->out, " %.*s=%.*s", (int)name.n, name.p, (int)value.n, value.n ? value.p : "");
	}
	return err ? err : buf_printf(&c->out, "\n");
}

static int pong_put_head(struct codec *c, uint64_t *id, const struct msg *m, bool end)
{
	struct pong *s = c->state;
	int err;

	(void)end;              /* body_len says it */
	if (m->kind == MSG_RESPONSE) {
		err = buf_printf(&c->out, "ANSWER %d %lld", m->wire_status >= 0 ? m->wire_status : m->status < 400 ? 0 : 4,
				 (long long)m->body_len);
	} else if (m->kind == MSG_REQUEST || m->kind == MSG_ONEWAY) {
		*id = ++s->id;
		err = buf_printf(&c->out, "%s %.*s %.*s %lld", m->kind == MSG_ONEWAY ? "TELL" : "CALL", (int)m->service.n,
				 m->service.p, (int)m->rpc_method.n, m->rpc_method.p, (long long)m->body_len);
	} else {
		return -ENOTSUP;
	}
	return err ? err : put_fields(c, m);
}

static ssize_t pong_put_data(struct codec *c, uint64_t id, struct buf *data, bool end)
{
	ssize_t n = (ssize_t)data->len;

	(void)id, (void)end;
	buf_move(&c->out, data);
	return n;
}

static int pong_put_reply(struct codec *c, uint64_t id, const struct msg *request, const struct proto_reply *r)
{
	const struct pong_conf *conf = c->conf;
	int status = r->status == 404 ? (int)conf->nobody : r->status == 504 ? 3 : r->status == 503 ? 2 : 4;
	int err = buf_printf(&c->out, "ANSWER %d %zu\n", status, r->text.n);

	(void)id, (void)request;
	return err ? err : buf_add(&c->out, r->text.p, r->text.n);
}

static int pong_put_goaway(struct codec *c, bool final, enum proto_why why)
{
	struct pong *s = c->state;
	bool said = s->bye;

	(void)final, (void)why;
	s->bye = true;
	return said ? 0 : buf_printf(&c->out, "BYE\n");
}

static int pong_put_ping(struct codec *c, uint64_t token)
{
	((struct pong *)c->state)->token = token;
	return buf_printf(&c->out, "PING\n");
}

static unsigned pong_room(const struct codec *c)
{
	(void)c;
	return 1;
}

static enum proto_match pong_sniff(struct slice d, size_t *need)
{
	static const char *const words[] = { "CALL ", "TELL ", "PING\n" };

	*need = 5;
	for (size_t i = 0; i < 3; i++)
		if (!memcmp(d.p, words[i], d.n < 5 ? d.n : 5))
			return d.n < 5 ? PROTO_MORE : PROTO_YES;
	return PROTO_NO;
}

static const struct proto_ops proto_pong = {
	.name = "pong", .flags = PROTO_RPC | PROTO_NEEDS_LENGTH,
	.conf = pong_rows, .conf_size = sizeof(struct pong_conf), .state_size = sizeof(struct pong),
	.sniff = pong_sniff, .decode = pong_decode, .room = pong_room, .put_head = pong_put_head, .put_data = pong_put_data,
	.put_reply = pong_put_reply, .put_goaway = pong_put_goaway, .put_ping = pong_put_ping,
};

WEFT_PLUGIN(.name = "pong", .version = "1.0", .protos = (const struct proto_ops *const[]){ &proto_pong, NULL });
