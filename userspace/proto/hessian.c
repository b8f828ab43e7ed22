// SPDX-License-Identifier: Apache-2.0
#include "proto/hessian.h"

#include <errno.h>
#include <string.h>
#include "base/bytes.h"

void hessian_init(struct hessian *h, struct slice in)
{
	h->in = in;
	h->at = 0;
	h->nclasses = 0;
}

/* ---- first bytes -------------------------------------------------------------------------------------------- */

#define KINDS_(first, last, kind) [first ... last] = HESSIAN_##kind
static const uint8_t kinds[256] = {
	KINDS_(0x00, 0x1f, STRING), KINDS_(0x20, 0x2f, BINARY), KINDS_(0x30, 0x33, STRING), KINDS_(0x34, 0x37, BINARY),
	KINDS_(0x38, 0x3f, LONG), KINDS_(0x40, 0x40, BAD), KINDS_('A', 'B', BINARY), KINDS_('C', 'C', OBJECT),
	KINDS_('D', 'D', DOUBLE), KINDS_('E', 'E', BAD), KINDS_('F', 'F', BOOL), KINDS_('G', 'G', BAD), KINDS_('H', 'H', MAP),
	KINDS_('I', 'I', INT), KINDS_('J', 'K', DATE), KINDS_('L', 'L', LONG), KINDS_('M', 'M', MAP), KINDS_('N', 'N', NULL),
	KINDS_('O', 'O', OBJECT), KINDS_('P', 'P', BAD), KINDS_('Q', 'Q', REF), KINDS_('R', 'S', STRING),
	KINDS_('T', 'T', BOOL), KINDS_('U', 'X', LIST), KINDS_('Y', 'Y', LONG), KINDS_('Z', 'Z', END),
	KINDS_(0x5b, 0x5f, DOUBLE), KINDS_(0x60, 0x6f, OBJECT), KINDS_(0x70, 0x7f, LIST), KINDS_(0x80, 0xd7, INT),
	KINDS_(0xd8, 0xff, LONG),
};

static uint8_t byte_at(const struct hessian *h, size_t at)
{
	return (uint8_t)h->in.p[at];
}

static size_t left(const struct hessian *h)
{
	return h->in.n - h->at;
}

enum hessian_kind hessian_peek(const struct hessian *h)
{
	return left(h) ? kinds[byte_at(h, h->at)] : HESSIAN_NONE;
}

/* 0 when a value of that kind is next. */
static int expect(const struct hessian *h, enum hessian_kind kind)
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

/* n bytes behind the first one, sign extended from the highest: `high` if that lies in the first byte. */
static int64_t number(const struct hessian *h, unsigned n, int64_t high)
{
	uint64_t v = (uint64_t)high;

	for (unsigned i = 1; i <= n; i++)
		v = v << 8 | byte_at(h, h->at + i);
	return (int64_t)v;
}

static int64_t signed32(const struct hessian *h)
{
	return (int32_t)(uint32_t)number(h, 4, 0);
}

/* Bytes of a number or date behind its first one. */
static unsigned number_bytes(uint8_t c)
{
	static const uint8_t n[256] = {
		[0x38 ... 0x3f] = 2, ['D'] = 8, ['I'] = 4, ['J'] = 8, ['K'] = 4, ['L'] = 8, ['Y'] = 4, [0x5d] = 1, [0x5e] = 2,
		[0x5f] = 4, [0xc0 ... 0xcf] = 1, [0xd0 ... 0xd7] = 2, [0xf0 ... 0xff] = 1,
	};

	return n[c];
}

/* The first byte and what belongs to it are there: *c and *n of them. */
static int open_number(const struct hessian *h, enum hessian_kind kind, uint8_t *c, unsigned *n)
{
	int err = expect(h, kind);

	if (err)
		return err;
	*c = byte_at(h, h->at);
	*n = number_bytes(*c);
	return left(h) > *n ? 0 : -ENODATA;
}

int hessian_bool(struct hessian *h, bool *v)
{
	int err = expect(h, HESSIAN_BOOL);

	if (err)
		return err;
	*v = byte_at(h, h->at++) == 'T';
	return 0;
}

int hessian_int(struct hessian *h, int32_t *v)
{
	unsigned n;
	uint8_t c;
	int err = open_number(h, HESSIAN_INT, &c, &n);

	if (err)
		return err;
	if (c == 'I')
		*v = (int32_t)signed32(h);
	else
		*v = (int32_t)number(h, n, n == 0 ? c - 0x90 : n == 1 ? c - 0xc8 : c - 0xd4);
	h->at += 1 + n;
	return 0;
}

