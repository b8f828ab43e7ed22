/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding. unwire.c is the way back. A frame is measured, then written into room of just that size. */
#include "model/wire.h"
#include <errno.h>
#include <stdlib.h>
#include "base/magic.h"
#include "model/field.h"
#include "weft/str.h"

#define HEAD 5                                  /* u32 length, u8 type; the length counts the type */
#define ROOM_MAX 16384u                         /* buf_room() gives so much in one piece */

/* ---- measuring ---------------------------------------------------------------------------------------------- */

static size_t slice_size(struct slice s)
{
	return 4 + s.n;
}

static size_t shape_size(const struct shape *shape, const void *object)
{
	size_t n = 0;

	shape_for(f, shape) {
		struct field_list l;

		switch ((enum field_type)f->type) {
		case FIELD_UINT:
			n += f->size;
			break;
		case FIELD_BOOL:
		case FIELD_ENUM:
			n++;
			break;
		case FIELD_SLICE:
			n += slice_size(field_slice(f, object));
			break;
		case FIELD_IP:
			n += sizeof(struct ip);
			break;
		case FIELD_LOCALITY: {
			const struct locality *at = *(const struct locality *const *)field_at(f, object);

			n += slice_size(at->region) + slice_size(at->zone);
			break;
		}
		case FIELD_PAIRS:
		case FIELD_LIST:
			l = field_list(f, object);
			n += 4;
			for (size_t i = 0; i < l.n; i++)
				n += shape_size(l.of, list_at(&l, i));
			break;
		}
	}
	return n;
}

size_t wire_size(const struct fact *f)
{
	return HEAD + 1 + slice_size(f->key) + slice_size(f->place->registry) + slice_size(f->place->file) + 4 +
	       shape_size(&fact_shapes[f->kind], f);
}

/* ---- writing ------------------------------------------------------------------------------------------------ */

struct writer {
	uint8_t *p;
};

static void write_uint(struct writer *w, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*w->p++ = v >> (8 * i);
}

static void write_slice(struct writer *w, struct slice s)
{
	write_uint(w, s.n, 4);
	if (s.n)
		memcpy(w->p, s.p, s.n);
	w->p += s.n;
}

static void write_head(struct writer *w, size_t frame, enum wire_type type)
{
	write_uint(w, frame - 4, 4);
	write_uint(w, type, 1);
}

static void write_shape(struct writer *w, const struct shape *shape, const void *object)
{
	shape_for(f, shape) {
		struct field_list l;

		switch ((enum field_type)f->type) {
		case FIELD_UINT:
			write_uint(w, field_uint(f, object), f->size);
			break;
		case FIELD_BOOL:
		case FIELD_ENUM:
			write_uint(w, field_uint(f, object), 1);
			break;
		case FIELD_SLICE:
			write_slice(w, field_slice(f, object));
			break;
		case FIELD_IP:
			memcpy(w->p, field_at(f, object), sizeof(struct ip));
			w->p += sizeof(struct ip);
			break;
		case FIELD_LOCALITY: {
			const struct locality *at = *(const struct locality *const *)field_at(f, object);

			write_slice(w, at->region);
			write_slice(w, at->zone);
			break;
		}
		case FIELD_PAIRS:
		case FIELD_LIST:
			l = field_list(f, object);
			write_uint(w, l.n, 4);
			for (size_t i = 0; i < l.n; i++)
				write_shape(w, l.of, list_at(&l, i));
			break;
		}
	}
}

static void write_put(struct writer *w, size_t frame, const struct fact *f)
{
	write_head(w, frame, WIRE_PUT);
	write_uint(w, f->kind, 1);
	write_slice(w, f->key);
	write_slice(w, f->place->registry);
	write_slice(w, f->place->file);
	write_uint(w, f->line, 4);
	write_shape(w, &fact_shapes[f->kind], f);
}

/* ---- frames ------------------------------------------------------------------------------------------------- */

/* A large frame is written aside first, because room in a buf has an end. */
static int put_large(struct buf *b, size_t frame, const struct fact *f)
{
	uint8_t *p = malloc(frame);
	int err;

	if (!p)
		return -ENOMEM;
	write_put(&(struct writer){ p }, frame, f);
	err = buf_add(b, p, frame);
	free(p);
	return err;
}

