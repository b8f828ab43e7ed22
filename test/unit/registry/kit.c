// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/table.h"
#include "model/snapshot.h"

extern const struct registry_ops registry_file;

static void on_change(void *arg)
{
	struct world *w = arg;

	w->changes++;
}

int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	strcpy(w->dir, "/tmp/weft-test-registry-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof(w->path), "%s/d", w->dir);
	assert_int_equal(mkdir(w->path, 0755), 0);
	w->store = store_new();
	hub_init(&w->hub, w->store, on_change, w);
	assert_int_equal(loop_init(&w->loop), 0);
	*state = w;
	return 0;
}

void world_start(struct world *w, const char *own)
{
	static struct conf_choice choices[2];   /* known to the configuration as long as it lives */
	struct conf_errors errors = { 0 };
	struct err e = { 0 };
	char text[4096];

	choices[0] = (struct conf_choice){ .name = registry_file.name, .rows = registry_file.conf, .size = registry_file.conf_size,
					   .check = registry_file.check, .ops = &registry_file };
	snprintf(text, sizeof(text), "registries: [{name: files, type: file, path: %s}]\n%s", w->path, own ? own : "");
	if (config_load_text(slice_str(text), "weft.yaml", choices, &w->config, &errors))
		fail_msg("%s", errors.text[0]);
	if (sources_start(&w->sources, &w->loop, &w->hub, NULL, w->config, &e))
		fail_msg("%s", err_text(&e));
}

void world_stop(struct world *w)
{
	sources_stop(&w->sources);
	config_free(w->config);
	w->config = NULL;
}

int world_teardown(void **state)
{
	struct world *w = *state;
	char command[192];

	world_stop(w);
	hub_fini(&w->hub);
	loop_fini(&w->loop);
	store_bury(w->store);
	store_free(w->store);
	snprintf(command, sizeof(command), "chmod -R u+rwx %s && rm -rf %s", w->dir, w->dir);
	free(w);
	return system(command);
}

const char *world_file(struct world *w, const char *name)
{
	static char out[4][512];
	static unsigned i;
	char *to = out[i++ % 4];

	snprintf(to, sizeof(out[0]), "%s%s%s", w->path, *name ? "/" : "", name);
	return to;
}

static void write_to(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

void world_write(struct world *w, const char *name, const char *text)
{
	write_to(world_file(w, name), text);
}

void world_rename(struct world *w, const char *name, const char *text)
{
	char from[128];

	snprintf(from, sizeof(from), "%s/moving", w->dir);
	write_to(from, text);
	assert_int_equal(rename(from, world_file(w, name)), 0);
}

void world_remove(struct world *w, const char *name)
{
	assert_int_equal(unlink(world_file(w, name)), 0);
}

void world_settle(struct world *w)
{
	uint64_t end = clock_ns() + 60 * MSEC;

	while (clock_ns() < end)
		loop_once(&w->loop, 10 * MSEC);
}

struct hub_source *world_source(struct world *w)
{
	list_for(p, &w->hub.sources) {
		struct hub_source *s = container_of(p, struct hub_source, node);

		if (!strcmp(s->name, "files"))
			return s;
	}
	fail();
	return NULL;
}

/* Names of temporary folders are not for comparing. */
static const char *shown(struct world *w, const char *words)
{
	static char out[8192];
	size_t n = 0, dir = strlen(w->path);

	for (; words && *words && n < sizeof(out) - 4; words++) {
		if (!strncmp(words, w->path, dir)) {
			memcpy(out + n, "DIR", 3);
			n += 3;
			words += dir - 1;
		} else {
			out[n++] = *words;
		}
	}
	out[n] = 0;
	return out;
}

const char *world_health(struct world *w)
{
	return shown(w, world_source(w)->health_words);
}

const char *world_refusal(struct world *w)
{
	return shown(w, world_source(w)->refusal_words);
}

bool world_has(struct world *w, enum fact_kind kind, const char *key)
{
	return store_fact(w->store, kind, slice_str(key)) != NULL;
}

const struct fact *world_fact(struct world *w, enum fact_kind kind, const char *key)
{
	const struct fact *f = store_fact(w->store, kind, slice_str(key));

	if (!f)
		fail_msg("no fact %s", key);
	return f;
}

size_t world_count(struct world *w, enum fact_kind kind)
{
	struct snapshot *s = store_build(w->store, 0);
	size_t n = kind == FACT_CLUSTER ? snapshot_clusters(s).n : snapshot_facts(s, kind).n;

	snapshot_drop(s);
	store_bury(w->store);
	return n;
}
