/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC's words in HTTP (PROTOCOL-HTTP2.md of grpc/grpc, and PROTOCOL-WEB.md): what a message says of its call, its time
 * and its status, whichever HTTP carries it. Pure: nothing is kept, nothing but a msg's arena is allocated. Any thread.
 */
#pragma once
#include "weft/msg.h"

/*
 * X(CODE, number, word as in configuration, HTTP's status that stands for it in counters, retries and outlier detection).
 * Those of 5xx are the host's failures: of the others the caller is to blame, or nobody.
 */
#define GRPC_CODES(X)                                                                                                  \
	X(OK, 0, "ok", 200) X(CANCELLED, 1, "cancelled", 499) X(UNKNOWN, 2, "unknown", 500)                            \
	X(INVALID_ARGUMENT, 3, "invalid-argument", 400) X(DEADLINE_EXCEEDED, 4, "deadline-exceeded", 504)              \
	X(NOT_FOUND, 5, "not-found", 404) X(ALREADY_EXISTS, 6, "already-exists", 409)                                  \
	X(PERMISSION_DENIED, 7, "permission-denied", 403) X(RESOURCE_EXHAUSTED, 8, "resource-exhausted", 429)          \
	X(FAILED_PRECONDITION, 9, "failed-precondition", 400) X(ABORTED, 10, "aborted", 409)                           \
	X(OUT_OF_RANGE, 11, "out-of-range", 400) X(UNIMPLEMENTED, 12, "unimplemented", 404)                            \
	X(INTERNAL, 13, "internal", 500) X(UNAVAILABLE, 14, "unavailable", 503) X(DATA_LOSS, 15, "data-loss", 500)     \
	X(UNAUTHENTICATED, 16, "unauthenticated", 401)
enum grpc_code {
#define GRPC_CODE_ENUM_(NAME, number, word, http) GRPC_##NAME = number,
	GRPC_CODES(GRPC_CODE_ENUM_)
#undef GRPC_CODE_ENUM_
	GRPC_CODE_COUNT
};

const char *grpc_code_word(int code);           /* "unavailable"; "unknown" for what is no code */
int grpc_http_status(int code);                 /* that stands for it; 500 for what is no code */
int grpc_code_of_http(int status);              /* of an answer without grpc-status, or of our own */

/* ---- what kind of message ----------------------------------------------------------------------------------- */

enum grpc_kind { GRPC_NONE, GRPC_PLAIN, GRPC_WEB, GRPC_WEB_TEXT };

/*
 * Of a content-type. *format (NULL: not asked for): what follows the kind, "+proto" or "+json; a=b", perhaps empty.
 */
enum grpc_kind grpc_kind_of(struct slice content_type, struct slice *format);
struct slice grpc_kind_name(enum grpc_kind kind); /* "application/grpc-web"; that of GRPC_PLAIN for GRPC_NONE */
/* Makes it the message's content-type, with that format. 0 or -ENOMEM. */
int grpc_kind_set(struct msg *m, enum grpc_kind kind, struct slice format);
/* "/package.Service/Method", with or without a query. False: another path, and both are empty. */
bool grpc_path(struct slice path, struct slice *service, struct slice *method);
/*
 * What a codec knows of a head or trailers once their fields are read, whatever HTTP they came in: the flags MSG_GRPC and
 * MSG_TRAILERS_ONLY, service, rpc_method, timeout_ms, wire_status. end: nothing follows it.
 */
void grpc_recognise(struct msg *m, bool end);

/* ---- status ------------------------------------------------------------------------------------------------- */

int grpc_status(const struct msg *m);           /* grpc-status; MSG_NO_STATUS: none, or no number of at most 3 digits */
/* Percent-encoded for grpc-message: at most three bytes for each of text. Returns the length. */
size_t grpc_message_write(struct slice text, char *out);
/* Decoded: at most as long as text. What is no escape stays as it is. */
size_t grpc_message_read(struct slice text, char *out);

/* ---- time --------------------------------------------------------------------------------------------------- */

#define GRPC_TIMEOUT_MAX 9                      /* bytes of grpc-timeout */

/* "100m": 1 to 8 digits and one of H M S m u n. 0 or -EINVAL; what is longer than 2^64 ns becomes UINT64_MAX. */
int grpc_timeout_read(struct slice text, uint64_t *ns);
/* As exact as 8 digits are, never longer than ns, at least 1n. Returns the length. */
size_t grpc_timeout_write(uint64_t ns, char out[GRPC_TIMEOUT_MAX]);

/* ---- sending again (gRFC A6) -------------------------------------------------------------------------------- */

#define GRPC_PUSHBACK_NONE (-1)                 /* it was not said */
#define GRPC_PUSHBACK_STOP (-2)                 /* do not send again: a negative number, or what is none */
int64_t grpc_pushback_ms(const struct msg *m);
uint32_t grpc_previous_attempts(const struct msg *m); /* as the client says; 0: it does not */
