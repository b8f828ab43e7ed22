// SPDX-License-Identifier: Apache-2.0
#include "proto/tars_field.h"

#include <errno.h>
#include "base/bytes.h"
#include "weft/buf.h"

static size_t left(const struct tars_reader *r)
{
	return r->in.n - r->at;
}

/* n bytes, which are then behind. NULL: they are not there. */
static const char *take(struct tars_reader *r, uint64_t n)
{
	if (left(r) < n)
		return NULL;
	r->at += n;
	return r->in.p + r->at - n;
}

int tars_head(struct tars_reader *r, struct tars_field *f)
{
	const char *p = take(r, 1);

	if (!p)
		return -ENODATA;
	*f = (struct tars_field){ (uint8_t)*p >> 4, (uint8_t)*p & 15 };
	if (f->tag < 15)
		return 0;
	p = take(r, 1);
	f->tag = p ? (uint8_t)*p : 0;
	return p ? 0 : -ENODATA;
}

int tars_int(struct tars_reader *r, struct tars_field f, int64_t *v)
{
	static const uint8_t bytes[] = { [TARS_INT1] = 1, [TARS_INT2] = 2, [TARS_INT4] = 4, [TARS_INT8] = 8 };
	const char *p;

	*v = 0;
	if (f.type == TARS_ZERO)
		return 0;
	if (f.type > TARS_INT8)
		return -EPROTO;
	p = take(r, bytes[f.type]);
	if (!p)
		return -ENODATA;
	*v = f.type == TARS_INT1 ? (int8_t)*p :
	     f.type == TARS_INT2 ? (int16_t)bytes_get16(p) :
	     f.type == TARS_INT4 ? (int32_t)bytes_get32(p) :
				   (int64_t)bytes_get64(p);
	return 0;
}

int tars_string(struct tars_reader *r, struct tars_field f, struct slice *s)
{
	const char *p;
	uint32_t n;

	if (f.type != TARS_STRING1 && f.type != TARS_STRING4)
		return -EPROTO;
	p = take(r, f.type == TARS_STRING1 ? 1 : 4);
	if (!p)
		return -ENODATA;
	n = f.type == TARS_STRING1 ? (uint8_t)*p : bytes_get32(p);
	p = take(r, n);
	*s = (struct slice){ p, p ? n : 0 };
	return p ? 0 : -ENODATA;
}

/* How many values or pairs follow: an int with a head of its own. */
static int count(struct tars_reader *r, uint32_t *n)
{
	struct tars_field f;
	int64_t v = 0;
	int err = tars_head(r, &f);

	if (!err)
		err = tars_int(r, f, &v);
	if (!err && (v < 0 || v > INT32_MAX))
		err = -EPROTO;
	*n = err ? 0 : (uint32_t)v;
	return err;
}

int tars_map(struct tars_reader *r, struct tars_field f, uint32_t *pairs)
{
	return f.type == TARS_MAP ? count(r, pairs) : -EPROTO;
}

/* Bytes in one piece: a head of type INT1, and their number. */
static int skip_bytes(struct tars_reader *r)
{
	struct tars_field f;
	uint32_t n;
	int err = tars_head(r, &f);

	if (!err && f.type != TARS_INT1)
		err = -EPROTO;
	if (!err)
		err = count(r, &n);
	return err ? err : take(r, n) ? 0 : -ENODATA;
}

static int skip_plain(struct tars_reader *r, struct tars_field f)
{
	struct slice s;
	int64_t v;

	switch (f.type) {
	case TARS_FLOAT:
		return take(r, 4) ? 0 : -ENODATA;
	case TARS_DOUBLE:
		return take(r, 8) ? 0 : -ENODATA;
	case TARS_STRING1:
	case TARS_STRING4:
		return tars_string(r, f, &s);
	case TARS_BYTES:
		return skip_bytes(r);
	default:
		return tars_int(r, f, &v);
	}
}

/* What is inside a value: so many others, or those up to TARS_STRUCT_END. */
static int open_value(struct tars_reader *r, struct tars_field f, uint64_t *inside)
{
	uint32_t n = 0;
	int err;

	if (f.type == TARS_STRUCT) {
		*inside = UINT64_MAX;
		return 0;
	}
	err = count(r, &n);
	*inside = f.type == TARS_MAP ? 2 * (uint64_t)n : n;
	return err;
}

int tars_skip(struct tars_reader *r, struct tars_field f)
{
	uint64_t inside[TARS_DEPTH];
	unsigned depth = 0;
	int err = 0;

	for (;;) {
		bool holds = f.type == TARS_MAP || f.type == TARS_LIST || f.type == TARS_STRUCT;

		if (holds && depth == TARS_DEPTH)
			return -EOVERFLOW;
		if (holds)
			err = open_value(r, f, &inside[depth++]);
		else if (f.type == TARS_STRUCT_END && depth && inside[depth - 1] == UINT64_MAX)
			depth--;
		else
			err = skip_plain(r, f);
		while (!err && depth && !inside[depth - 1])
			depth--;
		if (err || !depth)
			return err;
		inside[depth - 1] -= inside[depth - 1] != UINT64_MAX;
		err = tars_head(r, &f);
		if (err)
			return err;
	}
}

/* ---- writing ------------------------------------------------------------------------------------------------ */

int tars_put_head(struct buf *b, unsigned tag, enum tars_type type)
{
	char h[2] = { (char)((tag < 15 ? tag : 15) << 4 | type), (char)tag };

	return buf_add(b, h, tag < 15 ? 1 : 2);
}

int tars_put_int(struct buf *b, unsigned tag, int64_t v)
{
	enum tars_type type = !v				   ? TARS_ZERO :
			      v >= INT8_MIN && v <= INT8_MAX	   ? TARS_INT1 :
			      v >= INT16_MIN && v <= INT16_MAX ? TARS_INT2 :
			      v >= INT32_MIN && v <= INT32_MAX ? TARS_INT4 :
								 TARS_INT8;
	size_t n = type == TARS_ZERO ? 0 : (size_t)1 << type;
	char p[8];

	bytes_put64(p, (uint64_t)v);
	return tars_put_head(b, tag, type) || buf_add(b, p + 8 - n, n) ? -ENOMEM : 0;
}

int tars_put_string(struct buf *b, unsigned tag, struct slice s)
{
	bool one = s.n < 256;
	char n[4];

	bytes_put32(n, (uint32_t)s.n);
	return tars_put_head(b, tag, one ? TARS_STRING1 : TARS_STRING4) || buf_add(b, one ? n + 3 : n, one ? 1 : 4) ||
			       buf_add(b, s.p, s.n) ? -ENOMEM : 0;
}

int tars_put_map(struct buf *b, unsigned tag, uint32_t pairs)
{
	int err = tars_put_head(b, tag, TARS_MAP);

	return err ? err : tars_put_int(b, 0, pairs);
}
