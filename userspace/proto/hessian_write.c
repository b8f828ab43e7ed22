// SPDX-License-Identifier: Apache-2.0
#include "proto/hessian.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include "weft/buf.h"

enum { CHUNK_MAX = 0x8000 };                    /* units or bytes: Java's writer takes no more at once */

static int put1(struct hessian_out *o, unsigned v)
{
	char c = (char)v;

	return buf_add(o->buf, &c, 1);
}

/* A first byte and n more of v. */
static int put(struct hessian_out *o, unsigned first, uint64_t v, unsigned n)
{
	char s[9] = { (char)first };

	for (unsigned i = 1; i <= n; i++)
		s[i] = (char)(v >> 8 * (n - i));
	return buf_add(o->buf, s, 1 + n);
}

int hessian_put_null(struct hessian_out *o)
{
	return put1(o, 'N');
}

int hessian_put_bool(struct hessian_out *o, bool v)
{
	return put1(o, v ? 'T' : 'F');
}

int hessian_put_end(struct hessian_out *o)
{
	return put1(o, o->draft ? 'z' : 'Z');
}

int hessian_put_int(struct hessian_out *o, int32_t v)
{
	if (v >= -0x10 && v <= 0x2f)
		return put1(o, (unsigned)(0x90 + v));
	if (v >= -0x800 && v <= 0x7ff)
		return put(o, (unsigned)(0xc8 + (v >> 8)), (uint64_t)v, 1);
	if (v >= -0x40000 && v <= 0x3ffff)
		return put(o, (unsigned)(0xd4 + (v >> 16)), (uint64_t)v, 2);
	return put(o, 'I', (uint64_t)v, 4);
}

int hessian_put_long(struct hessian_out *o, int64_t v)
{
	if (v >= -8 && v <= 15)
		return put1(o, (unsigned)(0xe0 + v));
	if (v >= -0x800 && v <= 0x7ff)
		return put(o, (unsigned)(0xf8 + (v >> 8)), (uint64_t)v, 1);
	if (v >= -0x40000 && v <= 0x3ffff)
		return put(o, (unsigned)(0x3c + (v >> 16)), (uint64_t)v, 2);
	if (v >= INT32_MIN && v <= INT32_MAX)
		return put(o, o->draft ? 'w' : 'Y', (uint64_t)v, 4);
	return put(o, 'L', (uint64_t)v, 8);
}

int hessian_put_date(struct hessian_out *o, int64_t ms)
{
	return put(o, o->draft ? 'd' : 'J', (uint64_t)ms, 8);
}

