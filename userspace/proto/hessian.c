// SPDX-License-Identifier: Apache-2.0
#include "proto/hessian_priv.h"

#include <errno.h>
#include <string.h>

void hessian_init(struct hessian *h, struct slice in)
{
	h->in = in;
	h->at = 0;
	h->draft = false;
	h->nclasses = 0;
}

/* ---- first bytes -------------------------------------------------------------------------------------------- */

/* What the draft says for the first bytes of 2.0, and for a few of its own; 0x40: nothing. */
#define SAME_(first, last) [first ... last] = HESSIAN_SAME
static const uint16_t drafts[256] = {
	SAME_(0x00, 0x2f), SAME_(0x38, 0x3f), SAME_('B', 'B'), SAME_('D', 'D'), SAME_('F', 'F'), SAME_('I', 'I'), SAME_('L', 'O'),
	SAME_('S', 'T'), SAME_(0x80, 0xff), ['J' ... 'K'] = 'Q', ['R'] = 'Q', ['V'] = 'U', ['b'] = 'A', ['d'] = 'J', [0x67] = 0x5b,
	[0x68] = 0x5c, [0x69] = 0x5d, [0x6a] = 0x5e, [0x6b] = HESSIAN_FLOAT, ['o'] = 'O', ['s'] = 'R', ['v'] = 'U', ['w'] = 'Y', ['z'] = 'Z',
};

unsigned hessian_code(const struct hessian *h)
{
	uint8_t c = hessian_byte(h, h->at);
	uint16_t draft = h->draft ? drafts[c] : HESSIAN_SAME;

	return draft == HESSIAN_SAME ? c : draft ? draft : 0x40;
}

#define KINDS_(first, last, kind) [first ... last] = HESSIAN_##kind
static const uint8_t kinds[HESSIAN_FLOAT + 1] = {
	KINDS_(0x00, 0x1f, STRING), KINDS_(0x20, 0x2f, BINARY), KINDS_(0x30, 0x33, STRING), KINDS_(0x34, 0x37, BINARY),
	KINDS_(0x38, 0x3f, LONG), KINDS_(0x40, 0x40, BAD), KINDS_('A', 'B', BINARY), KINDS_('C', 'C', OBJECT),
	KINDS_('D', 'D', DOUBLE), KINDS_('E', 'E', BAD), KINDS_('F', 'F', BOOL), KINDS_('G', 'G', BAD), KINDS_('H', 'H', MAP),
	KINDS_('I', 'I', INT), KINDS_('J', 'K', DATE), KINDS_('L', 'L', LONG), KINDS_('M', 'M', MAP), KINDS_('N', 'N', NULL),
	KINDS_('O', 'O', OBJECT), KINDS_('P', 'P', BAD), KINDS_('Q', 'Q', REF), KINDS_('R', 'S', STRING),
	KINDS_('T', 'T', BOOL), KINDS_('U', 'X', LIST), KINDS_('Y', 'Y', LONG), KINDS_('Z', 'Z', END),
	KINDS_(0x5b, 0x5f, DOUBLE), KINDS_(0x60, 0x6f, OBJECT), KINDS_(0x70, 0x7f, LIST), KINDS_(0x80, 0xd7, INT),
	KINDS_(0xd8, 0xff, LONG), KINDS_(HESSIAN_FLOAT, HESSIAN_FLOAT, DOUBLE),
};

enum hessian_kind hessian_peek(const struct hessian *h)
{
	return hessian_left(h) ? kinds[hessian_code(h)] : HESSIAN_NONE;
}

int hessian_expect(const struct hessian *h, enum hessian_kind kind)
{
	enum hessian_kind next = hessian_peek(h);

	if (next == kind)
		return 0;
	return next == HESSIAN_NONE ? -ENODATA : -EPROTO;
}

static bool take(struct hessian *h, enum hessian_kind kind)
{
	bool is = hessian_peek(h) == kind;

	h->at += is;
	return is;
}

bool hessian_null(struct hessian *h)
{
	return take(h, HESSIAN_NULL);
}

