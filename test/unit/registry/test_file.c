// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#define WEB(address)                                                                                                   \
	"services:\n"                                                                                                  \
	"- {name: web, addresses: [10.96.0.1], ports: [{port: 80}], cluster: web}\n"                                   \
	"clusters:\n"                                                                                                  \
	"- {name: web, endpoints: [{address: \"" address "\"}]}\n"
#define CLUSTER(name, address) "clusters:\n- {name: " name ", endpoints: [{address: \"" address "\"}]}\n"
#define SERVICE(name, ip, cluster) "services:\n- {name: " name ", addresses: [" ip "], ports: [{port: 80}], cluster: " cluster "}\n"

static bool has_host(struct world *w, const char *key)
{
	return world_has(w, FACT_HOST, key);
}

/* ---- changes ------------------------------------------------------------------------------------------------ */

static void what_is_there_at_the_start_is_read(void **state)
{
	struct world *w = *state;
	struct fact_mark m;

	world_write(w, "web.yaml", WEB("10.0.0.1:1"));
	world_write(w, "more.yml", CLUSTER("more", "10.0.0.2:1"));
	world_write(w, "json.json", "{\"clusters\": [{\"name\": \"json\"}]}");
	world_write(w, "notes.txt", "not for us");
	world_write(w, ".hidden.yaml", "not: for us\n");
	assert_int_equal(mkdir(world_file(w, "folder"), 0755), 0);
	world_start(w, NULL);
	/* No loop was needed. */
	assert_true(world_source(w)->synced);
	assert_string_equal(world_health(w), "");
	assert_true(has_host(w, "web|10.0.0.1|1"));
	assert_true(has_host(w, "more|10.0.0.2|1"));
	assert_true(world_has(w, FACT_CLUSTER, "json"));
	m = fact_mark(world_fact(w, FACT_HOST, "web|10.0.0.1|1"));
	assert_true(slice_eq_str(m.registry, "files"));
	assert_true(slice_eq_str(m.file, world_file(w, "web.yaml")));
	assert_int_equal(m.line, 4);
}

static void an_empty_folder_is_a_state_too(void **state)
{
	struct world *w = *state;

	world_start(w, NULL);
	assert_true(world_source(w)->synced);
	world_rename(w, "a.yaml", CLUSTER("a", "10.0.0.1:1"));
	world_until(w, has_host(w, "a|10.0.0.1|1"));
}

static void a_file_may_be_written_moved_in_and_removed(void **state)
{
	struct world *w = *state;

	world_write(w, "web.yaml", WEB("10.0.0.1:1"));
	world_start(w, NULL);
	world_write(w, "web.yaml", WEB("10.0.0.2:1"));
	world_until(w, has_host(w, "web|10.0.0.2|1"));
	assert_false(has_host(w, "web|10.0.0.1|1"));
	world_rename(w, "web.yaml", WEB("10.0.0.3:1"));
	world_until(w, has_host(w, "web|10.0.0.3|1"));
	assert_false(has_host(w, "web|10.0.0.2|1"));
	world_remove(w, "web.yaml");
	world_until(w, !world_has(w, FACT_SERVICE, "web"));
	assert_false(world_has(w, FACT_CLUSTER, "web"));
	assert_false(has_host(w, "web|10.0.0.3|1"));
	world_write(w, "web.yaml", WEB("10.0.0.4:1"));
	world_until(w, has_host(w, "web|10.0.0.4|1"));
	assert_int_equal(link(world_file(w, "web.yaml"), world_file(w, ".old")), 0);
	world_remove(w, "web.yaml");
	world_until(w, !world_has(w, FACT_SERVICE, "web"));
	/* A hard link is no write: nobody closes it. */
	assert_int_equal(link(world_file(w, ".old"), world_file(w, "web.yaml")), 0);
	world_until(w, has_host(w, "web|10.0.0.4|1"));
	assert_string_equal(world_health(w), "");
}

/* The quickest of ten, since this machine may have other things to do. */
static void a_change_is_taken_within_milliseconds(void **state)
{
	struct world *w = *state;
	uint64_t best = UINT64_MAX, start, took;
	char text[256], key[32];

	world_write(w, "web.yaml", WEB("10.0.0.1:1"));
	world_start(w, NULL);
	for (int i = 2; i < 12; i++) {
		sprintf(text, WEB("10.0.0.%d:1"), i);
		sprintf(key, "web|10.0.0.%d|1", i);
		start = clock_ns();
		world_rename(w, "web.yaml", text);
		world_until(w, has_host(w, key));
		took = clock_ns() - start;
		best = took < best ? took : best;
	}
	assert_true(best < 20 * MSEC);
}

