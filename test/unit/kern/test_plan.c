/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random sequences of snapshots, planned by their differences and written one entry at a time into memory, with readers
 * at every instant (sim.c); then the whole compared with what the snapshot says, worked out here in another way.
 */
#include "kit.h"
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "kern/pick.h"
#include "sim.h"

static enum kern_served proxy_serves(void *arg, const struct service_fact *f, const struct service_port *p)
{
	(void)arg;
	assert_true(f->nroutes > 0);
	return p->port % 2 ? KERN_SERVED_YES : KERN_SERVED_NO;
}

static const struct plan_served served = { proxy_serves, NULL };

static const struct kern_sizes small = { .frontends = 64, .services = 64, .backends = 256, .slots = 256 * TABLE_ROW };

struct world {
	struct kit kit;
	struct sim sim;
	struct kern_state st;
	struct kern_sizes max;
	struct plan_count last;
};

static void world_init(struct world *w, const struct kern_sizes *max, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->max = *max;
	kit_init(&w->kit);
	sim_init(&w->sim, max->slots, seed);
	state_init(&w->st, max, w->sim.table, 1);
}

static void world_fini(struct world *w)
{
	state_fini(&w->st);
	sim_fini(&w->sim);
	kit_fini(&w->kit);
}

static void run(struct world *w, struct plan *p)
{
	struct plan_ops ops = sim_ops(&w->sim);

	plan_run(p, &ops, &w->sim);
	w->last = p->count;
	plan_fini(p);
	/* Nobody holds connections here, so slots of backends need no rest. */
	for (size_t i = 0; i < w->st.resting.n; i++)
		cells_give(&w->st.backend_slots, w->st.resting.v[i]);
	vec_clear(&w->st.resting);
}

static void sync_all(struct world *w)
{
	struct plan p;

	plan_all(&p, &w->st, w->kit.snap, served);
	run(w, &p);
}

static void sync_stale(struct world *w)
{
	struct plan p;

	plan_stale(&p, &w->st, w->kit.snap, served);
	run(w, &p);
}

static void sync_diff(struct world *w)
{
	struct plan p;
	struct diff d;

	diff_init(&d, w->kit.prev, w->kit.snap);
	plan_diff(&p, &w->st, w->kit.snap, &d, served);
	run(w, &p);
	diff_fini(&d);
}

static void restart(struct world *w)
{
	uint32_t next_id = w->st.next_id;

	state_fini(&w->st);
	state_init(&w->st, &w->max, w->sim.table, next_id);
	sim_forget(&w->sim);                            /* the first thing an agent waits for */
	sim_adopt(&w->sim, &w->st);
}

/* ---- what should be there ---------------------------------------------------------------------------------- */

static bool wants_slot(const struct host *h)
{
	return h->state == HOST_READY && h->weight;
}

/* Share of one address and port in the table of a service with cluster cl, by definition. -1: it takes none. */
static double share(const struct snapshot *s, const struct cluster *cl, const struct service_port *sp, uint8_t family,
		    const struct backend *b)
{
	const struct node *n = (const void *)snapshot_fact(s, FACT_NODE, slice_str(""));
	uint32_t best = UINT32_MAX;
	bool zone = false;
	double sum = 0, mine = 0;

	for (size_t i = 0; i < cl->nhosts; i++)
		if (pick_family(&cl->hosts[i]->ip) == family && wants_slot(cl->hosts[i]) && cl->hosts[i]->priority < best)
			best = cl->hosts[i]->priority;
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < cl->nhosts; i++) {
			const struct host *h = cl->hosts[i];
			bool here = n && cl->conf->prefer == LOCALITY_ZONE && n->locality->zone.n &&
				    slice_eq(n->locality->zone, h->locality->zone) &&
				    slice_eq(n->locality->region, h->locality->region);
			uint16_t port = sp->target ? sp->target : h->port ? h->port : sp->port;

			if (pick_family(&h->ip) != family || !wants_slot(h) || h->priority != best)
				continue;
			if (!pass) {
				zone |= here;
				continue;
			}
			if (zone && !here)
				continue;
			sum += h->weight;
			if (!memcmp(h->ip.b, b->addr.b, 16) && htons(port) == b->port)
				mine += h->weight;
		}
	}
	return sum ? mine / sum : 0;
}

