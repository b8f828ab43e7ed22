/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <errno.h>
#include <libgen.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/access_log.h"
#include "agent/admin.h"
#include "agent/own_cgroup.h"
#include "base/clock.h"
#include "base/log_sink.h"
#include "base/mem.h"
#include "model/http_stat.h"
#include "model/listener_stat.h"
#include "weft/str.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define BEAT_NS (1 * SEC)

struct kern_conf agent_kern_conf(const struct config *c, const char *instance)
{
	const struct config_kernel *k = &c->kernel;
	const struct config_short_circuit *sc = &k->short_circuit;
	const struct config_maps *m = &k->maps;

	return (struct kern_conf){
		.mode = k->mode == CONFIG_KERNEL_OFF	    ? KERN_OFF
			: k->mode == CONFIG_KERNEL_REQUIRED ? KERN_REQUIRED
							    : KERN_AUTO,
		.cgroup = k->cgroup.p,
		.instance = instance,
		.maps = { m->frontends, m->services, m->backends, m->slots, m->sockets, m->affinity, m->workloads },
		.connect = k->connect,
		.short_circuit = sc->enabled == CONFIG_FALSE  ? KERN_SWITCH_OFF
				 : sc->enabled == CONFIG_TRUE ? KERN_SWITCH_ON
							      : KERN_SWITCH_AUTO,
		.max_outstanding = sc->max_outstanding,
		.assume_no_splice = sc->assume_no_splice,
		.unmanaged_ok = sc->unmanaged,
		.keepalive_s = sc->keepalive_ns / SEC,
	};
}

struct overload_limits agent_overload(const struct config *c)
{
	const struct config_overload *o = &c->overload;

	return (struct overload_limits){ o->memory, o->connections, o->descriptors, o->soft, o->hard };
}

/* ---- what the parts ask of each other ----------------------------------------------------------------------- */

static void on_changed(void *arg)
{
	publish_soon(&((struct agent *)arg)->publish);
}

static void on_workers(void *arg, unsigned n)
{
	struct agent *a = arg;

	kern_set_workers(a->kern, n);
	doors_workers(&a->doors, n, a->publish.now);
	if (n) {
		pods_settle(&a->pods);
		return;
	}
	tally_clear(&a->tally);
	states_proxy(&a->states, false);
}

static void on_fed(void *arg)
{
	states_proxy(&((struct agent *)arg)->states, true);
}

static void on_host(void *arg, struct slice key, uint32_t for_ms)
{
	states_ejected(&((struct agent *)arg)->states, key, for_ms);
}

static void on_checked(void *arg, struct slice key, bool healthy)
{
	states_health(&((struct agent *)arg)->states, key, healthy);
}

static bool host_is_there(void *arg, struct slice key)
{
	return snapshot_fact(arg, FACT_HOST, key);
}

static bool listener_is_there(void *arg, struct slice name)
{
	return snapshot_fact(arg, FACT_LISTENER, name);
}

static void on_published(void *arg, const struct diff *d)
{
	struct agent *a = arg;

	tally_sweep(&a->tally, &listener_stat_desc, listener_is_there, a->publish.now);
	tally_sweep(&a->tally, &host_stat_desc, host_is_there, a->publish.now);
	health_update(&a->health, d);
	discovery_update(&a->discovery, d);
	dns_update(&a->dns, d);
	l7_update(&a->l7, d);
	pods_update(&a->pods, d, l7_wanted(&a->l7));
	states_update(&a->states, d);
}

static void on_socket(void *arg, struct slice listener, unsigned index, int take_fd)
{
	(void)listener;
	doors_take(&((struct agent *)arg)->doors, index, take_fd);
}

static void on_stat(void *arg, struct slice set, struct slice name, const uint64_t *v, size_t n)
{
	struct agent *a = arg;
	struct snapshot *now = a->publish.now;

	/* What was under way when they went would be said for ever. */
	if (now && slice_eq_str(set, listener_stat_desc.set) && !listener_is_there(now, name))
		return;
	if (now && slice_eq_str(set, host_stat_desc.set) && !host_is_there(now, name))
		return;
	tally_put(&a->tally, set, name, v, n);
}

