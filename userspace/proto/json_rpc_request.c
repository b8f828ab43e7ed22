// SPDX-License-Identifier: Apache-2.0
#include "proto/json_rpc_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "proto/grpc_web.h"
#include "weft/str.h"

/* What JSON has to be for a declared type, and what becomes of it. */
enum want { WANT_BOOL, WANT_INT, WANT_LONG, WANT_DOUBLE, WANT_TEXT, WANT_DATE, WANT_BYTES, WANT_LIST, WANT_ANY, WANT_OBJECT, WANT_ARRAY };

struct type {
	const char *name;
	enum want want;
	char letter;                            /* of a primitive, in a descriptor; 0: a class */
	const char *element;                    /* of hessian's arrays */
	int64_t least, most;
};

static const struct type types[] = {
	{ "boolean", WANT_BOOL, 'Z', "boolean", 0, 0 },
	{ "byte", WANT_INT, 'B', "byte", INT8_MIN, INT8_MAX },
	{ "short", WANT_INT, 'S', "short", INT16_MIN, INT16_MAX },
	{ "int", WANT_INT, 'I', "int", INT32_MIN, INT32_MAX },
	{ "long", WANT_LONG, 'J', "long", INT64_MIN, INT64_MAX },
	{ "float", WANT_DOUBLE, 'F', "float", 0, 0 },
	{ "double", WANT_DOUBLE, 'D', "double", 0, 0 },
	{ "char", WANT_TEXT, 'C', "char", 0, 0 },
	{ "java.lang.Boolean", WANT_BOOL, 0, NULL, 0, 0 },
	{ "java.lang.Byte", WANT_INT, 0, NULL, INT8_MIN, INT8_MAX },
	{ "java.lang.Short", WANT_INT, 0, NULL, INT16_MIN, INT16_MAX },
	{ "java.lang.Integer", WANT_INT, 0, NULL, INT32_MIN, INT32_MAX },
	{ "java.lang.Long", WANT_LONG, 0, NULL, INT64_MIN, INT64_MAX },
	{ "java.lang.Float", WANT_DOUBLE, 0, NULL, 0, 0 },
	{ "java.lang.Double", WANT_DOUBLE, 0, NULL, 0, 0 },
	{ "java.lang.Character", WANT_TEXT, 0, NULL, 0, 0 },
	{ "java.lang.String", WANT_TEXT, 0, "string", 0, 0 },
	{ "java.util.Date", WANT_DATE, 0, "date", 0, 0 },
	{ "byte[]", WANT_BYTES, 0, NULL, 0, 0 },        /* of these two hessian makes no lists */
	{ "char[]", WANT_TEXT, 0, NULL, 0, 0 },
	{ "java.util.List", WANT_LIST, 0, NULL, 0, 0 },
	{ "java.util.Collection", WANT_LIST, 0, NULL, 0, 0 },
	{ "java.util.ArrayList", WANT_LIST, 0, NULL, 0, 0 },
	{ "java.util.Map", WANT_ANY, 0, NULL, 0, 0 },
	{ "java.lang.Object", WANT_ANY, 0, "object", 0, 0 },
};

static bool is_array(struct slice name)
{
	return name.n > 2 && !memcmp(name.p + name.n - 2, "[]", 2);
}

static struct slice element_of(struct slice name)
{
	return (struct slice){ name.p, name.n - 2 };
}

static struct type type_of(struct slice name)
{
	struct type t = { .want = is_array(name) ? WANT_ARRAY : WANT_OBJECT };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (slice_eq_str(name, types[i].name))
			return types[i];
	return t;
}

/* ---- names -------------------------------------------------------------------------------------------------- */

int json_rpc_type(struct buf *b, struct slice type, bool slashed)
{
	bool inside = slashed || is_array(type);
	struct type t;
	int err = 0;

	while (is_array(type) && !err) {
		type = element_of(type);
		err = buf_add(b, "[", 1);
	}
	t = type_of(type);
	if (err || (inside && t.letter))
		return err ? err : buf_add(b, &t.letter, 1);
	err = inside ? buf_add(b, "L", 1) : 0;
	for (size_t i = 0; i < type.n && !err; i++)
		err = buf_add(b, slashed && type.p[i] == '.' ? "/" : type.p + i, 1);
	return err || !inside ? err : buf_add(b, ";", 1);
}