static void a_burst_is_one_transaction(void **state)
{
	struct world *w = *state;
	char name[32], text[128];
	uint64_t before;

	world_start(w, NULL);
	before = world_source(w)->taken;
	for (int i = 0; i < 20; i++) {
		sprintf(name, "%d.yaml", i);
		sprintf(text, "clusters: [{name: c%d}]\n", i);
		world_rename(w, name, text);
	}
	world_until(w, world_has(w, FACT_CLUSTER, "c19"));
	world_settle(w);
	assert_int_equal(world_source(w)->taken, before + 1);
	assert_int_equal(world_count(w, FACT_CLUSTER), 20);
}

/* The same bytes again, or a touched file, is no transaction. */
static void nothing_new_is_nothing_done(void **state)
{
	struct world *w = *state;
	uint64_t before;

	world_write(w, "web.yaml", WEB("10.0.0.1:1"));
	world_start(w, NULL);
	before = world_source(w)->taken;
	world_write(w, "web.yaml", WEB("10.0.0.1:1"));
	world_settle(w);
	world_rename(w, "web.yaml", WEB("10.0.0.1:1"));
	world_settle(w);
	assert_int_equal(utimensat(AT_FDCWD, world_file(w, "web.yaml"), NULL, 0), 0);
	world_settle(w);
	assert_int_equal(world_source(w)->taken, before);
}

/* Written twice within one tick of the file system's clock, same length: only the event tells. */
static void time_stamps_are_not_trusted_alone(void **state)
{
	struct world *w = *state;
	const struct timespec same[2] = { { 1000000000, 0 }, { 1000000000, 0 } };

	world_write(w, "web.yaml", WEB("10.0.0.1:1"));
	assert_int_equal(utimensat(AT_FDCWD, world_file(w, "web.yaml"), same, 0), 0);
	world_start(w, NULL);
	world_write(w, "web.yaml", WEB("10.0.0.2:1"));
	assert_int_equal(utimensat(AT_FDCWD, world_file(w, "web.yaml"), same, 0), 0);
	world_until(w, has_host(w, "web|10.0.0.2|1"));
}

