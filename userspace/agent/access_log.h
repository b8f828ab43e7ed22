/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the access log: opened here, where the privileges are, written by the proxy. Control thread. */
#pragma once
#include "agent/child.h"
#include "conf/config.h"

/* Each file anew, so that one which was moved away for rotation is let go. What cannot be opened is said in the log. */
void access_log_give(struct child *c, const struct config *conf);
/* The same for a proxy that may have files already: it has none when conf names none. */
void access_log_change(struct child *c, const struct config *conf);
