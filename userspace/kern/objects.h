/* SPDX-License-Identifier: Apache-2.0 */
/* The BPF objects that are built into weft: their ELF images, once. */
#pragma once
#include "weft/types.h"

/* X(name, needed for the short-circuit only) */
#define OBJECTS(X)                                                                                                     \
	X(connect, false)                                                                                              \
	X(explain, false)                                                                                              \
	X(redirect, true)                                                                                              \
	X(sockopt, true)                                                                                               \
	X(sockops, true)

struct object {
	const char *name;
	bool short_circuit;
	const void *(*bytes)(size_t *n);
};
extern const struct object objects[];
extern const unsigned nobjects;
