/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shared object is one allocation: this head, the struct that readers see, then the bytes that its slices point into.
 * Those bytes, a type letter and length-prefixed strings, are also its key in the table.
 */
#include "model/home.h"
#include <string.h>
#include "base/magic.h"

#define shared_MAGIC 0x57a9ed01

struct shared {
	unsigned magic;
	uint32_t refs;
	struct home *home;
	struct slice key;
	_Alignas(8) char object[];
};

static struct shared *shared_of(const void *p)
{
	return CAST(shared, (void *)((char *)p - offsetof(struct shared, object)));
}

struct home *home_new(void)
{
	struct home *h = mem_alloc(sizeof(*h));

	h->refs = 1;
	table_init(&h->shared, 0);
	for (int k = 0; k < FACT_KINDS; k++)
		slots_init(&h->slots[k]);
	slots_init(&h->router_slots);
	atomic_init(&h->graveyard, NULL);
	return h;
}

void home_drop(struct home *h)
{
	if (--h->refs)
		return;
	assert_always(!h->shared.n);
	for (int k = 0; k < FACT_KINDS; k++)
		slots_fini(&h->slots[k]);
	slots_fini(&h->router_slots);
	table_fini(&h->shared);
	vec_fini(&h->bytes);
	free(h);
}

static void key_begin(struct home *h, char type)
{
	vec_clear(&h->bytes);
	vec_push(&h->bytes, type);
}

static void key_add(struct home *h, struct slice s)
{
	uint32_t n = s.n;
	size_t at = h->bytes.n;

	vec_reserve(&h->bytes, at + sizeof(n) + s.n);
	memcpy(h->bytes.v + at, &n, sizeof(n));
	if (n)
		memcpy(h->bytes.v + at + sizeof(n), s.p, n);
	h->bytes.n = at + sizeof(n) + n;
}

/* Reads back what key_add wrote. */
static struct slice key_next(const char **p)
{
	struct slice s;
	uint32_t n;

	memcpy(&n, *p, sizeof(n));
	s = (struct slice){ *p + sizeof(n), n };
	*p += sizeof(n) + n;
	return s;
}

/* The object of the key in h->bytes. *fill: it is new, its size bytes are zero, and *fill is where its strings begin. */
static void *shared_get(struct home *h, size_t size, const char **fill)
{
	struct slice key = { h->bytes.v, h->bytes.n };
	struct shared *s = table_get(&h->shared, key);

	*fill = NULL;
	if (s) {
		s->refs++;
		return s->object;
	}
	s = mem_alloc(sizeof(*s) + size + key.n);
	*s = (struct shared){ shared_MAGIC, 1, h, { s->object + size, key.n } };
	memcpy(s->object + size, key.p, key.n);
	table_put(&h->shared, s->key, s);
	h->refs++;
	*fill = s->key.p + 1;
	return s->object;
}

const struct fact_place *home_place(struct home *h, struct slice registry, struct slice file)
{
	struct fact_place *p;
	const char *bytes;

	key_begin(h, 'p');
	key_add(h, registry);
	key_add(h, file);
	p = shared_get(h, sizeof(*p), &bytes);
	if (bytes) {
		p->registry = key_next(&bytes);
		p->file = key_next(&bytes);
	}
	return p;
}

const struct locality *home_locality(struct home *h, const struct locality *l)
{
	struct locality *p;
	const char *bytes;

	key_begin(h, 'l');
	key_add(h, l->region);
	key_add(h, l->zone);
	p = shared_get(h, sizeof(*p), &bytes);
	if (bytes) {
		p->region = key_next(&bytes);
		p->zone = key_next(&bytes);
	}
	return p;
}

struct pair_list home_pairs(struct home *h, struct pair_list l)
{
	struct name_value *v;
	const char *bytes;

	if (!l.n)
		return (struct pair_list){ NULL, 0 };
	key_begin(h, 'm');
	for (size_t i = 0; i < l.n; i++) {
		key_add(h, l.v[i].name);
		key_add(h, l.v[i].value);
	}
	v = shared_get(h, l.n * sizeof(*v), &bytes);
	for (size_t i = 0; bytes && i < l.n; i++) {
		v[i].name = key_next(&bytes);
		v[i].value = key_next(&bytes);
	}
	return (struct pair_list){ v, l.n };
}

void shared_hold(const void *p)
{
	shared_of(p)->refs++;
}

void shared_drop(const void *p)
{
	struct shared *s;

	if (!p)
		return;
	s = shared_of(p);
	if (--s->refs)
		return;
	table_del(&s->home->shared, s->key);
	home_drop(s->home);
	s->magic = 0;
	free(s);
}

struct home *shared_home(const void *p)
{
	return shared_of(p)->home;
}
