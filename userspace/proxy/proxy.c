/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/proxy.h"

#include <errno.h>
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/stat_text.h"
#include "base/vec.h"
#include "event/signal.h"
#include "event/timer.h"
#include "kern/limits.h"
#include "net/tlsctx.h"
#include "proxy/codec_conf.h"
#include "proxy/feed.h"
#include "proxy/filters.h"
#include "proxy/host_count.h"
#include "proxy/journal.h"
#include "proxy/layers.h"
#include "proxy/outbound.h"
#include "proxy/outlier.h"
#include "proxy/overload.h"
#include "proxy/plan.h"
#include "proxy/sandbox.h"
#include "proxy/sockets.h"
#include "proxy/traffic_report.h"
#include "proxy/worker.h"
#include "weft/log.h"
#include "weft/str.h"

#define BURY_NS (1 * SEC)

struct proxy {
	struct loop loop;
	struct mailbox mail;
	struct signals signals;
	struct loop_io listener;
	struct worker workers[WORKERS_MAX];
	unsigned nworkers, nadopted;
	bool untold;                            /* the feed's agent knows no host's counters yet */
	bool fresh;                             /* the feed has sent no snapshot yet */
	struct sockets sockets;
	struct journal journal;
	struct overload overload;
	struct snapshot *now;                   /* sent to the workers last; NULL before the first */
	struct shared shared;
	struct outlier outlier;
	const struct lb_ops *const *lbs;
	uint64_t plugins;
	struct feed *feed;                      /* the newest agent's; stays when its connection ends */
	VEC(struct feed *) retired;             /* whose snapshots some worker may still hold */
	struct timer bury, alive, rotate, drain;
	unsigned drain_ms, nquiet;
	bool draining;
	struct tlsctx_maker *tls;
	struct ticket_stat tickets;
	void *tickets_page;                     /* keys that outlive this process; NULL: no agent gave one */
	int tickets_fd;                         /* the same; -1 */
	_Atomic uint64_t *beats;                /* mapped heartbeat words, or NULL */
	uid_t agent_uid;
};

static void adopted(struct worker *w, uint64_t number)
{
	struct proxy *p = w->arg;

	if (number != p->now->number || ++p->nadopted < p->nworkers)
		return;
	log_info("proxy", "snapshot %llu adopted by %u workers", (unsigned long long)number, p->nworkers);
	feed_report(p->feed, NULL, number);
}

static void feed_words(struct feed *f, const struct stat_desc *d, const void *words)
{
	uint64_t v[REPORT_STATS_MAX];

	for (size_t i = 0; i < d->n; i++)
		v[i] = stat_sum(&words, 1, i);
	feed_stat(f, d, SLICE_LIT("proxy"), v);
}

/* What is counted for all clusters together. */
static void say_sums(struct proxy *p, uint64_t *v)
{
	uint64_t due;
	const void *each[WORKERS_MAX], *outlier = &p->outlier.stat;

	for (unsigned i = 0; i < p->nworkers; i++)
		each[i] = clusters_stat(p->workers[i].clusters);
	for (size_t i = 0; i < cluster_stat_desc.n; i++)
		v[i] = stat_sum(each, p->nworkers, i);
	feed_stat(p->feed, &cluster_stat_desc, SLICE_LIT("all"), v);
	stat_set(&p->tickets.keys, tlsctx_rotate_due(p->tls, &due));
	stat_set(&p->tickets.next_s, due / SEC);
	feed_words(p->feed, &ticket_stat_desc, &p->tickets);
	feed_words(p->feed, &overload_stat_desc, &p->overload.stat);
	for (size_t i = 0; i < outlier_stat_desc.n; i++)
		v[i] = stat_sum(&outlier, 1, i);
	feed_stat(p->feed, &outlier_stat_desc, SLICE_LIT("all"), v);
}

static void say_counts(struct proxy *p)
{
	uint64_t v[REPORT_STATS_MAX];

	for (size_t i = 0; i < p->sockets.all.n; i++) {
		sockets_stat(p->sockets.all.v[i], p->nworkers, v);
		feed_stat(p->feed, &listener_stat_desc, slice_str(p->sockets.all.v[i]->name), v);
	}
	say_sums(p, v);
}