static bool anybody(const struct cluster *cl, uint8_t family)
{
	for (size_t i = 0; i < cl->nhosts; i++)
		if (pick_family(&cl->hosts[i]->ip) == family && wants_slot(cl->hosts[i]))
			return cl->conf->lb != LB_POLICY_ORIGINAL_DESTINATION;
	return false;
}

static void check_port(struct world *w, const struct service_fact *f, const struct service_port *sp, const struct ip *ip)
{
	struct frontend_key k = { .port = htons(sp->port), .proto = sp->proto };
	const struct cluster *cl = snapshot_cluster(w->kit.snap, sp->cluster);
	uint8_t family = pick_family(ip);

	memcpy(k.addr.b, ip->b, 16);
	const struct service *v = sim_lookup(&w->sim, &k);

	assert_non_null(v);
	assert_int_equal(!!(v->flags & SERVICE_L7), !!f->nroutes);
	assert_int_equal(!!(v->flags & SERVICE_FAIL_CLOSED), f->nroutes && f->fail == FAIL_CLOSED);
	assert_int_equal(v->affinity_s, f->affinity_s);
	assert_int_equal(v->served, f->nroutes && sp->port % 2);
	assert_int_equal(!!v->n, anybody(cl, family));
	double sum = 0;
	const uint32_t *slot = w->sim.table + v->off;

	for (uint32_t i = 0; i < v->n; i++) {
		uint32_t same = 0;

		for (uint32_t j = 0; j < v->n; j++)
			same += slot[j] == slot[i];
		const struct backend *b = sim_backend(&w->sim, slot[i]);
		double want = share(w->kit.snap, cl, sp, family, b);

		assert_true(want > 0 && fabs(want - (double)same / v->n) < 0.01);
		assert_int_equal(b->state, BACKEND_ACTIVE);
		sum += want / same;
	}
	assert_true(!v->n || fabs(sum - 1) < 1e-6);     /* nobody is missing */
}

static void check_all(struct world *w)
{
	struct fact_set all = snapshot_facts(w->kit.snap, FACT_SERVICE);
	size_t fronts = 0, rows = 0;

	for (size_t i = 0; i < all.n; i++) {
		const struct service_fact *f = (const void *)all.v[i];

		for (size_t j = 0; j < f->nports; j++)
			for (size_t a = 0; a < f->naddrs; a++, fronts++)
				check_port(w, f, &f->ports[j], &f->addrs[a]);
	}
	assert_int_equal(w->sim.front.n, fronts);
	for (struct table_entry *e = table_next(&w->sim.service, NULL); e; e = table_next(&w->sim.service, e))
		rows += state_rows(((struct service *)e->value)->n);
	assert_int_equal(w->st.range.used, rows + w->st.retired_rows);
	assert_int_equal(w->sim.service.n, w->st.nwritten);
	assert_int_equal(w->sim.backend.n, w->st.backs.n);
	assert_int_equal(w->sim.front.n, w->st.nfronts);
	assert_int_equal(w->st.nstale, 0);
	assert_true(list_empty(&w->st.loose));
}

/* ---- random worlds ----------------------------------------------------------------------------------------- */

