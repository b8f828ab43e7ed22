// SPDX-License-Identifier: Apache-2.0
#include "proto/hessian.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include "weft/buf.h"

enum { CHUNK_MAX = 0x8000 };                    /* units or bytes: Java's writer takes no more at once */

static int put1(struct buf *b, unsigned v)
{
	char c = (char)v;

	return buf_add(b, &c, 1);
}

/* A first byte and n more of v. */
static int put(struct buf *b, unsigned first, uint64_t v, unsigned n)
{
	char s[9] = { (char)first };

	for (unsigned i = 1; i <= n; i++)
		s[i] = (char)(v >> 8 * (n - i));
	return buf_add(b, s, 1 + n);
}

int hessian_put_null(struct buf *b)
{
	return put1(b, 'N');
}

int hessian_put_bool(struct buf *b, bool v)
{
	return put1(b, v ? 'T' : 'F');
}

int hessian_put_end(struct buf *b)
{
	return put1(b, 'Z');
}

int hessian_put_int(struct buf *b, int32_t v)
{
	if (v >= -0x10 && v <= 0x2f)
		return put1(b, (unsigned)(0x90 + v));
	if (v >= -0x800 && v <= 0x7ff)
		return put(b, (unsigned)(0xc8 + (v >> 8)), (uint64_t)v, 1);
	if (v >= -0x40000 && v <= 0x3ffff)
		return put(b, (unsigned)(0xd4 + (v >> 16)), (uint64_t)v, 2);
	return put(b, 'I', (uint64_t)v, 4);
}

int hessian_put_long(struct buf *b, int64_t v)
{
	if (v >= -8 && v <= 15)
		return put1(b, (unsigned)(0xe0 + v));
	if (v >= -0x800 && v <= 0x7ff)
		return put(b, (unsigned)(0xf8 + (v >> 8)), (uint64_t)v, 1);
	if (v >= -0x40000 && v <= 0x3ffff)
		return put(b, (unsigned)(0x3c + (v >> 16)), (uint64_t)v, 2);
	if (v >= INT32_MIN && v <= INT32_MAX)
		return put(b, 'Y', (uint64_t)v, 4);
	return put(b, 'L', (uint64_t)v, 8);
}

int hessian_put_date(struct buf *b, int64_t ms)
{
	return put(b, 'J', (uint64_t)ms, 8);
}

/* Thousandths (0x5f) are not written: what a reader makes of them is not the same everywhere. */
int hessian_put_double(struct buf *b, double v)
{
	bool whole = v >= INT16_MIN && v <= INT16_MAX && v == (int16_t)v && !(v == 0 && signbit(v));
	uint64_t bits;

	if (whole && (v == 0 || v == 1))
		return put1(b, v == 0 ? 0x5b : 0x5c);
	if (whole && v >= INT8_MIN && v <= INT8_MAX)
		return put(b, 0x5d, (uint64_t)(int64_t)v, 1);
	if (whole)
		return put(b, 0x5e, (uint64_t)(int64_t)v, 2);
	memcpy(&bits, &v, sizeof(bits));
	return put(b, 'D', bits, 8);
}

/* ---- text --------------------------------------------------------------------------------------------------- */

