/* SPDX-License-Identifier: Apache-2.0 */
/* The Admin API's table of paths. */
#pragma once
#include "agent/http_server.h"

/* http_handler; arg is the struct agent. */
void admin_handle(void *agent, const struct http_request *rq, struct http_response *rs);
