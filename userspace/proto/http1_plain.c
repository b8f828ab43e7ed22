// SPDX-License-Identifier: Apache-2.0
/*
 * Nearly all heads are plain: a usual method, a path, HTTP/1.1, lines of a name and a value. They are cut into lines here,
 * in one pass; whatever else there is, and whatever is wrong, is left to llhttp. So nothing is refused here, and nothing may
 * be taken that llhttp refuses or reads in another way: test/unit/proto/test_http1_plain.c changes every byte of heads to
 * every other and compares, and so does the fuzzer.
 */
#include "proto/http1_priv.h"

/* The target from p on is a path: behind it, or NULL. */
static const char *target(struct http1_head *h, const char *p)
{
	const char *from = p;

	if (*p != '/')
		return NULL;
	while (*p > ' ' && *p < 0x7f && *p != '#')
		p++;
	h->target = (struct slice){ from, (size_t)(p - from) };
	return p;
}

static const char *request_line(struct http1_head *h)
{
	static const struct {
		uint8_t n, method;
		char text[8];
	} known[] = { { 4, HTTP_GET, "GET " }, { 5, HTTP_POST, "POST " }, { 4, HTTP_PUT, "PUT " }, { 5, HTTP_HEAD, "HEAD " },
		      { 7, HTTP_DELETE, "DELETE " }, { 6, HTTP_PATCH, "PATCH " } };
	const char *p = h->raw.p, *end = p + h->raw.n;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (h->raw.n < 16 || memcmp(p, known[i].text, known[i].n))
			continue;
		h->method = known[i].method;
		p = target(h, p + known[i].n);
		return p && end - p > 11 && !memcmp(p, " HTTP/1.1\r\n", 11) ? p + 11 : NULL;
	}
	return NULL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *status_line(struct http1_head *h)
{
	const char *p = h->raw.p, *end = p + h->raw.n;

	if (h->raw.n < 17 || memcmp(p, "HTTP/1.1 ", 9) || p[9] < '2' || p[9] > '5' || !is_digit(p[10]) || !is_digit(p[11]) ||
	    p[12] != ' ')
		return NULL;
	h->code = (p[9] - '0') * 100 + (p[10] - '0') * 10 + p[11] - '0';
	p = http1_value_end(p + 13, end);
	return end - p > 2 && p[0] == '\r' && p[1] == '\n' ? p + 2 : NULL;
}

/* Digits and nothing else, said once, no more of them than fit. */
static bool content_length(struct http1_head *h)
{
	h->counted = !h->counted && h->value.n && h->value.n < 19;
	for (size_t i = 0; h->counted && i < h->value.n; i++) {
		if (!is_digit(h->value.p[i]))
			return false;
		h->content_length = h->content_length * 10 + h->value.p[i] - '0';
	}
	return h->counted;
}

/* Those that llhttp looks into: what frames the body, and what asks for another protocol. */
static bool name_is_plain(struct http1_head *h)
{
	switch (h->name.n) {
	case 7:
		return !HTTP1_IS(h->name, "upgrade");
	case 14:
		return !HTTP1_IS(h->name, "content-length") || content_length(h);
	case 16:
		return !HTTP1_IS(h->name, "proxy-connection");
	case 17:
		return !HTTP1_IS(h->name, "transfer-encoding");
	}
	return true;
}

bool http1_head_plain(struct http1_head *h)
{
	const char *end = h->raw.p + h->raw.n, *p = h->c->server ? request_line(h) : status_line(h);

	h->minor = 1;
	while (p && end - p > 2) {
		const char *name = p, *value;

		p = http1_token_end(p);
		h->name = (struct slice){ name, (size_t)(p - name) };
		if (!h->name.n || *p++ != ':')
			return false;
		while (*p == ' ' || *p == '\t')
			p++;
		value = p;
		p = http1_value_end(p, end);
		h->value = (struct slice){ value, (size_t)(p - value) };
		if (end - p < 4 || p[0] != '\r' || p[1] != '\n' || !name_is_plain(h) || http1_line(h))
			return false;
		p += 2;
	}
	h->complete = p && end - p == 2 && p[0] == '\r' && p[1] == '\n';
	return h->complete;
}
