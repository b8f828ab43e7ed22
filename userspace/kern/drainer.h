/* SPDX-License-Identifier: Apache-2.0 */
/* Emptying a sockhash without losing a byte. The kill switch must have been set and a grace period waited for. */
#pragma once
#include "weft/err.h"

struct bpf_link;
struct drain_bpf;

struct drainer {
	struct drain_bpf *bpf;                  /* NULL: this kernel cannot look into sockets */
	struct bpf_link *link;                  /* iterator over sock_map */
	int sock_map;                           /* borrowed */
	uint32_t left;                          /* sockets still in the map, as of the last drainer_run() */
	uint32_t unread;                        /* of those, with redirected bytes that their reader has not taken */
};

void drainer_open(struct drainer *d, int sock_map_fd);
void drainer_close(struct drainer *d);
/*
 * Takes every socket with an empty queue out of the map, again and again until none is left or ms have passed. Where the
 * kernel cannot tell, none is taken out: left says how many there are.
 */
void drainer_run(struct drainer *d, uint32_t ms);
