/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding. The reader's bytes may be anything: each length is held against what is left of the frame before anything is
 * allocated for it, and whatever the encoder would not have written is refused.
 */
#include <errno.h>
#include "base/magic.h"
#include "model/field.h"
#include "model/wire.h"
#include "weft/str.h"

struct reader {
	const uint8_t *p;
	size_t n;                               /* left */
	bool bad;                               /* read past the end, or a value that cannot be */
	struct fact *fact;                      /* being read: owns what is allocated */
};

static bool reader_fail(struct reader *r)
{
	r->bad = true;
	r->n = 0;
	return false;
}

static uint64_t read_uint(struct reader *r, size_t n)
{
	uint64_t v = 0;

	if (r->n < n) {
		reader_fail(r);
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)r->p[i] << (8 * i);
	r->p += n;
	r->n -= n;
	return v;
}

static struct slice read_slice(struct reader *r)
{
	size_t n = read_uint(r, 4);
	struct slice s = { (const char *)r->p, n };

	if (r->n < n) {
		reader_fail(r);
		return (struct slice){ NULL, 0 };
	}
	r->p += n;
	r->n -= n;
	return s;
}

static bool read_shape(struct reader *r, const struct shape *shape, void *object);

static bool read_list(struct reader *r, const struct field *f, void *object)
{
	size_t n = read_uint(r, 4);
	char *v;

	if (r->bad || n > r->n / f->of->wire_min)
		return reader_fail(r);
	if (!n)
		return true;
	v = fact_alloc(r->fact, n * f->of->size);
	field_set_list(f, object, v, n);
	for (size_t i = 0; i < n; i++) {
		if (!read_shape(r, f->of, v + i * f->of->size))
			return false;
	}
	return true;
}

/* Sorted by name, no name twice: as fact_pairs() makes them. */
static bool read_pairs(struct reader *r, const struct field *f, void *object)
{
	const struct pair_list *l = field_at(f, object);

	if (!read_list(r, f, object))
		return false;
	for (size_t i = 1; i < l->n; i++) {
		if (slice_cmp(l->v[i - 1].name, l->v[i].name) >= 0)
			return reader_fail(r);
	}
	return true;
}

static bool read_choice(struct reader *r, const struct field *f, void *object)
{
	uint32_t v = read_uint(r, 1);

	if (r->bad || v > f->max || (f->type == FIELD_ENUM && !f->names[v]))
		return reader_fail(r);
	field_set_uint(f, object, v);
	return true;
}

static bool read_field(struct reader *r, const struct field *f, void *object)
{
	char *at = (char *)object + f->off;
	struct slice region;

	switch ((enum field_type)f->type) {
	case FIELD_UINT:
		field_set_uint(f, object, read_uint(r, f->size));
		return !r->bad;
	case FIELD_BOOL:
	case FIELD_ENUM:
		return read_choice(r, f, object);
	case FIELD_SLICE:
		*(struct slice *)at = fact_slice(r->fact, read_slice(r));
		return !r->bad;
	case FIELD_IP:
		if (r->n < sizeof(struct ip))
			return reader_fail(r);
		memcpy(at, r->p, sizeof(struct ip));
		r->p += sizeof(struct ip);
		r->n -= sizeof(struct ip);
		return true;
	case FIELD_LOCALITY:
		region = read_slice(r);
		*(const struct locality **)at = fact_locality(r->fact, region, read_slice(r));
		return !r->bad;
	case FIELD_PAIRS:
		return read_pairs(r, f, object);
	case FIELD_LIST:
		return read_list(r, f, object);
	}
	return reader_fail(r);
}

static bool read_shape(struct reader *r, const struct shape *shape, void *object)
{
	shape_for(f, shape) {
		if (!read_field(r, f, object))
			return false;
	}
	return true;
}

/* NULL: wrong bytes. */
static struct fact *read_fact(struct reader *r)
{
	uint32_t kind = read_uint(r, 1);
	struct slice key = read_slice(r);
	struct fact_mark mark;

