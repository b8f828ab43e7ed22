/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: what values that hold others share with those that hold none. */
#pragma once
#include "proto/hessian.h"

enum {
	HESSIAN_FLOAT = 0x100,                  /* a first byte that only the draft has: IEEE, in 32 bits */
	HESSIAN_SAME,                           /* in the draft as in 2.0 */
};

static inline uint8_t hessian_byte(const struct hessian *h, size_t at)
{
	return (uint8_t)h->in.p[at];
}

static inline size_t hessian_left(const struct hessian *h)
{
	return h->in.n - h->at;
}

/* The byte at `at`, which is there, in the words of 2.0. */
unsigned hessian_code(const struct hessian *h);
/* 0 when a value of that kind is next. */
int hessian_expect(const struct hessian *h, enum hessian_kind kind);
/* n bytes behind the first one; at goes over all. 0 or -ENODATA */
int hessian_bytes(struct hessian *h, unsigned n, uint64_t *v);
int hessian_units(struct hessian *h, size_t units); /* at goes over so many of UTF-16 */
int hessian_skip_number(struct hessian *h);     /* or date, bool, null: what is next */