/* Thousandths (0x5f) are not written: what a reader makes of them is not the same everywhere. */
int hessian_put_double(struct hessian_out *o, double v)
{
	bool whole = v >= INT16_MIN && v <= INT16_MAX && v == (int16_t)v && !(v == 0 && signbit(v));
	unsigned zero = o->draft ? 0x67 : 0x5b;
	float narrow = (float)v;
	uint64_t bits = 0;

	if (whole && (v == 0 || v == 1))
		return put1(o, zero + (v == 1));
	if (whole && v >= INT8_MIN && v <= INT8_MAX)
		return put(o, zero + 2, (uint64_t)(int64_t)v, 1);
	if (whole)
		return put(o, zero + 3, (uint64_t)(int64_t)v, 2);
	if (o->draft && (double)narrow == v) {
		uint32_t few;

		memcpy(&few, &narrow, sizeof(few));
		return put(o, zero + 4, few, 4);
	}
	memcpy(&bits, &v, sizeof(bits));
	return put(o, 'D', bits, 8);
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

static int put_changed(struct hessian_out *o, const uint8_t *p, const uint8_t *end)
{
	int err = 0;

	while (p < end && !err) {
		unsigned n = letter(p, end);
		uint8_t out[6];

		if (!n) {
			out[0] = (uint8_t)(0xc0 | *p >> 6);
			out[1] = (uint8_t)(0x80 | (*p & 0x3f));
			err = buf_add(o->buf, out, 2);
		} else if (n == 4) {
			uint32_t u = (uint32_t)(p[0] & 7) << 18 | (uint32_t)(p[1] & 63) << 12 | (uint32_t)(p[2] & 63) << 6 | (p[3] & 63);

			three(out, 0xd800 + ((u - 0x10000) >> 10 & 0x3ff));
			three(out + 3, 0xdc00 + ((u - 0x10000) & 0x3ff));
			err = buf_add(o->buf, out, 6);
		} else {
			err = buf_add(o->buf, p, n);
		}
		p += n ? n : 1;
	}
	return err;
}

static int put_units(struct hessian_out *o, const uint8_t *p, const uint8_t *end, bool as_is)
{
	return as_is ? buf_add(o->buf, p, (size_t)(end - p)) : put_changed(o, p, end);
}

/* The head of a chunk of text or of bytes. */
static int put_length(struct hessian_out *o, unsigned n, bool last, bool text)
{
	if (!last)
		return put(o, (text ? 'R' : 'A') + (o->draft ? 0x21 : 0), n, 2);
	if (n < (text ? 0x20 : 0x10))
		return put1(o, (text ? 0x00 : 0x20) + n);
	if (n < 0x400 && !o->draft)
		return put(o, (text ? 0x30 : 0x34) + (n >> 8), n, 1);
	return put(o, text ? 'S' : 'B', n, 2);
}

int hessian_put_string(struct hessian_out *o, struct slice s)
{
	const uint8_t *p = (const uint8_t *)s.p, *end = p + s.n;
	int err;

	do {
		const uint8_t *begin = p;
		bool as_is = true;
		unsigned units = s.n ? measure(&p, end, CHUNK_MAX, &as_is) : 0;

		err = put_length(o, units, p == end, true);
		if (!err)
			err = put_units(o, begin, p, as_is);
	} while (!err && p < end);
	return err;
}

int hessian_put_binary(struct hessian_out *o, struct slice s)
{
	int err;

	do {
		unsigned n = s.n < CHUNK_MAX ? (unsigned)s.n : CHUNK_MAX;

		err = put_length(o, n, n == s.n, false);
		if (!err)
			err = buf_add(o->buf, s.p, n);
		s.p += n;
		s.n -= n;
	} while (!err && s.n);
	return err;
}

/* ---- what holds values -------------------------------------------------------------------------------------- */

/* The draft's names have heads of their own: 't' and 16 bits for a type, an int for a class. */
static int put_name(struct hessian_out *o, struct slice s, bool type)
{
	const uint8_t *p = (const uint8_t *)s.p, *end = p;
	bool as_is;
	unsigned units;
	int err;

	if (!o->draft)
		return hessian_put_string(o, s);
	units = measure(&end, p + s.n, UINT16_MAX, &as_is);
	err = type ? put(o, 't', units, 2) : hessian_put_int(o, (int32_t)units);
	return err ? err : put_units(o, p, end, as_is);
}

static int put_draft_list(struct hessian_out *o, struct slice type, uint32_t n)
{
	int err = put1(o, 'V');

	if (!err && type.n)
		err = put_name(o, type, true);
	return err ? err : put(o, n <= UINT8_MAX ? 'n' : 'l', n, n <= UINT8_MAX ? 1 : 4);
}

int hessian_put_list(struct hessian_out *o, struct slice type, uint32_t n)
{
	int err;

	if (o->draft)
		return put_draft_list(o, type, n);
	if (n < 8)
		err = put1(o, (type.n ? 0x70 : 0x78) + n);
	else
		err = put1(o, type.n ? 'V' : 'X');
	if (!err && type.n)
		err = hessian_put_string(o, type);
	if (!err && n >= 8)
		err = hessian_put_int(o, (int32_t)n);
	return err;
}

int hessian_put_list_end(struct hessian_out *o)
{
	return o->draft ? hessian_put_end(o) : 0;
}

int hessian_put_map(struct hessian_out *o, struct slice type)
{
	int err = put1(o, type.n || o->draft ? 'M' : 'H');

	return err || !type.n ? err : put_name(o, type, true);
}

int hessian_put_class(struct hessian_out *o, struct slice name, uint32_t fields)
{
	int err = put1(o, o->draft ? 'O' : 'C');

	if (!err)
		err = put_name(o, name, false);
	return err ? err : hessian_put_int(o, (int32_t)fields);
}

int hessian_put_object(struct hessian_out *o, uint32_t class)
{
	int err;

	if (class < 16 && !o->draft)
		return put1(o, 0x60 + class);
	err = put1(o, o->draft ? 'o' : 'O');
	return err ? err : hessian_put_int(o, (int32_t)class);
}