static void half_a_file_is_not_read(void **state)
{
	struct world *w = *state;
	const char *text = WEB("10.0.0.9:1");
	int fd;

	world_write(w, "web.yaml", WEB("10.0.0.1:1"));
	world_start(w, NULL);
	fd = open(world_file(w, "web.yaml"), O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	/* Good YAML as far as it goes: a service without its cluster. */
	assert_int_equal(write(fd, text, 10), 10);
	/* Another file makes it look. */
	world_rename(w, "more.yaml", CLUSTER("more", "10.0.0.2:1"));
	world_until(w, has_host(w, "more|10.0.0.2|1"));
	world_settle(w);
	assert_true(has_host(w, "web|10.0.0.1|1"));
	assert_string_equal(world_health(w), "");
	assert_int_equal(write(fd, text + 10, strlen(text + 10)), (ssize_t)strlen(text + 10));
	close(fd);
	world_until(w, has_host(w, "web|10.0.0.9|1"));
}

static void lost_events_are_made_up_for(void **state)
{
	struct world *w = *state;
	char a[512], b[512], line[32] = "0";
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	long max;

	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	max = atol(line);
	if (max > 200000)
		skip();
	world_write(w, "a.yaml", "");
	world_write(w, "b.yaml", "");
	world_start(w, NULL);
	strcpy(a, world_file(w, "a.yaml"));
	strcpy(b, world_file(w, "b.yaml"));
	/* In turn, since equal neighbours are one event. */
	for (long i = 0; i < max / 2 + 10; i++) {
		utimensat(AT_FDCWD, a, NULL, 0);
		utimensat(AT_FDCWD, b, NULL, 0);
	}
	world_rename(w, "web.yaml", WEB("10.0.0.1:1"));
	world_until(w, has_host(w, "web|10.0.0.1|1"));
}

/* ---- the folder --------------------------------------------------------------------------------------------- */

/* As a ConfigMap is mounted: links to ..data/NAME, and ..data is a link that is replaced. */
static void a_config_map_is_swapped_as_a_whole(void **state)
{
	struct world *w = *state;
	char data[512], next[512];

	strcpy(data, world_file(w, "..data"));
	strcpy(next, world_file(w, "..next"));
	assert_int_equal(mkdir(world_file(w, "..1"), 0755), 0);
	world_write(w, "..1/web.yaml", WEB("10.0.0.1:1"));
	assert_int_equal(symlink("..1", data), 0);
	assert_int_equal(symlink("..data/web.yaml", world_file(w, "web.yaml")), 0);
	world_start(w, NULL);
	assert_true(has_host(w, "web|10.0.0.1|1"));
	for (int i = 2; i < 5; i++) {
		char dir[16], file[32], text[256], key[32];

		sprintf(dir, "..%d", i);
		sprintf(file, "..%d/web.yaml", i);
		sprintf(text, WEB("10.0.0.%d:1"), i);
		sprintf(key, "web|10.0.0.%d|1", i);
		assert_int_equal(mkdir(world_file(w, dir), 0755), 0);
		world_write(w, file, text);
		assert_int_equal(symlink(dir, next), 0);
		assert_int_equal(rename(next, data), 0);
		world_until(w, has_host(w, key));
	}
	assert_string_equal(world_health(w), "");
}

static void the_folder_may_be_replaced(void **state)
{
	struct world *w = *state;
	char other[96], away[96];

	snprintf(other, sizeof(other), "%s/other", w->dir);
	snprintf(away, sizeof(away), "%s/away", w->dir);
	world_write(w, "web.yaml", WEB("10.0.0.1:1"));
	world_start(w, NULL);
	assert_int_equal(mkdir(other, 0755), 0);
	assert_int_equal(rename(w->path, away), 0);
	assert_int_equal(rename(other, w->path), 0);
	world_until(w, !world_has(w, FACT_SERVICE, "web"));
	/* The new one is watched. */
	world_write(w, "web.yaml", WEB("10.0.0.2:1"));
	world_until(w, has_host(w, "web|10.0.0.2|1"));
}

static void a_missing_folder_keeps_what_it_gave(void **state)
{
	struct world *w = *state;
	char away[96];

	snprintf(away, sizeof(away), "%s/away", w->dir);
	world_write(w, "web.yaml", WEB("10.0.0.1:1"));
	world_start(w, NULL);
	assert_int_equal(rename(w->path, away), 0);
	world_until(w, *world_health(w));
	assert_string_equal(world_health(w), "cannot read DIR: No such file or directory");
	assert_true(has_host(w, "web|10.0.0.1|1"));
	assert_int_equal(rename(away, w->path), 0);
	world_until(w, !*world_health(w));
	world_write(w, "web.yaml", WEB("10.0.0.2:1"));
	world_until(w, has_host(w, "web|10.0.0.2|1"));
}

static void a_folder_that_comes_later_is_waited_for(void **state)
{
	struct world *w = *state;

	assert_int_equal(rmdir(w->path), 0);
	world_start(w, NULL);
	assert_false(world_source(w)->synced);
	assert_string_equal(world_health(w), "cannot read DIR: No such file or directory");
	assert_int_equal(mkdir(w->path, 0755), 0);
	world_until(w, world_source(w)->synced);
	assert_string_equal(world_health(w), "");
	world_write(w, "web.yaml", WEB("10.0.0.1:1"));
	world_until(w, has_host(w, "web|10.0.0.1|1"));
}

static void the_folder_may_be_a_link_that_is_swapped(void **state)
{
	struct world *w = *state;
	char one[128], two[128], link[128], file[160];

	snprintf(one, sizeof(one), "%s/one", w->dir);
	snprintf(two, sizeof(two), "%s/two", w->dir);
	snprintf(link, sizeof(link), "%s/link", w->dir);
	assert_int_equal(rmdir(w->path), 0);
	assert_int_equal(mkdir(one, 0755) | mkdir(two, 0755) | symlink("one", w->path), 0);
	world_write(w, "web.yaml", WEB("10.0.0.1:1"));
	world_start(w, NULL);
	assert_true(has_host(w, "web|10.0.0.1|1"));
	snprintf(file, sizeof(file), "../two/web.yaml");
	world_write(w, file, WEB("10.0.0.2:1"));
	assert_int_equal(symlink("two", link) | rename(link, w->path), 0);
	world_until(w, has_host(w, "web|10.0.0.2|1"));
	world_write(w, "web.yaml", WEB("10.0.0.3:1"));
	world_until(w, has_host(w, "web|10.0.0.3|1"));
}

static void a_link_to_elsewhere_is_followed(void **state)
{
	struct world *w = *state;

	world_write(w, "../real", WEB("10.0.0.1:1"));
	assert_int_equal(symlink("../real", world_file(w, "web.yaml")), 0);
	world_start(w, NULL);
	assert_true(has_host(w, "web|10.0.0.1|1"));
	world_write(w, "../real", WEB("10.0.0.2:1"));
	world_until(w, has_host(w, "web|10.0.0.2|1"));
	world_rename(w, "../real", WEB("10.0.0.3:1"));
	world_until(w, has_host(w, "web|10.0.0.3|1"));
	world_write(w, "../real", WEB("10.0.0.4:1"));
	world_until(w, has_host(w, "web|10.0.0.4|1"));
}

static void one_file_may_be_the_whole_registry(void **state)
{
	struct world *w = *state;

	strcat(w->path, "/one.conf");
	world_write(w, "", WEB("10.0.0.1:1"));
	world_start(w, NULL);
	assert_true(has_host(w, "web|10.0.0.1|1"));
	world_write(w, "", WEB("10.0.0.2:1"));
	world_until(w, has_host(w, "web|10.0.0.2|1"));
	world_rename(w, "", WEB("10.0.0.3:1"));
	world_until(w, has_host(w, "web|10.0.0.3|1"));
	*strrchr(w->path, '/') = 0;
	world_write(w, "other.yaml", CLUSTER("other", "10.0.0.1:1"));
	strcat(w->path, "/one.conf");
	world_settle(w);
	assert_false(world_has(w, FACT_CLUSTER, "other"));
	assert_int_equal(unlink(world_file(w, "")), 0);
	world_until(w, *world_health(w));
	assert_string_equal(world_health(w), "cannot read DIR: No such file or directory");
	assert_true(has_host(w, "web|10.0.0.3|1"));
	world_write(w, "", WEB("10.0.0.4:1"));
	world_until(w, has_host(w, "web|10.0.0.4|1"));
	assert_string_equal(world_health(w), "");
}

/* ---- bad files ---------------------------------------------------------------------------------------------- */

static void a_bad_file_keeps_what_it_gave_and_stops_nobody(void **state)
{
	struct world *w = *state;

	world_write(w, "web.yaml", WEB("10.0.0.1:1"));
	world_start(w, NULL);
	world_rename(w, "web.yaml", "services:\n- {name: web, adresses: [10.96.0.1], ports: [{port: 80}], cluster: web}\n");
	world_rename(w, "more.yaml", CLUSTER("more", "10.0.0.2:1"));
	world_until(w, has_host(w, "more|10.0.0.2|1"));
	assert_true(has_host(w, "web|10.0.0.1|1"));
	assert_string_equal(world_health(w), "DIR/web.yaml:2: services[0].adresses: no such field, did you mean addresses? "
					     "(and 1 more)");
	assert_true(world_source(w)->health < 0);
	/* Others go on while it stays so. */
	world_rename(w, "more.yaml", CLUSTER("more", "10.0.0.3:1"));
	world_until(w, has_host(w, "more|10.0.0.3|1"));
	assert_true(has_host(w, "web|10.0.0.1|1"));
	assert_non_null(strstr(world_health(w), "adresses"));
	/* What was there before is no change, but the file is well again. */
	world_rename(w, "web.yaml", WEB("10.0.0.1:1"));
	world_until(w, !*world_health(w));
	assert_true(has_host(w, "web|10.0.0.1|1"));
}

static void every_kind_of_bad_file_is_named(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "services:\n- {name: s, addresses: [10.0.0.1], cluster: more}\n",
		  "DIR/x.yaml:2: services[0]: ports is missing" },
		{ "services:\n- {name: s, addresses: [10.0.0.1], ports: [{port: 70000}], cluster: more}\n",
		  "DIR/x.yaml:2: services[0].ports[0].port: 70000 is out of range, want a whole number from 1 to 65535" },
		{ "a: 1\n\tb: 2\n", "DIR/x.yaml:2: not YAML: a tab indents this line, want spaces" },
		{ "clusters: []\nclusters: []\n", "DIR/x.yaml:2: \"clusters\" is given twice, first in line 1" },
		{ "workers: 1\n",
		  "DIR/x.yaml:1: workers: no such field, want one of: services, clusters, routes, listeners, workloads" },
		{ "- a\n", "DIR/x.yaml:1: want a mapping: services, clusters, routes, listeners, workloads, or a Kubernetes object" },
		{ "clusters: []\n---\nbad\n",
		  "DIR/x.yaml:3: want a mapping: services, clusters, routes, listeners, workloads, or a Kubernetes object" },
		{ "\xff\xff\xff", "DIR/x.yaml:1: not text: invalid leading UTF-8 octet (byte 0), want UTF-8" },
	};
	struct world *w = *state;

	world_write(w, "more.yaml", CLUSTER("more", "10.0.0.2:1"));
	world_start(w, NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		world_rename(w, "x.yaml", bad[i].text);
		world_until(w, !strcmp(world_health(w), bad[i].says));
	}
	world_remove(w, "x.yaml");
	world_until(w, !*world_health(w));
	assert_true(has_host(w, "more|10.0.0.2|1"));
}

