/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start: find the cgroup and the pins, load, take over what is there. The first sync fills the maps and switches the
 * programs. Below the top rung everything else still works; below the lowest nothing is done, and it says why.
 */
#include "kern/kern.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"
#include "kern/events.h"
#include "kern/kern_priv.h"
#include "kern/sweep.h"
#include "model/diff.h"
#include "weft/log.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define TICK_NS SEC
#define LOOK_PER_TICK 256                       /* workloads whose cgroup is looked at */
#define SWEEP_PER_TICK 2000                     /* map entries */
#define GRACE_TICKS 10                          /* ranges that nobody needs wait this long for others */

STAT_DEFINE(kern_stat, "kernel", KERN_STATS);
const char *const kern_rung_names[] = { "off", "balance", "full" };

/* ---- configuration ----------------------------------------------------------------------------------------- */

static const char *keep_text(struct kern *k, unsigned i, const char *s)
{
	if (!s)
		return NULL;
	snprintf(k->text[i], sizeof(k->text[i]), "%s", s);
	return k->text[i];
}

static void dflt(uint32_t *v, uint32_t d)
{
	*v = *v ? *v : d;
}

static void take_conf(struct kern *k, const struct kern_conf *c)
{
	struct kern_conf *o = &k->conf;

	*o = *c;
	o->cgroup = keep_text(k, 0, c->cgroup);
	o->own_cgroup = keep_text(k, 1, c->own_cgroup);
	o->instance = keep_text(k, 2, c->instance);
	o->bpffs = keep_text(k, 3, c->bpffs);
	dflt(&o->maps.frontends, MAX_FRONTENDS_DFLT);
	dflt(&o->maps.services, MAX_SERVICES_DFLT);
	dflt(&o->maps.backends, MAX_BACKENDS_DFLT);
	dflt(&o->maps.slots, MAX_SLOTS_DFLT);
	dflt(&o->maps.sockets, MAX_SOCKETS_DFLT);
	dflt(&o->maps.affinity, MAX_AFFINITY_DFLT);
	dflt(&o->maps.workloads, MAX_WORKLOADS_DFLT);
	dflt(&o->max_outstanding, 1u << 20);
	dflt(&o->beat_timeout_ms, 1000);
	/* Whole rows, at least one. */
	o->maps.slots = o->maps.slots < TABLE_ROW ? TABLE_ROW : o->maps.slots / TABLE_ROW * TABLE_ROW;
}

/* Cookie of the host's network namespace, else of our own; 0 before Linux 5.14. */
static uint64_t host_netns(void)
{
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), host = open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC);
	struct stat a, b;
	uint64_t cookie = 0;
	socklen_t n = sizeof(cookie);
	bool away = own >= 0 && host >= 0 && !fstat(own, &a) && !fstat(host, &b) && a.st_ino != b.st_ino &&
		    !setns(host, CLONE_NEWNET);
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0 || getsockopt(s, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &n))
		cookie = 0;
	if (s >= 0)
		close(s);
	if (away && setns(own, CLONE_NEWNET))
		log_error("kernel", "cannot return to our own network namespace: %s", strerror(errno));
	if (own >= 0)
		close(own);
	if (host >= 0)
		close(host);
	return cookie;
}

/* ---- control word ------------------------------------------------------------------------------------------ */

static bool short_circuit_on(const struct kern *k)
{
	return k->load.part[OBJECT_SHORT_CIRCUIT].on && k->conf.short_circuit != KERN_SWITCH_OFF && k->judged && k->verdict.usable;
}

static uint32_t flags_of(const struct kern *k)
{
	uint32_t f = 0;

	f |= k->conf.connect ? CTL_CONNECT : 0;
	f |= k->killed ? CTL_KILL : 0;
	f |= k->conf.unmanaged_ok ? CTL_UNMANAGED_OK : 0;
	f |= k->conf.assume_no_splice || k->verdict.splice_safe ? CTL_NO_SPLICE : 0;
	f |= k->verdict.leave_map ? CTL_LEAVE_MAP : 0;
	f |= short_circuit_on(k) ? CTL_SHORT_CIRCUIT : 0;
	f |= k->prefixes.written ? CTL_RANGES : 0;
	return f;
}