/* Bytes of the letter at p; 0: they are no UTF-8. */
static unsigned letter(const uint8_t *p, const uint8_t *end)
{
	unsigned n = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : (*p & 0xf0) == 0xe0 ? 3 : *p >= 0xf0 && *p < 0xf5 ? 4 : 0;

	if (n > (size_t)(end - p))
		return 0;
	for (unsigned i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* As much of *p as makes at most max units, of those no half of a pair. Returns the units; *as_is: their bytes need no change. */
static unsigned measure(const uint8_t **p, const uint8_t *end, unsigned max, bool *as_is)
{
	unsigned units = 0;

	*as_is = true;
	while (*p < end) {
		unsigned n = letter(*p, end), u = n == 4 ? 2 : 1;
		bool pair = n == 3 && (*p)[0] == 0xed && (*p)[1] >= 0xa0 && (*p)[1] < 0xb0;

		if (units + u + pair > max && (units + u > max || end - *p > 3))
			break;
		*as_is &= n && n < 4;
		units += u;
		*p += n ? n : 1;
	}
	return units;
}

/* Three bytes of a unit above 0x7ff. */
static void three(uint8_t *out, uint32_t u)
{
	out[0] = (uint8_t)(0xe0 | u >> 12);
	out[1] = (uint8_t)(0x80 | (u >> 6 & 0x3f));
	out[2] = (uint8_t)(0x80 | (u & 0x3f));
}

static int put_changed(struct buf *b, const uint8_t *p, const uint8_t *end)
{
	int err = 0;

	while (p < end && !err) {
		unsigned n = letter(p, end);
		uint8_t out[6];

		if (!n) {
			out[0] = (uint8_t)(0xc0 | *p >> 6);
			out[1] = (uint8_t)(0x80 | (*p & 0x3f));
			err = buf_add(b, out, 2);
		} else if (n == 4) {
			uint32_t u = (uint32_t)(p[0] & 7) << 18 | (uint32_t)(p[1] & 63) << 12 | (uint32_t)(p[2] & 63) << 6 | (p[3] & 63);

			three(out, 0xd800 + ((u - 0x10000) >> 10 & 0x3ff));
			three(out + 3, 0xdc00 + ((u - 0x10000) & 0x3ff));
			err = buf_add(b, out, 6);
		} else {
			err = buf_add(b, p, n);
		}
		p += n ? n : 1;
	}
	return err;
}

/* The head of a chunk of text or, `plus`, of bytes. */
static int put_length(struct buf *b, unsigned n, bool last, bool text)
{
	if (!last)
		return put(b, text ? 'R' : 'A', n, 2);
	if (n < (text ? 0x20 : 0x10))
		return put1(b, (text ? 0x00 : 0x20) + n);
	if (n < 0x400)
		return put(b, (text ? 0x30 : 0x34) + (n >> 8), n, 1);
	return put(b, text ? 'S' : 'B', n, 2);
}

int hessian_put_string(struct buf *b, struct slice s)
{
	const uint8_t *p = (const uint8_t *)s.p, *end = p + s.n;
	int err;

	do {
		const uint8_t *begin = p;
		bool as_is = true;
		unsigned units = s.n ? measure(&p, end, CHUNK_MAX, &as_is) : 0;

		err = put_length(b, units, p == end, true);
		if (!err)
			err = as_is ? buf_add(b, begin, (size_t)(p - begin)) : put_changed(b, begin, p);
	} while (!err && p < end);
	return err;
}

int hessian_put_binary(struct buf *b, struct slice s)
{
	int err;

	do {
		unsigned n = s.n < CHUNK_MAX ? (unsigned)s.n : CHUNK_MAX;

		err = put_length(b, n, n == s.n, false);
		if (!err)
			err = buf_add(b, s.p, n);
		s.p += n;
		s.n -= n;
	} while (!err && s.n);
	return err;
}

/* ---- what holds values -------------------------------------------------------------------------------------- */

int hessian_put_list(struct buf *b, struct slice type, uint32_t n)
{
	int err;

	if (n < 8)
		err = put1(b, (type.n ? 0x70 : 0x78) + n);
	else
		err = put1(b, type.n ? 'V' : 'X');
	if (!err && type.n)
		err = hessian_put_string(b, type);
	if (!err && n >= 8)
		err = hessian_put_int(b, (int32_t)n);
	return err;
}

int hessian_put_map(struct buf *b, struct slice type)
{
	int err = put1(b, type.n ? 'M' : 'H');

	return err || !type.n ? err : hessian_put_string(b, type);
}

int hessian_put_class(struct buf *b, struct slice name, uint32_t fields)
{
	int err = put1(b, 'C');

	if (!err)
		err = hessian_put_string(b, name);
	return err ? err : hessian_put_int(b, (int32_t)fields);
}

int hessian_put_object(struct buf *b, uint32_t class)
{
	int err;

	if (class < 16)
		return put1(b, 0x60 + class);
	err = put1(b, 'O');
	return err ? err : hessian_put_int(b, (int32_t)class);
}