static void what_is_no_file_is_named(void **state)
{
	struct world *w = *state;

	assert_int_equal(mkdir(world_file(w, "a.yaml"), 0755), 0);
	world_write(w, "more.yaml", CLUSTER("more", "10.0.0.2:1"));
	world_start(w, NULL);
	assert_true(has_host(w, "more|10.0.0.2|1"));
	assert_string_equal(world_health(w), "DIR/a.yaml: not a regular file");
	assert_true(world_source(w)->synced);
	assert_int_equal(rmdir(world_file(w, "a.yaml")), 0);
	world_until(w, !*world_health(w));
	assert_int_equal(symlink("/nowhere/x", world_file(w, "b.yaml")), 0);
	world_until(w, *world_health(w));
	assert_string_equal(world_health(w), "cannot open DIR/b.yaml: No such file or directory");
	assert_int_equal(mkfifo(world_file(w, "c.yaml"), 0600), 0);
	world_until(w, strstr(world_health(w), "c.yaml"));
	assert_string_equal(world_health(w), "cannot open DIR/b.yaml: No such file or directory; DIR/c.yaml: not a regular file");
}

static void an_unreadable_file_is_named(void **state)
{
	struct world *w = *state;
	bool root = !geteuid();

	assert_int_equal(chmod(w->dir, 0755), 0);
	world_write(w, "web.yaml", WEB("10.0.0.1:1"));
	world_start(w, NULL);
	assert_int_equal(chmod(world_file(w, "web.yaml"), 0), 0);
	/* Root would read it all the same. */
	assert_int_equal(root ? seteuid(65534) : 0, 0);
	world_until(w, *world_health(w));
	assert_int_equal(root ? seteuid(0) : 0, 0);
	assert_string_equal(world_health(w), "cannot open DIR/web.yaml: Permission denied");
	assert_true(has_host(w, "web|10.0.0.1|1"));
	assert_int_equal(chmod(world_file(w, "web.yaml"), 0644), 0);
	world_until(w, !*world_health(w));
	world_write(w, "web.yaml", WEB("10.0.0.2:1"));
	world_until(w, has_host(w, "web|10.0.0.2|1"));
}

