/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All backends of the kernel state. There are ten for each service and more, so one is small, lies in a chunk with others,
 * and is found by its key and by its id through two indices of 4 bytes an entry. It stays where it is while it lives; the
 * memory of those that were removed is for the next ones. One thread.
 */
#pragma once
#include "base/vec.h"
#include "kern/kern.h"

/* One backend: an address and effective port of one unit. */
struct back {
	struct addr16 addr;                     /* the key: addr, port, service */
	uint32_t service;                       /* unit.id */
	uint32_t id;
	uint32_t slot;                          /* or CELLS_NONE: lost with the maps that are being replaced */
	uint32_t weight, written_weight;        /* wanted; in the map, when written */
	uint32_t at;                            /* where it lies: backs.c */
	uint32_t refs : 29;                     /* its unit has it; a plan wants it to */
	uint32_t written : 1;
	uint32_t doomed : 1, queued : 1;        /* in state.doomed; in state.queue */
	uint16_t port;                          /* network order */
	uint8_t state, written_state;           /* enum backend_state, as the weights */
};
_Static_assert(sizeof(struct back) == 48, "there are many");

struct backs {
	VEC(struct back *) chunks;
	uint32_t *by_key, *by_id;               /* 0 = free, else at + 1 */
	uint32_t cap;                           /* of each index; a power of two */
	uint32_t n, used;                       /* that live; places that were ever taken */
	uint32_t free;                          /* at + 1 of a place to take again; its .at leads to the next */
};

void backs_fini(struct backs *s);               /* accepts zeroed ones */
struct back *backs_by_id(const struct backs *s, uint32_t id); /* NULL: none */
struct back *backs_by_key(const struct backs *s, const struct addr16 *addr, uint16_t port, uint32_t service);
/* Neither id nor key may be there already; id is not 0. */
struct back *backs_add(struct backs *s, const struct addr16 *addr, uint16_t port, uint32_t service, uint32_t id);
void backs_del(struct backs *s, struct back *b);
/* for (struct back *b = backs_next(s, NULL); b; b = backs_next(s, b)) */
struct back *backs_next(const struct backs *s, const struct back *b);
/* What the map is to say; as the map has it when it is written. */
struct backend back_wanted(const struct back *b);
struct backend back_written(const struct back *b);
bool back_differs(const struct back *b);        /* not written, or otherwise than wanted */
