/* SPDX-License-Identifier: Apache-2.0 */
/* What only one fact of a kind may have: a service or listener its address, port and protocol, a workload its cgroup. */
#pragma once
#include "model/fact.h"

/* fn for each claim of f; key's bytes are for the call only, text says it to people. */
typedef void claim_fn(void *arg, struct slice key, const char *text);
void claim_each(const struct fact *f, claim_fn *fn, void *arg);