	mark.registry = read_slice(r);
	mark.file = read_slice(r);
	mark.line = read_uint(r, 4);
	if (r->bad || kind >= FACT_KINDS)
		return NULL;
	r->fact = fact_new(kind, key, &mark);
	if (read_shape(r, &fact_shapes[kind], r->fact) && !r->n)
		return r->fact;
	fact_drop(r->fact);
	return NULL;
}

/* ---- frames ------------------------------------------------------------------------------------------------- */

static int wrong(struct wire_decoder *d, struct err *e, int code, const char *what)
{
	d->err = code;
	return err_add(e, code, "facts' stream: %s", what);
}

static int on_hello(struct wire_decoder *d, struct reader *r, struct err *e)
{
	uint32_t magic = read_uint(r, 4);
	uint32_t version = read_uint(r, 2);

	if (r->bad || r->n || magic != WIRE_MAGIC)
		return wrong(d, e, -EPROTO, "does not begin with a hello");
	if (version != WIRE_VERSION)
		return wrong(d, e, -EPROTONOSUPPORT, "another version");
	d->greeted = true;
	return 0;
}

static int on_begin(struct wire_decoder *d, struct reader *r, struct err *e)
{
	if (r->n)
		return wrong(d, e, -EPROTO, "begin with a body");
	d->open = true;
	return d->sink->begin(d->arg);
}

static int on_put(struct wire_decoder *d, struct reader *r, struct err *e)
{
	struct fact *f = read_fact(r);

	if (!f)
		return wrong(d, e, -EPROTO, "a fact that cannot be read");
	return d->sink->put(d->arg, f);
}

static int on_del(struct wire_decoder *d, struct reader *r, struct err *e)
{
	uint32_t kind = read_uint(r, 1);
	struct slice key = read_slice(r);

	if (r->bad || r->n || kind >= FACT_KINDS)
		return wrong(d, e, -EPROTO, "a deletion that cannot be read");
	return d->sink->del(d->arg, kind, key);
}

static int on_commit(struct wire_decoder *d, struct reader *r, struct err *e)
{
	uint64_t version = read_uint(r, 8);

	if (r->bad || r->n)
		return wrong(d, e, -EPROTO, "a commit that cannot be read");
	d->open = false;
	return d->sink->commit(d->arg, version);
}

static int on_snapshot(struct wire_decoder *d, struct reader *r, struct err *e)
{
	uint64_t number = read_uint(r, 8);

	if (r->bad || r->n)
		return wrong(d, e, -EPROTO, "a snapshot that cannot be read");
	return d->sink->snapshot(d->arg, number);
}

static int on_beat(struct wire_decoder *d, struct reader *r, struct err *e)
{
	return r->n ? wrong(d, e, -EPROTO, "a heartbeat with a body") : d->sink->beat(d->arg);
}

static int on_steer(struct wire_decoder *d, struct reader *r, struct err *e)
{
	return r->n ? wrong(d, e, -EPROTO, "connection counts with a body") : d->sink->steer(d->arg);
}

static int on_socket(struct wire_decoder *d, struct reader *r, struct err *e)
{
	uint32_t index = read_uint(r, 4);
	struct slice listener = read_slice(r);

	if (r->bad || r->n)
		return wrong(d, e, -EPROTO, "a socket that cannot be read");
	return d->sink->socket(d->arg, listener, index);
}

static int on_state(struct wire_decoder *d, struct reader *r, struct err *e)
{
	uint32_t state = read_uint(r, 1);
	struct slice key = read_slice(r);

	if (r->bad || r->n)
		return wrong(d, e, -EPROTO, "a state that cannot be read");
	return d->sink->state(d->arg, key, (uint8_t)state);
}

static int on_log(struct wire_decoder *d, struct reader *r, struct err *e)
{
	uint32_t index = read_uint(r, 4);
	struct slice format = read_slice(r);

	if (r->bad || r->n)
		return wrong(d, e, -EPROTO, "a log that cannot be read");
	return d->sink->log(d->arg, format, index);
}

