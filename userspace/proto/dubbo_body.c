// SPDX-License-Identifier: Apache-2.0
/* What a body in hessian2 says: what is called, attachments; and attachments written again. */
#include <errno.h>

#include "base/num.h"
#include "proto/dubbo_priv.h"
#include "proto/hessian.h"

enum { REASON_MAX = 1024 };                     /* bytes of an error's text that are kept */

static const struct slice made_names[] = { SLICE_LIT("dubbo"), SLICE_LIT("interface"), SLICE_LIT("version") };

/* One body on its way into a message. Until settle() all text lies in the body, but for what came in parts. */
struct reading {
	struct hessian h;
	struct msg *m;
	const char **detail;
	uint32_t headers;                       /* at most */
};

static void begin(struct reading *r, const struct codec *c, struct slice body, struct msg *m, const char **detail)
{
	hessian_init(&r->h, body);
	r->m = m;
	r->detail = detail;
	r->headers = c->limits->headers ? c->limits->headers : DUBBO_HEADERS_MAX;
	m->flags |= MSG_EXACT_NAMES;
}

static int fail(struct reading *r, int err, const char *detail)
{
	*r->detail = detail;
	return err;
}

/* ---- text --------------------------------------------------------------------------------------------------- */

static int string(struct reading *r, struct slice *s)
{
	bool parts;
	int err = hessian_string(&r->h, s, &parts);
	char *p;

	if (err || !parts)
		return err;
	p = msg_alloc(r->m, s->n);
	if (!p)
		return -ENOMEM;
	*s = (struct slice){ p, hessian_join(&r->h, *s, p) };
	return 0;
}

/* Null is as good as nothing. */
static int string_or_null(struct reading *r, struct slice *out)
{
	*out = (struct slice){ "", 0 };
	return hessian_null(&r->h) ? 0 : string(r, out);
}

/* A piece of the body, and its copy that lives as long as the message. */
struct piece {
	struct slice body, kept;
};

static int keep_piece(struct reading *r, struct piece *p, size_t from, size_t to)
{
	p->body = (struct slice){ r->h.in.p + from, to - from };
	p->kept = msg_dup(r->m, p->body);
	return p->kept.p ? 0 : -ENOMEM;
}

static void settle(const struct piece *p, struct slice *s)
{
	uintptr_t at = (uintptr_t)s->p - (uintptr_t)p->body.p;

	if (at < p->body.n)
		s->p = p->kept.p + at;
}

/* ---- what is called ----------------------------------------------------------------------------------------- */

/* Which strings a request begins with. */
struct names {
	struct slice dubbo, path, version, method, types;
	struct slice called;                    /* method, or that of a generic call */
};

static int names(struct reading *r, struct names *n)
{
	int err = string_or_null(r, &n->dubbo);

	if (!err)
		err = string_or_null(r, &n->path);
	if (!err)
		err = string_or_null(r, &n->version);
	if (!err)
		err = string(r, &n->method);
	if (!err)
		err = string_or_null(r, &n->types);
	return err;
}

/* How many arguments "Ljava/lang/String;[I" says; -1: it says nothing that makes sense. */
static int count_types(struct slice s)
{
	int n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '[')
			continue;
		if (s.p[i] == 'L') {
			const char *end = memchr(s.p + i, ';', s.n - i);

			if (!end)
				return -1;
			i = (size_t)(end - s.p);
		} else if (!memchr("VZBCDFIJS", s.p[i], 9)) {
			return -1;
		}
		n++;
	}
	return s.n && s.p[s.n - 1] == '[' ? -1 : n;
}

static bool is_generic(struct slice method)
{
	return slice_eq_str(method, "$invoke") || slice_eq_str(method, "$invokeAsync");
}

/* Of a generic call the first argument is the method. */
static int method(struct reading *r, struct names *n)
{
	n->called = n->method;
	if (!is_generic(n->method))
		return 0;
	if (hessian_peek(&r->h) == HESSIAN_STRING)
		return string(r, &n->called);
	return hessian_peek(&r->h) == HESSIAN_NONE ? -ENODATA : 0;
}

static char *append(char *to, struct slice s)
{
	memcpy(to, s.p, s.n);
	return to + s.n;
}

static int service(struct reading *r, struct slice group, struct slice name, struct slice version)
{
	char *p, *q;

	if (slice_eq_str(version, "0.0.0"))
		version.n = 0;
	r->m->service = name;
	if (!group.n && !version.n)
		return 0;
	p = q = msg_alloc(r->m, group.n + name.n + version.n + 2);
	if (!p)
		return -ENOMEM;
	if (group.n) {
		q = append(q, group);
		*q++ = '/';
	}
	q = append(q, name);
	if (version.n) {
		*q++ = ':';
		q = append(q, version);
	}
	r->m->service = (struct slice){ p, (size_t)(q - p) };
	return 0;
}

