// SPDX-License-Identifier: Apache-2.0
/*
 * A list of chunks. The first of an empty buf is small, the others are large; both kinds go back to
 * a bounded pool of the thread that frees them. A chunk that buf_pull() made for more than a large
 * one goes back to malloc.
 */
#include "weft/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf_pool.h"
#include "base/magic.h"

void buf_init(struct buf *b)
{
	*b = (struct buf){ 0 };
}

void buf_fini(struct buf *b)
{
	struct buf_chunk *next;

	for (struct buf_chunk *c = b->head; c; c = next) {
		next = c->next;
		buf_chunk_free(c);
	}
	buf_init(b);
}

static void append(struct buf *b, struct buf_chunk *c)
{
	if (b->tail)
		b->tail->next = c;
	else
		b->head = c;
	b->tail = c;
}

static void pop(struct buf *b)
{
	struct buf_chunk *c = b->head;

	b->head = c->next;
	if (!b->head)
		b->tail = NULL;
	buf_chunk_free(c);
}

/* The head has bytes, unless it is the only chunk. */
static void skip_empty(struct buf *b)
{
	while (b->head && b->head->r == b->head->w && b->head->next)
		pop(b);
}

/* And an empty buf has no chunk. */
static void trim(struct buf *b)
{
	skip_empty(b);
	if (!b->len && b->head)
		pop(b);
}

static size_t room_of(const struct buf_chunk *c)
{
	return c ? c->cap - c->w : 0;
}

void *buf_room(struct buf *b, size_t want, size_t *n)
{
	struct buf_chunk *c = b->tail;

	assert_always(want <= BUF_LARGE);
	if (!c || room_of(c) < want || !room_of(c)) {
		c = buf_chunk_new(b->len || want > BUF_SMALL ? BUF_LARGE : BUF_SMALL);
		if (!c)
			return NULL;
		append(b, c);
		skip_empty(b);
	}
	*n = room_of(c);
	return c->data + c->w;
}

void buf_commit(struct buf *b, size_t n)
{
	assert_always(n <= room_of(b->tail));
	if (n) {
		b->tail->w += n;
		b->len += n;
	}
	trim(b);
}

static size_t fill(struct buf *b, const char *p, size_t n)
{
	size_t k = room_of(b->tail);

	if (k > n)
		k = n;
	if (k) {
		memcpy(b->tail->data + b->tail->w, p, k);
		b->tail->w += k;
		b->len += k;
	}
	return k;
}

/* What does not fit the tail is gathered aside first: -ENOMEM leaves b as it was. */
static int add_chunks(struct buf *b, const void *p, size_t n)
{
	size_t here = room_of(b->tail) < n ? room_of(b->tail) : n, done = here;
	struct buf more = { 0 };

	while (done < n) {
		struct buf_chunk *c =
			buf_chunk_new(b->len || n > BUF_SMALL ? BUF_LARGE : BUF_SMALL);

		if (!c) {
			buf_fini(&more);
			return -ENOMEM;
		}
		append(&more, c);
		done += fill(&more, (const char *)p + done, n - done);
	}
	fill(b, p, here);
	buf_move(b, &more);
	return 0;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
	if (!n || room_of(b->tail) < n)
		return add_chunks(b, p, n);
	fill(b, p, n);
	return 0;
}

/* Words longer than any room are made aside. */
static int print_long(struct buf *b, size_t n, const char *fmt, va_list ap)
{
	char *s = malloc(n + 1);
	int err;

	if (!s)
		return -ENOMEM;
	vsnprintf(s, n + 1, fmt, ap);
	err = buf_add(b, s, n);
	free(s);
	return err;
}

static int print(struct buf *b, size_t n, const char *fmt, va_list ap)
{
	size_t room;
	char *p;

	if (n >= BUF_LARGE)
		return print_long(b, n, fmt, ap);
	p = buf_room(b, n + 1, &room);
	if (!p)
		return -ENOMEM;
	vsnprintf(p, room, fmt, ap);
	buf_commit(b, n);
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	char *room = b->tail ? b->tail->data + b->tail->w : NULL;
	va_list ap, again;
	int n, err = 0;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(room, room_of(b->tail), fmt, ap);
	if (n < 0)
		err = -EINVAL;
	else if ((size_t)n < room_of(b->tail))
		buf_commit(b, n);
	else
		err = print(b, n, fmt, again);
	va_end(again);
	va_end(ap);
	return err;
}

struct slice buf_head(const struct buf *b)
{
	const struct buf_chunk *c = b->head;

	if (!b->len)
		return (struct slice){ NULL, 0 };
	return (struct slice){ c->data + c->r, c->w - c->r };
}

unsigned buf_iov(const struct buf *b, struct iovec *v, unsigned max)
{
	unsigned n = 0;

	for (struct buf_chunk *c = b->head; c && n < max; c = c->next)
		if (c->w > c->r)
			v[n++] = (struct iovec){ c->data + c->r, c->w - c->r };
	return n;
}

void buf_drop(struct buf *b, size_t n)
{
	assert_always(n <= b->len);
	b->len -= n;
	while (n) {
		struct buf_chunk *c = b->head;
		size_t k = c->w - c->r < n ? c->w - c->r : n;

		c->r += k;
		n -= k;
		if (n)
			pop(b);
	}
	trim(b);
}

void buf_move(struct buf *to, struct buf *from)
{
	if (!from->len || to == from)
		return;
	if (to->tail)
		to->tail->next = from->head;
	else
		to->head = from->head;
	to->tail = from->tail;
	to->len += from->len;
	buf_init(from);
	trim(to);
}

static void move_head(struct buf *to, struct buf *from)
{
	struct buf_chunk *c = from->head;

	from->head = c->next;
	if (!from->head)
		from->tail = NULL;
	from->len -= c->w - c->r;
	c->next = NULL;
	append(to, c);
	to->len += c->w - c->r;
	skip_empty(to);
}

int buf_take(struct buf *to, struct buf *from, size_t n)
{
	struct slice s;

	assert_always(n <= from->len && to != from);
	for (s = buf_head(from); n && s.n <= n; s = buf_head(from)) {
		move_head(to, from);
		n -= s.n;
	}
	if (n && buf_add(to, s.p, n))
		return -ENOMEM;
	buf_drop(from, n);
	return 0;
}

/* Bytes from the chunks after head into head's free end, until it holds n. */
static void gather(struct buf *b, struct buf_chunk *head, size_t n)
{
	while (head->w - head->r < n) {
		struct buf_chunk *c = head->next;
		size_t k = n - (head->w - head->r);

		if (k > c->w - c->r)
			k = c->w - c->r;
		memcpy(head->data + head->w, c->data + c->r, k);
		head->w += k;
		c->r += k;
		if (c->r == c->w) {
			head->next = c->next;
			if (b->tail == c)
				b->tail = head;
			buf_chunk_free(c);
		}
	}
}

struct slice buf_pull(struct buf *b, size_t n)
{
	struct buf_chunk *c = b->head;

	if (n > b->len)
		return (struct slice){ NULL, 0 };
	if (!n)
		return (struct slice){ "", 0 };
	if (c->w - c->r < n && c->cap - c->r < n) {
		c = buf_chunk_new(n);
		if (!c)
			return (struct slice){ NULL, 0 };
		c->next = b->head;
		b->head = c;
	}
	gather(b, c, n);
	return (struct slice){ c->data + c->r, n };
}
