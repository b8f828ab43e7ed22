/* SPDX-License-Identifier: Apache-2.0 */
/* The BPF objects that are built into weft: their ELF images, once. */
#pragma once
#include "weft/types.h"

enum object_part { OBJECT_BALANCE, OBJECT_CAPTURE, OBJECT_SHORT_CIRCUIT, OBJECT_PARTS }; /* the latter two: optional */

/* X(name, what it is needed for) */
#define OBJECTS(X)                                                                                                     \
	X(connect, BALANCE)                                                                                            \
	X(explain, BALANCE)                                                                                            \
	X(capture, CAPTURE)                                                                                            \
	X(redirect, SHORT_CIRCUIT)                                                                                     \
	X(sockopt, SHORT_CIRCUIT)                                                                                      \
	X(sockops, SHORT_CIRCUIT)

struct object {
	const char *name;
	enum object_part part;
	const void *(*bytes)(size_t *n);
};
extern const struct object objects[];
extern const unsigned nobjects;