/* ---- attachments -------------------------------------------------------------------------------------------- */

static void set_timeout(struct msg *m, int64_t ms)
{
	m->timeout_ms = ms <= 0 ? 0 : ms > INT32_MAX ? INT32_MAX : (int32_t)ms;
}

static void find_text_timeout(struct msg *m)
{
	int64_t ms;

	if (!num_i64(msg_get(m, SLICE_LIT("timeout")), &ms))
		set_timeout(m, ms);
}

/* Dubbo 3 may send a number. */
static void find_timeout(struct reading *r, struct slice key)
{
	size_t at = r->h.at;
	int64_t ms;

	if (slice_eq_str(key, "timeout") && !hessian_long(&r->h, &ms))
		set_timeout(r->m, ms);
	r->h.at = at;
}

static int keep(struct reading *r, struct dubbo_kept ***tail, size_t at)
{
	struct dubbo_kept *k = msg_alloc(r->m, sizeof(*k));

	if (!k)
		return -ENOMEM;
	*k = (struct dubbo_kept){ .bytes = { r->h.in.p + at, r->h.at - at } };
	**tail = k;
	*tail = &k->next;
	return 0;
}

/* One pair: a header, or bytes that are kept. */
static int pair(struct reading *r, struct dubbo_kept ***tail)
{
	struct slice key = { NULL, 0 }, value;
	size_t at = r->h.at;
	int err = hessian_peek(&r->h) == HESSIAN_STRING ? string(r, &key) : hessian_skip(&r->h);

	if (err)
		return err;
	if (!key.n || hessian_peek(&r->h) != HESSIAN_STRING) {
		find_timeout(r, key);
		err = hessian_skip(&r->h);
		return err ? err : keep(r, tail, at);
	}
	err = string(r, &value);
	if (!err && r->m->nheaders >= r->headers)
		return fail(r, -E2BIG, "too many attachments");
	return err ? err : msg_push(r->m, key, value);
}

static int pairs(struct reading *r, struct dubbo_map *map)
{
	struct dubbo_kept **tail = &map->kept;
	size_t at = r->h.at;
	int err = hessian_map(&r->h);

	map->open = (struct slice){ r->h.in.p + at, r->h.at - at };
	while (!err && !hessian_end(&r->h))
		err = pair(r, &tail);
	return err;
}

/* What was found moves into the message's memory. */
static int settle_map(struct reading *r, struct dubbo_map *map)
{
	struct piece p;

	if (keep_piece(r, &p, map->at, map->end))
		return -ENOMEM;
	for (uint32_t i = 0; i < r->m->nheaders; i++) {
		settle(&p, &r->m->headers[i].name);
		settle(&p, &r->m->headers[i].value);
	}
	for (struct dubbo_kept *k = map->kept; k; k = k->next)
		settle(&p, &k->bytes);
	settle(&p, &map->open);
	r->m->priv = map;
	return 0;
}

static int attachments(struct reading *r, size_t room)
{
	struct dubbo_map *map = msg_alloc(r->m, sizeof(*map));
	int err = 0;

	if (!map)
		return -ENOMEM;
	*map = (struct dubbo_map){ .at = (uint32_t)r->h.at, .open = SLICE_LIT("H") };
	if (!hessian_null(&r->h))
		err = pairs(r, map);
	map->end = (uint32_t)r->h.at;
	if (!err && map->end - map->at > room)
		err = fail(r, -E2BIG, "names and attachments are over a size limit");
	return err ? err : settle_map(r, map);
}

/* Headers beside the attachments, where these do not say the same by themselves. */
static int make(struct reading *r, const struct names *n)
{
	struct dubbo_map *map = r->m->priv;
	const struct slice values[] = { n->dubbo, n->path, n->version };
	int err = 0;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]) && !err; i++) {
		if (!values[i].n || msg_find(r->m, made_names[i]))
			continue;
		if (map)
			map->made[i] = values[i].p;
		err = msg_push(r->m, made_names[i], values[i]);
	}
	return err;
}

/* ---- requests ----------------------------------------------------------------------------------------------- */

static int arguments(struct reading *r, const struct names *n)
{
	int count = count_types(n->types), err = 0;

	if (count < 0)
		return -EPROTO;
	/* The first one was read as the method. */
	if (count && n->called.p != n->method.p)
		count--;
	while (count-- > 0 && !err)
		err = hessian_skip(&r->h);
	return err;
}

/* All that was found, or nothing of it. */
static int finish(struct reading *r, int err)
{
	if (err) {
		r->m->nheaders = 0;
		r->m->priv = NULL;
	}
	return err;
}

