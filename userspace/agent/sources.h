/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registries of a configuration, running: state, watched descriptors, timer. Implements registry_watch() and
 * registry_timer() of registry.h. Control thread.
 */
#pragma once
#include "agent/hub.h"
#include "conf/config.h"

struct source;

struct sources {
	struct loop *loop;
	struct hub *hub;
	struct source *own;                     /* facts of the configuration itself */
	struct source **v;
	size_t n;
};

/*
 * What `weft config check` looks at: starts the registries that read files of this machine alone, and says everything that
 * is wrong with what they give, one line at a time. hub has the configuration's own facts too, then.
 */
int sources_check(struct sources *s, struct loop *l, struct hub *hub, const struct config *c,
		  void (*say)(void *arg, const char *line), void *arg, struct err *e);
/* Starts every registry, and gives the facts of the file itself to the hub first. 0 or -errno with words. c is kept. */
int sources_start(struct sources *s, struct loop *l, struct hub *hub, const struct config *c, struct err *e);
void sources_stop(struct sources *s);           /* accepts a zeroed one */
