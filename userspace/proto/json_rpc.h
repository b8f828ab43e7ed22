/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON for a call of Dubbo or SOFARPC (bolt), and of its answer: arguments by the Java types that are declared for them, values
 * by what they are. Pure; memory is malloc's and bounded by the bytes given. Any thread.
 */
#pragma once
#include "weft/buf.h"

struct json_argument {
	struct slice name;                      /* in an object; may be empty */
	struct slice type;                      /* "int", "java.lang.String", "long[]", "com.x.Order" */
};

struct json_method {
	struct slice service, version, group, name; /* version, group: may be empty */
	const struct json_argument *arguments;
	size_t n;
};

enum {
	JSON_RPC_DEPTH = 64,                    /* values inside one another */
	JSON_RPC_MAX = 1 << 20,                 /* bytes of JSON that are written */
	JSON_RPC_HOLDERS = 1 << 17,             /* objects, maps and lists of an answer: of two bytes each is some 300 here */
	JSON_RPC_CALL_MAX = 8 << 20,            /* of a request's body, which names a class as often as JSON has {}: Dubbo takes no more */
};

/*
 * The body of a request in hessian2, to the end of out. json: an array of the arguments, or an object with their names; empty
 * where there are none. 0; -ENOMEM; -EINVAL with words in why (wn bytes).
 */
int json_dubbo_request(const struct json_method *m, struct slice json, struct buf *out, char *why, size_t wn);
/* The same of bolt, in the draft of hessian2. unique: "interface:version" or "interface:version:id", which m's names make. */
int json_bolt_request(const struct json_method *m, struct slice unique, struct slice json, struct buf *out, char *why, size_t wn);

/*
 * JSON for the body of an answer with Dubbo's status 20, to the end of out. *status: HTTP's, 200 or, with an object `error` of
 * class and message, 500 for what the method threw. 0; -ENOMEM; -EPROTO: it makes no sense; -EOVERFLOW: more than the bounds.
 */
int json_dubbo_response(struct slice body, struct buf *out, int *status);
/*
 * The same of bolt's answer with status 0: a SofaResponse. 500 too where it says that the call was not made, with an error that
 * has a message only. threw: the answer's headers say that its value is what the method threw.
 */
int json_bolt_response(struct slice body, bool threw, struct buf *out, int *status);
/* Of an answer with another status: the exception that it is, as above. -EPROTO: it is none. */
int json_bolt_exception(struct slice body, struct buf *out);
/* {"error": {"message": ...}} for an answer without a value. 0 or -ENOMEM */
int json_rpc_error(struct slice message, struct buf *out);
