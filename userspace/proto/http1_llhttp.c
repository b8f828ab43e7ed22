// SPDX-License-Identifier: Apache-2.0
/*
 * A head or trailer section by llhttp, in one go, and what it refused in our words. Its parser lives no longer than the
 * call: what is asked of it afterwards is copied.
 */
#include "proto/http1_priv.h"

#include <errno.h>
#include "weft/str.h"

/* To llhttp a chunked body whose trailers are read now: empty up to them. */
static const char before_trailers[] = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";

/* ---- callbacks ---- */

/* The bytes lie in one piece, so parts of one span follow each other. */
static void extend(struct slice *s, const char *at, size_t n)
{
	if (!s->p)
		s->p = at;
	s->n += n;
}

static int on_url(llhttp_t *p, const char *at, size_t n)
{
	struct http1_head *h = p->data;

	extend(&h->target, at, n);
	return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
	struct http1_head *h = p->data;

	if (h->in_value && http1_line(h))
		return HPE_USER;
	extend(&h->name, at, n);
	return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
	struct http1_head *h = p->data;

	h->in_value = true;
	extend(&h->value, at, n);
	return 0;
}

/* A line without a value is in_value too: llhttp gives the empty span. */
static int on_end(llhttp_t *p)
{
	struct http1_head *h = p->data;

	if (h->in_value && http1_line(h))
		return HPE_USER;
	h->complete = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_end,
	.on_message_complete = on_end,
};

/* ---- what llhttp refused, in our words ---- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static const char *line_words(struct slice raw, const char *at)
{
	const char *line = at;

	if (*at == '\0')
		return "NUL in a header";
	while (line > raw.p && line[-1] != '\n')
		line--;
	if (memchr(line, ':', at - line))
		return "control character in a header value";
	if (is_space(*at) || (at > line && is_space(at[-1])))
		return "space in or behind a header name";
	return *at == '\r' ? "header without a colon" : "character that no header name may have";
}

/* What stands behind the name; the head ends in an empty line, so the line's end is there. */
static const char *length_words(struct slice name)
{
	const char *p = name.p + name.n + 1;

	while (is_space(*p))
		p++;
	if (*p == '\r')
		return "empty Content-Length";
	while (*p >= '0' && *p <= '9')
		p++;
	return *p == '\r' ? "Content-Length over 2^63" : "Content-Length that is no number";
}

/* llhttp stopped within the line of a framing header, or behind its name. */
static const char *framing_words(const struct http1_head *h)
{
	bool length = HTTP1_IS(h->name, "content-length"), coding = HTTP1_IS(h->name, "transfer-encoding");

	if (h->trailing && (length || coding))
		return "trailer that only a head may have";
	if ((h->ncoding && h->nlength) || (h->ncoding && length) || (h->nlength && coding))
		return "both Content-Length and Transfer-Encoding";
	if (coding && h->ncoding)
		return "Transfer-Encoding more than once";
	return NULL;
}

static const char *error_words(const struct http1_head *h, llhttp_errno_t err, const char *at)
{
	switch (err) {
	case HPE_INVALID_HEADER_TOKEN:
		return line_words(h->raw, at);
	case HPE_INVALID_URL:
		return "character that no request target may have";
	case HPE_UNEXPECTED_CONTENT_LENGTH:
		return "Content-Length more than once";
	case HPE_INVALID_CONTENT_LENGTH:
		return length_words(h->name);
	case HPE_INVALID_TRANSFER_ENCODING:
		return "Transfer-Encoding other than chunked";
	case HPE_LF_EXPECTED:
	case HPE_CR_EXPECTED:
	case HPE_STRICT:
		return "bare CR";
	default:
		return h->c->server ? "malformed request line" : "malformed status line";
	}
}

/* "BREW /pot HTTP/1.1": a method that llhttp does not know, not junk. */
static bool is_method(struct slice raw)
{
	const char *space = memchr(raw.p, ' ', raw.n < 32 ? raw.n : 32);

	return space && http1_is_token((struct slice){ raw.p, space - raw.p });
}

/* The first line says what is spoken; a connection that says nothing of HTTP gets no answer in it (RFC 9113 3.4). */
static bool is_http(struct slice raw)
{
	const char *end = memchr(raw.p, '\r', raw.n);
	size_t n = end ? (size_t)(end - raw.p) : raw.n;

	for (size_t i = 0; i + 6 <= n; i++)
		if (!memcmp(raw.p + i, " HTTP/", 6))
			return true;
	return false;
}

static int failed(struct http1_head *h, llhttp_errno_t err, const char *at)
{
	struct codec *c = h->c;
	const char *words;

	if (h->refused)
		return http1_fail(c, h->why, h->status, h->detail);
	if (err == HPE_INVALID_VERSION)
		return http1_fail(c, PROTO_UNSUPPORTED, 505, "version other than HTTP/1.0 and HTTP/1.1");
	if (c->server && !h->target.p && err == HPE_INVALID_METHOD && http1_of(c)->last_id == 1 && !is_http(h->raw))
		return http1_fail(c, PROTO_MALFORMED, 0, "not HTTP");
	if (c->server && !h->target.p && is_method(h->raw) && err == HPE_INVALID_METHOD)
		return http1_fail(c, PROTO_UNSUPPORTED, 501, "method not known");
	words = framing_words(h);
	return http1_fail(c, PROTO_MALFORMED, 400, words ? words : error_words(h, err, at));
}

static void learn(struct http1_head *h, const llhttp_t *p)
{
	h->method = p->method;
	h->minor = p->http_minor;
	h->code = p->status_code;
	h->content_length = p->content_length;
	h->chunked = p->flags & F_CHUNKED;
	h->counted = p->flags & F_CONTENT_LENGTH;
}

/* The head of a message whose trailers are read was judged before: its callbacks are nobody's. */
static const llhttp_settings_t unheard;

static int to_trailers(struct http1_head *h, llhttp_t *p)
{
	llhttp_init(p, HTTP_REQUEST, &unheard);
	if (llhttp_execute(p, before_trailers, sizeof(before_trailers) - 1))
		return http1_fail(h->c, PROTO_INTERNAL, 502, "trailers out of place");
	p->settings = (void *)&settings;
	return 0;
}

int http1_head_llhttp(struct http1_head *h)
{
	llhttp_t p;
	llhttp_errno_t err;

	if (!h->trailing)
		llhttp_init(&p, h->c->server ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	else if (to_trailers(h, &p))
		return -EPROTO;
	p.data = h;
	err = llhttp_execute(&p, h->raw.p, h->raw.n);
	if (err != HPE_PAUSED || !h->complete || llhttp_get_error_pos(&p) != h->raw.p + h->raw.n)
		return failed(h, err, llhttp_get_error_pos(&p));
	learn(h, &p);
	return 0;
}