int wire_put(struct buf *b, const struct fact *f)
{
	size_t frame = wire_size(f), room;
	struct writer w;

	if (frame > WIRE_FRAME_MAX)
		return -EMSGSIZE;
	if (frame > ROOM_MAX)
		return put_large(b, frame, f);
	w.p = buf_room(b, frame, &room);
	if (!w.p)
		return -ENOMEM;
	write_put(&w, frame, f);
	buf_commit(b, frame);
	return 0;
}

/* Frames of a few numbers. */
static int put_small(struct buf *b, enum wire_type type, const uint64_t *v, const size_t *size, size_t n)
{
	uint8_t bytes[HEAD + 32];
	struct writer w = { bytes };
	size_t frame = HEAD;

	for (size_t i = 0; i < n; i++)
		frame += size[i];
	assert_always(frame <= sizeof(bytes));
	write_head(&w, frame, type);
	for (size_t i = 0; i < n; i++)
		write_uint(&w, v[i], size[i]);
	return buf_add(b, bytes, frame);
}

int wire_hello(struct buf *b)
{
	return put_small(b, WIRE_HELLO, (uint64_t[]){ WIRE_MAGIC, WIRE_VERSION }, (size_t[]){ 4, 2 }, 2);
}

int wire_begin(struct buf *b)
{
	return put_small(b, WIRE_BEGIN, NULL, NULL, 0);
}

int wire_commit(struct buf *b, uint64_t version)
{
	return put_small(b, WIRE_COMMIT, &version, (size_t[]){ 8 }, 1);
}

int wire_snapshot(struct buf *b, uint64_t number)
{
	return put_small(b, WIRE_SNAPSHOT, &number, (size_t[]){ 8 }, 1);
}

/* A number of so many bytes, and a key or name. */
static int put_named(struct buf *b, enum wire_type type, uint64_t number, size_t bytes, struct slice name)
{
	size_t frame = HEAD + bytes + slice_size(name), room;
	struct writer w;

	assert_always(frame <= ROOM_MAX);
	w.p = buf_room(b, frame, &room);
	if (!w.p)
		return -ENOMEM;
	write_head(&w, frame, type);
	write_uint(&w, number, bytes);
	write_slice(&w, name);
	buf_commit(b, frame);
	return 0;
}

int wire_del(struct buf *b, enum fact_kind kind, struct slice key)
{
	return put_named(b, WIRE_DEL, kind, 1, key);
}

int wire_beat(struct buf *b)
{
	return put_small(b, WIRE_BEAT, NULL, NULL, 0);
}

int wire_steer(struct buf *b)
{
	return put_small(b, WIRE_STEER, NULL, NULL, 0);
}

int wire_socket(struct buf *b, struct slice listener, uint32_t index)
{
	return put_named(b, WIRE_SOCKET, index, 4, listener);
}

int wire_state(struct buf *b, struct slice host_key, uint8_t state)
{
	return put_named(b, WIRE_STATE, state, 1, host_key);
}

int wire_log(struct buf *b, struct slice format, uint32_t index)
{
	return put_named(b, WIRE_LOG, index, 4, format);
}

int wire_sockets(struct buf *b, uint64_t netns, uint32_t worker, uint8_t family)
{
	return put_small(b, WIRE_SOCKETS, (uint64_t[]){ netns, worker, family }, (size_t[]){ 8, 4, 1 }, 3);
}

int wire_tickets(struct buf *b)
{
	return put_small(b, WIRE_TICKETS, NULL, NULL, 0);
}

int wire_overload(struct buf *b, const struct overload_limits *l)
{
	return put_small(b, WIRE_OVERLOAD, (uint64_t[]){ l->memory, l->connections, l->descriptors, l->soft, l->hard },
			 (size_t[]){ 8, 8, 8, 1, 1 }, 5);
}

int wire_diff(struct buf *b, const struct diff *d)
{
	int err = wire_begin(b);

	for (int k = 0; k < FACT_KINDS; k++) {
		for (size_t i = 0; !err && i < d->facts[k].n; i++) {
			struct fact_change c = d->facts[k].v[i];

			err = c.now ? wire_put(b, c.now) : wire_del(b, k, c.old->key);
		}
	}
	if (!err)
		err = wire_commit(b, d->now->number);
	return err ? err : wire_snapshot(b, d->now->number);
}
