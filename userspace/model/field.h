/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in each kind of fact, one row per field. Copying, comparing, checking, the wire form and JSON all walk these
 * rows, so a new field is one row here beside its declaration in model.h. Order of rows = order on the wire.
 */
#pragma once
#include "weft/model.h"

enum field_type {
	FIELD_UINT,                             /* uint8_t to uint64_t by size, int64_t too; at most max; names: of its bits */
	FIELD_BOOL,
	FIELD_ENUM,                             /* of size bytes; names[0..max], holes NULL */
	FIELD_SLICE,                            /* ref: key of a fact of that kind, or empty */
	FIELD_IP,
	FIELD_LOCALITY,                         /* pointer; top level only */
	FIELD_PAIRS,                            /* struct pair_list; top level only */
	FIELD_LIST,                             /* pointer at off, size_t at n_off, elements as of says */
};

#define FIELD_NO_REF (-1)

enum field_flags {
	FIELD_MULTILINE = 1u << 0,              /* slice: line ends and tabs are allowed */
	FIELD_HIDDEN = 1u << 1,                 /* slice: shown by its length only */
	FIELD_OPTIONAL = 1u << 2,               /* slice with a ref: may be empty */
};

struct field {
	const char *name;                       /* "tls.sni" in a struct inside; NULL: the only field of an element, bare */
	uint8_t type;                           /* enum field_type */
	uint8_t size;
	int8_t ref;                             /* enum fact_kind or FIELD_NO_REF */
	uint8_t flags;                          /* enum field_flags */
	uint16_t off, n_off;
	uint64_t max;
	uint32_t dflt;                          /* what fact_new() sets; not in elements of lists */
	const char *const *names;
	const struct shape *of;
};

struct shape {                                  /* of a fact, or of an element of a list */
	size_t size;                            /* of the struct */
	size_t wire_min;                        /* bytes of an element on the wire at least; lists only */
	int name_off;                           /* slice that repeats the key; -1: none */
	const struct field *v;
	size_t n;
};

extern const struct shape fact_shapes[FACT_KINDS];
extern const struct shape pair_shape;           /* elements of FIELD_PAIRS */

#define shape_for(f, shape) for (const struct field *f = (shape)->v; f < (shape)->v + (shape)->n; f++)

static inline const void *field_at(const struct field *f, const void *object)
{
	return (const char *)object + f->off;
}

static inline struct slice field_slice(const struct field *f, const void *object)
{
	return *(const struct slice *)field_at(f, object);
}

uint64_t field_uint(const struct field *f, const void *object); /* FIELD_UINT, FIELD_BOOL, FIELD_ENUM */
void field_set_uint(const struct field *f, void *object, uint64_t value);
/* Elements of FIELD_LIST or FIELD_PAIRS: element i is at (char *)list.v + i * list.of->size. */
struct field_list {
	const void *v;
	size_t n;
	const struct shape *of;
};
struct field_list field_list(const struct field *f, const void *object);
void field_set_list(const struct field *f, void *object, const void *v, size_t n);
static inline const void *list_at(const struct field_list *l, size_t i)
{
	return (const char *)l->v + i * l->of->size;
}

/* Where in a fact something is: the list elements on the way down to it. */
struct field_spot {
	const struct field_spot *up;            /* NULL: in the fact itself */
	const struct field *list;
	size_t i;
};
typedef void field_fn(void *arg, const struct field *f, const void *object, const struct field_spot *up);
/* fn for every field that is no list, in order, those of list elements included. */
void field_walk(const struct shape *shape, const void *object, field_fn *fn, void *arg);
/* "ports[1].cluster"; out is always terminated. Returns out. */
const char *field_path(const struct field *f, const struct field_spot *up, char *out, size_t size);
