/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hessian 2.0 values (hessian-serialization of caucho.com, as Java's hessian-lite speaks it). Reading goes over contiguous
 * memory, copies nothing, allocates nothing and does not recurse: depth and classes are bounded, the work is linear in the
 * bytes. References are not followed. Any thread.
 *
 * Text is UTF-8 whose length counts UTF-16 units: beyond U+FFFF Java writes two surrogates of three bytes each. They are
 * read as they are; four bytes in one piece, which others write, count as two units.
 *
 * SOFARPC speaks an older draft (Hessian 2 of caucho.com in 2006, as sofa-hessian 3 has it): numbers, text and bytes nearly the
 * same, other heads of all that holds values. It is read and written where `draft` is set.
 */
#pragma once
#include "weft/types.h"

struct buf;

enum {
	HESSIAN_DEPTH = 1024,                   /* values inside one another */
	HESSIAN_CLASSES = 256,                  /* defined in one input */
};

enum hessian_kind {
	HESSIAN_NONE,                           /* the input is over */
	HESSIAN_BAD,                            /* no value begins with this byte */
	HESSIAN_END,                            /* of a list or map without a length */
	HESSIAN_NULL,
	HESSIAN_BOOL,
	HESSIAN_INT,
	HESSIAN_LONG,
	HESSIAN_DOUBLE,
	HESSIAN_DATE,
	HESSIAN_STRING,
	HESSIAN_BINARY,
	HESSIAN_LIST,
	HESSIAN_MAP,
	HESSIAN_OBJECT,                         /* or the definition of its class, which it stands behind */
	HESSIAN_REF,
};

struct hessian_class {
	uint32_t at, names;                     /* offsets in the input: of its name, of its fields' names */
	uint32_t fields;
};

/*
 * Reads `in` from its front. Functions return 0, -ENODATA (input ends in the middle of a value), -EPROTO (no such value
 * here), -EOVERFLOW (a bound above); `at` is where the value began then, unless said.
 */
struct hessian {
	struct slice in;
	size_t at;
	bool draft;                             /* hessian_init() says no */
	uint32_t nclasses;
	struct hessian_class classes[HESSIAN_CLASSES];
};

void hessian_init(struct hessian *h, struct slice in);
enum hessian_kind hessian_peek(const struct hessian *h);
int hessian_skip(struct hessian *h);            /* one value of any kind; at is anywhere after an error */
bool hessian_null(struct hessian *h);           /* takes a null; false: another value is next */
int hessian_bool(struct hessian *h, bool *v);
int hessian_int(struct hessian *h, int32_t *v);
int hessian_long(struct hessian *h, int64_t *v); /* takes an int, too */
int hessian_double(struct hessian *h, double *v);
int hessian_date(struct hessian *h, int64_t *ms); /* since 1970, UTC */
/*
 * Text or bytes, inside the input. *parts: it came in several chunks, and s is all of them with their heads between:
 * hessian_join() makes it one.
 */
int hessian_string(struct hessian *h, struct slice *s, bool *parts);
int hessian_binary(struct hessian *h, struct slice *s, bool *parts);
/* out holds s.n bytes; returns how many it took */
size_t hessian_join(const struct hessian *h, struct slice s, char *out);
/* The opening of a map: its pairs follow, then HESSIAN_END, which hessian_end() takes. Its type is passed over. */
int hessian_map(struct hessian *h);
/* The same of a list. *n: values, or -1 = until HESSIAN_END. */
int hessian_list(struct hessian *h, int64_t *n);
/* Of an object: definitions before it are taken, its fields' values follow in the order of the names. */
int hessian_object(struct hessian *h, const struct hessian_class **class);
bool hessian_end(struct hessian *h);
/* names: reads the names of its fields, one string each. */
void hessian_fields(struct hessian *names, const struct hessian *h, const struct hessian_class *class);
/* p NULL: it is in parts. */
struct slice hessian_class_name(const struct hessian *h, const struct hessian_class *class);
int hessian_ref(struct hessian *h, uint32_t *i); /* the value that began as the i-th of those that hold others, from 0 */

/* ---- writing: shortest forms, to the end of its buf; 0 or -ENOMEM (that may hold a part then) -------------- */

struct hessian_out {
	struct buf *buf;
	bool draft;
};

int hessian_put_null(struct hessian_out *o);
int hessian_put_bool(struct hessian_out *o, bool v);
int hessian_put_int(struct hessian_out *o, int32_t v);
int hessian_put_long(struct hessian_out *o, int64_t v);
int hessian_put_double(struct hessian_out *o, double v);
int hessian_put_date(struct hessian_out *o, int64_t ms); /* since 1970, UTC */
/* UTF-8, surrogates of three bytes among it; any other byte is taken for a Latin-1 letter. */
int hessian_put_string(struct hessian_out *o, struct slice s);
int hessian_put_binary(struct hessian_out *o, struct slice s);
/* n values follow, then hessian_put_list_end(), which 2.0 has no bytes for. type "" = untyped. */
int hessian_put_list(struct hessian_out *o, struct slice type, uint32_t n);
int hessian_put_list_end(struct hessian_out *o);
/* Pairs follow, then hessian_put_end(). type "" = untyped. */
int hessian_put_map(struct hessian_out *o, struct slice type);
int hessian_put_end(struct hessian_out *o);
/* A class, numbered from 0 in order; the names of its fields follow as strings. Then objects of it, whose values follow. */
int hessian_put_class(struct hessian_out *o, struct slice name, uint32_t fields);
int hessian_put_object(struct hessian_out *o, uint32_t class);