/* The cgroup to which sockets of this process and of its proxy belong; "" if it is not to be found. */
static void self_path(const struct kern *k, char *path)
{
	if (k->conf.own_cgroup && k->conf.own_cgroup[0])
		snprintf(path, CGROUP_PATH, "%s", k->conf.own_cgroup);
	else if (cgroup_of_self(k->root, path))
		path[0] = '\0';
}

/*
 * Our own cgroup, whose sockets are left alone. Not when it holds the captured one (an agent started by hand in the
 * root): nobody would be translated.
 */
static bool own_path(const struct kern *k, char *path)
{
	size_t n;

	self_path(k, path);
	if (!path[0])
		return false;
	n = strlen(path);
	while (n && path[n - 1] == '/')
		path[--n] = '\0';
	return strncmp(path, k->cgroup, n) || (k->cgroup[n] && k->cgroup[n] != '/');
}

static void write_ctl(struct kern *k)
{
	struct apply *a = &k->apply;
	char path[CGROUP_PATH];
	uint64_t own = 0;

	if (own_path(k, path))
		cgroup_id(path, &own);
	APPLY_CTL(a, magic, CTL_MAGIC);
	APPLY_CTL(a, abi, k->pins.abi);
	APPLY_CTL(a, max_outstanding, k->conf.max_outstanding);
	APPLY_CTL(a, beat_timeout_ms, k->conf.beat_timeout_ms);
	APPLY_CTL(a, keepalive_s, k->conf.keepalive_s);
	APPLY_CTL(a, own_cgroup, own);
	/*
	 * Until the tests have spoken an earlier agent's word on the short-circuit holds: same programs, and the same kernel,
	 * since a bpffs does not outlive it.
	 */
	if (k->judged || !k->inherited)
		APPLY_CTL(a, credit, k->verdict.credit);
	if (!k->judged && k->inherited && k->conf.short_circuit != KERN_SWITCH_OFF)
		apply_flags(a, flags_of(k), ~(uint32_t)(CTL_SHORT_CIRCUIT | CTL_NO_SPLICE | CTL_LEAVE_MAP));
	else
		apply_flags(a, flags_of(k), ~0u);
}

static void set_rung(struct kern *k)
{
	const struct load *l = &k->load;

	k->why[0] = '\0';
	if (!k->loaded) {
		k->rung = KERN_RUNG_OFF;
		return;
	}
	k->rung = short_circuit_on(k) ? KERN_RUNG_FULL : KERN_RUNG_BALANCE;
	if (k->rung == KERN_RUNG_FULL)
		return;
	if (k->conf.short_circuit == KERN_SWITCH_OFF)
		snprintf(k->why, sizeof(k->why), "the short-circuit is switched off (kernel.shortCircuit.enabled)");
	else if (!l->part[OBJECT_SHORT_CIRCUIT].on)
		snprintf(k->why, sizeof(k->why), "no short-circuit: %s", l->part[OBJECT_SHORT_CIRCUIT].why);
	else if (!k->judged)
		snprintf(k->why, sizeof(k->why), "no short-circuit until the known-answer tests have passed");
	else
		snprintf(k->why, sizeof(k->why), "no short-circuit: %s", k->verdict.why);
}

/* ---- open -------------------------------------------------------------------------------------------------- */

static int find_cgroup(struct kern *k, struct err *e)
{
	const char *c = k->conf.cgroup;
	bool automatic = !c || !c[0] || !strcmp(c, "auto");
	int err = cgroup_root(k->root, automatic ? e : NULL);

	if (automatic) {
		memcpy(k->cgroup, k->root, sizeof(k->cgroup));
		return err;
	}
	snprintf(k->cgroup, sizeof(k->cgroup), "%s", c);
	if (!cgroup_is_v2(c))
		return err_add(e, -ENOTDIR, "kernel.cgroup %s: is no cgroup2 folder", c);
	if (err)
		memcpy(k->root, k->cgroup, sizeof(k->root));
	return 0;
}