int hessian_long(struct hessian *h, int64_t *v)
{
	unsigned n;
	uint8_t c;
	int err;

	if (hessian_peek(h) == HESSIAN_INT) {
		int32_t small = 0;

		err = hessian_int(h, &small);
		*v = small;
		return err;
	}
	err = open_number(h, HESSIAN_LONG, &c, &n);
	if (err)
		return err;
	if (c == 'Y')
		*v = signed32(h);
	else if (c == 'L')
		*v = number(h, n, 0);
	else
		*v = number(h, n, n == 0 ? c - 0xe0 : n == 1 ? c - 0xf8 : c - 0x3c);
	h->at += 1 + n;
	return 0;
}

int hessian_double(struct hessian *h, double *v)
{
	unsigned n;
	uint8_t c;
	int err = open_number(h, HESSIAN_DOUBLE, &c, &n);
	uint64_t bits;

	if (err)
		return err;
	if (c == 'D') {
		bits = (uint64_t)number(h, 8, 0);
		memcpy(v, &bits, sizeof(*v));
	} else if (c == 0x5f) {
		*v = (double)signed32(h) / 1000;
	} else {
		*v = n == 1 ? (double)(int8_t)number(h, 1, 0) : n == 2 ? (double)(int16_t)number(h, 2, 0) : c - 0x5b;
	}
	h->at += 1 + n;
	return 0;
}

int hessian_date(struct hessian *h, int64_t *ms)
{
	unsigned n;
	uint8_t c;
	int err = open_number(h, HESSIAN_DATE, &c, &n);

	if (err)
		return err;
	*ms = c == 'J' ? number(h, 8, 0) : signed32(h) * 60000;
	h->at += 1 + n;
	return 0;
}

