// SPDX-License-Identifier: Apache-2.0
/* The content of SOFARPC's frames around arguments and values: a SofaRequest, behind it the arguments; a SofaResponse. */
#include <errno.h>
#include <string.h>
#include "proto/json_rpc_priv.h"
#include "weft/str.h"

static const struct slice untyped = { "", 0 };

/* ---- requests ----------------------------------------------------------------------------------------------- */

static int put_type(struct hessian_out *o, struct slice type)
{
	struct buf b = { 0 };
	int err = json_rpc_type(&b, type, false);

	if (!err)
		err = hessian_put_string(o, buf_pull(&b, b.len));
	buf_fini(&b);
	return err;
}

static int put_types(struct hessian_out *o, const struct json_method *m)
{
	int err = hessian_put_list(o, SLICE_LIT("[string"), (uint32_t)m->n);

	for (size_t i = 0; i < m->n && !err; i++)
		err = put_type(o, m->arguments[i].type);
	return err ? err : hessian_put_list_end(o);
}

/* What the header map beside it says, too. */
static int put_props(struct hessian_out *o)
{
	static const char *const words[] = { "protocol", "bolt", "type", "sync" };
	int err = hessian_put_map(o, untyped);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && !err; i++)
		err = hessian_put_string(o, slice_str(words[i]));
	return err ? err : hessian_put_end(o);
}

static int put_class(struct hessian_out *o)
{
	static const char *const fields[] = { "targetAppName", "methodName", "targetServiceUniqueName", "requestProps", "methodArgSigs" };
	unsigned n = sizeof(fields) / sizeof(fields[0]);
	int err = hessian_put_class(o, SLICE_LIT("com.alipay.sofa.rpc.core.request.SofaRequest"), n);

	for (size_t i = 0; i < n && !err; i++)
		err = hessian_put_string(o, slice_str(fields[i]));
	return err;
}

static int put_request(struct hessian_out *o, const struct json_method *m, struct slice unique)
{
	int err = put_class(o);

	if (!err)
		err = hessian_put_object(o, 0);
	if (!err)
		err = hessian_put_null(o);
	if (!err)
		err = hessian_put_string(o, m->name);
	if (!err)
		err = hessian_put_string(o, unique);
	if (!err)
		err = put_props(o);
	return err ? err : put_types(o, m);
}

int json_bolt_request(const struct json_method *m, struct slice unique, struct slice json, struct buf *out, char *why, size_t wn)
{
	struct hessian_out o = { .buf = out, .draft = true };
	json_t *all;
	int err = json_rpc_parse(m, json, &all, why, wn);

	if (err)
		return err;
	err = put_request(&o, m, unique);
	if (!err)
		err = json_rpc_arguments(m, all, &o, why, wn);
	json_decref(all);
	return err;
}

/* ---- answers ------------------------------------------------------------------------------------------------ */

static void begin(struct json_reading *r, struct slice body)
{
	hessian_init(&r->h, body);
	r->h.draft = true;
}

/* To the value of one field of the object that is next. */
static bool seek(struct hessian *h, const char *field)
{
	const struct hessian_class *class;
	struct hessian names;
	struct slice name;
	bool parts;

	if (hessian_object(h, &class))
		return false;
	hessian_fields(&names, h, class);
	for (uint32_t i = 0; i < class->fields; i++) {
		if (hessian_string(&names, &name, &parts))
			return false;
		if (slice_eq_str(name, field))
			return true;
		if (hessian_skip(h))
			return false;
	}
	return false;
}

/* Throwables have both. Java says it in a header as well, which not all hosts write. */
static bool is_thrown(const json_t *sofa, const json_t *v)
{
	const char *said = json_string_value(json_object_get(json_object_get(sofa, "responseProps"), "sofa_head_response_error"));

	return (said && !strcmp(said, "true")) || (json_object_get(v, "detailMessage") && json_object_get(v, "stackTrace"));
}

static json_t *answer(struct slice body, const json_t *sofa, bool threw, int *status)
{
	json_t *v = json_object_get(sofa, "appResponse"), *message = json_object_get(sofa, "errorMsg");
	struct json_reading again = { 0 };

	*status = 500;
	if (json_is_true(json_object_get(sofa, "isError")))
		return json_pack("{s{sO}}", "error", "message", message ? message : json_null());
	begin(&again, body);
	if (v && (threw || is_thrown(sofa, v)) && seek(&again.h, "appResponse"))
		return json_rpc_thrown(&again.h, json_incref(v));
	*status = 200;
	return json_incref(v);
}

int json_bolt_response(struct slice body, bool threw, struct buf *out, int *status)
{
	struct json_reading r = { 0 };
	json_t *sofa, *v = NULL;
	int err;

	begin(&r, body);
	err = hessian_peek(&r.h) == HESSIAN_OBJECT ? 0 : -EPROTO;
	sofa = err ? NULL : json_rpc_value(&r, 0, &err);
	if (!err) {
		v = answer(body, sofa, threw, status);
		err = v ? 0 : -EPROTO;
	}
	json_decref(sofa);
	return json_rpc_finish(&r, v, err, out);
}

int json_bolt_exception(struct slice body, struct buf *out)
{
	struct json_reading r = { 0 };
	struct hessian at;
	json_t *v;
	int err;

	begin(&r, body);
	at = r.h;
	v = json_rpc_value(&r, 0, &err);
	if (!err && !json_object_get(v, "detailMessage")) {
		json_decref(v);
		v = NULL;
		err = -EPROTO;
	}
	if (!err) {
		v = json_rpc_thrown(&at, v);
		err = v ? 0 : -EPROTO;
	}
	return json_rpc_finish(&r, v, err, out);
}
