// SPDX-License-Identifier: Apache-2.0
/* The bodies of Dubbo around arguments and values. */
#include <errno.h>
#include "proto/json_rpc_priv.h"
#include "weft/str.h"

enum { THREW, VALUE, NOTHING, THREW_WITH, VALUE_WITH, NOTHING_WITH }; /* what an answer begins with */

/* ---- requests ----------------------------------------------------------------------------------------------- */

static int put_pair(struct hessian_out *out, const char *name, struct slice value)
{
	int err = value.n ? hessian_put_string(out, slice_str(name)) : 0;

	return err || !value.n ? err : hessian_put_string(out, value);
}

static int put_names(const struct json_method *m, struct hessian_out *out)
{
	struct buf types = { 0 };
	int err = hessian_put_string(out, SLICE_LIT("2.0.2"));

	for (size_t i = 0; i < m->n && !err; i++)
		err = json_rpc_type(&types, m->arguments[i].type, true);
	if (!err)
		err = hessian_put_string(out, m->service);
	if (!err)
		err = hessian_put_string(out, m->version.n ? m->version : SLICE_LIT("0.0.0"));
	if (!err)
		err = hessian_put_string(out, m->name);
	if (!err)
		err = hessian_put_string(out, types.len ? buf_pull(&types, types.len) : (struct slice){ "", 0 });
	buf_fini(&types);
	return err;
}

static int put_attachments(const struct json_method *m, struct hessian_out *out)
{
	int err = hessian_put_map(out, (struct slice){ "", 0 });

	if (!err)
		err = put_pair(out, "path", m->service);
	if (!err)
		err = put_pair(out, "interface", m->service);
	if (!err)
		err = put_pair(out, "version", m->version);
	if (!err)
		err = put_pair(out, "group", m->group);
	return err ? err : hessian_put_end(out);
}

int json_dubbo_request(const struct json_method *m, struct slice json, struct buf *out, char *why, size_t wn)
{
	struct hessian_out o = { .buf = out };
	json_t *all;
	int err = json_rpc_parse(m, json, &all, why, wn);

	if (err)
		return err;
	err = put_names(m, &o);
	if (!err)
		err = json_rpc_arguments(m, all, &o, why, wn);
	if (!err)
		err = put_attachments(m, &o);
	json_decref(all);
	return err;
}

/* ---- answers ------------------------------------------------------------------------------------------------ */

static json_t *thrown(struct json_reading *r, int *err)
{
	struct hessian at = r->h;
	json_t *v = json_rpc_value(r, 0, err), *out = *err ? NULL : json_rpc_thrown(&at, v);

	if (!*err && !out)
		*err = -EPROTO;
	return out;
}

static json_t *answer(struct json_reading *r, int *status, int *err)
{
	int32_t tag = 0;

	*err = hessian_int(&r->h, &tag);
	*status = tag == THREW || tag == THREW_WITH ? 500 : 200;
	if (*err || tag < THREW || tag > NOTHING_WITH) {
		*err = -EPROTO;
		return NULL;
	}
	if (*status == 500)
		return thrown(r, err);
	return tag == NOTHING || tag == NOTHING_WITH ? json_null() : json_rpc_value(r, 0, err);
}

int json_dubbo_response(struct slice body, struct buf *out, int *status)
{
	struct json_reading r = { 0 };
	json_t *v;
	int err;

	hessian_init(&r.h, body);
	v = answer(&r, status, &err);
	return json_rpc_finish(&r, v, err, out);
}
