/* SPDX-License-Identifier: Apache-2.0 */
/* What is the same in the calls and answers of each protocol. */
#pragma once
#include <jansson.h>
#include "proto/hessian.h"
#include "proto/json_rpc.h"

/* *all NULL: there are no arguments. 0, -EINVAL with words in why. */
int json_rpc_parse(const struct json_method *m, struct slice json, json_t **all, char *why, size_t wn);
int json_rpc_arguments(const struct json_method *m, const json_t *all, struct hessian_out *out, char *why, size_t wn);
/*
 * A type as Java says it inside of other bytes. slashed: "[Ljava/lang/String;", "I", as in descriptors; else as Class.getName()
 * does: "[Ljava.lang.String;", "int".
 */
int json_rpc_type(struct buf *out, struct slice type, bool slashed);

/* What a reference may mean. */
struct json_ref {
	json_t *v;
	bool open;                              /* its end was not reached yet */
	unsigned height;                        /* how deep others lie inside of it, 0: none does */
};

/* h: where it stands. Zeroed, hessian_init(), json_reading_fini(). */
struct json_reading {
	struct hessian h;
	struct json_ref *refs;                  /* in the order they began */
	size_t nrefs, room;
	size_t keys;                            /* bytes of all that were made: of a class's field for each object anew */
	unsigned deepest;                       /* what holds values lies so deep in what is being read, references too */
};

/* The next value, a reference of the caller's; NULL: *err. */
json_t *json_rpc_value(struct json_reading *r, unsigned depth, int *err);
/* A value that was read where `at` stands is what a method threw: its class and words, where it has some, as `error`; or NULL. */
json_t *json_rpc_thrown(const struct hessian *at, json_t *take_v);
/* Ends the reading, takes v: written to the end of out, or err is what becomes of it. 0 or an error of json_dubbo_response(). */
int json_rpc_finish(struct json_reading *r, json_t *take_v, int err, struct buf *out);