/* Why loading failed, in terms of what is missing rather than of what the verifier saw. */
static int load_failed(struct kern *k, int err, const struct features *f, struct err *e)
{
	const struct features_row *miss = features_missing(f, FEATURES_BALANCE);

	stat_add(&k->stat.load_errors, 1);
	if (miss)
		err_add(e, err, "this needs %s (%s), which is not there: %s", miss->name, miss->use, miss->detail);
	return err;
}

/* What this kernel lacks for a part that was not loaded, else what the configuration says. */
static void say_part(struct kern *k, enum object_part part, const struct features *f, enum features_need need)
{
	const struct features_row *miss = features_missing(f, need);
	struct load_part *p = &k->load.part[part];

	if (p->on || p->why[0])
		return;
	if (miss)
		snprintf(p->why, sizeof(p->why), "%s is missing: %s", miss->name, miss->detail);
	else
		snprintf(p->why, sizeof(p->why), "it is switched off");
}

static int load_all(struct kern *k, struct err *e)
{
	static const struct rlimit inf = { RLIM_INFINITY, RLIM_INFINITY };
	struct features f;

	(void)setrlimit(RLIMIT_MEMLOCK, &inf);  /* EPERM is no matter from Linux 5.11 on */
	features_probe(&f);
	const struct features_row *miss = features_missing(&f, FEATURES_BALANCE), *retval, *mptcp;
	bool want[OBJECT_PARTS] = { [OBJECT_BALANCE] = true };

	if (miss)
		return load_failed(k, miss->err, &f, e);
	retval = features_find(&f, "bpf_set_retval");
	mptcp = features_find(&f, "bpf_skc_to_mptcp_sock");
	struct load_vars v = { retval->ok, mptcp->ok, host_netns() };

	want[OBJECT_CAPTURE] = k->conf.connect && !features_missing(&f, FEATURES_CAPTURE);
	want[OBJECT_SHORT_CIRCUIT] = k->conf.short_circuit != KERN_SWITCH_OFF && !features_missing(&f, FEATURES_SHORT_CIRCUIT);
	int err = load_open(&k->load, &k->pins, &k->conf.maps, &v, want, e);

	if (err)
		return load_failed(k, err, &f, e);
	say_part(k, OBJECT_CAPTURE, &f, FEATURES_CAPTURE);
	say_part(k, OBJECT_SHORT_CIRCUIT, &f, FEATURES_SHORT_CIRCUIT);
	stat_add(&k->stat.maps_created, k->load.result.created);
	stat_add(&k->stat.maps_adopted, k->load.result.adopted);
	return 0;
}

static int open_parts(struct kern *k, struct err *e)
{
	int err = find_cgroup(k, e);

	if (!err)
		err = pins_open(&k->pins, &k->conf, true, e);
	if (err)
		return err;
	err = load_all(k, e);
	if (err)
		goto close_pins;
	workloads_init(&k->workloads, k->root, k->cgroup);
	prefixes_init(&k->prefixes);
	err = apply_open(&k->apply, &k->load, k->conf.verify, e);
	if (!err)
		err = adopt_maps(k, e);
	if (!err)
		err = events_open(k, e);
	if (err)
		goto unload;
	k->inherited = load_same_short_circuit(&k->load);
	k->how = k->load.adopting ? "adopted" : k->load.replacing ? "replaced" : "fresh";
	k->full_next = true;
	k->loaded = true;
	return 0;
unload:
	kern_unload(k);
close_pins:
	pins_close(&k->pins);
	return err;
}

void kern_unload(struct kern *k)
{
	events_close(k);
	state_fini(&k->st);
	memset(&k->st, 0, sizeof(k->st));
	apply_close(&k->apply);
	workloads_fini(&k->workloads);
	memset(&k->workloads, 0, sizeof(k->workloads));
	prefixes_fini(&k->prefixes);
	k->prefixes = (struct prefixes){ 0 };
	load_close(&k->load);
	pins_close(&k->pins);
	k->loaded = k->attached = false;
}

static void on_tick(struct timer *t);

static int required(const struct kern *k, struct err *e)
{
	bool want_full = k->conf.short_circuit != KERN_SWITCH_OFF;

	if (k->conf.mode != KERN_REQUIRED || (k->loaded && (!want_full || k->load.part[OBJECT_SHORT_CIRCUIT].on)))
		return 0;
	return err_add(e, -ENOTSUP, "kernel.mode is required: %s", k->why);
}

