// SPDX-License-Identifier: Apache-2.0
/* Lists, maps and objects; and any value at all, passed over. */
#include "proto/hessian_priv.h"

#include <errno.h>

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

/* In the draft it is there or not, and says which by a byte of its own. */
static int skip_draft_type(struct hessian *h)
{
	uint8_t c = hessian_left(h) ? hessian_byte(h, h->at) : 0;
	uint64_t n;
	int32_t v;
	int err;

	if (c == 'u') {
		h->at++;
		return hessian_int(h, &v);
	}
	if (c != 't')
		return 0;
	err = hessian_bytes(h, 2, &n);
	return err ? err : hessian_units(h, n);
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
	int err = hessian_expect(h, HESSIAN_MAP);

	if (!err && hessian_byte(h, h->at++) == 'M')
		err = h->draft ? skip_draft_type(h) : skip_type(h);
	return back(h, at, err);
}

/* 'v': of a type that came before, with a length and no end; 'V' has an end, whatever length it says. */
static int draft_list(struct hessian *h, int64_t *n)
{
	uint8_t c = hessian_byte(h, h->at++);
	uint64_t said;
	int64_t type;
	int err;

	if (c == 'v') {
		err = length(h, &type);
		return err ? err : length(h, n);
	}
	*n = -1;
	err = skip_draft_type(h);
	c = !err && hessian_left(h) ? hessian_byte(h, h->at) : 0;
	return err || (c != 'n' && c != 'l') ? err : hessian_bytes(h, c == 'n' ? 1 : 4, &said);
}

int hessian_list(struct hessian *h, int64_t *n)
{
	size_t at = h->at;
	int err = hessian_expect(h, HESSIAN_LIST);
	uint8_t c;

	if (err)
		return err;
	if (h->draft)
		return back(h, at, draft_list(h, n));
	c = hessian_byte(h, h->at++);
	*n = c == 'U' || c == 'W' ? -1 : c & 7;
	if (c == 'U' || c == 'V' || (c >= 0x70 && c <= 0x77))
		err = skip_type(h);
	if (!err && (c == 'V' || c == 'X'))
		err = length(h, n);
	return back(h, at, err);
}

/* The name of a class: text, in the draft without a first byte that says so. */
static int class_name(struct hessian *h, struct slice *s, bool *parts)
{
	size_t begin;
	int64_t n;
	int err;

	if (!h->draft)
		return hessian_string(h, s, parts);
	err = length(h, &n);
	begin = h->at;
	if (!err)
		err = hessian_units(h, (size_t)n);
	*parts = false;
	*s = (struct slice){ h->in.p + begin, h->at - begin };
	return err;
}

static int define(struct hessian *h)
{
	struct hessian_class c = { .at = (uint32_t)++h->at };
	int64_t fields = 0;
	struct slice name;
	bool parts;
	int err = class_name(h, &name, &parts);

	if (!err)
		err = length(h, &fields);
	c.names = (uint32_t)h->at;
	for (int64_t i = 0; !err && i < fields; i++)
		err = skip_text(h);
	if (!err && (h->nclasses == HESSIAN_CLASSES || h->in.n > UINT32_MAX))
		err = -EOVERFLOW;
	c.fields = (uint32_t)fields;
	if (!err)
		h->classes[h->nclasses++] = c;
	return err;
}

static bool defines(const struct hessian *h)
{
	return hessian_left(h) && hessian_byte(h, h->at) == (h->draft ? 'O' : 'C');
}

int hessian_object(struct hessian *h, const struct hessian_class **class)
{
	size_t at = h->at;
	int64_t i = 0;
	int err = 0;

	while (!err && defines(h))
		err = define(h);
	if (!err)
		err = hessian_expect(h, HESSIAN_OBJECT);
	if (!err && hessian_byte(h, h->at) >= 0x60 && !h->draft)
		i = hessian_byte(h, h->at++) - 0x60;
	else if (!err)
		h->at++, err = length(h, &i);
	if (!err && i >= h->nclasses)
		err = -EPROTO;
	if (!err)
		*class = &h->classes[i];
	return back(h, at, err);
}

void hessian_fields(struct hessian *names, const struct hessian *h, const struct hessian_class *class)
{
	names->in = h->in;
	names->at = class->names;
	names->draft = h->draft;
	names->nclasses = 0;
}

struct slice hessian_class_name(const struct hessian *h, const struct hessian_class *class)
{
	struct hessian r = { .in = h->in, .at = class->at, .draft = h->draft };
	struct slice s = { NULL, 0 };
	bool parts = false;

	return class_name(&r, &s, &parts) || parts ? (struct slice){ NULL, 0 } : s;
}

int hessian_ref(struct hessian *h, uint32_t *i)
{
	size_t at = h->at;
	int64_t n = 0;
	uint64_t v;
	uint8_t c;
	int err = hessian_expect(h, HESSIAN_REF);

	if (err)
		return err;
	c = hessian_byte(h, h->at);
	if (h->draft) {
		err = hessian_bytes(h, c == 'R' ? 4 : c == 'K' ? 2 : 1, &v);
		*i = err ? 0 : (uint32_t)v;
		return err;
	}
	h->at++;
	err = length(h, &n);
	*i = (uint32_t)n;
	return back(h, at, err);
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
	uint32_t ref;
	struct slice s;
	bool parts;

	switch (kind) {
	case HESSIAN_NONE:
		return -ENODATA;
	case HESSIAN_BAD:
	case HESSIAN_END:
		return -EPROTO;
	case HESSIAN_STRING:
		return hessian_string(h, &s, &parts);
	case HESSIAN_BINARY:
		return hessian_binary(h, &s, &parts);
	case HESSIAN_REF:
		return hessian_ref(h, &ref);
	default:
		return hessian_skip_number(h);
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
