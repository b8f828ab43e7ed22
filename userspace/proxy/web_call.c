/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/web_call.h"

#include <errno.h>

#include "proto/grpc.h"
#include "proxy/downstream.h"
#include "proxy/grpc_call.h"
#include "proxy/stream_priv.h"
#include "weft/str.h"

#define TYPE SLICE_LIT("content-type")
#define LENGTH SLICE_LIT("content-length")
#define PIECE 4096u                             /* letters that are decoded at a time */

/* ---- the request -------------------------------------------------------------------------------------------- */

/* The client may want its answer of the other kind. */
static uint8_t wanted(const struct msg *m, uint8_t kind)
{
	enum grpc_kind k = grpc_kind_of(msg_get(m, SLICE_LIT("accept")), NULL);

	return k == GRPC_WEB || k == GRPC_WEB_TEXT ? (uint8_t)k : kind;
}

int web_call_begin(struct stream *s)
{
	const struct listener *l = downstream_conf(s->down);
	struct msg *m = &s->request;
	struct slice format;
	enum grpc_kind kind;
	int err;

	if (!l || !l->grpc_web || !slice_eq_str(m->method, "POST"))
		return 0;
	kind = grpc_kind_of(msg_get(m, TYPE), &format);
	if (kind != GRPC_WEB && kind != GRPC_WEB_TEXT)
		return 0;
	s->web = wanted(m, (uint8_t)kind);
	s->web_text = kind == GRPC_WEB_TEXT;
	if (s->web_text) {
		msg_del(m, LENGTH);
		m->body_len = m->body_len ? MSG_LENGTH_UNKNOWN : 0;
	}
	err = grpc_kind_set(m, GRPC_PLAIN, format);
	return err ? err : msg_set(m, SLICE_LIT("te"), SLICE_LIT("trailers"));
}

static int add(struct stream *s, struct buf *in, struct slice d, bool end)
{
	if (s->chain && !s->request.upgrade.n)
		return chain_data(s, CHAIN_REQUEST, in, d, end);
	return body_keep(&s->request_body, in, d);
}

int web_call_request(struct stream *s, struct buf *in, struct slice d, bool end)
{
	char out[GRPC_WEB_DECODED(PIECE)];
	int err = 0;

	if (!s->web_text)
		return add(s, in, d, end);
	while (d.n && !err) {
		size_t n = d.n < PIECE ? d.n : PIECE;
		ssize_t made = grpc_web_decode(&s->web_in, (struct slice){ d.p, n }, out);

		if (made < 0)
			return (int)made;
		err = add(s, NULL, (struct slice){ out, (size_t)made }, false);
		d = (struct slice){ d.p + n, d.n - n };
	}
	if (!err && end && !grpc_web_ended(&s->web_in))
		return -EINVAL;
	return err || !end ? err : add(s, NULL, (struct slice){ 0 }, true);
}

/* ---- the answer --------------------------------------------------------------------------------------------- */

int web_call_head(struct stream *s)
{
	struct msg *m = &s->response;
	struct slice format;

	if (!s->web || grpc_kind_of(msg_get(m, TYPE), &format) != GRPC_PLAIN)
		return 0;
	/* A status in the head stays there; else the body gets longer by the trailers. */
	if (m->body_len) {
		msg_del(m, LENGTH);
		m->body_len = MSG_LENGTH_UNKNOWN;
	}
	return grpc_kind_set(m, s->web, format);
}

int web_call_data(struct stream *s, struct buf *in, struct slice d)
{
	return s->web == GRPC_WEB_TEXT ? grpc_web_encode(d, &s->response_body) : body_keep(&s->response_body, in, d);
}

int web_call_trailers(struct stream *s)
{
	struct buf frame;
	int err;

	buf_init(&frame);
	err = grpc_web_trailers(&s->extra, &frame);
	while (!err && frame.len) {
		struct slice d = buf_head(&frame);

		err = web_call_data(s, NULL, d);
		buf_drop(&frame, d.n);
	}
	buf_fini(&frame);
	s->response_trailed = false;
	return err;
}

struct slice web_call_type(const struct stream *s)
{
	return grpc_kind_name(s->web);
}