static const char *const ips[] = { "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "2001:db8::1", "2001:db8::2" };
static const char *const vips[] = { "10.96.0.1", "10.96.0.2", "10.96.0.3", "fd00::1", "fd00::2" };
static const char *const clusters[] = { "a", "b", "c" };
static const char *const services[] = { "s1", "s2", "s3", "s4" };
#define ONE_OF(r, a) (a)[rand_below(r, sizeof(a) / sizeof((a)[0]))]

static void change_host(struct world *w, struct rand *r)
{
	const char *c = ONE_OF(r, clusters), *ip = ONE_OF(r, ips);
	uint16_t port = (uint16_t)rand_below(r, 2) * 8080;

	if (rand_below(r, 3) == 0)
		kit_host_del(&w->kit, c, ip, port);
	else
		kit_host(&w->kit, c,
			 &(struct kit_host)HOST(ip, port, rand_below(r, 4) ? 1 + rand_below(r, 3) : 0,
						.state = rand_below(r, 5) == 0, PRIO(rand_below(r, 6) == 0),
						IN("r1", rand_below(r, 2) ? "z1" : "z2")));
}

static void change_service(struct world *w, struct rand *r)
{
	const char *name = ONE_OF(r, services);
	struct kit_service s = { .name = name, .cluster = ONE_OF(r, clusters), .port = rand_below(r, 2) ? 80 : 81,
				 .target = rand_below(r, 3) ? 0 : 9090, .proto = rand_below(r, 3) ? IPPROTO_TCP : IPPROTO_UDP,
				 .affinity_s = rand_below(r, 2) * 60, .route = rand_below(r, 4) ? NULL : "route",
				 .fail = rand_below(r, 2) ? FAIL_OPEN : FAIL_CLOSED };
	uint32_t first = rand_below(r, 5), n = rand_below(r, 3);

	for (uint32_t i = 0; i < n; i++)
		s.addrs[i] = vips[(first + i) % 5];
	if (rand_below(r, 4) == 0)
		kit_del(&w->kit, FACT_SERVICE, name);
	else
		kit_service(&w->kit, &s);
}

static void change(struct world *w, struct rand *r)
{
	for (uint32_t n = 1 + rand_below(r, 4); n; n--) {
		uint32_t what = rand_below(r, 20);

		if (what == 0)
			kit_node(&w->kit, "r1", rand_below(r, 2) ? "z1" : "z2");
		else if (what < 3)
			kit_cluster(&w->kit, ONE_OF(r, clusters), rand_below(r, LB_POLICIES),
				    rand_below(r, 2) ? LOCALITY_ZONE : LOCALITY_ANY);
		else if (what < 13)
			change_host(w, r);
		else
			change_service(w, r);
	}
}

static void first(struct world *w)
{
	kit_route(&w->kit, "route", "a");
	for (unsigned i = 0; i < 3; i++)
		kit_cluster(&w->kit, clusters[i], i, LOCALITY_ANY);
	assert_true(kit_commit(&w->kit));
	sync_all(w);
}

/* A refused transaction (two services with one address) changes nothing; then the next one is tried. */
static bool step(struct world *w, struct rand *r)
{
	change(w, r);
	return kit_commit(&w->kit);
}

/* Random changes of worlds of these seeds, and what is done after each one that was taken. How many were. */
static uint64_t walk(uint64_t seed, uint64_t last, int steps, unsigned batch, void (*then)(struct world *w, struct rand *r))
{
	uint64_t taken = 0;

	for (; seed <= last; seed++) {
		struct world w;
		struct rand r;

		rand_seed(&r, seed);
		world_init(&w, &small, seed);
		if (batch)
			w.sim.batch = seed % 2 ? 1 : batch;
		first(&w);
		for (int i = 0; i < steps; i++) {
			if (!step(&w, &r))
				continue;
			taken++;
			then(&w, &r);
		}
		sync_all(&w);
		check_all(&w);
		assert_true(w.sim.writes > 20);
		world_fini(&w);
	}
	return taken;
}

static void diff_is_all(struct world *w, struct rand *r)
{
	(void)r;
	sync_diff(w);
	check_all(w);
	assert_int_equal(w->last.errors, 0);
	sync_all(w);                            /* the diff has left nothing to do */
	assert_int_equal(w->last.writes, 0);
}

static void in_step_after_every_write(void **state)
{
	(void)state;
	assert_true(walk(1, 60, 60, 7, diff_is_all) > 1000);
}

static void some_fail(struct world *w, struct rand *r)
{
	w->sim.fail_1_in = 2 + rand_below(r, 6);
	sync_diff(w);
	if (rand_below(r, 3) == 0)
		restart(w), sync_all(w);
	w->sim.fail_1_in = 0;
	if (rand_below(r, 2)) {
		sync_stale(w);
		sync_all(w);
		check_all(w);
	}
}

/* Any write may fail, also the grace period: readers never notice, and without failures all is well again. */
static void failures_leave_nothing_wrong(void **state)
{
	(void)state;
	walk(100, 200, 40, 5, some_fail);
}

static void restarts_behind_the_diff(struct world *w, struct rand *r)
{
	(void)r;
	sync_diff(w);
	restart(w);
	sync_all(w);
	assert_int_equal(w->last.writes, 0);
	check_all(w);
}

/* What a restarted agent finds in the maps is what it would write: same ids, no write. */
static void restart_writes_nothing(void **state)
{
	(void)state;
	walk(300, 329, 30, 0, restarts_behind_the_diff);
}

static void restarts_before_it(struct world *w, struct rand *r)
{
	(void)r;
	restart(w);
	sync_all(w);
	check_all(w);
}

/* A restart that finds another snapshot: still no lookup goes wrong, and what is the same keeps its ids. */
static void restart_into_another_snapshot(void **state)
{
	(void)state;
	walk(400, 429, 30, 0, restarts_before_it);
}

static uint32_t id_of_backend(struct world *w, const char *ip_text)
{
	struct ip ip = kit_ip(ip_text);

	for (struct table_entry *e = table_next(&w->sim.backend, NULL); e; e = table_next(&w->sim.backend, e))
		if (!memcmp(((struct backend *)e->value)->addr.b, ip.b, 16))
			return *(const uint32_t *)e->key.p;
	return 0;
}

static void web(struct world *w)
{
	kit_cluster(&w->kit, "web", LB_POLICY_ROUND_ROBIN, LOCALITY_ANY);
	kit_host(&w->kit, "web", &(struct kit_host)HOST("10.0.0.1", 8080, 1));
	kit_host(&w->kit, "web", &(struct kit_host)HOST("10.0.0.2", 8080, 1));
	kit_service(&w->kit, &(struct kit_service){ .name = "web", .cluster = "web", .addrs = { "10.96.0.1" }, .port = 80 });
	assert_true(kit_commit(&w->kit));
}

/* Also when the one with the highest id goes, and the agent is restarted in between. */
static void ids_never_come_back(void **state)
{
	(void)state;
	struct world w;

	world_init(&w, &small, 1);
	web(&w);
	sync_all(&w);
	uint32_t one = id_of_backend(&w, "10.0.0.1"), two = id_of_backend(&w, "10.0.0.2");

	assert_true(one && two && one != two);
	for (int i = 0; i < 3; i++) {
		kit_host_del(&w.kit, "web", "10.0.0.2", 8080);
		assert_true(kit_commit(&w.kit));
		sync_diff(&w);
		restart(&w);
		kit_host(&w.kit, "web", &(struct kit_host)HOST("10.0.0.2", 8080, 1));
		assert_true(kit_commit(&w.kit));
		sync_all(&w);
		uint32_t now = id_of_backend(&w, "10.0.0.2");

		assert_true(now > two);
		assert_int_equal(id_of_backend(&w, "10.0.0.1"), one);
		two = now;
	}
	world_fini(&w);
}

static void one_endpoint_costs_few_writes(void **state)
{
	(void)state;
	struct world w;

	world_init(&w, &small, 1);
	web(&w);
	for (int i = 0; i < 40; i++) {
		char name[24], ip[24];

		snprintf(name, sizeof(name), "other%d", i);
		snprintf(ip, sizeof(ip), "10.97.0.%d", i);
		kit_service(&w.kit, &(struct kit_service){ .name = name, .cluster = "web", .addrs = { ip }, .port = 80 });
	}
	assert_true(kit_commit(&w.kit));
	sync_all(&w);
	kit_cluster(&w.kit, "few", LB_POLICY_RANDOM, LOCALITY_ANY);
	kit_service(&w.kit, &(struct kit_service){ .name = "few", .cluster = "few", .addrs = { "10.98.0.1" }, .port = 80 });
	assert_true(kit_commit(&w.kit));
	sync_diff(&w);
	assert_int_equal(w.last.writes, 2);             /* service, frontend */
	kit_host(&w.kit, "few", &(struct kit_host)HOST("10.0.1.1", 1, 1));
	assert_true(kit_commit(&w.kit));
	sync_diff(&w);
	assert_int_equal(w.last.writes, 2);             /* backend, service */
	assert_int_equal(w.last.graces, 0);             /* nothing goes, nothing is waited for */
	world_fini(&w);
}

/* A service that is renamed keeps answering: its address moves by one write. */
static void address_moves_without_a_gap(void **state)
{
	(void)state;
	struct world w;

	world_init(&w, &small, 1);
	web(&w);
	sync_all(&w);
	kit_del(&w.kit, FACT_SERVICE, "web");
	kit_service(&w.kit, &(struct kit_service){ .name = "shop", .cluster = "web", .addrs = { "10.96.0.1" }, .port = 80 });
	assert_true(kit_commit(&w.kit));
	w.sim.cap_fronts = 1;                           /* so it must be overwritten, not added */
	sync_diff(&w);
	check_all(&w);
	world_fini(&w);
}

/*
 * The table is too small for all: who is left out is named, and gets in when there is room. The others can still change,
 * for a row is kept for them.
 */
static void full_table_is_said_and_cured(void **state)
{
	(void)state;
	struct kern_sizes tiny = { .frontends = 64, .services = 8, .backends = 256, .slots = 4 * TABLE_ROW };
	struct world w;

	world_init(&w, &tiny, 1);
	web(&w);
	for (int i = 0; i < 3; i++) {
		char name[] = { 'a' + (char)i, 0 }, ip[] = "10.97.0.0";

		ip[8] += (char)i;
		kit_service(&w.kit, &(struct kit_service){ .name = name, .cluster = "web", .addrs = { ip }, .port = 80 });
	}
	assert_true(kit_commit(&w.kit));
	sync_all(&w);
	assert_int_equal(w.st.nstale, 1);
	assert_int_equal(w.last.table_full, 1);
	assert_int_equal(w.sim.front.n, 3);
	assert_string_equal(container_of(w.st.stale.next, struct unit, in_stale)->stale,
			    "the balancing table is full: kernel.maps.slots");
	kit_host_del(&w.kit, "web", "10.0.0.1", 8080);
	assert_true(kit_commit(&w.kit));
	sync_diff(&w);
	for (int i = 0; i < 3; i++)
		sync_stale(&w);
	assert_int_equal(w.st.nstale, 1);
	assert_int_equal(id_of_backend(&w, "10.0.0.1"), 0);
	kit_del(&w.kit, FACT_SERVICE, "a");
	assert_true(kit_commit(&w.kit));
	sync_diff(&w);
	sync_stale(&w);
	check_all(&w);
	world_fini(&w);
}

static void more_services_than_slots(void **state)
{
	(void)state;
	struct kern_sizes tiny = { .frontends = 64, .services = 1, .backends = 2, .slots = 30 * TABLE_ROW };
	struct world w;

	world_init(&w, &tiny, 1);
	web(&w);
	kit_service(&w.kit, &(struct kit_service){ .name = "x", .cluster = "web", .addrs = { "10.97.0.1" }, .port = 80 });
	assert_true(kit_commit(&w.kit));
	sync_all(&w);
	assert_int_equal(w.st.nstale, 1);
	assert_int_equal(w.sim.service.n, 1);
	kit_del(&w.kit, FACT_SERVICE, "web");
	assert_true(kit_commit(&w.kit));
	sync_diff(&w);
	sync_stale(&w);
	check_all(&w);
	kit_host(&w.kit, "web", &(struct kit_host)HOST("10.0.0.3", 8080, 1));
	assert_true(kit_commit(&w.kit));
	sync_diff(&w);
	assert_int_equal(w.st.nstale, 1);
	assert_string_equal(container_of(w.st.stale.next, struct unit, in_stale)->stale,
			    "no slot is left for some of its backends: kernel.maps.backends");
	kit_host_del(&w.kit, "web", "10.0.0.1", 8080);
	assert_true(kit_commit(&w.kit));
	sync_diff(&w);
	sync_stale(&w);
	sync_stale(&w);
	check_all(&w);
	world_fini(&w);
}

/* New maps of another size: everything is written again, under the same ids. */
static void moving_to_new_maps_keeps_ids(void **state)
{
	(void)state;
	struct kern_sizes big = { .frontends = 128, .services = 128, .backends = 512, .slots = 512 * TABLE_ROW };
	struct world w;
	struct sim old;

	world_init(&w, &small, 1);
	web(&w);
	sync_all(&w);
	uint32_t one = id_of_backend(&w, "10.0.0.1"), gen = w.st.nwritten;

	restart(&w);
	old = w.sim;
	sim_init(&w.sim, big.slots, 2);
	w.max = big;
	state_forget_written(&w.st, &big, w.sim.table);
	sync_all(&w);
	check_all(&w);
	assert_int_equal(id_of_backend(&w, "10.0.0.1"), one);
	assert_int_equal(w.st.nwritten, gen);
	sim_fini(&old);
	world_fini(&w);
}

/* Entries that make no sense are left out, not believed. */
static void nonsense_is_not_adopted(void **state)
{
	(void)state;
	struct kern_state st;
	uint32_t *table = mem_alloc(small.slots * sizeof(*table));
	struct service ok = { .off = 0, .n = 1, .slot = 1 };
	struct frontend_key k = { .port = 80, .proto = IPPROTO_TCP };

	state_init(&st, &small, table, 1);
	assert_int_equal(state_adopt_back(&st, 0, &(struct backend){ .slot = 1 }), -EINVAL);
	assert_int_equal(state_adopt_back(&st, 1, &(struct backend){ .slot = small.backends }), -EINVAL);
	assert_int_equal(state_adopt_back(&st, 1, &(struct backend){ .slot = 1 }), 0);
	assert_int_equal(state_adopt_back(&st, 2, &(struct backend){ .slot = 1, .port = 1 }), -EINVAL);
	assert_int_equal(state_adopt_service(&st, 1, &ok), -EINVAL);
	assert_int_equal(state_adopt_service(&st, 3, &(struct service){ .off = 1, .n = 1 }), -EINVAL);
	assert_int_equal(state_adopt_service(&st, 3, &(struct service){ .off = small.slots, .n = 1 }), -EINVAL);
	assert_int_equal(state_adopt_service(&st, 3, &(struct service){ .n = small.slots + 1 }), -EINVAL);
	assert_int_equal(state_adopt_service(&st, 3, &ok), 0);
	assert_int_equal(state_adopt_front(&st, &k, 4), -EINVAL);
	assert_int_equal(state_adopt_front(&st, &k, 3), 0);
	state_adopted(&st);
	assert_int_equal(st.next_id, 4);
	state_fini(&st);
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_step_after_every_write),
		cmocka_unit_test(failures_leave_nothing_wrong),
		cmocka_unit_test(restart_writes_nothing),
		cmocka_unit_test(restart_into_another_snapshot),
		cmocka_unit_test(ids_never_come_back),
		cmocka_unit_test(one_endpoint_costs_few_writes),
		cmocka_unit_test(address_moves_without_a_gap),
		cmocka_unit_test(full_table_is_said_and_cured),
		cmocka_unit_test(more_services_than_slots),
		cmocka_unit_test(moving_to_new_maps_keeps_ids),
		cmocka_unit_test(nonsense_is_not_adopted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
