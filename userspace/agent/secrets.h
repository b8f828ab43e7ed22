/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and keys that listeners and clusters name: read when the first fact that names them comes, read again when
 * their files change, forgotten when nobody names them any more. New content that is wrong is refused with words, and
 * the old stays in use. A source of the hub like a registry, so that its state is part of readiness. Control thread.
 */
#pragma once
#include <jansson.h>
#include "agent/hub.h"
#include "base/table.h"
#include "event/timer.h"

#define SECRETS_REGISTRY "secrets"              /* owner of these facts */

#define SECRETS_STATS(X)                                                                                               \
	X(COUNTER, taken, "certificates and keys read and taken, first time and changes")                              \
	X(COUNTER, refused, "certificates and keys that were refused; the old ones stayed in use")                     \
	X(GAUGE, secrets, "certificates with keys, and files of CAs, in use")                                          \
	X(GAUGE, unwell, "of these, whose files cannot be used now")                                                   \
	X(GAUGE, expires, "when the first certificate in use expires, seconds since 1970; 0: there is none")
STAT_DECLARE(secrets_stat, SECRETS_STATS);

struct secrets {
	struct loop *loop;
	struct hub *hub;
	struct hub_source source;               /* in the hub once there is an entry */
	bool added;
	struct table entries;                   /* name -> struct secret_entry */
	int fd;                                 /* inotify; -1: none, the timer looks */
	struct loop_io io;
	struct timer timer;
	bool soon;                              /* the timer is armed for a look at once */
	uint64_t version;
	struct secrets_stat stat;
};

void secrets_init(struct secrets *s, struct loop *l, struct hub *hub); /* hears of facts through the hub from now on */
void secrets_fini(struct secrets *s);           /* accepts a zeroed one */
/* {"certificates": [{name, state, chain: [{subject, issuer, sans, notBefore, notAfter, sha256}]}]}; never a key. */
json_t *secrets_json(const struct secrets *s);
