/* SPDX-License-Identifier: Apache-2.0 */
/* One request to the Admin API over its unix socket, answered with JSON. Blocks; 10 seconds at most. */
#pragma once
#include <jansson.h>
#include "weft/err.h"

/*
 * *out is a new reference for the caller. 0; -EPROTO with words for an answer that is not JSON; another -errno when the
 * daemon is not reached. *status is the HTTP status: the caller decides what 503 means to it.
 */
int admin_ask(const char *socket_path, const char *method, const char *target, int *status, json_t **out, struct err *e);