static int on_sockets(struct wire_decoder *d, struct reader *r, struct err *e)
{
	uint64_t netns = read_uint(r, 8);
	uint32_t worker = read_uint(r, 4), family = read_uint(r, 1);

	if (r->bad || r->n)
		return wrong(d, e, -EPROTO, "a namespace's socket that cannot be read");
	return d->sink->sockets(d->arg, netns, worker, (uint8_t)family);
}

static int on_overload(struct wire_decoder *d, struct reader *r, struct err *e)
{
	struct overload_limits l = { .memory = read_uint(r, 8) };

	l.connections = read_uint(r, 8);
	l.descriptors = read_uint(r, 8);
	l.soft = (uint32_t)read_uint(r, 1);
	l.hard = (uint32_t)read_uint(r, 1);
	if (r->bad || r->n || l.soft >= l.hard || l.hard > 100)
		return wrong(d, e, -EPROTO, "limits that cannot be read");
	return d->sink->overload(d->arg, &l);
}

static int on_tickets(struct wire_decoder *d, struct reader *r, struct err *e)
{
	return r->n ? wrong(d, e, -EPROTO, "keys of tickets with a body") : d->sink->tickets(d->arg);
}

static const struct frame {
	int (*on)(struct wire_decoder *d, struct reader *r, struct err *e);
	bool greeted, open;                     /* when it is allowed */
} frames[WIRE_TYPES] = {
	[WIRE_HELLO] = { on_hello, false, false },  [WIRE_BEGIN] = { on_begin, true, false },
	[WIRE_PUT] = { on_put, true, true },	    [WIRE_DEL] = { on_del, true, true },
	[WIRE_COMMIT] = { on_commit, true, true },  [WIRE_SNAPSHOT] = { on_snapshot, true, false },
	[WIRE_STATE] = { on_state, true, false },   [WIRE_LOG] = { on_log, true, false },
	[WIRE_BEAT] = { on_beat, true, false },	    [WIRE_SOCKET] = { on_socket, true, false },
	[WIRE_STEER] = { on_steer, true, false },   [WIRE_SOCKETS] = { on_sockets, true, false },
	[WIRE_OVERLOAD] = { on_overload, true, false }, [WIRE_TICKETS] = { on_tickets, true, false },
};

static int frame_read(struct wire_decoder *d, struct slice body, struct err *e)
{
	struct reader r = { .p = (const uint8_t *)body.p, .n = body.n };
	uint32_t type = read_uint(&r, 1);
	int err;

	if (type >= WIRE_TYPES || !frames[type].on)
		return wrong(d, e, -EPROTO, "a frame of no known type");
	if (frames[type].greeted != d->greeted || frames[type].open != d->open)
		return wrong(d, e, -EPROTO, d->greeted ? "a frame out of order" : "does not begin with a hello");
	err = frames[type].on(d, &r, e);
	if (err)
		d->err = err;
	return err;
}

void wire_decoder_init(struct wire_decoder *d, const struct wire_sink *sink, void *arg)
{
	*d = (struct wire_decoder){ .sink = sink, .arg = arg };
}

int wire_feed(struct wire_decoder *d, struct buf *b, struct err *e)
{
	while (!d->err && b->len >= 4) {
		struct reader r = { .n = 4 };
		struct slice frame = buf_pull(b, 4);
		uint32_t n;

		if (!frame.p)
			return wrong(d, e, -ENOMEM, "out of memory");
		r.p = (const uint8_t *)frame.p;
		n = read_uint(&r, 4);
		if (!n || n > WIRE_FRAME_MAX - 4)
			return wrong(d, e, n ? -EMSGSIZE : -EPROTO, n ? "a frame too long" : "an empty frame");
		if (b->len - 4 < n)
			return 0;
		frame = buf_pull(b, 4 + n);
		if (!frame.p)
			return wrong(d, e, -ENOMEM, "out of memory");
		frame_read(d, (struct slice){ frame.p + 4, n }, e);
		buf_drop(b, 4 + n);
	}
	return d->err;
}
