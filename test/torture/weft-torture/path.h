/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bad path between two pods: each has a tun device t0, and a thread carries packets from one to
 * the other, later, out of order, twice, damaged or not at all. For kernels without netem, and with
 * the same numbers each time.
 */
#pragma once
#include "pod.h"

struct path_faults {
	unsigned delay_us, jitter_us; /* each packet: delay + [0, jitter) */
	unsigned loss, twice, damage; /* of 1000 packets */
};

struct path;

/* 0 and *out, or -errno (-ENODEV where a pod has no t0). */
int path_open(struct path **out, const struct pod *a, const struct pod *b,
	      const struct path_faults *f);
void path_close(struct path *p);
/* How many packets met a fault of any kind. */
unsigned long path_faulty(const struct path *p);
/* The tun device of a pod, for who wants to be the network himself. -errno. */
int path_device(const struct pod *p);