/* That the control thread's loop turns, and how long ago the slowest worker's did. */
static void say_alive(struct timer *t)
{
	struct proxy *p = t->arg;
	uint64_t now = clock_ns(), stalest = 0;

	for (unsigned i = 0; i < p->nworkers; i++) {
		uint64_t beat = atomic_load_explicit(&p->workers[i].beat_ns, memory_order_relaxed);

		if (now > beat && now - beat > stalest)
			stalest = now - beat;
	}
	if (p->feed) {
		say_counts(p);
		traffic_report(p->workers, p->nworkers, p->feed);
		host_count_report(&p->shared, p->feed, p->untold);
		p->untold = false;
	}
	if (p->feed)
		feed_alive(p->feed, stalest / MSEC > UINT32_MAX ? UINT32_MAX : stalest / MSEC);
	timer_arm(&p->loop, &p->alive, REPORT_ALIVE_MS * MSEC, say_alive, p);
}

/* ---- keys of session tickets -------------------------------------------------------------------------------- */

static void rotate(struct timer *t);

static void arm_rotation(struct proxy *p, unsigned taken_over)
{
	uint64_t due;

	tlsctx_rotate_due(p->tls, &due);
	timer_arm(&p->loop, &p->rotate, due, rotate, p);
	if (taken_over)
		log_info("proxy", "%u keys of session tickets are a former process's; the next one is made in %llu s", taken_over,
			 (unsigned long long)(due / SEC));
}

/* A ticket's key is good for a few periods, then what was said under it stays secret for good. */
static void rotate(struct timer *t)
{
	struct proxy *p = t->arg;

	if (tlsctx_rotate(p->tls)) {
		log_error("proxy", "no new key for session tickets: no random bytes");
		timer_arm(&p->loop, &p->rotate, TLSCTX_ROTATE_S * SEC, rotate, p);
		return;
	}
	stat_add(&p->tickets.rotations, 1);
	arm_rotation(p, 0);
}

/* ---- states of hosts ---------------------------------------------------------------------------------------- */

static void say_ejected(void *arg, const struct shared_cluster *c, const struct shared_host *h, uint64_t for_ms)
{
	struct proxy *p = arg;
	char *key = mem_alloc(c->name.n + HOST_KEY_EXTRA);

	if (p->feed)
		feed_host(p->feed, host_key(key, c->name, &h->addr.ip, h->addr.port), (uint32_t)for_ms);
	free(key);
}

static void each_host(struct proxy *p, void (*fn)(struct proxy *p, struct shared_cluster *c, struct shared_host *h))
{
	const struct table *all = &p->shared.clusters;

	for (struct table_entry *e = table_next(all, NULL); e; e = table_next(all, e)) {
		struct shared_cluster *c = e->value;

		for (struct table_entry *h = table_next(&c->hosts, NULL); h; h = table_next(&c->hosts, h))
			fn(p, c, h->value);
	}
}

/* A new agent does not know who is ejected. */
static void tell_ejected(struct proxy *p, struct shared_cluster *c, struct shared_host *h)
{
	uint64_t now = clock_ns();

	if (shared_host_state(h) & HOST_EJECTED)
		say_ejected(p, c, h, h->until_ns > now + MSEC ? (h->until_ns - now) / MSEC : 1);
}

/* And tells anew whom its checks find unhealthy. */
static void forget_checks(struct proxy *p, struct shared_cluster *c, struct shared_host *h)
{
	(void)p;
	shared_host_set(c, h, 0, HOST_UNHEALTHY, clock_ns());
}

static void on_state(void *arg, struct feed *f, struct slice key, uint8_t state)
{
	struct proxy *p = arg;
	const struct host *h = p->now ? (const struct host *)snapshot_fact(p->now, FACT_HOST, key) : NULL;
	struct shared_cluster *c = h && f == p->feed ? shared_cluster_find(&p->shared, h->cluster) : NULL;
	struct shared_host *sh;

	if (!c)
		return;
	sh = shared_host_find(c, plan_key(&(struct net_addr){ h->ip, h->port }));
	if (sh)
		shared_host_set(c, sh, state & HOST_UNHEALTHY, ~state & HOST_UNHEALTHY, clock_ns());
}

