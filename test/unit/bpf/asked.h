/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent adds to a question of explain. After stub.h. */
#pragma once

#include "lib/explain.h"

static inline struct prefix prefix_of(const struct ask *ask, uint16_t port)
{
	struct prefix_key key = { .bits = PREFIX_HEAD_BITS + 128, .port = port, .addr = ask->addr };
	const struct prefix *p = bpf_map_lookup_elem(&prefix_map, &key);

	return p ? *p : (struct prefix){ .bits = PREFIX_NONE };
}

/* What the agent looks up for explain. */
static inline struct explain_ask asked_of(const struct ask *ask)
{
	return (struct explain_ask){ .own = prefix_of(ask, ask->port), .any = prefix_of(ask, 0) };
}