static void on_sockets(void *arg)
{
	struct agent *a = arg;
	struct overload_limits limits;

	doors_give_all(&a->doors);
	access_log_give(&a->child, a->config);
	limits = agent_overload(a->config);
	child_overload(&a->child, &limits);
}

/* Connections of L7 services are sent to the proxy only where it listens for them, */
static void on_doors(void *arg)
{
	pods_doors(&((struct agent *)arg)->pods);
}

/* and only those that it knows. */
static void on_adopted(void *arg, uint64_t snapshot)
{
	struct agent *a = arg;

	kern_adopted(a->kern, snapshot);
	if (l7_adopted(&a->l7, snapshot))
		kern_served_changed(a->kern);
}

static void on_want(void *arg, const struct report_want *w)
{
	factory_want(&((struct agent *)arg)->factory, w);
}

static int on_netns(void *arg, uint64_t cookie)
{
	return pods_netns(&((struct agent *)arg)->pods, cookie);
}

static int on_beat_fd(void *arg)
{
	return kern_beat_fd(((struct agent *)arg)->kern);
}

static int on_steer_fd(void *arg)
{
	return steering_map_fd(&((struct agent *)arg)->steer);
}

static struct snapshot *on_snapshot(void *arg)
{
	return ((struct agent *)arg)->publish.now;
}

static const struct snapshot *current(void *arg)
{
	return ((struct agent *)arg)->publish.now;
}

static void on_tick(struct loop *l, void *arg)
{
	kern_beat(((struct agent *)arg)->kern, l->now_ns);
}

static void hang_up(struct agent *a)
{
	struct conf_errors errors = { 0 };
	struct buf restart;

	/* Before the start is over nobody could tell what is old and what is new. */
	if (!a->reload.agent)
		return;
	buf_init(&restart);
	reload_now(&a->reload, &restart, &errors);
	conf_errors_fini(&errors);
	buf_fini(&restart);
}

static void on_signal(int signo, void *arg)
{
	struct agent *a = arg;

	if (signo == SIGHUP) {
		hang_up(a);
		return;
	}
	log_info("agent", "stopping on %s; the kernel side stays attached", strsignal(signo));
	loop_stop(&a->loop);
}

static const struct child_events child_events = {
	.workers = on_workers, .beat_fd = on_beat_fd, .steer_fd = on_steer_fd, .snapshot = on_snapshot,
	.fed = on_fed, .host = on_host, .socket = on_socket, .stat = on_stat, .adopted = on_adopted,
	.want = on_want, .sockets = on_sockets,
};

/* ---- start -------------------------------------------------------------------------------------------------- */

static int load_config(struct agent *a)
{
	struct conf_errors errors = { 0 };
	int err = config_load(a->conf.path, a->conf.registries, &a->config, &errors);

	for (size_t i = 0; i < errors.n; i++)
		fprintf(stderr, "%s\n", errors.text[i]);
	if (errors.more)
		fprintf(stderr, "and %zu errors more\n", errors.more);
	conf_errors_fini(&errors);
	return err;
}

void agent_set_level(const struct agent *a)
{
	enum log_level level = a->config->logging.level;

	if (a->conf.log_level)
		log_level_parse(slice_str(a->conf.log_level), &level);
	log_set_level(level);
}

/* The run dir is where the Admin API's socket is; only root looks inside. */
static int make_run_dir(struct agent *a, struct err *e)
{
	char *copy = mem_str(a->config->admin.socket.p);
	const char *dir = dirname(copy);
	int err = mkdir(dir, 0700) && errno != EEXIST ? -errno : 0;

	if (err)
		err_errno(e, err, "%s", dir);
	else if ((size_t)snprintf(a->proxy_socket, sizeof(a->proxy_socket), "%s.proxy",
				  a->config->admin.socket.p) >= sizeof(a->proxy_socket))
		err = err_add(e, -ENAMETOOLONG, "admin.socket: %s: too long", a->config->admin.socket.p);
	free(copy);
	return err;
}