/* ---- what a feed brings ------------------------------------------------------------------------------------- */

static void bury(struct timer *t)
{
	struct proxy *p = t->arg;

	for (size_t i = p->retired.n; i-- > 0;)
		if (feed_free(p->retired.v[i]))
			vec_remove_swap(&p->retired, i);
	if (p->retired.n)
		timer_arm(&p->loop, &p->bury, BURY_NS, bury, p);
}

static void on_snapshot(void *arg, struct feed *f, struct snapshot *take_s)
{
	struct proxy *p = arg;

	if (f != p->feed) {
		snapshot_drop(take_s);
		return;
	}
	if (p->fresh)
		each_host(p, forget_checks);
	sockets_keep(&p->sockets, take_s);
	sockets_announce(&p->sockets, take_s, p->now, p->workers, p->nworkers);
	plans_attach(take_s, p->now, &p->shared, p->lbs, clock_ns());
	layers_attach(take_s, p->now, p->tls);
	outbound_attach(take_s, p->now);
	filters_attach(take_s, p->now, p->nworkers);
	codec_confs_attach(take_s, p->now);
	snapshot_drop(p->now);
	p->now = take_s;
	p->nadopted = 0;
	for (unsigned i = 0; i < p->nworkers; i++) {
		worker_send(&p->workers[i], snapshot_hold(take_s));
		/* It knows the pods now, and nothing of what the one before was asked for. */
		if (p->fresh)
			worker_ask_again(&p->workers[i]);
	}
	p->fresh = false;
}

/* The mapping of an older map is kept: a worker may be about to write there, and 4 KiB an agent's life is nothing. */
static void on_beat_fd(void *arg, int take_fd)
{
	struct proxy *p = arg;
	void *m = mmap(NULL, WORKERS_MAX * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, take_fd, 0);

	close(take_fd);
	if (m == MAP_FAILED) {
		log_error("proxy", "cannot map the heartbeat words: %s", strerror(errno));
		return;
	}
	p->beats = m;
	for (unsigned i = 0; i < p->nworkers; i++)
		worker_set_beat(&p->workers[i], &p->beats[i]);
}

/* Kept mapped as the heartbeat words are. */
static void on_steer_fd(void *arg, int take_fd)
{
	struct proxy *p = arg;
	void *m = mmap(NULL, WORKERS_MAX * sizeof(struct steer_cell), PROT_READ | PROT_WRITE, MAP_SHARED, take_fd, 0);

	close(take_fd);
	if (m == MAP_FAILED) {
		log_error("proxy", "cannot map the counts of connections: %s", strerror(errno));
		return;
	}
	for (unsigned i = 0; i < p->nworkers; i++)
		listeners_steer(&p->workers[i], (struct steer_cell *)m + i);
}

static void on_socket(void *arg, struct slice listener, unsigned index, int take_fd)
{
	struct proxy *p = arg;

	if (index >= WORKERS_MAX || !p->nworkers) {
		close(take_fd);
		return;
	}
	sockets_take(&p->sockets, listener, index, take_fd, p->workers, p->nworkers);
}

static void on_log(void *arg, struct slice format, unsigned index, int take_fd)
{
	struct proxy *p = arg;

	journal_add(&p->journal, format, index, take_fd);
}

static void on_pod_socket(void *arg, uint64_t netns, unsigned worker, uint8_t family, int take_fd)
{
	struct proxy *p = arg;

	if (worker < p->nworkers)
		worker_socket(&p->workers[worker], netns, family, take_fd);
	else
		close(take_fd);
}

static void want(struct worker *w, uint64_t netns, uint8_t family, uint32_t n)
{
	const struct proxy *p = w->arg;

	if (p->feed)
		feed_want(p->feed, &(struct report_want){ .netns = netns, .worker = w->index, .n = n, .family = family });
}

