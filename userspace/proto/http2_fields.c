// SPDX-License-Identifier: Apache-2.0
/*
 * The fields of a head that goes out: each judged by what HTTP/2 carries (RFC 9113 8.2), whatever protocol it came in.
 * nghttp2 copies them when they are submitted, and makes names lower case.
 */
#include "proto/http2_priv.h"

#include <stddef.h>
#include <stdlib.h>
#include "base/bytes.h"
#include "proto/http1_priv.h"

void http2_fields_init(struct http2_fields *f)
{
	f->v = f->first;
	f->n = 0;
	f->room = sizeof(f->first) / sizeof(f->first[0]);
	f->bad = f->learn = false;
}

void http2_fields_fini(struct http2_fields *f)
{
	if (f->v != f->first)
		free(f->v);
}

static bool grow(struct http2_fields *f)
{
	nghttp2_nv *v = malloc(2 * f->room * sizeof(*v));

	if (!v)
		return false;
	memcpy(v, f->v, f->n * sizeof(*v));
	http2_fields_fini(f);
	f->v = v;
	f->room *= 2;
	return true;
}

/* Another value each time: in the table it would only drive out what comes again. Its name, once there, is pointed to. */
static bool is_once(struct slice name)
{
	switch (name.n) {
	case 11:
		return HTTP1_IS(name, "traceparent");
	case 12:
		return HTTP1_IS(name, "x-request-id") || HTTP1_IS(name, "grpc-timeout");
	}
	return false;
}

static void add(struct http2_fields *f, struct slice name, struct slice value, uint8_t flags)
{
	if (f->n == f->room && !grow(f)) {
		f->bad = true;
		return;
	}
	f->v[f->n++] = (nghttp2_nv){ .name = (uint8_t *)name.p, .value = (uint8_t *)(value.n ? value.p : ""),
				     .namelen = name.n, .valuelen = value.n, .flags = flags };
}

void http2_fields_add(struct http2_fields *f, struct slice name, struct slice value)
{
	add(f, name, value, NGHTTP2_NV_FLAG_NONE);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* The last eight bytes overlap those before: nothing is looked at byte by byte. */
static bool has_no_control(struct slice s)
{
	size_t at = 0;

	for (; at + 8 < s.n; at += 8)
		if (bytes_control(s.p + at) < 8)
			return false;
	return s.n >= 8 && bytes_control(s.p + s.n - 8) == 8;
}

/* RFC 9113 8.2.1: and no space around it. */
static bool is_value(struct slice s)
{
	if (s.n && (is_space(s.p[0]) || is_space(s.p[s.n - 1])))
		return false;
	return !s.n || has_no_control(s) || http1_value_end(s.p, s.p + s.n) == s.p + s.n;
}

/* What has no place in HTTP/2, or is said otherwise there. By length: nearly all names are done with one comparison. */
static bool left_out(const struct msg_header *h, bool websocket)
{
	struct slice name = h->name;

	switch (name.n) {
	case 2:
		return HTTP1_IS(name, "te") && !HTTP1_IS(h->value, "trailers");
	case 4:
		return HTTP1_IS(name, "host");
	case 14:
		return HTTP1_IS(name, "content-length") || HTTP1_IS(name, "http2-settings");
	case 17:
		if (websocket && HTTP1_IS(name, "sec-websocket-key"))
			return true;
		break;
	case 20:
		return websocket && HTTP1_IS(name, "sec-websocket-accept");
	}
	return http1_is_hop(name);
}

void http2_fields_headers(struct http2_fields *f, const struct msg *m, bool trailers, bool websocket)
{
	for (uint32_t i = 0; i < m->nheaders; i++) {
		const struct msg_header *h = &m->headers[i];

		if (left_out(h, websocket) || (trailers && http1_is_trailer_forbidden(h->name)))
			continue;
		if (!http1_is_token(h->name) || !is_value(h->value))
			f->bad = true;
		else
			add(f, h->name, h->value, !f->learn && is_once(h->name) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE);
	}
}

struct http2_fields *http2_fields_keep(struct http2 *h, const struct http2_fields *f)
{
	size_t head = offsetof(struct http2_fields, first) + f->n * sizeof(*f->v), bytes = 0;
	struct http2_fields *k;
	char *p;

	for (size_t i = 0; i < f->n; i++)
		bytes += f->v[i].namelen + f->v[i].valuelen;
	k = h->mem.malloc(head + bytes, h);
	if (!k)
		return NULL;
	k->v = k->first;
	k->n = f->n;
	p = (char *)k + head;
	for (size_t i = 0; i < f->n; i++) {
		k->v[i] = f->v[i];
		k->v[i].name = memcpy(p, f->v[i].name, f->v[i].namelen);
		p += f->v[i].namelen;
		k->v[i].value = memcpy(p, f->v[i].value, f->v[i].valuelen);
		p += f->v[i].valuelen;
	}
	return k;
}
