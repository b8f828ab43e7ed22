// SPDX-License-Identifier: Apache-2.0
#include "proto/json_rpc_priv.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "weft/str.h"

/* ---- text --------------------------------------------------------------------------------------------------- */

/* Surrogates in three bytes each become one letter in four; half a pair becomes U+FFFD. */
static size_t to_utf8(struct slice s, char *out)
{
	const uint8_t *p = (const uint8_t *)s.p, *end = p + s.n;
	char *o = out;

	while (p < end) {
		if (*p != 0xed || end - p < 3 || p[1] < 0xa0) {
			*o++ = (char)*p++;
		} else if (p[1] < 0xb0 && end - p >= 6 && p[3] == 0xed && p[4] >= 0xb0) {
			uint32_t u = 0x10000 + ((uint32_t)(p[1] & 15) << 16 | (uint32_t)(p[2] & 63) << 10 | (uint32_t)(p[4] & 15) << 6 | (p[5] & 63));

			*o++ = (char)(0xf0 | u >> 18);
			*o++ = (char)(0x80 | (u >> 12 & 63));
			*o++ = (char)(0x80 | (u >> 6 & 63));
			*o++ = (char)(0x80 | (u & 63));
			p += 6;
		} else {
			memcpy(o, "\xef\xbf\xbd", 3);
			o += 3;
			p += 3;
		}
	}
	return (size_t)(o - out);
}

/* The next string, as UTF-8, in memory of its own. */
static char *text(struct json_reading *r, size_t *n, int *err)
{
	struct slice s;
	bool parts;
	char *p;

	*err = hessian_string(&r->h, &s, &parts);
	p = *err ? NULL : malloc(s.n + 1);
	if (!p) {
		*err = *err ? *err : -ENOMEM;
		return NULL;
	}
	if (parts)
		s = (struct slice){ p, hessian_join(&r->h, s, p) };
	*n = to_utf8(s, p);
	return p;
}

static json_t *text_value(struct json_reading *r, int *err)
{
	size_t n;
	char *p = text(r, &n, err);
	json_t *v = p ? json_stringn(p, n) : NULL;

	if (p && !v)
		*err = -EPROTO;
	free(p);
	return v;
}

static json_t *binary_value(struct json_reading *r, int *err)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct slice s;
	bool parts;
	char *raw, *out, *o;
	json_t *v;

	*err = hessian_binary(&r->h, &s, &parts);
	if (*err)
		return NULL;
	raw = malloc(s.n + 1);
	out = o = malloc((s.n + 2) / 3 * 4 + 1);
	if (raw && parts)
		s = (struct slice){ raw, hessian_join(&r->h, s, raw) };
	for (size_t i = 0; raw && out && i < s.n; i += 3) {
		const uint8_t *p = (const uint8_t *)s.p + i;
		unsigned n = s.n - i < 3 ? (unsigned)(s.n - i) : 3;
		uint32_t b = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);

		*o++ = letters[b >> 18];
		*o++ = letters[b >> 12 & 63];
		*o++ = n > 1 ? letters[b >> 6 & 63] : '=';
		*o++ = n > 2 ? letters[b & 63] : '=';
	}
	v = raw && out ? json_stringn(out, (size_t)(o - out)) : NULL;
	free(raw);
	free(out);
	*err = v ? 0 : -ENOMEM;
	return v;
}

/* ---- what holds values -------------------------------------------------------------------------------------- */

static int remember(struct json_reading *r, json_t *v)
{
	if (!v)
		return -ENOMEM;
	if (r->nrefs >= JSON_RPC_HOLDERS)
		return -EOVERFLOW;
	if (r->nrefs == r->room) {
		size_t room = r->room ? 2 * r->room : 64;
		struct json_ref *refs = realloc(r->refs, room * sizeof(*refs));

		if (!refs)
			return -ENOMEM;
		r->refs = refs;
		r->room = room;
	}
	r->refs[r->nrefs++] = (struct json_ref){ .v = json_incref(v), .open = true };
	return 0;
}

