/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of Tars: read and passed over within bounds, over contiguous memory, without recursion; written in their shortest
 * forms. Any thread.
 */
#pragma once
#include "weft/types.h"

struct buf;

enum tars_type {
	TARS_INT1,
	TARS_INT2,
	TARS_INT4,
	TARS_INT8,
	TARS_FLOAT,
	TARS_DOUBLE,
	TARS_STRING1,
	TARS_STRING4,
	TARS_MAP,
	TARS_LIST,
	TARS_STRUCT,
	TARS_STRUCT_END,
	TARS_ZERO,
	TARS_BYTES,
};

enum { TARS_DEPTH = 64 };                       /* values inside one another */

/* Functions return 0, -ENODATA (ends in the middle), -EPROTO (not what is asked for), -EOVERFLOW (too deep). */
struct tars_reader {
	struct slice in;
	size_t at;
};

struct tars_field {
	unsigned tag, type;                     /* type: enum tars_type, or above it */
};

int tars_head(struct tars_reader *r, struct tars_field *f);
/* The value behind a head. */
int tars_skip(struct tars_reader *r, struct tars_field f);
int tars_int(struct tars_reader *r, struct tars_field f, int64_t *v);
int tars_string(struct tars_reader *r, struct tars_field f, struct slice *s);
/* Of a map: pairs follow, key (tag 0) and value (tag 1), each with its head. */
int tars_map(struct tars_reader *r, struct tars_field f, uint32_t *pairs);

/* 0 or -ENOMEM. */
int tars_put_head(struct buf *b, unsigned tag, enum tars_type type);
int tars_put_int(struct buf *b, unsigned tag, int64_t v);
int tars_put_string(struct buf *b, unsigned tag, struct slice s);
int tars_put_map(struct buf *b, unsigned tag, uint32_t pairs);
