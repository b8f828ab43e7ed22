/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of the watches of an owner (weft/client.h), and how long one waits between two tries. */
#pragma once
#include "base/rand.h"
#include "client/call.h"

#define WATCH_WAIT_MAX_MS 3600000u              /* whatever who watches asks for */
#define WATCH_GOOD_MS 60000u                    /* an answer, and so long: the next wait is the first one */
#define WATCH_WORDS_MAX 256

/* Milliseconds before the next try, after so many that failed in a row: 0 is the first. Zeroed rows are the defaults. */
uint64_t watch_wait_ms(const struct client_backoff *b, unsigned failed, struct rand *r);

struct watch_state {
	struct slice url;                       /* of the last try; empty: there was none */
	bool answered;                          /* the call under way is */
	uint64_t since_ns;                      /* by the loop's clock: when it was answered, or began to fail; 0: it does neither */
	uint64_t tries;
	const char *error;                      /* of the last try that failed; "" = none has */
};
void watch_each(const struct client *owner, void (*fn)(void *arg, const struct watch_state *s), void *arg);