/* Keys that are no text are written as one, if they hold nothing. */
static char *key(struct json_reading *r, int *err)
{
	enum hessian_kind kind = hessian_peek(&r->h);
	size_t n;
	char *s;
	json_t *v;

	if (kind == HESSIAN_STRING) {
		s = text(r, &n, err);
		if (s)
			s[n] = '\0';
		return s;
	}
	if (kind == HESSIAN_LIST || kind == HESSIAN_MAP || kind == HESSIAN_OBJECT || kind == HESSIAN_REF) {
		*err = -EPROTO;
		return NULL;
	}
	v = json_rpc_value(r, 0, err);
	s = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	if (v && !s)
		*err = -ENOMEM;
	json_decref(v);
	return s;
}

/* Takes v. A key may be as long as the answer, and be that of each of its objects. */
static int set(struct json_reading *r, json_t *o, const char *k, json_t *v)
{
	r->keys += strlen(k);
	if (r->keys > JSON_RPC_MAX) {
		json_decref(v);
		return -EOVERFLOW;
	}
	return json_object_set_new(o, k, v) ? -EPROTO : 0;
}

static int map_values(struct json_reading *r, json_t *o, unsigned depth)
{
	int err = hessian_map(&r->h);

	while (!err && !hessian_end(&r->h)) {
		char *k = key(r, &err);
		json_t *v = k ? json_rpc_value(r, depth + 1, &err) : NULL;

		if (!err)
			err = set(r, o, k, v);
		free(k);
	}
	return err;
}

static int object_values(struct json_reading *r, json_t *o, unsigned depth)
{
	const struct hessian_class *class;
	int err = hessian_object(&r->h, &class);
	struct json_reading names;

	if (err)
		return err;
	hessian_fields(&names.h, &r->h, class);
	for (uint32_t i = 0; !err && i < class->fields; i++) {
		size_t n;
		char *k = text(&names, &n, &err);
		json_t *v = k ? json_rpc_value(r, depth + 1, &err) : NULL;

		if (k)
			k[n] = '\0';
		if (!err)
			err = set(r, o, k, v);
		free(k);
	}
	return err;
}

static int list_values(struct json_reading *r, json_t *list, unsigned depth)
{
	int64_t n;
	int err = hessian_list(&r->h, &n);

	while (!err && n && !(n < 0 && hessian_end(&r->h))) {
		json_t *v = json_rpc_value(r, depth + 1, &err);

		if (!err)
			err = json_array_append_new(list, v) ? -ENOMEM : 0;
		n -= n > 0;
	}
	return err;
}

static void deepen(struct json_reading *r, unsigned depth)
{
	r->deepest = depth > r->deepest ? depth : r->deepest;
}

static json_t *holder(struct json_reading *r, enum hessian_kind kind, unsigned depth, int *err)
{
	json_t *v = kind == HESSIAN_LIST ? json_array() : json_object();
	unsigned before = r->deepest;
	size_t i = r->nrefs;

	r->deepest = depth;
	*err = depth >= JSON_RPC_DEPTH ? -EOVERFLOW : remember(r, v);
	if (!*err)
		*err = kind == HESSIAN_LIST ? list_values(r, v, depth) : kind == HESSIAN_MAP ? map_values(r, v, depth) : object_values(r, v, depth);
	if (!*err) {
		r->refs[i].open = false;
		r->refs[i].height = r->deepest - depth;
		deepen(r, before);
		return v;
	}
	json_decref(v);
	return NULL;
}

/*
 * A value inside itself is null: JSON has no other word for it. What jansson writes and frees it goes down into by recursion,
 * however it came to be so deep.
 */
static json_t *reference(struct json_reading *r, unsigned depth, int *err)
{
	const struct json_ref *ref;
	uint32_t i;

	*err = hessian_ref(&r->h, &i);
	if (!*err && i >= r->nrefs)
		*err = -EPROTO;
	if (*err)
		return NULL;
	ref = &r->refs[i];
	if (ref->open)
		return json_null();
	if (depth + ref->height >= JSON_RPC_DEPTH) {
		*err = -EOVERFLOW;
		return NULL;
	}
	deepen(r, depth + ref->height);
	return json_incref(ref->v);
}