/* "[int" of hessian's lists. */
static int put_array_type(struct buf *b, struct slice element)
{
	int err = buf_add(b, "[", 1);

	while (is_array(element) && !err) {
		element = element_of(element);
		err = buf_add(b, "[", 1);
	}
	if (type_of(element).element)
		element = slice_str(type_of(element).element);
	return err ? err : buf_add(b, element.p, element.n);
}

static struct slice whole(struct buf *b)
{
	return b->len ? buf_pull(b, b->len) : (struct slice){ "", 0 };
}

/* ---- values ------------------------------------------------------------------------------------------------- */

/* One argument on its way, for words about it. */
struct making {
	struct hessian_out *out;
	char *why;
	size_t wn;
	const char *at;                         /* "argument 1 (name)" */
};

static int wrong(const struct making *m, const char *want)
{
	snprintf(m->why, m->wn, "%s: want %s", m->at, want);
	return -EINVAL;
}

static int put_text(struct hessian_out *o, const json_t *v)
{
	return hessian_put_string(o, (struct slice){ json_string_value(v), json_string_length(v) });
}

static int put_any(const struct making *m, const json_t *v, unsigned depth);

static int put_list(const struct making *m, const json_t *v, struct slice type, unsigned depth)
{
	int err = hessian_put_list(m->out, type, (uint32_t)json_array_size(v));

	for (size_t i = 0; i < json_array_size(v) && !err; i++)
		err = put_any(m, json_array_get(v, i), depth + 1);
	return err ? err : hessian_put_list_end(m->out);
}

static int put_map(const struct making *m, const json_t *v, struct slice type, unsigned depth)
{
	int err = hessian_put_map(m->out, type);

	for (void *i = json_object_iter((json_t *)v); i && !err; i = json_object_iter_next((json_t *)v, i)) {
		err = hessian_put_string(m->out, slice_str(json_object_iter_key(i)));
		if (!err)
			err = put_any(m, json_object_iter_value(i), depth + 1);
	}
	return err ? err : hessian_put_end(m->out);
}

/* By what it is: a whole number is an Integer where that is wide enough. */
static int put_any(const struct making *m, const json_t *v, unsigned depth)
{
	struct slice untyped = { "", 0 };
	json_int_t n = json_integer_value(v);

	if (depth > JSON_RPC_DEPTH)
		return wrong(m, "fewer values inside one another");
	switch (json_typeof(v)) {
	case JSON_NULL:
		return hessian_put_null(m->out);
	case JSON_TRUE:
	case JSON_FALSE:
		return hessian_put_bool(m->out, json_is_true(v));
	case JSON_INTEGER:
		return n >= INT32_MIN && n <= INT32_MAX ? hessian_put_int(m->out, (int32_t)n) : hessian_put_long(m->out, n);
	case JSON_REAL:
		return hessian_put_double(m->out, json_real_value(v));
	case JSON_STRING:
		return put_text(m->out, v);
	case JSON_ARRAY:
		return put_list(m, v, untyped, depth);
	default:
		return put_map(m, v, untyped, depth);
	}
}

static int put_typed(const struct making *m, const json_t *v, struct slice type, unsigned depth);

static int put_array(const struct making *m, const json_t *v, struct slice element, unsigned depth)
{
	struct buf name = { 0 };
	int err = json_is_array(v) ? put_array_type(&name, element) : wrong(m, "an array");

	if (!err)
		err = hessian_put_list(m->out, whole(&name), (uint32_t)json_array_size(v));
	for (size_t i = 0; !err && i < json_array_size(v); i++)
		err = put_typed(m, json_array_get(v, i), element, depth + 1);
	buf_fini(&name);
	return err ? err : hessian_put_list_end(m->out);
}

static int put_number(const struct making *m, const json_t *v, const struct type *t)
{
	json_int_t n = json_integer_value(v);
	char want[100];

	if (json_is_integer(v) && n >= t->least && n <= t->most)
		return t->want == WANT_INT ? hessian_put_int(m->out, (int32_t)n) : hessian_put_long(m->out, n);
	snprintf(want, sizeof(want), "a whole number from %lld to %lld", (long long)t->least, (long long)t->most);
	return wrong(m, want);
}

