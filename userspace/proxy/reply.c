// SPDX-License-Identifier: Apache-2.0
#include "proxy/reply.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "proxy/downstream.h"
#include "proxy/chain.h"
#include "proxy/grpc_call.h"
#include "proxy/record.h"
#include "proxy/http.h"
#include "proxy/worker.h"
#include "weft/str.h"

#define TEXT_MAX 256

/* RFC 9110 5.6.7; made once a second. */
static struct slice date(struct worker *w)
{
	time_t now = time(NULL);
	struct tm tm;

	if (now != w->http->date_at) {
		w->http->date_at = now;
		gmtime_r(&now, &tm);
		strftime(w->http->date, sizeof(w->http->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	}
	return slice_str(w->http->date);
}

/* "no healthy host (UH)" */
static int say_why(struct stream *s)
{
	char text[TEXT_MAX];
	int n = snprintf(text, sizeof(text), "%s (", s->info.detail);

	n += record_flags(text + n, sizeof(text) - (size_t)n, s->info.flags);
	n += snprintf(text + n, sizeof(text) - (size_t)n, ")\n");
	s->reply.text = msg_dup(&s->response, (struct slice){ text, (size_t)n });
	s->reply.content_type = SLICE_LIT("text/plain");
	return s->reply.text.p ? 0 : -ENOMEM;
}

static int text_head(struct stream *s)
{
	struct msg *m = &s->response;
	int err = 0;

	m->status = s->reply.status;
	m->wire_status = s->reply.wire_status;
	m->body_len = (int64_t)s->reply.text.n;
	if (s->reply.text.n)
		err = msg_push(m, SLICE_LIT("content-type"), s->reply.content_type);
	return err;
}

static int head(struct stream *s)
{
	struct msg *m = &s->response;
	int err;

	m->kind = MSG_RESPONSE;
	err = grpc_call(s) ? grpc_call_reply(s) : text_head(s);
	if (!err && s->location.n)
		err = msg_push(m, SLICE_LIT("location"), s->location);
	if (!err)
		err = msg_push(m, SLICE_LIT("date"), date(s->w));
	return err ? err : msg_push(m, SLICE_LIT("server"), SLICE_LIT("weft"));
}

/* Of a protocol that says it in its own way, for filters to see. */
static int own_head(struct stream *s)
{
	s->response.kind = MSG_RESPONSE;
	return text_head(s);
}

static int headers(struct stream *s)
{
	int err = 0;

	for (size_t i = 0; i < s->reply.nheaders && !err; i++)
		err = msg_push(&s->response, s->reply.headers[i].name, s->reply.headers[i].value);
	return err;
}

int reply_make(struct stream *s)
{
	bool own = s->down->leg.codec.ops->put_reply;
	int err = 0;

	s->reply_begun = true;
	s->response = (struct msg){ .arena = &s->arena };
	stat_add(&s->w->http->stat.local_replies, 1);
	if (!s->reply.text.p && s->info.detail[0])
		err = say_why(s);
	if (s->reply.status == 204 || s->reply.status == 304)
		s->reply.text = (struct slice){ 0 };    /* RFC 9110 15.3.5, 15.4.5 */
	if (!err)
		err = own ? own_head(s) : head(s);
	if (!err)
		err = headers(s);
	if (!err && s->chain)
		chain_reply_begin(s);
	return err;
}

static int put(struct stream *s)
{
	struct codec *c = &s->down->leg.codec;
	bool text = s->response.body_len && !slice_eq_str(s->request.method, "HEAD");
	int err = 0;

	s->info.response_bytes += text ? s->reply.text.n : 0;
	/* What a host said before is nobody's any more; filters give the text themselves. */
	if (!s->chain) {
		buf_fini(&s->response_body);
		s->response_trailed = false;
		err = text ? buf_add(&s->response_body, s->reply.text.p, s->reply.text.n) : 0;
	}
	if (!err)
		err = c->ops->put_head(c, &s->down_id, &s->response, !text);
	s->response_sent = !text;
	return err;
}

/* What filters have made of it. */
static int put_own(struct stream *s)
{
	struct codec *c = &s->down->leg.codec;
	struct proto_reply *r = &s->reply;
	struct slice text;

	if (s->chain) {
		text = buf_pull(&s->response_body, s->response_body.len);
		r->text = msg_dup(&s->response, text);
		r->wire_status = r->status == s->response.status ? r->wire_status : MSG_NO_STATUS;
		r->status = s->response.status;
		r->headers = s->response.headers;
		r->nheaders = s->response.nheaders;
	}
	buf_fini(&s->response_body);
	s->response_sent = true;
	return c->ops->put_reply(c, s->down_id, &s->request, r);
}

int reply_put(struct stream *s)
{
	return s->down->leg.codec.ops->put_reply ? put_own(s) : put(s);
}
