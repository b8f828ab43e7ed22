/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes everything of weft out of the kernel, in the order that loses no byte: kill switch (redirected bytes drain, new
 * ones go to the stack), links, then the maps once no socket is left in the sockhash or the time is up, then the pins.
 * Works on pins alone, so it needs no daemon; a running weftd calls it with its own struct kern (and is off afterwards).
 */
#pragma once
#include "kern/kern.h"

struct detach_report {
	uint32_t links, programs, maps;         /* removed */
	uint32_t pairs_left;                    /* with undelivered bytes when the time was up */
	uint32_t sockets_left;                  /* still in the sockhash: they keep their psock until they close */
	bool nothing;                           /* there was nothing to remove */
};

/* Blocks for at most drain_ms + 1 s. Only bpffs, instance and abi of c are used. 0 also when there was nothing. */
int detach_run(const struct kern_conf *c, uint32_t drain_ms, struct detach_report *r, struct err *e);
/* The same for a struct kern: its rung is off afterwards. */
int detach_kern(struct kern *k, uint32_t drain_ms, struct detach_report *r, struct err *e);
