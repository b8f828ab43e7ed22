/* SPDX-License-Identifier: Apache-2.0 */
/* Which hosts a backend's requests may be given now, and why not the others: for `weft explain http`. Control thread. */
#pragma once
#include <jansson.h>

#include "weft/model.h"

struct agent;

/*
 * Hosts that carry the backend's subset, or what the cluster falls back to, each with "takes": a share of the backend's
 * requests, that of its priority, or why it has none. *fallback: the cluster's word when nobody carries the subset; else NULL.
 */
json_t *taking_json(const struct agent *a, const struct cluster *c, const struct route_backend *b, const char **fallback);
