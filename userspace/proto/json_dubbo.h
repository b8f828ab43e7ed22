/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON for a call of Dubbo, and of its answer: arguments by the Java types that are declared for them, values by what they
 * are. Pure; memory is malloc's and bounded by the bytes given. Any thread.
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

enum { JSON_DUBBO_DEPTH = 64, JSON_DUBBO_MAX = 1 << 20 }; /* values inside one another; bytes of JSON that are written */

/*
 * The body of a request in hessian2, to the end of out. json: an array of the arguments, or an object with their names; empty
 * where there are none. 0; -ENOMEM; -EINVAL with words in why (wn bytes).
 */
int json_dubbo_request(const struct json_method *m, struct slice json, struct buf *out, char *why, size_t wn);

/*
 * JSON for the body of an answer with this status of Dubbo, to the end of out. *status: HTTP's, 200 or, with an object `error`
 * of class and message, 500 for what the method threw. 0; -ENOMEM; -EPROTO: it makes no sense; -EOVERFLOW: more than the bounds.
 */
int json_dubbo_response(struct slice body, struct buf *out, int *status);
/* {"error": {"message": ...}} for an answer without a value. 0 or -ENOMEM */
int json_dubbo_error(struct slice message, struct buf *out);