static void look(struct worker *w, struct slice cluster)
{
	struct proxy *p = w->arg;

	for (unsigned i = 0; i < p->nworkers; i++)
		if (&p->workers[i] != w)
			worker_look(&p->workers[i], cluster);
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return a >= 0 && !fstat(a, &x) && !fstat(b, &y) && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

/* The first page holds what a former process left; later ones are of agents that lost it, and get what there is. */
static void on_tickets(void *arg, int take_fd)
{
	struct proxy *p = arg;
	void *m = same_file(p->tickets_fd, take_fd) ? MAP_FAILED :
						     mmap(NULL, TLSCTX_TICKET_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, take_fd, 0);
	unsigned n;

	if (m == MAP_FAILED) {
		close(take_fd);
		return;
	}
	madvise(m, TLSCTX_TICKET_PAGE, MADV_DONTDUMP);
	n = tlsctx_keep_tickets(p->tls, m, p->tickets_fd < 0);
	if (p->tickets_fd >= 0)
		close(p->tickets_fd);
	if (p->tickets_page)
		munmap(p->tickets_page, TLSCTX_TICKET_PAGE);
	p->tickets_fd = take_fd;
	p->tickets_page = m;
	stat_add(&p->tickets.taken_over, n);
	arm_rotation(p, n);
}

static void on_overload(void *arg, const struct overload_limits *l)
{
	overload_set(&((struct proxy *)arg)->overload, l);
}

static void on_closed(void *arg, struct feed *f, const char *why)
{
	(void)arg;
	(void)f;
	log_warn("proxy", "no agent: %s; going on with what is known", why);
}

static const struct feed_events events = { on_snapshot, on_beat_fd, on_steer_fd, on_socket, on_state, on_log,
					   on_pod_socket, on_overload, on_tickets, on_closed };
static void is_quiet(struct worker *w)
{
	struct proxy *p = w->arg;

	if (++p->nquiet == p->nworkers)
		loop_stop(&p->loop);
}

static const struct worker_events worker_events = { adopted, want, look, is_quiet };

static bool peer_allowed(const struct proxy *p, int fd)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) && cred.uid == p->agent_uid;
}

/* The listening sockets first: a new agent is to bind nothing anew. */
static void give_back(const struct proxy *p, struct feed *f)
{
	if (p->tickets_fd >= 0)
		feed_tickets(f, p->tickets_fd);
	for (size_t i = 0; i < p->sockets.all.n; i++) {
		const struct sockets_entry *e = p->sockets.all.v[i];

		for (size_t k = 0; k < e->fds.n; k++) {
			if (e->fds.v[k] >= 0)
				feed_socket(f, slice_str(e->name), k, e->fds.v[k]);
		}
	}
}

static void on_agent(struct loop_io *io, unsigned ev)
{
	struct proxy *p = io->arg;
	struct report_hello hello = { .version = REPORT_VERSION, .wire = WIRE_VERSION, .workers = p->nworkers,
				      .plugins = p->plugins, .build = WEFT_VERSION };
	int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct feed *f;

	(void)ev;
	if (fd < 0)
		return;
	if (!peer_allowed(p, fd)) {
		log_warn("proxy", "a process that is not the agent's user was refused");
		close(fd);
		return;
	}
	f = feed_new(&p->loop, fd, &events, p);
	if (!f)
		return;
	if (p->feed) {
		vec_push(&p->retired, p->feed);
		timer_arm(&p->loop, &p->bury, BURY_NS, bury, p);
	}
	p->feed = f;
	log_info("proxy", "agent connected");
	give_back(p, f);
	feed_report(f, &hello, 0);
	p->fresh = p->untold = true;
	each_host(p, tell_ejected);
}

/* ---- life --------------------------------------------------------------------------------------------------- */

static void drained_long_enough(struct timer *t)
{
	struct proxy *p = t->arg;

	log_warn("proxy", "requests are under way after %u ms: they are cut off", p->drain_ms);
	loop_stop(&p->loop);
}

static void on_signal(int signo, void *arg)
{
	struct proxy *p = arg;

	if (p->draining || !p->drain_ms) {
		log_info("proxy", "stopping on %s", strsignal(signo));
		loop_stop(&p->loop);
		return;
	}
	log_info("proxy", "stopping on %s, as soon as no request is under way", strsignal(signo));
	p->draining = true;
	timer_arm(&p->loop, &p->drain, p->drain_ms * MSEC, drained_long_enough, p);
	for (unsigned i = 0; i < p->nworkers; i++)
		worker_drain(&p->workers[i]);
}