/* Values that are too deep for us may be fine for a host: they pass, and attachments are not known. */
static int rest(struct reading *r, const struct names *n, size_t room)
{
	int err = arguments(r, n);

	if (!err)
		err = attachments(r, room);
	return finish(r, err) == -EOVERFLOW ? 0 : err;
}

static int settle_names(struct reading *r, struct names *n, size_t end)
{
	struct slice *all[] = { &n->dubbo, &n->path, &n->version, &n->method, &n->called };
	struct piece p;

	if (keep_piece(r, &p, 0, end))
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		settle(&p, all[i]);
	return 0;
}

static int read_names(struct reading *r, struct names *n, size_t *room)
{
	int err = names(r, n);

	if (!err)
		err = method(r, n);
	if (!err && r->h.at > *room)
		err = fail(r, -E2BIG, "names and attachments are over a size limit");
	*room -= err ? 0 : r->h.at;
	return err;
}

int dubbo_read_request(struct codec *c, struct slice body, bool whole, struct msg *m, const char **detail)
{
	size_t room = c->limits->head_bytes ? c->limits->head_bytes : DUBBO_HEAD_MAX, end;
	struct slice interface;
	struct reading r;
	struct names n;
	int err;

	begin(&r, c, body, m, detail);
	*detail = "body of a request makes no sense";
	err = read_names(&r, &n, &room);
	end = r.h.at;
	if (!err && whole)
		err = rest(&r, &n, room);
	if (err == -ENODATA)
		err = whole ? -EPROTO : -EAGAIN;
	if (!err)
		err = settle_names(&r, &n, end);
	if (!err)
		err = make(&r, &n);
	if (err)
		return finish(&r, err);
	m->rpc_method = n.called;
	find_text_timeout(m);
	interface = msg_get(m, made_names[1]);
	return service(&r, msg_get(m, SLICE_LIT("group")), interface.p ? interface : n.path, msg_get(m, made_names[2]));
}

/* ---- answers ------------------------------------------------------------------------------------------------ */

/* Why a call was not made. */
static int reason(struct reading *r)
{
	struct slice s;

	if (string(r, &s))
		return 0;
	s.n = s.n < REASON_MAX ? s.n : REASON_MAX;
	r->m->reason = msg_dup(r->m, s);
	return r->m->reason.p ? 0 : -ENOMEM;
}

/* A value and what goes with it: what of it makes no sense is for the caller to see. */
static int value(struct reading *r, bool whole, size_t room)
{
	int32_t tag;
	int err = hessian_int(&r->h, &tag);

	if (err)
		return 0;
	if (tag == DUBBO_THREW || tag == DUBBO_THREW_WITH)
		r->m->flags |= MSG_EXCEPTION;
	if (!whole || tag < DUBBO_THREW_WITH || tag > DUBBO_NULL_WITH)
		return 0;
	if (tag != DUBBO_NULL_WITH)
		err = hessian_skip(&r->h);
	if (!err)
		err = attachments(r, room);
	if (err)
		finish(r, err);
	return err == -ENOMEM ? err : 0;
}

int dubbo_read_response(struct codec *c, struct slice body, bool whole, struct msg *m, const char **detail)
{
	struct reading r;

	begin(&r, c, body, m, detail);
	if (!body.n)
		return 0;
	if (m->wire_status != DUBBO_OK)
		return whole ? reason(&r) : 0;
	return value(&r, whole, c->limits->head_bytes ? c->limits->head_bytes : DUBBO_HEAD_MAX);
}

/* ---- attachments again -------------------------------------------------------------------------------------- */

/* A header that is no attachment, and was not made one. */
static bool is_made(const struct dubbo_map *map, const struct msg_header *h)
{
	for (size_t i = 0; i < sizeof(made_names) / sizeof(made_names[0]); i++)
		if (map->made[i] && h->value.p == map->made[i] && slice_eq(h->name, made_names[i]))
			return true;
	return false;
}

/* What is kept comes first: Java and others take the later of two that have the same key. */
int dubbo_write_map(const struct msg *m, struct buf *out)
{
	const struct dubbo_map *map = m->priv;
	struct hessian_out o = { .buf = out };
	int err = buf_add(out, map->open.p, map->open.n);

	for (const struct dubbo_kept *k = map->kept; k && !err; k = k->next)
		err = buf_add(out, k->bytes.p, k->bytes.n);
	for (uint32_t i = 0; i < m->nheaders && !err; i++) {
		if (is_made(map, &m->headers[i]))
			continue;
		err = hessian_put_string(&o, m->headers[i].name);
		if (!err)
			err = hessian_put_string(&o, m->headers[i].value);
	}
	return err ? err : hessian_put_end(&o);
}