int kern_open(struct kern **out, struct loop *loop, const struct kern_conf *c, struct err *e)
{
	struct kern *k = mem_alloc(sizeof(*k));
	struct err own = { 0 };
	int err = 0;

	k->magic = kern_MAGIC;
	k->loop = loop;
	k->pins.lock_fd = -1;
	k->how = "";
	take_conf(k, c);
	if (k->conf.mode != KERN_OFF)
		err = open_parts(k, &own);
	set_rung(k);
	if (!k->loaded)
		snprintf(k->why, sizeof(k->why), "%.200s", err ? err_text(&own) : "kernel.mode is off");
	/* A second agent is no rung: both would write the same maps. */
	err = err == -EBUSY ? err_add(e, err, "%s", k->why) : required(k, e);
	if (err) {
		kern_close(k);
		return err;
	}
	stat_set(&k->stat.rung, k->rung);
	if (k->loaded)
		write_ctl(k);
	if (k->loaded && loop)
		timer_arm(loop, &k->timer, TICK_NS, on_tick, k);
	*out = k;
	return 0;
}

void kern_close(struct kern *k)
{
	if (!k)
		return;
	k = CAST(kern, k);
	if (k->loop)
		timer_disarm(k->loop, &k->timer);
	kern_unload(k);
	k->magic = 0;
	free(k);
}

/* ---- sync -------------------------------------------------------------------------------------------------- */

static void count_plan(struct kern *k, const struct plan_count *c)
{
	struct kern_stat *s = &k->stat;

	stat_add(&s->writes, c->writes);
	stat_add(&s->write_errors, c->errors);
	stat_add(&s->graces, c->graces);
	stat_add(&s->table_full, c->table_full);
	stat_add(&s->map_full, c->map_full);
	stat_add(&s->frontend_conflicts, c->conflicts);
}

static void gauges(struct kern *k)
{
	struct kern_stat *s = &k->stat;

	stat_set(&s->services, k->st.nwritten);
	stat_set(&s->frontends, k->st.nfronts);
	stat_set(&s->backends, k->st.backs.n);
	stat_set(&s->table_slots, (uint64_t)k->st.range.used * TABLE_ROW);
	stat_set(&s->table_frags, k->st.range.frags);
	stat_set(&s->stale, k->st.nstale);
	stat_set(&s->workloads, k->workloads.written);
	stat_set(&s->workloads_missing, k->workloads.missing);
	stat_set(&s->rung, k->rung);
}

/* What /ready says. */
static void judge_step(struct kern *k)
{
	struct kern_state *st = &k->st;

	stat_add(&k->stat.write_errors, k->workloads.errors);
	k->workloads.errors = 0;
	k->degraded[0] = '\0';
	if (st->nstale) {
		struct unit *u = container_of(st->stale.next, struct unit, in_stale);
		struct slice name = u->owner ? u->owner->name : SLICE_LIT("?");

		snprintf(k->degraded, sizeof(k->degraded), "%u services are behind the snapshot; %.*s port %u: %s (%s)",
			 st->nstale, (int)(name.n > 80 ? 80 : name.n), name.p, u->port, u->stale, strerror(-u->stale_err));
	} else if (!list_empty(&st->loose) || st->queue.n) {
		snprintf(k->degraded, sizeof(k->degraded), "entries of frontend_map or backend_map could not be written");
	} else if (k->workloads.failed) {
		snprintf(k->degraded, sizeof(k->degraded), "%u workloads could not be written to workload_map",
			 k->workloads.failed);
	} else if (k->prefixes.failed) {
		snprintf(k->degraded, sizeof(k->degraded), "%u captured ranges could not be written to prefix_map (%s)",
			 k->prefixes.failed, strerror(-k->prefixes.failed_err));
	}
	gauges(k);
}

static void run(struct kern *k, struct plan *p)
{
	struct plan_ops ops = apply_ops(&k->apply);

	/* Known before it is used: a restart must not give an id again. */
	APPLY_CTL(&k->apply, next_id, k->st.next_id);
	plan_run(p, &ops, &k->apply);
	k->synced_ns = clock_ns();
	count_plan(k, &p->count);
	plan_fini(p);
}

