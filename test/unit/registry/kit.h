/* SPDX-License-Identifier: Apache-2.0 */
/* A folder, and a registry that reads it through the agent's own hub and loop; and what cmocka wants included first. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/sources.h"
#include "base/clock.h"
#include "event/loop.h"
#include "weft/str.h"

struct world {
	char dir[64], path[96];                 /* path: what the registry reads */
	struct store *store;
	struct hub hub;
	struct loop loop;
	struct config *config;
	struct sources sources;
	unsigned changes;                       /* transactions taken that changed something */
};

int world_setup(void **state);
int world_teardown(void **state);
/* Reads world.path, with this as the configuration's own text beside it (NULL: nothing). */
void world_start(struct world *w, const char *own);
void world_stop(struct world *w);
void world_write(struct world *w, const char *name, const char *text); /* in place */
void world_rename(struct world *w, const char *name, const char *text); /* written elsewhere and moved in */
void world_remove(struct world *w, const char *name);
const char *world_file(struct world *w, const char *name); /* full path, of "" that of the path itself; good for a few calls */

/* Runs the loop until cond holds; fails the test when it does not within two seconds. */
#define world_until(w, cond)                                                                                           \
	do {                                                                                                           \
		uint64_t end_ = clock_ns() + 2 * SEC;                                                                  \
		while (!(cond) && clock_ns() < end_)                                                                   \
			loop_once(&(w)->loop, 10 * MSEC);                                                              \
		if (!(cond))                                                                                           \
			print_error("%s; health: %s; refused: %s\n", #cond, world_health(w), world_refusal(w));        \
		assert_true(cond);                                                                                     \
	} while (0)
/* Lets the loop run for as long as something could still come of what was done. */
void world_settle(struct world *w);

struct hub_source *world_source(struct world *w);
const char *world_health(struct world *w);      /* "" = well; the folder's path is shown as DIR */
const char *world_refusal(struct world *w);
bool world_has(struct world *w, enum fact_kind kind, const char *key);
const struct fact *world_fact(struct world *w, enum fact_kind kind, const char *key); /* fails without it */
size_t world_count(struct world *w, enum fact_kind kind); /* hosts: not counted */
