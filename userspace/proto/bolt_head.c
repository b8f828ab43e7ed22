// SPDX-License-Identifier: Apache-2.0
#include "proto/bolt_head.h"

#include <errno.h>
#include "base/bytes.h"
#include "weft/str.h"

#define NULL_LENGTH 0xffffffffu                 /* of a key or value that is not there */

/* ---- fixed part --------------------------------------------------------------------------------------------- */

unsigned bolt_fixed_size(struct slice s)
{
	struct bolt_fixed f = { .proto = (uint8_t)s.p[0] };

	f.type = (uint8_t)s.p[f.proto == 2 ? 2 : 1];
	return (f.proto == 1 || f.proto == 2) && f.type <= BOLT_ONEWAY ? bolt_fixed_n(&f) : 0;
}

/* What a type may be about. */
static bool agrees(const struct bolt_fixed *f)
{
	switch (f->command) {
	case BOLT_HEARTBEAT:
		return true;
	case BOLT_CALL:
		return f->type != BOLT_RESPONSE;
	case BOLT_ANSWER:
		return f->type == BOLT_RESPONSE;
	case BOLT_GOAWAY:
		return f->type != BOLT_RESPONSE;
	default:
		return false;
	}
}

const char *bolt_fixed_read(struct slice s, struct bolt_fixed *f)
{
	const char *p = s.p;

	f->proto = (uint8_t)*p++;
	f->ver1 = f->proto == 2 ? (uint8_t)*p++ : 0;
	f->type = (uint8_t)p[0];
	f->command = bytes_get16(p + 1);
	f->ver2 = (uint8_t)p[3];
	f->id = bytes_get32(p + 4);
	f->codec = (uint8_t)p[8];
	p += 9;
	f->protocol_switch = f->proto == 2 ? (uint8_t)*p++ : 0;
	f->timeout = 0;
	f->status = 0;
	if (f->type == BOLT_RESPONSE) {
		f->status = bytes_get16(p);
		p += 2;
	} else {
		f->timeout = (int32_t)bytes_get32(p);
		p += 4;
	}
	f->class_n = bytes_get16(p);
	f->header_n = bytes_get16(p + 2);
	f->content_n = bytes_get32(p + 4);
	if (!agrees(f))
		return "command that bolt does not have, or not for this type of frame";
	return f->protocol_switch > 127 ? "protocol switch above 127" : NULL;
}

unsigned bolt_fixed_write(const struct bolt_fixed *f, char out[BOLT_FIXED_MAX])
{
	char *p = out;

	*p++ = (char)f->proto;
	if (f->proto == 2)
		*p++ = (char)f->ver1;
	p[0] = (char)f->type;
	bytes_put16(p + 1, f->command);
	p[3] = (char)f->ver2;
	bytes_put32(p + 4, f->id);
	p[8] = (char)f->codec;
	p += 9;
	if (f->proto == 2)
		*p++ = (char)f->protocol_switch;
	if (f->type == BOLT_RESPONSE) {
		bytes_put16(p, f->status);
		p += 2;
	} else {
		bytes_put32(p, (uint32_t)f->timeout);
		p += 4;
	}
	bytes_put16(p, f->class_n);
	bytes_put16(p + 2, f->header_n);
	bytes_put32(p + 4, f->content_n);
	return (unsigned)(p + 8 - out);
}

/* ---- header map --------------------------------------------------------------------------------------------- */

/* A length and as many bytes; p NULL: null. False: they are not there. */
static bool take(struct slice *s, struct slice *out)
{
	uint32_t n;

	if (s->n < 4)
		return false;
	n = bytes_get32(s->p);
	s->p += 4;
	s->n -= 4;
	*out = (struct slice){ NULL, 0 };
	if (n == NULL_LENGTH)
		return true;
	if (n > s->n)
		return false;
	*out = (struct slice){ s->p, n };
	s->p += n;
	s->n -= n;
	return true;
}

/* What routes look for, and an answer's word for what was thrown. The first that is not empty, each. */
struct named {
	struct slice service, target, method, error;
};

static void note(struct named *names, struct slice name, struct slice value)
{
	static const char target[] = "sofa_head_target_service", error[] = "sofa_head_response_error", method[] = "sofa_head_method_name",
			  service[] = "service";

	if (name.n == sizeof(target) - 1 && !names->target.n && !memcmp(name.p, target, name.n))
		names->target = value;
	else if (name.n == sizeof(error) - 1 && !names->error.n && !memcmp(name.p, error, name.n))
		names->error = value;
	else if (name.n == sizeof(method) - 1 && !names->method.n && !memcmp(name.p, method, name.n))
		names->method = value;
	else if (name.n == sizeof(service) - 1 && !names->service.n && !memcmp(name.p, service, name.n))
		names->service = value;
}