/* What failed for want of room that the plan itself has made is done at once. */
static void run_again(struct kern *k, const struct snapshot *s)
{
	for (int i = 0; i < 3 && k->st.nstale; i++) {
		uint32_t before = k->st.nstale;
		struct plan p;

		apply_rest(&k->apply, &k->st);
		plan_stale(&p, &k->st, s, k->served);
		run(k, &p);
		if (k->st.nstale >= before)
			break;
	}
}

static int attach(struct kern *k, struct err *e)
{
	struct load_result old = k->load.result;
	char own[CGROUP_PATH];

	self_path(k, own);
	int err = load_switch(&k->load, k->cgroup, own, e);
	struct load_result *r = &k->load.result;

	stat_add(&k->stat.programs_attached, r->attached - old.attached);
	stat_add(&k->stat.programs_replaced, r->replaced - old.replaced);
	stat_add(&k->stat.programs_kept, r->kept - old.kept);
	if (err) {
		stat_add(&k->stat.load_errors, 1);
		return err;
	}
	k->attached = true;
	log_info("kernel", "%s: %u maps made, %u adopted; %u programs attached, %u replaced, %u kept; on %s", k->how,
		 r->created, r->adopted, r->attached, r->replaced, r->kept, k->cgroup);
	return 0;
}

/* Only where the proxy is told which sockets are short-circuited: it must not splice from those. */
static void own_workload(struct kern *k)
{
	const struct load_prog *p = load_prog(&k->load, "getsockopt_pair");
	char path[CGROUP_PATH];
	uint64_t id;

	if (p && p->attached && own_path(k, path) && !cgroup_id(path, &id))
		workloads_own(&k->workloads, &k->apply, id);
}

int kern_sync(struct kern *k, const struct snapshot *s, const struct diff *d, struct err *e)
{
	bool whole = !d || k->full_next;
	struct plan p;
	int err;

	if (!k->loaded)
		return 0;
	stat_add(&k->stat.syncs, 1);
	if (whole)
		plan_all(&p, &k->st, s, k->served);
	else
		plan_diff(&p, &k->st, s, d, k->served);
	run(k, &p);
	k->full_next = false;
	run_again(k, s);
	workloads_sync(&k->workloads, &k->apply, s);
	own_workload(k);
	if (whole || k->prefixes.failed || d->facts[FACT_LISTENER].n)
		captured_sync(k, s);
	/* Also when attaching fails: what kern_retry() goes on with is this snapshot. */
	k->synced = snapshot_number(s);
	err = k->attached ? 0 : attach(k, e);
	if (!err)
		APPLY_CTL(&k->apply, snapshot, k->synced);
	judge_step(k);
	return err;
}

int kern_retry(struct kern *k, const struct snapshot *s)
{
	struct plan p;

	if (!k->loaded)
		return 0;
	apply_rest(&k->apply, &k->st);
	if (k->st.nstale || !list_empty(&k->st.loose) || k->st.queue.n || k->st.doomed.n) {
		stat_add(&k->stat.retries, 1);
		plan_stale(&p, &k->st, s, k->served);
		run(k, &p);
		run_again(k, s);
	}
	if (k->prefixes.failed)
		captured_sync(k, s);
	if (k->attached && load_adrift(&k->load)) {
		k->attached = false;
		log_error("kernel", "cgroup %s was removed or replaced: nothing is attached", k->cgroup);
	}
	if (!k->attached) {
		struct err e = { 0 };

		/* kern_sync() has said why already; a minute later it is worth saying again. */
		if (!attach(k, &e))
			APPLY_CTL(&k->apply, snapshot, k->synced);
		else if (k->ticks % 60 == 59)
			log_error("kernel", "%s", err_text(&e));
	}
	judge_step(k);
	return (int)k->st.nstale;
}

/* Ranges that changed services left behind, when nothing else has asked for a grace period. */
static void grace_if_due(struct kern *k)
{
	if (!k->st.retired.n || k->ticks % GRACE_TICKS)
		return;
	apply_grace(&k->apply);
	state_grace(&k->st);
	stat_add(&k->stat.graces, 1);
}

