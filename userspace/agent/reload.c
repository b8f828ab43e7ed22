/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/reload.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/access_log.h"
#include "agent/agent.h"
#include "agent/vet.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log_sink.h"
#include "base/mem.h"
#include "conf/dump.h"
#include "conf/plugin.h"
#include "weft/str.h"

/* An editor writes in pieces, and a ConfigMap's links are swapped one by one: quiet for so long, then it is read. */
#define DEBOUNCE_NS (200 * MSEC)
#define DEBOUNCE_MAX_NS (2 * SEC)
#define EVENTS (IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_ONLYDIR)

STAT_DEFINE(reload_stat, "reload", RELOAD_STATS);

/* ---- the files -------------------------------------------------------------------------------------------------- */

/* conf.d beside the file, malloc'd. */
static char *folder_of(const char *path)
{
	char *copy = mem_str(path), *out = mem_printf("%s/conf.d", dirname(copy));

	free(copy);
	return out;
}

static uint64_t hash_file(const char *path, uint64_t seed)
{
	struct err e = { 0 };
	char *text = NULL;
	size_t n = 0;
	uint64_t h = hash_bytes(slice_str(path), seed);

	if (!conf_slurp(path, &text, &n, &e))
		h = hash_bytes((struct slice){ text, n }, h);
	free(text);
	return h;
}

/* Of everything that a load would read, and of files that it would pass over. */
static uint64_t hash_files(const char *path)
{
	char *folder = folder_of(path);
	uint64_t h = hash_file(path, HASH_STABLE);
	struct dirent **v;
	int n = scandir(folder, &v, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char *file = mem_printf("%s/%s", folder, v[i]->d_name);

		if (v[i]->d_name[0] != '.')
			h = hash_file(file, h);
		free(file);
		free(v[i]);
	}
	if (n >= 0)
		free(v);
	free(folder);
	return h;
}

static void watch(struct reload *r)
{
	char *path = mem_str(r->agent->conf.path), *real = realpath(path, NULL), *folder = folder_of(path);

	if (r->fd >= 0) {
		inotify_add_watch(r->fd, folder, EVENTS);
		inotify_add_watch(r->fd, dirname(path), EVENTS);
		if (real)
			inotify_add_watch(r->fd, dirname(real), EVENTS);
	}
	free(folder);
	free(real);
	free(path);
}

/* ---- what waits for a restart ----------------------------------------------------------------------------------- */

static void name_difference(struct buf *out, const char *section, const char *field)
{
	buf_printf(out, "%s%s%s%s", out->len ? " " : "", section, field ? "." : "", field ? field : "");
}

/* Sections that are read at the start alone; of mappings each field that differs. */
static void differences(const struct config *was, const struct config *now, struct buf *out)
{
	static const char *const sections[] = { "workers", "admin", "kernel", "proxy", "plugins" };
	json_t *a = config_dump(was), *b = config_dump(now);

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		json_t *x = json_object_get(a, sections[i]), *y = json_object_get(b, sections[i]), *v;
		const char *key;

		if (!json_is_object(x) && !json_equal(x, y))
			name_difference(out, sections[i], NULL);
		json_object_foreach(x, key, v) {
			if (!json_equal(v, json_object_get(y, key)))
				name_difference(out, sections[i], key);
		}
	}
	json_decref(a);
	json_decref(b);
}

/* ---- one configuration for another ------------------------------------------------------------------------------ */

static void say(void *arg, const char *line)
{
	conf_errors_add(arg, "%s", line);
}

static void adopt(struct reload *r, struct config *now)
{
	struct agent *a = r->agent;
	struct overload_limits limits = agent_overload(now);
	struct config *was = a->config;

	/* Texts of these lie in the first configuration, which stays. */
	now->workers = was->workers;
	now->admin = was->admin;
	now->kernel = was->kernel;
	now->proxy = was->proxy;
	now->plugins = was->plugins;
	a->config = now;
	if (was == r->first)
		config_drop_facts(was);
	else
		sources_retire(&a->sources, was);
	agent_set_level(a);
	access_log_change(&a->child, now);
	child_overload(&a->child, &limits);
	free(r->refusal);
	r->refusal = NULL;
	stat_add(&r->stat.taken, 1);
	stat_set(&r->stat.unwell, 0);
}

