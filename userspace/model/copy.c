/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deep copies and comparison of facts, by their rows. A copy is measured first: arrays and strings then lie in one piece
 * behind each other. Strings that begin the key are not stored twice.
 */
#include "base/magic.h"
#include "base/mem.h"
#include "model/fact.h"
#include "model/field.h"
#include "model/home.h"
#include "weft/str.h"

/* ---- measuring ---------------------------------------------------------------------------------------------- */

struct need {
	size_t arrays, bytes;
};

/* Elements may be of any size, what lies behind them may hold pointers. */
static size_t array_size(const struct field_list *l)
{
	return (l->n * l->of->size + 7) & ~(size_t)7;
}

static void need_slice(struct need *n, struct slice key, struct slice s)
{
	if (!slice_starts(key, s))
		n->bytes += s.n;
}

/* home: pair lists and localities are its objects, and take no room here. */
static void need_shape(struct need *n, const struct shape *shape, const void *object, struct slice key, bool home)
{
	shape_for(f, shape) {
		struct field_list l;

		if (f->type == FIELD_SLICE)
			need_slice(n, key, field_slice(f, object));
		if (f->type != FIELD_LIST && (f->type != FIELD_PAIRS || home))
			continue;
		l = field_list(f, object);
		n->arrays += array_size(&l);
		for (size_t i = 0; i < l.n; i++)
			need_shape(n, l.of, list_at(&l, i), key, home);
	}
}

/* ---- copying ------------------------------------------------------------------------------------------------ */

struct copy {
	struct slice key;                       /* of the copy */
	char *arrays, *bytes;                   /* next free */
	struct home *home;                      /* packed; NULL for a clone */
	struct fact *fact;
};

static struct slice copy_slice(struct copy *c, struct slice s)
{
	struct slice out = { c->bytes, s.n };

	if (slice_starts(c->key, s))
		return (struct slice){ c->key.p, s.n };
	memcpy(c->bytes, s.p, s.n);
	c->bytes += s.n;
	return out;
}

static void copy_shape(struct copy *c, const struct shape *shape, const void *from, void *to);

static void copy_list(struct copy *c, const struct field *f, const void *from, void *to)
{
	struct field_list l = field_list(f, from);
	char *v = c->arrays;

	c->arrays += array_size(&l);
	for (size_t i = 0; i < l.n; i++)
		copy_shape(c, l.of, list_at(&l, i), v + i * l.of->size);
	field_set_list(f, to, l.n ? v : NULL, l.n);
}

static void copy_locality(struct copy *c, const struct field *f, const void *from, void *to)
{
	const struct locality *l = *(const struct locality *const *)field_at(f, from);

	l = c->home ? home_locality(c->home, l) : fact_locality(c->fact, l->region, l->zone);
	*(const struct locality **)((char *)to + f->off) = l;
}

static void copy_pairs(struct copy *c, const struct field *f, const void *from, void *to)
{
	struct pair_list l = *(const struct pair_list *)field_at(f, from);

	if (!c->home) {
		copy_list(c, f, from, to);
		return;
	}
	l = home_pairs(c->home, l);
	field_set_list(f, to, l.v, l.n);
}

static void copy_shape(struct copy *c, const struct shape *shape, const void *from, void *to)
{
	shape_for(f, shape) {
		switch ((enum field_type)f->type) {
		case FIELD_UINT:
		case FIELD_BOOL:
		case FIELD_ENUM:
			field_set_uint(f, to, field_uint(f, from));
			break;
		case FIELD_SLICE:
			*(struct slice *)((char *)to + f->off) = copy_slice(c, field_slice(f, from));
			break;
		case FIELD_IP:
			memcpy((char *)to + f->off, field_at(f, from), sizeof(struct ip));
			break;
		case FIELD_LOCALITY:
			copy_locality(c, f, from, to);
			break;
		case FIELD_PAIRS:
			copy_pairs(c, f, from, to);
			break;
		case FIELD_LIST:
			copy_list(c, f, from, to);
			break;
		}
	}
}