static int put_bytes(const struct making *m, const json_t *v)
{
	struct slice in = { json_string_value(v), json_string_length(v) }, bytes;
	char *room = json_is_string(v) ? mem_alloc(GRPC_WEB_DECODED(in.n)) : NULL;
	struct grpc_web_text t = { 0 };
	ssize_t n = room ? grpc_web_decode(&t, in, room) : -EINVAL;
	int err;

	bytes = (struct slice){ room, n < 0 ? 0 : (size_t)n };
	err = n < 0 || !grpc_web_ended(&t) ? wrong(m, "bytes in base64") : hessian_put_binary(m->out, bytes);
	free(room);
	return err;
}

static int put_typed(const struct making *m, const json_t *v, struct slice name, unsigned depth)
{
	struct type t = type_of(name);

	if (depth > JSON_RPC_DEPTH)
		return wrong(m, "fewer values inside one another");
	if (m->out->buf->len > JSON_RPC_CALL_MAX)
		return wrong(m, "less: the call is over 8 MiB");
	if (json_is_null(v))
		return t.letter ? wrong(m, "a value: the type is none that may be null") : hessian_put_null(m->out);
	switch (t.want) {
	case WANT_BOOL:
		return json_is_boolean(v) ? hessian_put_bool(m->out, json_is_true(v)) : wrong(m, "true or false");
	case WANT_INT:
	case WANT_LONG:
		return put_number(m, v, &t);
	case WANT_DOUBLE:
		return json_is_number(v) ? hessian_put_double(m->out, json_number_value(v)) : wrong(m, "a number");
	case WANT_TEXT:
		return json_is_string(v) ? put_text(m->out, v) : wrong(m, "a string");
	case WANT_DATE:
		return json_is_integer(v) ? hessian_put_date(m->out, json_integer_value(v)) : wrong(m, "milliseconds since 1970");
	case WANT_BYTES:
		return put_bytes(m, v);
	case WANT_LIST:
		return json_is_array(v) ? put_any(m, v, depth) : wrong(m, "an array");
	case WANT_ARRAY:
		return put_array(m, v, element_of(name), depth);
	case WANT_OBJECT:
		return json_is_object(v) ? put_map(m, v, name, depth) : wrong(m, "an object");
	default:
		return put_any(m, v, depth);
	}
}

/* ---- arguments ----------------------------------------------------------------------------------------------- */

static const json_t *argument_of(const json_t *all, const struct json_argument *a, size_t i)
{
	const json_t *v = NULL;

	if (json_is_array(all))
		return json_array_get(all, i);
	if (a->name.n)
		v = json_object_getn(all, a->name.p, a->name.n);
	return v;
}

int json_rpc_arguments(const struct json_method *m, const json_t *all, struct hessian_out *out, char *why, size_t wn)
{
	int err = 0;

	for (size_t i = 0; i < m->n && !err; i++) {
		const json_t *v = argument_of(all, &m->arguments[i], i);
		char at[100];
		struct making making = { out, why, wn, at };

		snprintf(at, sizeof(at), "argument %zu%s%.*s", i + 1, m->arguments[i].name.n ? ", " : "",
			 (int)(m->arguments[i].name.n < 60 ? m->arguments[i].name.n : 60), m->arguments[i].name.p);
		err = v ? put_typed(&making, v, m->arguments[i].type, 0) : wrong(&making, "one: it is missing");
	}
	return err;
}

int json_rpc_parse(const struct json_method *m, struct slice json, json_t **all, char *why, size_t wn)
{
	json_error_t e;
	size_t n;

	*all = NULL;
	if (!m->n && !json.n)
		return 0;
	*all = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, &e);
	if (!*all) {
		snprintf(why, wn, "body is no JSON: %s at byte %d", e.text, e.position);
		return -EINVAL;
	}
	n = json_is_array(*all) ? json_array_size(*all) : m->n;
	if (n == m->n)
		return 0;
	snprintf(why, wn, "body has %zu arguments, want %zu", n, m->n);
	json_decref(*all);
	return -EINVAL;
}