/* ---- refused facts ------------------------------------------------------------------------------------------ */

static void names_are_found_across_files(void **state)
{
	struct world *w = *state;

	world_write(w, "a.yaml", SERVICE("web", "10.96.0.1", "web"));
	world_write(w, "b.yaml", CLUSTER("web", "10.0.0.1:1"));
	world_start(w, NULL);
	assert_true(world_has(w, FACT_SERVICE, "web"));
	assert_string_equal(world_health(w), "");
}

static void a_dangling_name_keeps_its_file_back_alone(void **state)
{
	struct world *w = *state;

	world_write(w, "a.yaml", SERVICE("web", "10.96.0.1", "web"));
	world_write(w, "c.yaml", CLUSTER("other", "10.0.0.1:1"));
	world_start(w, NULL);
	assert_false(world_has(w, FACT_SERVICE, "web"));
	assert_true(world_has(w, FACT_CLUSTER, "other"));
	assert_string_equal(world_health(w), "DIR/a.yaml:2: service web: ports[0].cluster: no cluster \"web\": nobody has "
			    "given one of that name");
	/* What it lacked comes. */
	world_rename(w, "b.yaml", CLUSTER("web", "10.0.0.1:1"));
	world_until(w, world_has(w, FACT_SERVICE, "web"));
	assert_string_equal(world_health(w), "");
	assert_string_equal(world_refusal(w), "");
	/* And cannot go again while it is needed. */
	world_remove(w, "b.yaml");
	world_until(w, *world_health(w));
	assert_non_null(strstr(world_health(w), "DIR/b.yaml:2: cluster web: cannot be deleted: service web"));
	assert_true(has_host(w, "web|10.0.0.1|1"));
	world_remove(w, "a.yaml");
	world_until(w, !world_has(w, FACT_CLUSTER, "web"));
	assert_false(world_has(w, FACT_SERVICE, "web"));
	assert_string_equal(world_health(w), "");
}

