/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared objects with extensions: looked at as files, tried in a process that may die of it, loaded, and their extensions put
 * behind the built-in ones (base/extensions.h). Once, at the start, by the one thread there is; nothing is ever unloaded.
 *
 * Each returns 0, or -errno with the reason; path is not in it.
 */
#pragma once
#include "base/extensions.h"

#define PLUGINS_MAX 64u
#define PLUGIN_NAME_MAX 63u                     /* bytes of a plugin's or an extension's name */
#define PLUGIN_TRY_MS 5000                      /* for a constructor, and for what is looked at */

#define PLUGIN_STATS(X)                                                                                                \
	X(GAUGE, loaded, "plugins that are loaded")                                                                    \
	X(GAUGE, extensions, "extensions that they bring")
STAT_DECLARE(plugin_stat, PLUGIN_STATS);

struct plugin {
	char *path;
	const struct weft_plugin *what;
	uint64_t hash;                          /* of the file */
};

/* Those that are loaded, in order. */
extern struct plugins {
	struct plugin v[PLUGINS_MAX];
	size_t n;
	bool closed;                            /* a daemon runs: what is read now is a reload */
	struct plugin_stat stat;
} plugins;

/*
 * An absolute path of a file that only root may write, in folders that only root may write, also where links lead to; the
 * beginning of an ELF file. What is in it is not looked at.
 */
int plugin_check_file(const char *path, struct err *e);
/*
 * Loads it in a child process and looks at it there: what crashes, ends the process or does not come back is told with
 * its signal, and has done no harm here. Waits for PLUGIN_TRY_MS at most.
 */
int plugin_try(const char *path, struct err *e);
/* Loads it here, and adds its extensions, all or none. After plugin_check_file(), plugin_try() where that can wait. */
int plugin_load(const char *path, struct err *e);
/* What plugin_load() asks of a loaded object; plugin_try() asks it first. phase: what it is at, for whoever sees it crash. */
enum plugin_phase { PLUGIN_LOADING, PLUGIN_LOOKING, PLUGIN_ROWS, PLUGIN_FINE };
int plugin_open(const char *path, const struct weft_plugin **what, volatile uint32_t *phase, struct err *e);
bool plugin_is_loaded(const char *path);        /* the path, not the file */
/* Of the files that are loaded and their order; 0: there are none. */
uint64_t plugins_hash(void);