static int open_loop(struct agent *a, struct err *e)
{
	static const int signos[] = { SIGTERM, SIGINT, SIGHUP };
	int err = loop_init(&a->loop);

	if (!err)
		err = signals_open(&a->signals, &a->loop, signos, 3, on_signal, a);
	return err ? err_errno(e, err, "event loop") : 0;
}

/* Without a cgroup of its own weft's connections are treated like anybody's, and nobody else is left alone by mistake. */
static void seclude(struct agent *a)
{
	struct err e = { 0 };

	if (own_cgroup_enter(a->conf.instance, a->own_cgroup, sizeof(a->own_cgroup), &e)) {
		log_info("agent", "no cgroup of its own, so its connections are translated too: %s", err_text(&e));
		a->own_cgroup[0] = '\0';
	}
}

static int open_kernel(struct agent *a, struct err *e)
{
	struct kern_conf c = agent_kern_conf(a->config, a->conf.instance);
	struct kern_status s;
	int err;

	if (c.mode != KERN_OFF) {
		features_probe(&a->features);
		seclude(a);
		c.own_cgroup = a->own_cgroup;
	}
	err = kern_open(&a->kern, &a->loop, &c, e);
	if (err)
		return err;
	kern_set_source(a->kern, current, a);
	insertions_init(&a->insertions, a->kern);
	kern_status(a->kern, &s);
	log_info("kernel", "%s%s%s", kern_rung_names[s.rung], s.why[0] ? ": " : "", s.why);
	a->loop.tick = on_tick;
	a->loop.tick_arg = a;
	a->loop.tick_max_ns = BEAT_NS;
	return 0;
}

/*
 * The proxy asks of each connection whether it is short-circuited; where nobody can answer it must not splice what the
 * configuration lets be redirected to it.
 */
static bool may_splice(const struct agent *a)
{
	struct kern_status s;

	kern_status(a->kern, &s);
	return !a->config->kernel.short_circuit.assume_no_splice || !s.no_capture;
}

