// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <unistd.h>
#include "agent/hub.h"
#include "base/log_sink.h"
#include "weft/str.h"

static unsigned verdicts, refusals, changes;

static void on_verdict(struct registry *r, const struct registry_verdict *v)
{
	(void)r;
	verdicts++;
	refusals += v->snapshot == 0;
}

static void on_changed(void *arg)
{
	(void)arg;
	changes++;
}

static const struct registry_ops ops = { .name = "fake", .verdict = on_verdict };

struct fixture {
	struct store *store;
	struct hub hub;
	struct registry ra, rb;
	struct hub_source a, b;
};

static int setup(void **state)
{
	static struct fixture f;

	verdicts = refusals = changes = 0;
	f = (struct fixture){ .store = store_new(), .ra.ops = &ops, .rb.ops = &ops };
	hub_init(&f.hub, f.store, on_changed, NULL);
	hub_add(&f.hub, &f.a, "a", "fake", &f.ra);
	hub_add(&f.hub, &f.b, "b", "fake", &f.rb);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	hub_fini(&f->hub);
	store_free(f->store);
	return 0;
}

static void put_cluster(struct hub_source *s, const char *name)
{
	struct fact_mark m = { slice_str(s->name), SLICE_LIT("c.yaml"), 3 };

	hub_sink.put(s, fact_new(FACT_CLUSTER, slice_str(name), &m));
}

static void put_service(struct hub_source *s, const char *name, const char *cluster)
{
	struct fact_mark m = { slice_str(s->name), SLICE_LIT("s.yaml"), 7 };
	struct fact *f = fact_new(FACT_SERVICE, slice_str(name), &m);
	struct service_fact *v = (struct service_fact *)f;
	struct service_port *p = fact_alloc(f, sizeof(*p));
	struct ip *ip = fact_alloc(f, sizeof(*ip));

	ip_parse(SLICE_LIT("10.96.0.10"), ip);
	*p = (struct service_port){ .port = 80, .proto = IPPROTO_TCP, .cluster = fact_slice(f, slice_str(cluster)) };
	v->addrs = ip;
	v->naddrs = 1;
	v->ports = p;
	v->nports = 1;
	hub_sink.put(s, f);
}

static void commit_service(struct hub_source *s, const char *cluster, uint64_t version)
{
	hub_sink.begin(s);
	put_service(s, "web", cluster);
	hub_sink.commit(s, version);
}

static void test_taken(void **state)
{
	struct fixture *f = *state;

	hub_sink.begin(&f->a);
	put_cluster(&f->a, "web");
	put_service(&f->a, "web", "web");
	hub_sink.commit(&f->a, 4);
	assert_int_equal(f->a.taken, 1);
	assert_int_equal(f->a.version, 4);
	assert_int_equal(changes, 1);
	assert_int_equal(verdicts, 1);
	assert_int_equal(refusals, 0);
	assert_non_null(store_fact(f->store, FACT_SERVICE, SLICE_LIT("web")));
}

static void test_refused_says_where_and_what(void **state)
{
	struct fixture *f = *state;

	commit_service(&f->a, "nowhere", 1);
	assert_int_equal(f->a.refused, 1);
	assert_int_equal(refusals, 1);
	assert_int_equal(changes, 0);
	assert_non_null(strstr(f->a.refusal_words, "s.yaml:7"));
	assert_non_null(strstr(f->a.refusal_words, "nowhere"));
	assert_null(store_fact(f->store, FACT_SERVICE, SLICE_LIT("web")));
	assert_int_equal(stat_get(&f->hub.stat.sources_unwell), 1);
	assert_int_equal(stat_get(&f->hub.stat.pending), 1);
}

static void test_refused_is_taken_when_another_brings_what_it_lacks(void **state)
{
	struct fixture *f = *state;

	commit_service(&f->a, "late", 9);
	assert_int_equal(f->a.refused, 1);
	hub_sink.begin(&f->b);
	put_cluster(&f->b, "late");
	hub_sink.commit(&f->b, 1);
	assert_int_equal(f->a.taken, 1);
	assert_int_equal(f->a.version, 9);
	assert_null(f->a.refusal_words);
	assert_int_equal(stat_get(&f->hub.stat.pending), 0);
	assert_int_equal(stat_get(&f->hub.stat.sources_unwell), 0);
	assert_non_null(store_fact(f->store, FACT_SERVICE, SLICE_LIT("web")));
}

static void test_a_newer_transaction_replaces_the_refused_one(void **state)
{
	struct fixture *f = *state;

	commit_service(&f->a, "nowhere", 1);
	hub_sink.begin(&f->a);
	put_cluster(&f->a, "here");
	put_service(&f->a, "web", "here");
	hub_sink.commit(&f->a, 2);
	assert_int_equal(f->a.version, 2);
	assert_int_equal(stat_get(&f->hub.stat.pending), 0);
	/* The first one must not come back when somebody else commits. */
	hub_sink.begin(&f->b);
	put_cluster(&f->b, "nowhere");
	hub_sink.commit(&f->b, 1);
	assert_int_equal(f->a.taken, 1);
	assert_true(slice_eq_str(((const struct service_fact *)store_fact(f->store, FACT_SERVICE, SLICE_LIT("web")))->ports->cluster,
				 "here"));
}

static void test_health(void **state)
{
	struct fixture *f = *state;
	char words[128];
	bool synced;

	hub_health(&f->hub, &synced, words, sizeof(words));
	assert_false(synced);
	assert_string_equal(words, "a: waiting for its first full state");
	hub_sink.synced(&f->a);
	hub_sink.synced(&f->b);
	assert_string_equal(hub_health(&f->hub, &synced, words, sizeof(words)), "");
	assert_true(synced);
	hub_sink.health(&f->b, -EACCES, "cannot read x.yaml");
	assert_string_equal(hub_health(&f->hub, &synced, words, sizeof(words)), "b: cannot read x.yaml");
	hub_sink.health(&f->b, 0, "");
	assert_string_equal(hub_health(&f->hub, &synced, words, sizeof(words)), "");
}

/* What is wrong with a source is one line in the log each time it changes. */
static void test_health_is_logged(void **state)
{
	struct fixture *f = *state;
	int fd = memfd_create("log", 0);
	char log[4096] = { 0 };
	unsigned lines = 0;

	log_open(fd);
	hub_sink.health(&f->a, -EINVAL, "a.yaml:3: no such field");
	hub_sink.health(&f->a, -EINVAL, "a.yaml:3: no such field");
	hub_sink.health(&f->a, -EINVAL, "a.yaml:4: want a number");
	hub_sink.health(&f->a, 0, "");
	hub_sink.health(&f->a, 0, "");
	log_open(STDERR_FILENO);
	assert_in_range(pread(fd, log, sizeof(log) - 1, 0), 1, sizeof(log) - 1);
	close(fd);
	for (const char *p = log; *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 3);
	assert_non_null(strstr(log, "error a: a.yaml:3: no such field\n"));
	assert_non_null(strstr(log, "error a: a.yaml:4: want a number\n"));
	assert_non_null(strstr(log, "info  a: well again\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_says_where_and_what, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_is_taken_when_another_brings_what_it_lacks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_newer_transaction_replaces_the_refused_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_health, setup, teardown),
		cmocka_unit_test_setup_teardown(test_health_is_logged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
