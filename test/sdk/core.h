/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A core as small as can be, to call extensions the way the proxy and the agent will. What it saw
 * is a line of words.
 */
#pragma once
#include "base/arena.h"
#include "weft/plugin.h"

void said(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* What was said since the last call, words divided by one blank. */
const char *heard(void);
/* Compares, prints one "case" line, and counts failures. */
void expect(const char *name, const char *want, const char *got);
void expect_num(const char *name, long long want, long long got);
extern int failures;

/* A stream whose messages live in one arena. */
extern struct arena arena;
extern const struct proto_sink sink;
extern struct msg last_msg;                     /* the last head that the sink was given */
extern uint64_t last_id, previous_id;            /* of the last two heads */
extern bool refuse;                             /* begin() gives NULL */

/* What a filter asked for last. */
extern const struct client_events *call_events;
extern void *call_arg;
extern enum filter_verdict resumed;
extern int replied;