static const char *read_map(struct msg *m, struct slice map, uint32_t most, struct named *names, enum proto_why *why)
{
	struct slice name, value;

	while (map.n) {
		*why = PROTO_MALFORMED;
		if (!take(&map, &name) || !take(&map, &value))
			return "header map that does not fit its length";
		if (!name.p || !value.p)
			continue;
		if (m->nheaders >= most) {
			*why = PROTO_HEAD_TOO_LARGE;
			return "too many headers";
		}
		if (msg_push(m, name, value)) {
			*why = PROTO_OVERLOAD;
			return "out of memory";
		}
		note(names, name, value);
	}
	return NULL;
}

const char *bolt_head_read(struct msg *m, const struct bolt_fixed *f, uint32_t headers, enum proto_why *why)
{
	static const enum msg_kind kinds[] = { MSG_RESPONSE, MSG_REQUEST, MSG_ONEWAY };
	const char *vars = m->raw.p + bolt_fixed_n(f), *detail;
	struct named names = { 0 };

	m->kind = kinds[f->type];
	m->flags |= MSG_EXACT_NAMES;
	m->class_name = (struct slice){ vars, f->class_n };
	m->serialization = f->codec;
	m->timeout_ms = f->timeout;
	m->body_len = f->content_n;
	m->wire_status = MSG_NO_STATUS;
	detail = read_map(m, (struct slice){ vars + f->class_n, f->header_n }, headers, &names, why);
	if (f->type == BOLT_RESPONSE) {
		m->wire_status = f->status;
		m->status = bolt_status_http(f->status);
		if (f->status != BOLT_SUCCESS)
			m->reason = slice_str(bolt_status_text(f->status));
		else if (slice_eq_str(names.error, "true"))
			m->flags |= MSG_EXCEPTION;
		return detail;
	}
	m->service = names.service.n ? names.service : names.target.n ? names.target : m->class_name;
	m->rpc_method = names.method;
	return detail;
}

/* ---- written anew ------------------------------------------------------------------------------------------- */

static size_t map_n(const struct msg_header *v, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n && bytes <= UINT16_MAX; i++)
		bytes += 8 + v[i].name.n + v[i].value.n;
	return bytes;
}

int bolt_vars_measure(const struct bolt_vars *v, struct bolt_fixed *f)
{
	size_t n = map_n(v->headers, v->nheaders) + map_n(v->more, v->nmore);

	if (n > UINT16_MAX || v->class_name.n > UINT16_MAX)
		return -ENOTSUP;
	f->class_n = (uint16_t)v->class_name.n;
	f->header_n = (uint16_t)n;
	return 0;
}

static int put_text(struct buf *out, struct slice s)
{
	char n[4];
	int err;

	bytes_put32(n, (uint32_t)s.n);
	err = buf_add(out, n, sizeof(n));
	return err || !s.n ? err : buf_add(out, s.p, s.n);
}

static int put_map(struct buf *out, const struct msg_header *v, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		err = put_text(out, v[i].name);
		err = err ? err : put_text(out, v[i].value);
	}
	return err;
}

int bolt_vars_write(const struct bolt_vars *v, struct buf *out)
{
	int err = v->class_name.n ? buf_add(out, v->class_name.p, v->class_name.n) : 0;

	err = err ? err : put_map(out, v->headers, v->nheaders);
	return err ? err : put_map(out, v->more, v->nmore);
}

/* ---- status ------------------------------------------------------------------------------------------------- */

struct status {
	int wire, http;
	const char *text;
};

static const struct status *status_of(int wire)
{
	static const struct status all[] = {
#define STATUS_ROW_(NAME, number, http, text) { number, http, text },
		BOLT_STATUSES(STATUS_ROW_)
#undef STATUS_ROW_
	};
	static const struct status other = { -1, 500, "a status that bolt does not have" };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].wire == wire)
			return &all[i];
	return &other;
}

int bolt_status_http(int wire)
{
	return status_of(wire)->http;
}

const char *bolt_status_text(int wire)
{
	return status_of(wire)->text;
}

/* What Java makes of each: docs/rpc.md. */
int bolt_status_wire(int http)
{
	switch (http) {
	case 401:
	case 403:
		return BOLT_SERVER_EXCEPTION;
	case 404:
	case 502:
		return BOLT_NO_PROCESSOR;
	case 408:
	case 504:
		return BOLT_TIMEOUT;
	case 429:
	case 503:
		return BOLT_BUSY;
	case 400:
	case 413:
	case 431:
		return BOLT_CODEC_EXCEPTION;
	default:
		return http >= 200 && http < 300 ? BOLT_SUCCESS : BOLT_UNKNOWN;
	}
}
