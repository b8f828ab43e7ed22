/* SPDX-License-Identifier: Apache-2.0 */
/* A gRPC call in one exchange of HTTP/2 (PROTOCOL-HTTP2.md of grpc/grpc): what its request says, how its answer ends. */
#pragma once
#include "client/exchange.h"

#define GRPC_ASK_HEADERS 5u

/*
 * What every call says; own: the caller's headers. Room: GRPC_ASK_HEADERS + n. timeout_ms 0: none. time holds what
 * grpc-timeout says, GRPC_TIMEOUT_MAX bytes. Returns how many there are.
 */
size_t grpc_ask_headers(struct msg_header *room, const struct msg_header *own, size_t n, uint32_t timeout_ms, char *time);
bool grpc_said(const struct exchange *x);       /* an HTTP 200 with a grpc-status came */
/*
 * Of an answer that is over and whole: the status, by grpc-status or as HTTP's stands for it, and *words: its message, or what
 * is missing. They live as long as x.
 */
int grpc_outcome(struct exchange *x, const char **words);