static void another_registry_may_bring_what_was_missing(void **state)
{
	struct world *w = *state;
	struct hub_source other;
	struct fact *f;

	world_write(w, "a.yaml", SERVICE("web", "10.96.0.1", "web"));
	world_write(w, "b.yaml", SERVICE("bad", "10.96.0.2", "nowhere"));
	world_write(w, "c.yaml", CLUSTER("good", "10.0.0.1:1"));
	world_start(w, NULL);
	assert_true(world_has(w, FACT_CLUSTER, "good"));
	assert_false(world_has(w, FACT_SERVICE, "web"));
	hub_add(&w->hub, &other, "other", "fake", NULL);
	for (int i = 0; i < 2; i++) {
		f = fact_new(FACT_CLUSTER, i ? SLICE_LIT("nowhere") : SLICE_LIT("web"), NULL);
		hub_sink.begin(&other);
		hub_sink.put(&other, f);
		hub_sink.commit(&other, i + 1);
	}
	assert_true(world_has(w, FACT_SERVICE, "web"));
	assert_true(world_has(w, FACT_SERVICE, "bad"));
	assert_string_equal(world_health(w), "");
	/* What was taken then is known: it goes with its file. */
	world_remove(w, "a.yaml");
	world_until(w, !world_has(w, FACT_SERVICE, "web"));
	hub_remove(&other);
}

static void a_file_that_went_bad_is_not_taken_later(void **state)
{
	struct world *w = *state;
	struct hub_source other;

	world_write(w, "a.yaml", SERVICE("web", "10.96.0.1", "web"));
	world_start(w, NULL);
	world_rename(w, "a.yaml", "services: [\n");
	world_until(w, strstr(world_health(w), "not YAML"));
	hub_add(&w->hub, &other, "other", "fake", NULL);
	hub_sink.begin(&other);
	hub_sink.put(&other, fact_new(FACT_CLUSTER, SLICE_LIT("web"), NULL));
	hub_sink.commit(&other, 1);
	assert_false(world_has(w, FACT_SERVICE, "web"));
	hub_remove(&other);
}

static void an_address_belongs_to_one_service(void **state)
{
	struct world *w = *state;

	world_write(w, "a.yaml", WEB("10.0.0.1:1"));
	world_start(w, NULL);
	world_rename(w, "b.yaml", SERVICE("copy", "10.96.0.1", "web"));
	world_until(w, *world_health(w));
	assert_string_equal(world_health(w), "DIR/b.yaml:2: service copy: address 10.96.0.1 port 80 TCP is that of service web "
					     "(files DIR/a.yaml:2) already");
	assert_true(world_has(w, FACT_SERVICE, "web"));
}

static void what_the_configuration_gives_is_not_overwritten(void **state)
{
	struct world *w = *state;

	world_write(w, "a.yaml", CLUSTER("web", "10.0.0.1:1"));
	world_write(w, "b.yaml", CLUSTER("more", "10.0.0.1:1"));
	world_start(w, CLUSTER("web", "10.0.0.9:1"));
	assert_true(has_host(w, "web|10.0.0.9|1"));
	assert_false(has_host(w, "web|10.0.0.1|1"));
	assert_true(world_has(w, FACT_CLUSTER, "more"));
	assert_non_null(strstr(world_health(w), "DIR/a.yaml:2: cluster web: given by another registry already"));
}

