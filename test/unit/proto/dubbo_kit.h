/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#define KIT_OPS proto_dubbo
#include "lib/dubbo_samples.h"
#include "proto/dubbo_priv.h"
#include "frames_kit.h"

/* A request, or with `first` another frame, with that body. */
static inline void client_body(struct two *t, const char *first, const char *body)
{
	struct buf bytes = { 0 };
	char hex[4096];

	hex_add(&bytes, body);
	snprintf(hex, sizeof(hex), "%s %08zx %s", first ? first : "dabbc200 0000000000000001", bytes.len, body);
	buf_fini(&bytes);
	client(t, hex);
}