static void on_tick(struct timer *t)
{
	struct kern *k = CAST(kern, t->arg);
	const struct snapshot *s = k->source ? k->source(k->source_arg) : NULL;

	timer_arm(k->loop, t, TICK_NS, on_tick, k);
	k->ticks++;
	if (!k->loaded)
		return;
	workloads_look(&k->workloads, &k->apply, LOOK_PER_TICK);
	if (s && snapshot_number(s) == k->synced)
		kern_retry(k, s);
	grace_if_due(k);
	if (k->attached)
		sweep_step(k, SWEEP_PER_TICK);
	judge_step(k);
}

void kern_set_source(struct kern *k, const struct snapshot *(*fn)(void *arg), void *arg)
{
	k->source = fn;
	k->source_arg = arg;
}

/* ---- settings ---------------------------------------------------------------------------------------------- */

int kern_judge(struct kern *k, const struct kern_verdict *v, struct err *e)
{
	k->verdict = *v;
	k->judged = true;
	k->killed = false;
	set_rung(k);
	stat_set(&k->stat.rung, k->rung);
	if (k->loaded)
		write_ctl(k);
	if (k->conf.mode == KERN_REQUIRED && k->conf.short_circuit != KERN_SWITCH_OFF && k->rung < KERN_RUNG_FULL)
		return err_add(e, -ENOTSUP, "kernel.mode is required: %s", k->why);
	return 0;
}

int kern_set_workers(struct kern *k, uint32_t n)
{
	if (n > WORKERS_MAX)
		return -EINVAL;
	if (k->loaded)
		APPLY_CTL(&k->apply, nworkers, n);
	return 0;
}

void kern_set_served(struct kern *k,
		     enum kern_served (*fn)(void *arg, const struct service_fact *f, const struct service_port *p), void *arg)
{
	k->served = (struct plan_served){ fn, arg };
}

int kern_served_changed(struct kern *k)
{
	const struct snapshot *s = k->source ? k->source(k->source_arg) : NULL;

	k->full_next = true;
	return k->loaded && s && k->attached ? kern_sync(k, s, NULL, NULL) : 0;
}

void kern_set_unseen(struct kern *k, void (*fn)(void *arg, uint64_t netns, uint64_t cgroup), void *arg)
{
	k->unseen = fn;
	k->unseen_arg = arg;
}

void kern_set_overlay(struct kern *k, const struct overlay *o)
{
	k->st.overlay = o;
}

int kern_beat_fd(struct kern *k)
{
	int fd = k->loaded ? load_fd(&k->load, "beat_map") : -ENOTSUP;

	return fd < 0 ? -ENOTSUP : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

void kern_beat(struct kern *k, uint64_t now_ns)
{
	if (!k->loaded)
		return;
	APPLY_CTL(&k->apply, beat_ns, now_ns);
	events_poll(k);
}

int kern_kill(struct kern *k, bool on)
{
	k->killed = on;
	if (k->loaded)
		apply_flags(&k->apply, on ? CTL_KILL : 0, on ? 0 : CTL_KILL);
	return 0;
}

void kern_status(const struct kern *k, struct kern_status *out)
{
	*out = (struct kern_status){
		.rung = k->rung, .why = k->why, .degraded = k->degraded[0] ? k->degraded : NULL,
		.cgroup = k->loaded ? k->cgroup : "", .cgroup_root = k->loaded ? k->root : "",
		.pin_dir = k->loaded ? k->pins.dir : "", .attached = k->attached, .judged = k->judged,
		.snapshot = k->attached ? k->synced : 0, .flags = k->loaded ? k->apply.ctl->flags : 0,
		.credit = k->loaded ? k->apply.ctl->credit : CREDIT_NONE, .loaded = k->how,
		.no_capture = !k->loaded ? k->why : !k->load.part[OBJECT_CAPTURE].on ? k->load.part[OBJECT_CAPTURE].why
			      : k->verdict.no_routes[0] ? k->verdict.no_routes : NULL,
	};
}

const struct kern_stat *kern_stats(const struct kern *k)
{
	return &k->stat;
}