struct fact *fact_clone(const struct fact *f)
{
	struct fact_mark mark = fact_mark(f);
	struct fact *to = fact_new(f->kind, f->key, &mark);
	struct copy c = { .key = to->key, .fact = to };
	struct need n = { 0 };

	need_shape(&n, &fact_shapes[f->kind], f, f->key, false);
	c.arrays = fact_alloc(to, n.arrays + n.bytes);
	c.bytes = c.arrays + n.arrays;
	copy_shape(&c, &fact_shapes[f->kind], f, to);
	return to;
}

struct fact *fact_pack(struct home *home, const struct fact *f, const struct fact_mark *mark)
{
	const struct shape *shape = &fact_shapes[f->kind];
	struct copy c = { .home = home };
	struct need n = { 0 };
	struct fact *to;

	need_shape(&n, shape, f, f->key, true);
	to = mem_alloc(shape->size + n.arrays + f->key.n + n.bytes);
	c.fact = to;
	c.arrays = (char *)to + shape->size;
	c.bytes = c.arrays + n.arrays;
	if (f->key.n)
		memcpy(c.bytes, f->key.p, f->key.n);
	c.key = (struct slice){ c.bytes, f->key.n };
	c.bytes += f->key.n;
	*to = (struct fact){
		.magic = fact_MAGIC, .kind = f->kind, .packed = true, .refs = 1, .slot = FACT_NO_SLOT,
		.line = mark->line, .key = c.key, .place = home_place(home, mark->registry, mark->file),
	};
	if (shape->name_off >= 0)
		*(struct slice *)((char *)to + shape->name_off) = to->key;
	copy_shape(&c, shape, f, to);
	return to;
}

size_t fact_size(const struct fact *f)
{
	struct need n = { 0 };

	assert_always(f->packed);
	need_shape(&n, &fact_shapes[f->kind], f, f->key, true);
	return fact_shapes[f->kind].size + n.arrays + f->key.n + n.bytes;
}

/* ---- comparing ---------------------------------------------------------------------------------------------- */

static bool equal_shape(const struct shape *shape, const void *a, const void *b);

static bool equal_list(const struct field *f, const void *a, const void *b)
{
	struct field_list la = field_list(f, a), lb = field_list(f, b);

	if (la.n != lb.n)
		return false;
	for (size_t i = 0; la.v != lb.v && i < la.n; i++) {
		if (!equal_shape(la.of, list_at(&la, i), list_at(&lb, i)))
			return false;
	}
	return true;
}

static bool equal_locality(const struct field *f, const void *a, const void *b)
{
	const struct locality *la = *(const struct locality *const *)field_at(f, a);
	const struct locality *lb = *(const struct locality *const *)field_at(f, b);

	return la == lb || (slice_eq(la->region, lb->region) && slice_eq(la->zone, lb->zone));
}

static bool equal_field(const struct field *f, const void *a, const void *b)
{
	switch ((enum field_type)f->type) {
	case FIELD_UINT:
	case FIELD_BOOL:
	case FIELD_ENUM:
		return field_uint(f, a) == field_uint(f, b);
	case FIELD_SLICE:
		return slice_eq(field_slice(f, a), field_slice(f, b));
	case FIELD_IP:
		return !memcmp(field_at(f, a), field_at(f, b), sizeof(struct ip));
	case FIELD_LOCALITY:
		return equal_locality(f, a, b);
	case FIELD_PAIRS:
	case FIELD_LIST:
		return equal_list(f, a, b);
	}
	return false;
}

static bool equal_shape(const struct shape *shape, const void *a, const void *b)
{
	shape_for(f, shape) {
		if (!equal_field(f, a, b))
			return false;
	}
	return true;
}

bool fact_equal(const struct fact *a, const struct fact *b)
{
	return a == b ||
	       (a->kind == b->kind && slice_eq(a->key, b->key) && equal_shape(&fact_shapes[a->kind], a, b));
}
