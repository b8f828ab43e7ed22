/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1.Health/Check: its two messages (health.proto of grpc/grpc), framed as gRPC frames them. Pure. */
#pragma once
#include "weft/model.h"

#define GRPC_HEALTH_PATH "/grpc.health.v1.Health/Check"
#define GRPC_HEALTH_ASK_MAX (HEALTH_SERVICE_MAX + 8u)

enum grpc_health { GRPC_HEALTH_UNKNOWN, GRPC_HEALTH_SERVING, GRPC_HEALTH_NOT_SERVING, GRPC_HEALTH_SERVICE_UNKNOWN };

/* HealthCheckRequest; service: at most HEALTH_SERVICE_MAX bytes, empty: the whole server. Returns the length. */
size_t grpc_health_ask(struct slice service, char out[GRPC_HEALTH_ASK_MAX]);
/* HealthCheckResponse: one frame, not compressed. 0, or -EINVAL: it is none. */
int grpc_health_read(struct slice body, enum grpc_health *out);
const char *grpc_health_word(enum grpc_health h); /* "NOT_SERVING" */
