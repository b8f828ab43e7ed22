// SPDX-License-Identifier: Apache-2.0
#include "weft/msg.h"

#include <errno.h>
#include "base/arena.h"
#include "base/bytes.h"
#include "base/magic.h"
#include "base/msg_room.h"
#include "weft/str.h"

#define MEMORY_MAX (4u << 20)                   /* bytes of one stream's arena that messages may take */
#define HEADERS_MIN 16u

static bool within_limit(const struct msg *m, size_t n)
{
	return n <= MEMORY_MAX && m->arena->used <= MEMORY_MAX - n;
}

void *msg_alloc(struct msg *m, size_t n)
{
	return within_limit(m, n) ? arena_try_alloc(m->arena, n) : NULL;
}

void *msg_room(struct msg *m, size_t n)
{
	return within_limit(m, n) ? arena_try_room(m->arena, n) : NULL;
}

struct slice msg_dup(struct msg *m, struct slice s)
{
	char *p = msg_room(m, s.n);

	if (!p)
		return (struct slice){ NULL, 0 };
	if (s.n)
		memcpy(p, s.p, s.n);
	return (struct slice){ p, s.n };
}

/* Letters differ by one bit in case; what else that bit joins is told apart by the comparison proper. */
static bool same_name(const struct msg *m, struct slice a, struct slice b)
{
	if (a.n != b.n)
		return false;
	if (!a.n)
		return true;
	if ((a.p[0] ^ b.p[0]) & ~0x20)
		return false;
	return m->flags & MSG_EXACT_NAMES ? !memcmp(a.p, b.p, a.n) : !strncasecmp(a.p, b.p, a.n);
}

static const struct msg_header *find_from(const struct msg *m, uint32_t at, struct slice name)
{
	for (uint32_t i = at; i < m->nheaders; i++)
		if (same_name(m, m->headers[i].name, name))
			return &m->headers[i];
	return NULL;
}

const struct msg_header *msg_find(const struct msg *m, struct slice name)
{
	return find_from(m, 0, name);
}

const struct msg_header *msg_find_next(const struct msg *m, const struct msg_header *h)
{
	assert_always(h >= m->headers && h < m->headers + m->nheaders);
	return find_from(m, h - m->headers + 1, h->name);
}

struct slice msg_get(const struct msg *m, struct slice name)
{
	const struct msg_header *h = msg_find(m, name);

	if (!h)
		return (struct slice){ NULL, 0 };
	/* Present, though empty. */
	return h->value.p ? h->value : (struct slice){ "", 0 };
}

static int grow(struct msg *m)
{
	uint32_t room = m->headers_room ? 2 * m->headers_room : HEADERS_MIN;
	struct msg_header *v = msg_room(m, room * sizeof(*v));

	if (!v)
		return -ENOMEM;
	if (m->nheaders)
		memcpy(v, m->headers, m->nheaders * sizeof(*v));
	m->headers = v;
	m->headers_room = room;
	return 0;
}

int msg_push(struct msg *m, struct slice name, struct slice value)
{
	if (m->nheaders == m->headers_room && grow(m))
		return -ENOMEM;
	m->headers[m->nheaders++] = (struct msg_header){ name, value };
	return 0;
}

static bool holds_line_end(struct slice s)
{
	size_t i = 0;

	while (s.n - i >= 8 && bytes_control(s.p + i) == 8)
		i += 8;
	for (; i < s.n; i++)
		if (s.p[i] == '\0' || s.p[i] == '\r' || s.p[i] == '\n')
			return true;
	return false;
}

static int check(struct slice name, struct slice value)
{
	if (!name.n || name.p[0] == ':' || holds_line_end(name) || holds_line_end(value))
		return -EINVAL;
	return 0;
}

/* Both copies, or neither is looked at. */
static int copy(struct msg *m, struct slice name, struct slice value, struct msg_header *out)
{
	out->name = msg_dup(m, name);
	out->value = msg_dup(m, value);
	return out->name.p && out->value.p ? 0 : -ENOMEM;
}

int msg_add(struct msg *m, struct slice name, struct slice value)
{
	struct msg_header h;
	int err = check(name, value);

	if (!err)
		err = copy(m, name, value, &h);
	if (!err)
		err = msg_push(m, h.name, h.value);
	if (!err)
		msg_touch(m);
	return err;
}

/* Those of that name from index `at` on. */
static unsigned del_from(struct msg *m, uint32_t at, struct slice name)
{
	uint32_t kept = at, before = m->nheaders;

	for (uint32_t i = at; i < before; i++)
		if (!same_name(m, m->headers[i].name, name))
			m->headers[kept++] = m->headers[i];
	m->nheaders = kept;
	return before - kept;
}

int msg_set(struct msg *m, struct slice name, struct slice value)
{
	const struct msg_header *first = msg_find(m, name);
	struct msg_header h;
	int err = check(name, value);

	if (!first || err)
		return err ? err : msg_add(m, name, value);
	err = copy(m, name, value, &h);
	if (err)
		return err;
	m->headers[first - m->headers] = h;
	del_from(m, first - m->headers + 1, h.name);
	msg_touch(m);
	return 0;
}

unsigned msg_del(struct msg *m, struct slice name)
{
	unsigned n = del_from(m, 0, name);

	/* Nothing gone, nothing changed: the head may still be sent as it came. */
	if (n)
		msg_touch(m);
	return n;
}
