/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registries of a configuration, running: state, watched descriptors, timer. Implements registry_watch() and
 * registry_timer() of registry.h. Control thread.
 */
#pragma once
#include "agent/hub.h"
#include "base/vec.h"
#include "client/http.h"
#include "conf/config.h"

struct source;

struct sources {
	struct loop *loop;
	struct hub *hub;
	struct http_carrier *carrier;           /* of what registries ask others; NULL: nobody may */
	struct source *own;                     /* facts of the configuration itself */
	struct source **v;
	size_t n;
	VEC(struct config *) retired;           /* no longer in force, but settings of registries lie in them */
	uint64_t version;                       /* of the configuration's facts */
};

/*
 * What `weft config check` looks at: starts the registries that read files of this machine alone, and says everything that
 * is wrong with what they give, one line at a time. hub has the configuration's own facts too, then.
 */
int sources_check(struct sources *s, struct loop *l, struct hub *hub, const struct config *c,
		  void (*say)(void *arg, const char *line), void *arg, struct err *e);
/* Starts every registry, and gives the facts of the file itself to the hub first. 0 or -errno with words. c is kept. */
int sources_start(struct sources *s, struct loop *l, struct hub *hub, struct http_carrier *carrier, const struct config *c,
		  struct err *e);
/*
 * A new configuration in place of the one in force: its facts become the set of the configuration, registries that are not in it
 * any more or have other settings go with what they gave, all in one transaction; then new ones start. now: what the
 * store has. True: done, c is kept. False: nothing happened, say heard why.
 */
bool sources_change(struct sources *s, const struct config *c, const struct snapshot *now,
		    void (*say)(void *arg, const char *line), void *arg);
/* Frees one that is no longer in force, as soon as no registry uses its settings. */
void sources_retire(struct sources *s, struct config *take_was);
/* What the registry of that name asks others by; NULL: there is none, or it may not. */
const struct client *sources_client(const struct sources *s, const char *name);
void sources_stop(struct sources *s);           /* accepts a zeroed one */