static int start_proxy(struct agent *a, struct err *e)
{
	struct child_conf c = {
		.socket = a->proxy_socket,
		.program = a->program,
		.workers = a->config->workers ? a->config->workers : (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
		.splice = may_splice(a),
		.spin = a->config->proxy.spin == CONFIG_SPIN_ADAPTIVE,
		.drain_ms = (unsigned)(a->config->proxy.drain_ns / MSEC),
		.log_level = log_level_name(log_level()),
	};
	ssize_t n = readlink("/proc/self/exe", a->program, sizeof(a->program) - 1);

	if (n < 0)
		return err_errno(e, -errno, "/proc/self/exe");
	if (c.workers > WORKERS_MAX)
		c.workers = WORKERS_MAX;
	return child_start(&a->child, &a->loop, &c, &child_events, a, e);
}

static int open_admin(struct agent *a, struct err *e)
{
	const struct config_admin *c = &a->config->admin;
	char tcp[64];

	conf_address_name(&c->address, tcp);
	return http_server_open(&a->http, &a->loop, c->socket.p, tcp, admin_handle, a, e);
}

/* What was found by loading programs may show to be no good when it is tried. */
static void on_judged(void *arg)
{
	struct agent *a = arg;
	struct kern_status s;

	kern_status(a->kern, &s);
	if (!s.no_capture || !a->l7.on)
		return;
	log_warn("kernel", "services with routes and captured ranges are left to their fail mode: %s", s.no_capture);
	l7_stop(&a->l7);
	kern_served_changed(a->kern);
}

/* Services with routes, for clients on the node and in pods. */
static void open_pods(struct agent *a)
{
	struct kern_status s;

	kern_status(a->kern, &s);
	if (s.no_capture)
		log_info("kernel", "services with routes and captured ranges are left to their fail mode: %s", s.no_capture);
	l7_init(&a->l7, &a->hub, !s.no_capture);
	kern_set_served(a->kern, l7_served, &a->l7);
	pods_init(&a->pods, &a->loop, &a->hub, &a->doors, a->kern, !s.no_capture, a->config->proxy.namespaces);
	kern_set_unseen(a->kern, pods_unseen, &a->pods);
	factory_init(&a->factory, &a->child, &a->pods);
	a->doors.changed = on_doors;
	a->doors.netns = on_netns;
	a->doors.arg = a;
}

/*
 * First whatever may refuse to start, the Admin API's addresses among it; then facts, and the first snapshot at once, so
 * that the maps are filled before any program is attached; then what takes its time.
 */
static int start(struct agent *a, struct err *e)
{
	int err = make_run_dir(a, e);

	if (!err)
		err = open_loop(a, e);
	if (!err)
		err = open_admin(a, e);
	if (!err)
		err = open_kernel(a, e);
	if (err)
		return err;
	a->store = store_new();
	tally_init(&a->tally);
	steering_open(&a->steer, a->config->kernel.mode != CONFIG_KERNEL_OFF);
	doors_init(&a->doors, &a->loop, &a->child, &a->steer);
	publish_init(&a->publish, &a->loop, a->store, a->kern, &a->child, &a->doors);
	hub_init(&a->hub, a->store, on_changed, a);
	secrets_init(&a->secrets, &a->loop, &a->hub);
	states_init(&a->states, &a->loop, &a->publish, &a->child);
	kern_set_overlay(a->kern, &a->states.overlay);
	health_init(&a->health, &a->loop, on_checked, a);
	open_pods(a);
	discovery_init(&a->discovery, &a->hub);
	err = dns_init(&a->dns, &a->loop, &a->hub, NULL, e);
	if (!err)
		err = http_carrier_init(&a->carrier, &a->loop, NULL, e);
	if (err)
		return err;
	a->publish.published = on_published;
	a->publish.arg = a;
	err = sources_start(&a->sources, &a->loop, &a->hub, &a->carrier, a->config, e);
	if (err)
		return err;
	publish_now(&a->publish);
	/* What that asked for: a proxy of a former agent gives sockets back to listeners that are known by then. */
	if (store_dirty(a->store))
		publish_now(&a->publish);
	reload_init(&a->reload, a);
	judge_start(&a->judge, &a->loop, a->kern, on_judged, a);
	return start_proxy(a, e);
}

static void stop(struct agent *a)
{
	child_stop(&a->child);
	judge_stop(&a->judge);
	sources_stop(&a->sources);
	secrets_fini(&a->secrets);
	health_fini(&a->health);
	dns_fini(&a->dns);
	discovery_fini(&a->discovery);
	pods_fini(&a->pods);
	l7_fini(&a->l7);
	hub_fini(&a->hub);
	http_server_close(&a->http);
	if (a->loop.magic)
		loop_once(&a->loop, 0);         /* what was deferred */
	kern_close(a->kern);
	http_carrier_fini(&a->carrier);
	states_fini(&a->states);
	publish_fini(&a->publish);
	doors_fini(&a->doors);
	if (a->store)
		steering_close(&a->steer);
	tally_fini(&a->tally);
	store_free(a->store);
	if (a->loop.magic) {
		reload_fini(&a->reload);
		signals_close(&a->signals);
		loop_fini(&a->loop);
	}
	config_free(a->config);
}

/*
 * A large change takes large arrays for a moment. These two keep them out of the heap and give its end back; left alone,
 * both limits grow with the first large block that is freed, to as much as 64 MB that is never given back.
 */
static void memory_limits(void)
{
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
}

int agent_run(const struct agent_conf *c)
{
	struct agent *a = mem_alloc(sizeof(*a));
	struct err e = { 0 };
	int err, code;

	memory_limits();
	a->conf = *c;
	a->started_ns = clock_ns();
	if (load_config(a)) {
		free(a);
		return EXIT_USAGE;
	}
	agent_set_level(a);
	err = start(a, &e);
	if (!err) {
		log_info("agent", "weftd %s is up after %llu ms", WEFT_VERSION,
			 (unsigned long long)(clock_ns() - a->started_ns) / MSEC);
		err = loop_run(&a->loop);
	}
	if (!err && a->judge.fatal)
		err = -ENOTSUP;
	if (err && err_text(&e)[0])
		fprintf(stderr, "weftd: %s\n", err_text(&e));
	code = !err ? 0 : err == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
	stop(a);
	free(a);
	return code;
}