bool hessian_end(struct hessian *h)
{
	return take(h, HESSIAN_END);
}

/* ---- numbers ------------------------------------------------------------------------------------------------ */

/* A number or date: its first byte, and the n behind it. */
struct number {
	unsigned c, n;
	uint64_t bits;
};

static unsigned number_bytes(unsigned c)
{
	static const uint8_t n[HESSIAN_FLOAT + 1] = {
		[0x38 ... 0x3f] = 2, ['D'] = 8, ['I'] = 4, ['J'] = 8, ['K'] = 4, ['L'] = 8, ['Y'] = 4, [0x5d] = 1, [0x5e] = 2,
		[0x5f] = 4, [0xc0 ... 0xcf] = 1, [0xd0 ... 0xd7] = 2, [0xf0 ... 0xff] = 1, [HESSIAN_FLOAT] = 4,
	};

	return n[c];
}

int hessian_bytes(struct hessian *h, unsigned n, uint64_t *v)
{
	if (hessian_left(h) <= n)
		return -ENODATA;
	*v = 0;
	for (unsigned i = 1; i <= n; i++)
		*v = *v << 8 | hessian_byte(h, h->at + i);
	h->at += 1 + n;
	return 0;
}

static int take_number(struct hessian *h, enum hessian_kind kind, struct number *v)
{
	int err = hessian_expect(h, kind);

	if (err)
		return err;
	v->c = hessian_code(h);
	v->n = number_bytes(v->c);
	return hessian_bytes(h, v->n, &v->bits);
}

/* In the short forms the highest bits are the first byte's: how far it is from that of zero. */
static int64_t short_form(const struct number *v, const uint8_t zeros[3])
{
	return (int64_t)((uint64_t)((int64_t)v->c - zeros[v->n]) << 8 * v->n | v->bits);
}

int hessian_bool(struct hessian *h, bool *v)
{
	int err = hessian_expect(h, HESSIAN_BOOL);

	if (err)
		return err;
	*v = hessian_byte(h, h->at++) == 'T';
	return 0;
}

int hessian_int(struct hessian *h, int32_t *v)
{
	static const uint8_t zeros[] = { 0x90, 0xc8, 0xd4 };
	struct number n;
	int err = take_number(h, HESSIAN_INT, &n);

	if (!err)
		*v = n.c == 'I' ? (int32_t)n.bits : (int32_t)short_form(&n, zeros);
	return err;
}

int hessian_long(struct hessian *h, int64_t *v)
{
	static const uint8_t zeros[] = { 0xe0, 0xf8, 0x3c };
	struct number n;
	int32_t small = 0;
	int err;

	if (hessian_peek(h) == HESSIAN_INT) {
		err = hessian_int(h, &small);
		*v = small;
		return err;
	}
	err = take_number(h, HESSIAN_LONG, &n);
	if (!err)
		*v = n.c == 'Y' ? (int32_t)n.bits : n.c == 'L' ? (int64_t)n.bits : short_form(&n, zeros);
	return err;
}

