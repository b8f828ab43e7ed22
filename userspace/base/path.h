/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One canonical form of a request's path, so that a route, a policy and the server behind us see
 * the same: percent-codes of unreserved characters are undone (RFC 3986 6.2.2.2), others written
 * with capital digits, dot segments removed (6.2.2.3). Idempotent. The query is kept as it is. Any
 * thread.
 */
#pragma once
#include "weft/types.h"

enum path_options {
	PATH_MERGE_SLASHES = 1u << 0,           /* "//" is "/", before dot segments are removed */
	PATH_REJECT_ESCAPED_SLASHES = 1u << 1,  /* %2F and %5C are an error, else kept */
};

/*
 * Target in origin-form ("/a/b?c") or "*". room holds at least target.n bytes. 0: *out is target
 * itself when it is canonical already, else in room. -EINVAL: not to be forwarded, *why says it in
 * static words: raw control, space, backslash, fragment, %00, a bad percent-code, no leading slash.
 */
int path_normalise(struct slice target, unsigned options, char *room, struct slice *out, const char **why);