static int refuse(struct reload *r, const struct conf_errors *errors)
{
	for (size_t i = 0; i < errors->n; i++)
		log_error("reload", "%s", errors->text[i]);
	log_error("reload", "refused; the configuration in force stays");
	free(r->refusal);
	r->refusal = mem_str(errors->n ? errors->text[0] : "refused");
	stat_add(&r->stat.refused, 1);
	stat_set(&r->stat.unwell, 1);
	return -EINVAL;
}

/* Before anything changes: a listener that lost its old place and gets no new one would serve nobody. */
static bool doors_open(struct agent *a, const struct config *c, struct conf_errors *errors)
{
	bool ok = true;
	char why[256];

	for (size_t i = 0; i < c->nfacts; i++) {
		const struct fact *f = c->facts[i];
		struct fact_mark mark = fact_mark(f);

		if (f->kind != FACT_LISTENER || doors_would_open(&a->doors, (const struct listener *)f, why, sizeof(why)))
			continue;
		conf_errors_add(errors, "%.*s:%u: listener %.*s: %s", SLICE_ARG(mark.file), mark.line, SLICE_ARG(f->key), why);
		ok = false;
	}
	return ok;
}

int reload_now(struct reload *r, struct buf *restart, struct conf_errors *errors)
{
	struct agent *a = r->agent;
	struct config *now = NULL;
	bool taken;
	struct slice names;

	watch(r);
	r->hash = hash_files(a->conf.path);
	taken = !config_load(a->conf.path, a->conf.registries, &now, errors) && !vet_facts(now, say, errors);
	taken = taken && doors_open(a, now, errors);
	/* What the store has is what is compared. */
	if (taken && store_dirty(a->store))
		publish_now(&a->publish);
	taken = taken && sources_change(&a->sources, now, a->publish.now, say, errors);
	if (!taken) {
		config_free(now);
		return refuse(r, errors);
	}
	differences(a->config, now, restart);
	adopt(r, now);
	names = buf_pull(restart, restart->len);
	log_info("reload", "%s: taken%s%.*s", a->conf.path, names.n ? "; these wait for a restart: " : "", SLICE_ARG(names));
	return 0;
}

/* ---- changes of the files --------------------------------------------------------------------------------------- */

static void look(struct timer *t)
{
	struct reload *r = t->arg;
	struct conf_errors errors = { 0 };
	struct buf restart;

	watch(r);
	if (hash_files(r->agent->conf.path) == r->hash)
		return;
	buf_init(&restart);
	reload_now(r, &restart, &errors);
	conf_errors_fini(&errors);
	buf_fini(&restart);
}

static void on_event(struct loop_io *io, unsigned events)
{
	_Alignas(struct inotify_event) char buf[16 << 10];
	struct reload *r = io->arg;

	(void)events;
	while (read(io->fd, buf, sizeof(buf)) > 0)
		;
	if (!timer_armed(&r->timer))
		r->event_ns = clock_ns();
	/* A folder in which something happens all the time must not put it off for ever. */
	if (!timer_armed(&r->timer) || clock_ns() - r->event_ns < DEBOUNCE_MAX_NS)
		timer_arm(&r->agent->loop, &r->timer, DEBOUNCE_NS, look, r);
}

void reload_init(struct reload *r, struct agent *a)
{
	*r = (struct reload){ .agent = a, .first = a->config, .fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC) };
	if (r->fd >= 0 && loop_add(&a->loop, &r->io, r->fd, LOOP_READ, on_event, r)) {
		close(r->fd);
		r->fd = -1;
	}
	if (r->fd < 0)
		log_warn("reload", "no inotify: changes of %s wait for SIGHUP or weft reload", a->conf.path);
	watch(r);
	r->hash = hash_files(a->conf.path);
	plugins.closed = true;
}

void reload_fini(struct reload *r)
{
	if (!r->agent)
		return;
	timer_disarm(&r->agent->loop, &r->timer);
	if (r->fd >= 0) {
		loop_del(&r->agent->loop, &r->io);
		close(r->fd);
	}
	free(r->refusal);
	if (r->first != r->agent->config)
		config_free(r->first);
	r->agent = NULL;
}