static void stop_workers(struct proxy *p)
{
	for (unsigned i = 0; i < p->nworkers; i++)
		worker_stop(&p->workers[i]);
	p->nworkers = 0;
}

static int start_workers(struct proxy *p, const struct proxy_conf *c, struct err *e)
{
	int err = journal_start(&p->journal, c->workers);

	if (err)
		return err_errno(e, err, "access log");
	for (p->nworkers = 0; p->nworkers < c->workers; p->nworkers++) {
		err = worker_start(&p->workers[p->nworkers], p->nworkers, c->splice, &p->mail, &p->outlier, &p->journal, &p->overload,
				   &worker_events, p);
		if (err)
			return err_errno(e, err, "worker %u", p->nworkers);
		if (c->spin_ns)
			worker_spin(&p->workers[p->nworkers], c->spin_ns);
	}
	return 0;
}

/* Two descriptors a connection: what the agent may open is what this process gets. */
static void raise_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r))
		log_warn("proxy", "the limit of descriptors stays: %s", strerror(errno));
}

static int open_all(struct proxy *p, const struct proxy_conf *c, struct err *e)
{
	static const int signos[] = { SIGTERM, SIGINT };
	int err = loop_init(&p->loop);

	if (!err)
		err = mailbox_init(&p->mail, &p->loop);
	if (!err)
		err = signals_open(&p->signals, &p->loop, signos, 2, on_signal, p);
	/* Once more, so that SO_PEERCRED shows who dials this socket the proxy and not the agent that bound it. */
	if (!err && listen(c->listen_fd, 8))
		err = -errno;
	if (!err)
		err = loop_add(&p->loop, &p->listener, c->listen_fd, LOOP_READ, on_agent, p);
	return err ? err_errno(e, err, "event loop") : 0;
}

static void close_all(struct proxy *p)
{
	stop_workers(p);
	journal_stop(&p->journal);
	sockets_fini(&p->sockets);
	mailbox_fini(&p->mail);
	outlier_stop(&p->outlier);
	overload_fini(&p->overload);
	snapshot_drop(p->now);
	if (p->feed)
		feed_free(p->feed);
	for (size_t i = 0; i < p->retired.n; i++)
		feed_free(p->retired.v[i]);
	vec_fini(&p->retired);
	shared_fini(&p->shared);
	timer_disarm(&p->loop, &p->bury);
	timer_disarm(&p->loop, &p->alive);
	timer_disarm(&p->loop, &p->rotate);
	timer_disarm(&p->loop, &p->drain);
	tlsctx_maker_free(p->tls);
	if (p->tickets_page)
		munmap(p->tickets_page, TLSCTX_TICKET_PAGE);
	if (p->tickets_fd >= 0)
		close(p->tickets_fd);
	loop_del(&p->loop, &p->listener);
	signals_close(&p->signals);
	loop_fini(&p->loop);
}

int proxy_run(const struct proxy_conf *c, struct err *e)
{
	struct proxy *p = mem_alloc(sizeof(*p));
	int err;

	p->agent_uid = geteuid();
	p->lbs = c->lbs;
	p->plugins = c->plugins;
	p->drain_ms = c->drain_ms;
	p->tls = tlsctx_maker_new();
	p->tickets_fd = -1;
	shared_init(&p->shared, c->workers);
	table_init(&p->sockets.by_name, 0);
	raise_descriptors();
	overload_init(&p->overload);
	err = open_all(p, c, e);
	if (!err)
		err = sandbox_enter(e);
	if (!err)
		err = start_workers(p, c, e);
	if (!err) {
		log_info("proxy", "%u workers", p->nworkers);
		p->outlier.told = say_ejected;
		p->outlier.arg = p;
		overload_start(&p->overload, &p->loop, p->workers, p->nworkers);
		outlier_start(&p->outlier, &p->loop, &p->shared);
		timer_arm(&p->loop, &p->alive, REPORT_ALIVE_MS * MSEC, say_alive, p);
		arm_rotation(p, 0);
		err = loop_run(&p->loop);
	}
	close_all(p);
	free(p);
	return err;
}