/* ---- any value ---------------------------------------------------------------------------------------------- */

static json_t *number_value(struct json_reading *r, enum hessian_kind kind, int *err)
{
	int64_t n = 0;
	double d = 0;

	if (kind == HESSIAN_DOUBLE) {
		*err = hessian_double(&r->h, &d);
		return *err ? NULL : isfinite(d) ? json_real(d) : json_null();
	}
	*err = kind == HESSIAN_DATE ? hessian_date(&r->h, &n) : hessian_long(&r->h, &n);
	return *err ? NULL : json_integer(n);
}

json_t *json_rpc_value(struct json_reading *r, unsigned depth, int *err)
{
	enum hessian_kind kind = hessian_peek(&r->h);
	bool b = false;

	switch (kind) {
	case HESSIAN_NULL:
		*err = hessian_null(&r->h) ? 0 : -EPROTO;
		return json_null();
	case HESSIAN_BOOL:
		*err = hessian_bool(&r->h, &b);
		return json_boolean(b);
	case HESSIAN_INT:
	case HESSIAN_LONG:
	case HESSIAN_DOUBLE:
	case HESSIAN_DATE:
		return number_value(r, kind, err);
	case HESSIAN_STRING:
		return text_value(r, err);
	case HESSIAN_BINARY:
		return binary_value(r, err);
	case HESSIAN_LIST:
	case HESSIAN_MAP:
	case HESSIAN_OBJECT:
		return holder(r, kind, depth, err);
	case HESSIAN_REF:
		return reference(r, depth, err);
	default:
		*err = -EPROTO;
		return NULL;
	}
}

/* ---- answers ------------------------------------------------------------------------------------------------ */

struct writing {
	struct buf *out;
	size_t left;
	int err;
};

static int write_piece(const char *p, size_t n, void *arg)
{
	struct writing *w = arg;

	if (n > w->left)
		w->err = -EOVERFLOW;
	else if (buf_add(w->out, p, n))
		w->err = -ENOMEM;
	w->left -= n < w->left ? n : w->left;
	return w->err;
}

static int write_json(const json_t *v, struct buf *out)
{
	struct writing w = { out, JSON_RPC_MAX, 0 };

	if (json_dump_callback(v, write_piece, &w, JSON_ENCODE_ANY | JSON_COMPACT))
		return w.err ? w.err : -EPROTO;
	return 0;
}

int json_rpc_error(struct slice message, struct buf *out)
{
	char *s = malloc(message.n + 1);
	json_t *v = NULL;
	int err;

	if (!s)
		return -ENOMEM;
	v = json_pack("{s{ss%}}", "error", "message", s, to_utf8(message, s));
	err = v ? write_json(v, out) : json_rpc_error(SLICE_LIT("an error without readable words"), out);
	json_decref(v);
	free(s);
	return err;
}

json_t *json_rpc_thrown(const struct hessian *at, json_t *take_v)
{
	const json_t *message = json_object_get(take_v, "detailMessage");
	const struct hessian_class *class;
	struct slice name = { "", 0 };
	struct hessian h = *at;
	json_t *out;

	if (hessian_peek(&h) == HESSIAN_OBJECT && !hessian_object(&h, &class))
		name = hessian_class_name(&h, class);
	out = json_pack("{s{ss%sO}}", "error", "class", name.p ? name.p : "", name.p ? name.n : 0, "message",
			message ? message : json_null());
	json_decref(take_v);
	return out;
}

int json_rpc_finish(struct json_reading *r, json_t *take_v, int err, struct buf *out)
{
	if (!err)
		err = take_v ? write_json(take_v, out) : -ENOMEM;
	json_decref(take_v);
	for (size_t i = 0; i < r->nrefs; i++)
		json_decref(r->refs[i].v);
	free(r->refs);
	return err == -ENODATA ? -EPROTO : err;
}
