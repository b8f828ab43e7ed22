/* SPDX-License-Identifier: Apache-2.0 */
/* Facts and snapshots as JSON, from the same rows as the wire form; certificates and keys by length only. Control thread (marks). */
#pragma once
#include <jansson.h>
#include "model/snapshot.h"

#define DUMP_MARKS 1u                           /* "registry" and "mark" of each fact */
#define DUMP_SLOTS 2u                           /* "slot" of each fact */

/*
 * Words that nobody checked, such as names of files, as a JSON string, which has to be UTF-8: what is not shows as '?'.
 * The caller's reference.
 */
json_t *dump_text(struct slice s);
/* One object, fields in the order of the rows, empty ones left out; the caller's reference. NULL: out of memory. */
json_t *dump_fact(const struct fact *f, unsigned flags);
/* As dump_fact of its settings, with "hosts". */
json_t *dump_cluster(const struct cluster *c, unsigned flags);
/*
 * {"snapshot": 7, "node": {...}, "secrets": [...], "clusters": [...], "routes": [...], "listeners": [...],
 * "services": [...], "policies": [...], "workloads": [...]}, one line per fact, written piece by piece so that a large model needs no large memory.
 * 0 or what out returned.
 */
int dump_snapshot(const struct snapshot *s, unsigned flags, int (*out)(void *arg, struct slice piece), void *arg);
