/* SPDX-License-Identifier: Apache-2.0 */
/* 10,000 services of 10 backends each: what a start, a restart and one changed endpoint cost, in CPU time. */
#include "env.h"
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "kern/read.h"

#define SERVICES 10000
#define HOSTS 10

static void fill(void)
{
	struct kit *k = &env()->kit;

	for (int i = 0; i < SERVICES; i++) {
		char name[32], vip[32];

		snprintf(name, sizeof(name), "svc-%d", i);
		snprintf(vip, sizeof(vip), "10.96.%d.%d", i / 250, i % 250 + 1);
		kit_cluster(k, name, LB_POLICY_LEAST_REQUEST, LOCALITY_ANY);
		for (int h = 0; h < HOSTS; h++) {
			char ip[32];

			snprintf(ip, sizeof(ip), "10.%d.%d.%d", 100 + h, i / 250, i % 250 + 1);
			kit_host(k, name, &(struct kit_host)HOST(ip, 8080, 1));
		}
		kit_service(k, &(struct kit_service){ .name = name, .cluster = name, .addrs = { vip }, .port = 80 });
	}
	assert_true(kit_commit(k));
}

static uint64_t rss(void)
{
	unsigned long size, pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_true(f && fscanf(f, "%lu %lu", &size, &pages) == 2);
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Of this process's own work: the machine may be busy with something else. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec;
}

static double ms(uint64_t from)
{
	return (double)(cpu_ns() - from) / 1e6;
}

static bool add_bytes(void *arg, const struct read_map *m)
{
	printf("  %-14s %-14s %8u entries %10llu bytes\n", m->name, m->type, m->max_entries, (unsigned long long)m->bytes);
	*(uint64_t *)arg += m->bytes;
	return true;
}

static void ten_thousand_services(void **state)
{
	(void)state;
	struct kern_status s;
	uint64_t maps = 0, t, before;

	env()->conf.maps = (struct kern_sizes){ 0 };
	before = rss();
	fill();
	printf("model: %.1f MB\n", (double)(rss() - before) / 1e6);
	before = rss();
	t = cpu_ns();
	env_open();
	printf("open: %.1f ms\n", ms(t));
	uint64_t first = cpu_ns();

	assert_int_equal(kern_sync(env()->kern, env()->kit.snap, NULL, NULL), 0);
	printf("first sync: %.1f ms, kern: %.1f MB\n", ms(first), (double)(rss() - before) / 1e6);
	assert_true(ms(t) < 1000);
	assert_int_equal(env_stat("services"), SERVICES);
	assert_int_equal(env_stat("backends"), SERVICES * HOSTS);
	kern_status(env()->kern, &s);
	assert_null(s.degraded);
	read_maps(env()->kern, add_bytes, &maps);
	printf("maps: %.1f MB\n", (double)maps / 1e6);
	assert_true(maps < 120000000);

	uint64_t writes = env_stat("writes");

	kit_host(&env()->kit, "svc-77", &(struct kit_host)HOST("10.1.1.1", 8080, 1));
	t = cpu_ns();
	env_sync();
	printf("one endpoint added: %.2f ms\n", ms(t));
	assert_int_equal(env_stat("writes") - writes, 2);
	kit_host_del(&env()->kit, "svc-77", "10.1.1.1", 8080);
	t = cpu_ns();
	env_sync();
	printf("one endpoint removed: %.2f ms and a grace period\n", ms(t));
	assert_int_equal(env_stat("writes") - writes, 4);

	env_close();
	t = cpu_ns();
	env_open();
	assert_int_equal(kern_sync(env()->kern, env()->kit.snap, NULL, NULL), 0);
	printf("restart: %.1f ms\n", ms(t));
	assert_int_equal(env_stat("writes"), 0);
	assert_true(ms(t) < 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(ten_thousand_services, env_clean),
	};

	return cmocka_run_group_tests(tests, env_setup, env_teardown);
}