static void two_files_may_not_give_the_same(void **state)
{
	struct world *w = *state;

	world_write(w, "a.yaml", WEB("10.0.0.1:1"));
	world_start(w, NULL);
	world_rename(w, "b.yaml", CLUSTER("web", "10.0.0.2:1") "- {name: more}\n");
	world_until(w, *world_health(w));
	assert_string_equal(world_health(w), "DIR/b.yaml:2: cluster web is given by DIR/a.yaml already");
	assert_false(has_host(w, "web|10.0.0.2|1"));
	assert_false(world_has(w, FACT_CLUSTER, "more"));
	/* The first one goes, so the second one may have it. */
	world_rename(w, "a.yaml", SERVICE("web", "10.96.0.1", "web"));
	world_until(w, has_host(w, "web|10.0.0.2|1"));
	assert_string_equal(world_health(w), "");
	assert_false(has_host(w, "web|10.0.0.1|1"));
	/* Twice in the documents of one file is no better. */
	world_rename(w, "c.yaml", "clusters: [{name: x}]\n---\nclusters: [{name: x}]\n");
	world_until(w, *world_health(w));
	assert_string_equal(world_health(w), "DIR/c.yaml:3: cluster x is given by DIR/c.yaml already");
}

static void facts_may_move_between_files(void **state)
{
	struct world *w = *state;
	uint32_t slot;

	world_write(w, "a.yaml", WEB("10.0.0.1:1"));
	world_start(w, NULL);
	world_count(w, FACT_SERVICE);
	slot = world_fact(w, FACT_HOST, "web|10.0.0.1|1")->slot;
	/* Both ways of the alphabet, since one is looked at first. */
	assert_int_equal(rename(world_file(w, "a.yaml"), world_file(w, "b.yaml")), 0);
	world_settle(w);
	assert_int_equal(world_source(w)->taken, 2);
	assert_int_equal(world_fact(w, FACT_HOST, "web|10.0.0.1|1")->slot, slot);
	assert_int_equal(rename(world_file(w, "b.yaml"), world_file(w, "a.yaml")), 0);
	world_settle(w);
	assert_string_equal(world_health(w), "");
	assert_int_equal(world_fact(w, FACT_HOST, "web|10.0.0.1|1")->slot, slot);
	assert_true(world_has(w, FACT_SERVICE, "web"));
	world_remove(w, "a.yaml");
	world_until(w, !world_has(w, FACT_SERVICE, "web"));
}

static void a_stopped_registry_leaves_no_watch(void **state)
{
	struct world *w = *state;

	world_write(w, "a.yaml", WEB("10.0.0.1:1"));
	world_start(w, NULL);
	world_rename(w, "a.yaml", WEB("10.0.0.2:1"));
	world_stop(w);
	world_settle(w);
	assert_true(has_host(w, "web|10.0.0.1|1"));
	assert_false(has_host(w, "web|10.0.0.2|1"));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		CASE(what_is_there_at_the_start_is_read),
		CASE(an_empty_folder_is_a_state_too),
		CASE(a_file_may_be_written_moved_in_and_removed),
		CASE(a_change_is_taken_within_milliseconds),
		CASE(a_burst_is_one_transaction),
		CASE(nothing_new_is_nothing_done),
		CASE(time_stamps_are_not_trusted_alone),
		CASE(half_a_file_is_not_read),
		CASE(lost_events_are_made_up_for),
		CASE(a_config_map_is_swapped_as_a_whole),
		CASE(the_folder_may_be_replaced),
		CASE(a_missing_folder_keeps_what_it_gave),
		CASE(a_folder_that_comes_later_is_waited_for),
		CASE(the_folder_may_be_a_link_that_is_swapped),
		CASE(a_link_to_elsewhere_is_followed),
		CASE(one_file_may_be_the_whole_registry),
		CASE(a_bad_file_keeps_what_it_gave_and_stops_nobody),
		CASE(every_kind_of_bad_file_is_named),
		CASE(what_is_no_file_is_named),
		CASE(an_unreadable_file_is_named),
		CASE(names_are_found_across_files),
		CASE(a_dangling_name_keeps_its_file_back_alone),
		CASE(another_registry_may_bring_what_was_missing),
		CASE(a_file_that_went_bad_is_not_taken_later),
		CASE(an_address_belongs_to_one_service),
		CASE(what_the_configuration_gives_is_not_overwritten),
		CASE(two_files_may_not_give_the_same),
		CASE(facts_may_move_between_files),
		CASE(a_stopped_registry_leaves_no_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