static double float_of(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

int hessian_double(struct hessian *h, double *v)
{
	struct number n;
	int err = take_number(h, HESSIAN_DOUBLE, &n);

	if (err)
		return err;
	if (n.c == 'D')
		memcpy(v, &n.bits, sizeof(*v));
	else if (n.c == HESSIAN_FLOAT)
		*v = float_of((uint32_t)n.bits);
	else if (n.c == 0x5f)
		*v = (double)(int32_t)n.bits / 1000;
	else
		*v = n.n == 1 ? (double)(int8_t)n.bits : n.n == 2 ? (double)(int16_t)n.bits : n.c - 0x5b;
	return 0;
}

int hessian_date(struct hessian *h, int64_t *ms)
{
	struct number n;
	int err = take_number(h, HESSIAN_DATE, &n);

	if (!err)
		*ms = n.c == 'J' ? (int64_t)n.bits : (int64_t)(int32_t)n.bits * 60000;
	return err;
}

int hessian_skip_number(struct hessian *h)
{
	unsigned n = number_bytes(hessian_code(h));

	if (hessian_left(h) <= n)
		return -ENODATA;
	h->at += 1 + n;
	return 0;
}

/* ---- text and bytes ----------------------------------------------------------------------------------------- */

/* Bytes of a letter by its first one; 0: none begins so. */
static unsigned letter_bytes(uint8_t c)
{
	return c < 0x80 ? 1 : (c & 0xe0) == 0xc0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : (c & 0xf8) == 0xf0 ? 4 : 0;
}

static bool goes_on(const char *p, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		if (((uint8_t)p[i] & 0xc0) != 0x80)
			return false;
	return true;
}

/* How many of the eight are ASCII. */
static unsigned ascii8(const char *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	v &= ~0ull / 255 << 7;
	return v ? (unsigned)__builtin_ctzll(v) / 8 : 8;
}

int hessian_units(struct hessian *h, size_t units)
{
	while (units) {
		const char *p = h->in.p + h->at;
		unsigned n;

		if (units >= 8 && hessian_left(h) >= 8 && ascii8(p) == 8) {
			units -= 8;
			h->at += 8;
			continue;
		}
		n = hessian_left(h) ? letter_bytes((uint8_t)*p) : 1;
		if (n > hessian_left(h) || !hessian_left(h))
			return -ENODATA;
		if (!n || !goes_on(p, n) || (n == 4 && units < 2))
			return -EPROTO;
		units -= n == 4 ? 2 : 1;
		h->at += n;
	}
	return 0;
}

/* The head of a chunk: at goes over it. Returns whether others follow, or an error; *n: units or bytes. */
static int chunk_open(struct hessian *h, enum hessian_kind kind, size_t *n)
{
	int err = hessian_expect(h, kind);
	bool text = kind == HESSIAN_STRING;
	unsigned c, bytes, small = text ? 0x00 : 0x20, mid = text ? 0x30 : 0x34;
	uint64_t low = 0;

	if (err)
		return err;
	c = hessian_code(h);
	bytes = c >= 'A' ? 2 : c >= 0x30 ? 1 : 0;
	err = hessian_bytes(h, bytes, &low);
	if (err)
		return err;
	*n = (bytes == 2 ? 0 : bytes == 1 ? (c - mid) << 8 : c - small) + (size_t)low;
	return c == 'A' || c == 'R';
}

static int skip_chunk(struct hessian *h, enum hessian_kind kind, size_t n)
{
	if (kind == HESSIAN_STRING)
		return hessian_units(h, n);
	if (hessian_left(h) < n)
		return -ENODATA;
	h->at += n;
	return 0;
}

/* s: of the first chunk what is in it, of several all. */
static int chunks(struct hessian *h, enum hessian_kind kind, struct slice *s, bool *parts)
{
	size_t first = h->at, begin, n;
	int more = chunk_open(h, kind, &n), err;

	begin = h->at;
	*parts = more > 0;
	while (more >= 0) {
		err = skip_chunk(h, kind, n);
		if (err)
			more = err;
		if (more <= 0)
			break;
		more = chunk_open(h, kind, &n);
	}
	if (more < 0) {
		h->at = first;
		return more;
	}
	begin = *parts ? first : begin;
	*s = (struct slice){ h->in.p + begin, h->at - begin };
	return 0;
}

int hessian_string(struct hessian *h, struct slice *s, bool *parts)
{
	return chunks(h, HESSIAN_STRING, s, parts);
}

int hessian_binary(struct hessian *h, struct slice *s, bool *parts)
{
	return chunks(h, HESSIAN_BINARY, s, parts);
}

size_t hessian_join(const struct hessian *of, struct slice s, char *out)
{
	struct hessian h = { .in = s, .draft = of->draft };
	enum hessian_kind kind = hessian_peek(&h);
	size_t done = 0, n, begin;
	int more = 1;

	while (more > 0) {
		more = chunk_open(&h, kind, &n);
		begin = h.at;
		if (more < 0 || skip_chunk(&h, kind, n))
			break;
		memcpy(out + done, s.p + begin, h.at - begin);
		done += h.at - begin;
	}
	return done;
}
