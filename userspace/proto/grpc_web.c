/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/grpc_web.h"

#include <ctype.h>
#include <errno.h>

#include "weft/buf.h"
#include "weft/str.h"

#define PIECE 3072u                             /* bytes that are encoded at a time: whole groups */

/* ---- base64 ------------------------------------------------------------------------------------------------- */

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The third or fourth letter, which only another one may follow. */
static bool pad(struct grpc_web_text *t)
{
	t->bits <<= 6;
	t->pads++;
	return ++t->have > 2;
}

static bool letter(struct grpc_web_text *t, char c)
{
	int v = value_of(c);

	if (v < 0 || t->pads)
		return false;
	t->bits = t->bits << 6 | (uint32_t)v;
	t->have++;
	return true;
}

static size_t group(struct grpc_web_text *t, char *out)
{
	size_t n = 3u - t->pads;

	for (size_t i = 0; i < n; i++)
		out[i] = (char)(t->bits >> (16 - 8 * i));
	*t = (struct grpc_web_text){ 0 };
	return n;
}

ssize_t grpc_web_decode(struct grpc_web_text *t, struct slice in, char *out)
{
	char *p = out;

	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '=' ? !pad(t) : !letter(t, in.p[i]))
			return -EINVAL;
		if (t->have == 4)
			p += group(t, p);
	}
	return p - out;
}

static size_t encode(const unsigned char *in, size_t n, char *out)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *p = out;

	for (; n; in += n < 3 ? n : 3, n -= n < 3 ? n : 3) {
		uint32_t bits = (uint32_t)in[0] << 16 | (n > 1 ? (uint32_t)in[1] << 8 : 0) | (n > 2 ? in[2] : 0);

		*p++ = letters[bits >> 18];
		*p++ = letters[bits >> 12 & 63];
		*p++ = n > 1 ? letters[bits >> 6 & 63] : '=';
		*p++ = n > 2 ? letters[bits & 63] : '=';
	}
	return (size_t)(p - out);
}

int grpc_web_encode(struct slice in, struct buf *out)
{
	char piece[PIECE / 3 * 4];
	int err = 0;

	while (in.n && !err) {
		size_t n = in.n < PIECE ? in.n : PIECE;

		err = buf_add(out, piece, encode((const unsigned char *)in.p, n, piece));
		in = (struct slice){ in.p + n, in.n - n };
	}
	return err;
}

/* ---- trailers ----------------------------------------------------------------------------------------------- */

static int line(const struct msg_header *h, struct buf *out)
{
	int err = 0;

	for (size_t i = 0; i < h->name.n && !err; i++) {
		char c = (char)tolower((unsigned char)h->name.p[i]);

		err = buf_add(out, &c, 1);
	}
	if (!err)
		err = buf_add(out, ": ", 2);
	if (!err)
		err = buf_add(out, h->value.p, h->value.n);
	return err ? err : buf_add(out, "\r\n", 2);
}

int grpc_web_trailers(const struct msg *m, struct buf *out)
{
	size_t n = 0;
	char head[5];
	int err;

	for (uint32_t i = 0; i < m->nheaders; i++)
		n += m->headers[i].name.n + m->headers[i].value.n + 4;
	head[0] = (char)0x80;
	for (int i = 0; i < 4; i++)
		head[1 + i] = (char)(n >> (24 - 8 * i));
	err = buf_add(out, head, sizeof(head));
	for (uint32_t i = 0; i < m->nheaders && !err; i++)
		err = line(&m->headers[i], out);
	return err;
}