static int skip_number(struct hessian *h)
{
	unsigned n = number_bytes(byte_at(h, h->at));

	if (left(h) <= n)
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

/* at goes over so many units. */
static int skip_units(struct hessian *h, size_t units)
{
	while (units) {
		const char *p = h->in.p + h->at;
		unsigned n;

		if (units >= 8 && left(h) >= 8 && ascii8(p) == 8) {
			units -= 8;
			h->at += 8;
			continue;
		}
		n = left(h) ? letter_bytes((uint8_t)*p) : 1;
		if (n > left(h) || !left(h))
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
	int err = expect(h, kind);
	bool text = kind == HESSIAN_STRING;
	uint8_t c, small = text ? 0x00 : 0x20, mid = text ? 0x30 : 0x34;
	unsigned bytes;

	if (err)
		return err;
	c = byte_at(h, h->at);
	bytes = c >= 'A' ? 2 : c >= 0x30 ? 1 : 0;
	if (left(h) <= bytes)
		return -ENODATA;
	*n = (size_t)number(h, bytes, bytes == 2 ? 0 : bytes == 1 ? c - mid : c - small);
	h->at += 1 + bytes;
	return c == 'A' || c == 'R';
}

static int skip_chunk(struct hessian *h, enum hessian_kind kind, size_t n)
{
	if (kind == HESSIAN_STRING)
		return skip_units(h, n);
	if (left(h) < n)
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

size_t hessian_join(struct slice s, char *out)
{
	struct hessian h = { .in = s };
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

/* ---- what holds values -------------------------------------------------------------------------------------- */

static int skip_text(struct hessian *h)
{
	struct slice s;
	bool parts;

	return hessian_string(h, &s, &parts);
}

/* Of a list or map: its name, or the number of one that came before. */
static int skip_type(struct hessian *h)
{
	int32_t v;

	return hessian_peek(h) == HESSIAN_INT ? hessian_int(h, &v) : skip_text(h);
}

static int length(struct hessian *h, int64_t *n)
{
	int32_t v;
	int err = hessian_int(h, &v);

	if (!err && v < 0)
		err = -EPROTO;
	*n = err ? 0 : v;
	return err;
}

static int back(struct hessian *h, size_t at, int err)
{
	if (err)
		h->at = at;
	return err;
}

int hessian_map(struct hessian *h)
{
	size_t at = h->at;
	int err = expect(h, HESSIAN_MAP);

	if (!err && byte_at(h, h->at++) == 'M')
		err = skip_type(h);
	return back(h, at, err);
}

int hessian_list(struct hessian *h, int64_t *n)
{
	size_t at = h->at;
	int err = expect(h, HESSIAN_LIST);
	uint8_t c;

	if (err)
		return err;
	c = byte_at(h, h->at++);
	*n = c == 'U' || c == 'W' ? -1 : c & 7;
	if (c == 'U' || c == 'V' || (c >= 0x70 && c <= 0x77))
		err = skip_type(h);
	if (!err && (c == 'V' || c == 'X'))
		err = length(h, n);
	return back(h, at, err);
}

static int define(struct hessian *h)
{
	struct hessian_class c = { .at = (uint32_t)++h->at };
	int64_t fields = 0;
	int err = skip_text(h);

	if (!err)
		err = length(h, &fields);
	for (int64_t i = 0; !err && i < fields; i++)
		err = skip_text(h);
	if (!err && (h->nclasses == HESSIAN_CLASSES || h->in.n > UINT32_MAX))
		err = -EOVERFLOW;
	c.fields = (uint32_t)fields;
	if (!err)
		h->classes[h->nclasses++] = c;
	return err;
}

int hessian_object(struct hessian *h, const struct hessian_class **class)
{
	size_t at = h->at;
	int64_t i = 0;
	int err = 0;

	while (!err && left(h) && byte_at(h, h->at) == 'C')
		err = define(h);
	if (!err)
		err = expect(h, HESSIAN_OBJECT);
	if (!err && byte_at(h, h->at) != 'O')
		i = byte_at(h, h->at++) - 0x60;
	else if (!err)
		h->at++, err = length(h, &i);
	if (!err && i >= h->nclasses)
		err = -EPROTO;
	if (!err)
		*class = &h->classes[i];
	return back(h, at, err);
}

struct slice hessian_name(const struct hessian *h, const struct hessian_class *class, uint32_t i)
{
	struct hessian r = { .in = h->in, .at = class->at };
	struct slice s = { NULL, 0 };
	bool parts = false;
	int32_t n;

	if (i > class->fields || hessian_string(&r, &s, &parts))
		return (struct slice){ NULL, 0 };
	if (i && hessian_int(&r, &n))
		return (struct slice){ NULL, 0 };
	while (i--)
		if (hessian_string(&r, &s, &parts))
			return (struct slice){ NULL, 0 };
	return parts ? (struct slice){ NULL, 0 } : s;
}

/* ---- any value ---------------------------------------------------------------------------------------------- */

/* One value that holds others, and is not over. */
struct inside {
	uint32_t left;                          /* values that follow */
	bool endless;                           /* until HESSIAN_END ... */
	bool map, value;                        /* ... of a map only where a key would be */
};

/* A value that holds others is opened: what it holds in *in. */
static int open_value(struct hessian *h, enum hessian_kind kind, struct inside *in)
{
	const struct hessian_class *class;
	int64_t n;
	int err;

	*in = (struct inside){ 0 };
	if (kind == HESSIAN_MAP) {
		in->map = in->endless = true;
		return hessian_map(h);
	}
	if (kind == HESSIAN_OBJECT) {
		err = hessian_object(h, &class);
		in->left = err ? 0 : class->fields;
		return err;
	}
	err = hessian_list(h, &n);
	in->endless = !err && n < 0;
	in->left = err || n < 0 ? 0 : (uint32_t)n;
	return err;
}

static int skip_plain(struct hessian *h, enum hessian_kind kind)
{
	int32_t ref;
	struct slice s;
	bool parts;

	switch (kind) {
	case HESSIAN_NONE:
		return -ENODATA;
	case HESSIAN_BAD:
	case HESSIAN_END:
		return -EPROTO;
	case HESSIAN_STRING:
	case HESSIAN_BINARY:
		return chunks(h, kind, &s, &parts);
	case HESSIAN_REF:
		h->at++;
		return hessian_int(h, &ref);
	default:
		return skip_number(h);
	}
}

/* Those that are over, innermost first, leave: how many are left. */
static unsigned close_values(struct hessian *h, const struct inside *in, unsigned depth)
{
	while (depth) {
		const struct inside *i = &in[depth - 1];

		if (i->endless ? i->value || !hessian_end(h) : i->left)
			break;
		depth--;
	}
	return depth;
}

int hessian_skip(struct hessian *h)
{
	struct inside in[HESSIAN_DEPTH];
	unsigned depth = 0;

	do {
		enum hessian_kind kind = hessian_peek(h);
		bool holds = kind == HESSIAN_LIST || kind == HESSIAN_MAP || kind == HESSIAN_OBJECT;
		int err;

		if (depth && in[depth - 1].endless)
			in[depth - 1].value = in[depth - 1].map && !in[depth - 1].value;
		else if (depth)
			in[depth - 1].left--;
		if (holds && depth == HESSIAN_DEPTH)
			return -EOVERFLOW;
		err = holds ? open_value(h, kind, &in[depth++]) : skip_plain(h, kind);
		if (err)
			return err;
		depth = close_values(h, in, depth);
	} while (depth);
	return 0;
}
