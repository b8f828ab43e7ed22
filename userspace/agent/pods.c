/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pods.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/pod_ns.h"
#include "agent/processes.h"
#include "base/clock.h"
#include "kern/cgroup.h"
#include "kern/pods.h"
#include "kern/workloads.h"
#include "model/fact.h"
#include "weft/log.h"
#include "weft/str.h"

#define TICK_NS SEC
#define ROWS_PER_TICK 16
/* A runtime makes the cgroup, then forks, then moves: 10, 40, 160 and 640 ms after the cgroup, and at the next dial or tick. */
#define AGAIN_TIMES 4
#define AGAIN_FIRST_NS (10 * MSEC)
#define AGAIN_GROWS 4

STAT_DEFINE(pods_stat, "pods", PODS_STATS);

/* ---- their facts ---------------------------------------------------------------------------------------------- */

void pods_change(struct pods *p, bool *open)
{
	if (!*open)
		hub_sink.begin(&p->source);
	*open = true;
}

static void gauges(struct pods *p)
{
	uint64_t open = p->own && p->own->in_map;

	for (size_t i = 0; i < p->all.n; i++)
		open += p->all.v[i]->in_map;
	stat_set(&p->stat.open, open);
	stat_set(&p->stat.namespaces, p->all.n);
}

static void give(struct pods *p)
{
	bool open = false;

	for (size_t i = 0; i < p->gone.n; i++) {
		pods_change(p, &open);
		hub_sink.del(&p->source, FACT_LISTENER, slice_str(p->gone.v[i]));
		free(p->gone.v[i]);
	}
	vec_clear(&p->gone);
	if (p->own)
		pod_ns_give(p->own, &open);
	for (size_t i = 0; i < p->all.n; i++)
		pod_ns_give(p->all.v[i], &open);
	if (open)
		hub_sink.commit(&p->source, ++p->version);
	gauges(p);
}

/* ---- processes of one workload -------------------------------------------------------------------------------- */

struct scan {
	struct pods *p;
	struct pods_row *row;
	const struct pod_ns *wanted;            /* is it seen? NULL: all are taken */
	bool seen;
};

static struct pod_ns *ns_at(const struct pods *p, uint64_t dev, uint64_t ino)
{
	for (size_t i = 0; i < p->all.n; i++) {
		if (p->all.v[i]->ino == ino && p->all.v[i]->dev == dev)
			return p->all.v[i];
	}
	return NULL;
}

static bool room(struct pods *p, const struct pods_row *r)
{
	if (p->all.n < p->max)
		return true;
	stat_add(&p->stat.full, 1);
	if (!p->full)
		log_error(r->name, "more than %u network namespaces (proxy.namespaces): clients in further ones meet the fail mode", p->max);
	p->full = true;
	return false;
}

static void ns_add(struct scan *s, const struct process *x)
{
	struct pods *p = s->p;
	struct pod_ns *n;
	struct stat st;
	int fd;

	if (!room(p, s->row))
		return;
	fd = process_netns(x->pid);
	/* It may have gone elsewhere meanwhile. */
	if (fd < 0 || fstat(fd, &st) || st.st_ino != x->ino || st.st_dev != x->dev) {
		if (fd >= 0)
			close(fd);
		return;
	}
	n = pod_ns_open(p, s->row, fd);
	if (!n)
		return;
	n->dev = x->dev;
	n->ino = x->ino;
	n->mark = p->mark;
	vec_push(&p->all, n);
	stat_add(&p->stat.found, 1);
	log_info(n->name[OWN_V4], "network namespace of workload %s", s->row->name);
	pods_soon(p);
}

static bool on_process(void *arg, const struct process *x)
{
	struct scan *s = arg;
	struct pod_ns *n;

	if (s->wanted) {
		s->seen |= s->wanted->ino == x->ino && s->wanted->dev == x->dev;
		return !s->seen;
	}
	if (s->p->own->ino == x->ino && s->p->own->dev == x->dev)
		return true;
	n = ns_at(s->p, x->dev, x->ino);
	if (!n) {
		ns_add(s, x);
		return true;
	}
	n->mark = s->p->mark;
	n->row = s->row;
	return true;
}

/* Of another workload, which is then the one that it belongs to. */
static bool elsewhere(struct pods *p, struct pod_ns *n)
{
	struct scan s = { .p = p, .wanted = n };

	for (size_t i = 0; i < p->rows.n && !s.seen; i++) {
		if (p->rows.v[i] == n->row || !p->rows.v[i]->cgroup)
			continue;
		processes_each(p->rows.v[i]->path, on_process, &s);
		if (s.seen)
			n->row = p->rows.v[i];
	}
	return s.seen;
}

/* Who found none is not remembered: all are looked at. */
static void make_room(struct pods *p)
{
	for (size_t i = 0; p->full && i < p->rows.n; i++)
		p->rows.v[i]->due = true;
	if (p->full)
		pods_soon(p);
	p->full = false;
}

static void drop_unseen(struct pods *p, const struct pods_row *r)
{
	for (size_t i = p->all.n; i-- > 0;) {
		struct pod_ns *n = p->all.v[i];

		if (n->row != r || n->mark == p->mark || elsewhere(p, n))
			continue;
		log_info(n->name[OWN_V4], "its last process has gone");
		stat_add(&p->stat.gone, 1);
		vec_remove_swap(&p->all, i);
		pod_ns_drop(n);
		make_room(p);
	}
}

/* Of one folder there is one watch, whoever asked for it. */
static void folder_unwatch(struct pods *p, struct pods_row *r)
{
	int wd = r->folder;

	r->folder = -1;
	if (wd < 0)
		return;
	for (size_t i = 0; i < p->rows.n; i++) {
		if (p->rows.v[i] != r && p->rows.v[i]->folder == wd)
			return;
	}
	inotify_rm_watch(p->inotify.fd, wd);
}

/* Where its cgroup, or those below it, will be made. */
static void folder_watch(struct pods *p, struct pods_row *r)
{
	char *path = mem_str(r->path), *slash;
	int wd;

	while ((wd = inotify_add_watch(p->inotify.fd, path, IN_CREATE | IN_ONLYDIR)) < 0 && errno == ENOENT) {
		slash = strrchr(path, '/');
		if (!slash || slash == path)
			break;
		*slash = '\0';
	}
	free(path);
	if (wd == r->folder)
		return;
	folder_unwatch(p, r);
	r->folder = wd;
}

static void row_unwatch(struct pods *p, struct pods_row *r)
{
	if (r->watch >= 0)
		inotify_rm_watch(p->inotify.fd, r->watch);
	r->watch = -1;
}

/* cgroup.events says when the first process comes and the last one goes. */
static void row_watch(struct pods *p, struct pods_row *r)
{
	char *file = mem_printf("%s/cgroup.events", r->path);

	r->watch = inotify_add_watch(p->inotify.fd, file, IN_MODIFY);
	free(file);
}

static void row_scan(struct pods *p, struct pods_row *r)
{
	struct scan s = { .p = p, .row = r };
	uint64_t id = 0;

	r->due = false;
	p->mark++;
	stat_add(&p->stat.scans, 1);
	folder_watch(p, r);
	if (cgroup_id(r->path, &id))
		id = 0;
	if (id != r->cgroup)
		row_unwatch(p, r);
	r->cgroup = id;
	if (id && r->watch < 0)
		row_watch(p, r);
	if (id)
		processes_each(r->path, on_process, &s);
	drop_unseen(p, r);
}

/* ---- when ----------------------------------------------------------------------------------------------------- */

static void look(struct loop_deferred *d)
{
	struct pods *p = container_of(d, struct pods, soon);

	for (size_t i = 0; i < p->rows.n; i++) {
		if (p->rows.v[i]->due)
			row_scan(p, p->rows.v[i]);
	}
	give(p);
}

void pods_soon(struct pods *p)
{
	if (p->on)
		loop_defer(p->loop, &p->soon, look);
}

static void on_tick(struct timer *t)
{
	struct pods *p = t->arg;

	for (size_t i = 0; i < ROWS_PER_TICK && i < p->rows.n; i++)
		row_scan(p, p->rows.v[p->next_row++ % p->rows.n]);
	timer_arm(p->loop, &p->tick, TICK_NS, on_tick, p);
}

static void on_again(struct timer *t)
{
	struct pods *p = t->arg;
	bool more = false;

	for (size_t i = 0; i < p->rows.n; i++) {
		struct pods_row *r = p->rows.v[i];

		if (!r->again)
			continue;
		r->again--;
		row_scan(p, r);
		more |= r->again > 0;
	}
	give(p);
	p->again_ns *= AGAIN_GROWS;
	if (more)
		timer_arm(p->loop, &p->again, p->again_ns, on_again, p);
}

/* A cgroup was made in the folder that this row watches. */
static void row_again(struct pods *p, struct pods_row *r)
{
	r->due = true;
	r->again = AGAIN_TIMES;
	p->again_ns = AGAIN_FIRST_NS;
	timer_arm(p->loop, &p->again, p->again_ns, on_again, p);
}

static void on_inotify(struct loop_io *io, unsigned events)
{
	_Alignas(struct inotify_event) char bytes[4096];
	struct pods *p = io->arg;
	ssize_t n = read(io->fd, bytes, sizeof(bytes));

	(void)events;
	for (char *at = bytes; n > 0 && at < bytes + n;) {
		const struct inotify_event *e = (void *)at;

		for (size_t i = 0; i < p->rows.n; i++) {
			struct pods_row *r = p->rows.v[i];

			if (r->folder == e->wd && e->mask & IN_CREATE)
				row_again(p, r);
			r->due |= r->watch == e->wd || r->folder == e->wd;
			if (r->watch == e->wd && e->mask & IN_IGNORED)
				r->watch = -1;
			if (r->folder == e->wd && e->mask & IN_IGNORED)
				r->folder = -1;
		}
		at += sizeof(*e) + e->len;
	}
	pods_soon(p);
}

void pods_unseen(void *arg, uint64_t netns, uint64_t cgroup)
{
	struct pods *p = arg;

	(void)netns;
	stat_add(&p->stat.unseen, 1);
	for (size_t i = 0; i < p->rows.n; i++) {
		uint64_t id = p->rows.v[i]->cgroup;

		/* One that has no cgroup yet may have it by now. */
		p->rows.v[i]->due |= !id || id == cgroup;
	}
	pods_soon(p);
}

/* ---- which workloads ------------------------------------------------------------------------------------------ */

static void row_free(struct pods *p, struct pods_row *r)
{
	row_unwatch(p, r);
	folder_unwatch(p, r);
	free(r->name);
	free(r->path);
	free(r);
}

static struct pods_row *row_find(const struct pods *p, struct slice name)
{
	for (size_t i = 0; i < p->rows.n; i++) {
		if (slice_eq_str(name, p->rows.v[i]->name))
			return p->rows.v[i];
	}
	return NULL;
}

static void row_want(struct pods *p, const struct kern_status *s, const struct workload_fact *f)
{
	struct pods_row *r = row_find(p, f->name);
	char *path;

	if (f->exempt)
		return;
	path = workloads_path(s->cgroup_root, s->cgroup, f->cgroup);
	if (r && strcmp(r->path, path))
		r = NULL;                       /* the old one goes as any other that nobody wants */
	if (!r) {
		r = mem_alloc(sizeof(*r));
		*r = (struct pods_row){ .name = mem_dup(f->name.p, f->name.n), .path = path, .watch = -1, .folder = -1, .due = true };
		vec_push(&p->rows, r);
		path = NULL;
	}
	free(path);
	r->wanted = true;
}

/* Its namespaces, but those where another workload has processes too. */
static void row_drop(struct pods *p, struct pods_row *r)
{
	p->mark++;
	drop_unseen(p, r);
	row_free(p, r);
}

static void rows_sync(struct pods *p, const struct snapshot *now)
{
	struct fact_set set = snapshot_facts(now, FACT_WORKLOAD);
	struct kern_status s;

	kern_status(p->kern, &s);
	for (size_t i = 0; i < p->rows.n; i++)
		p->rows.v[i]->wanted = false;
	for (size_t i = 0; i < set.n; i++)
		row_want(p, &s, (const struct workload_fact *)set.v[i]);
	for (size_t i = 0; i < p->rows.n; i++) {
		if (p->rows.v[i]->due)
			row_scan(p, p->rows.v[i]);
	}
	for (size_t i = p->rows.n; i-- > 0;) {
		struct pods_row *r = p->rows.v[i];

		if (r->wanted)
			continue;
		vec_remove_swap(&p->rows, i);
		row_drop(p, r);
	}
}

static bool begin(struct pods *p)
{
	struct stat st;
	int fd;

	p->own = pod_ns_open(p, NULL, -1);
	if (!p->own || stat("/proc/self/ns/net", &st))
		return false;
	p->own->dev = st.st_dev;
	p->own->ino = st.st_ino;
	fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd < 0 || loop_add(p->loop, &p->inotify, fd, LOOP_READ, on_inotify, p)) {
		log_error("pods", "no inotify: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	timer_arm(p->loop, &p->tick, TICK_NS, on_tick, p);
	return true;
}

static void end(struct pods *p)
{
	timer_disarm(p->loop, &p->tick);
	timer_disarm(p->loop, &p->again);
	for (size_t i = 0; i < p->all.n; i++)
		pod_ns_drop(p->all.v[i]);
	vec_clear(&p->all);
	p->full = false;
	if (p->own)
		pod_ns_drop(p->own);
	p->own = NULL;
	/* All watches end with their descriptor; who is freed is asked no more. */
	for (size_t i = 0; i < p->rows.n; i++)
		p->rows.v[i]->folder = -1;
	for (size_t i = 0; i < p->rows.n; i++)
		row_free(p, p->rows.v[i]);
	vec_clear(&p->rows);
	if (p->inotify.active) {
		loop_del(p->loop, &p->inotify);
		close(p->inotify.fd);
	}
}

void pods_update(struct pods *p, const struct diff *d, bool active)
{
	bool begins = active && !p->active;

	if (!p->on || (!active && !p->active))
		return;
	if (!active || (begins && !begin(p))) {
		end(p);
		active = false;
	} else if (begins || d->facts[FACT_WORKLOAD].n) {
		rows_sync(p, d->now);
	}
	p->active = active;
	give(p);
}

/* ---- doors and the kernel ------------------------------------------------------------------------------------- */

void pods_doors(struct pods *p)
{
	if (p->own)
		pod_ns_show(p->own);
	for (size_t i = 0; i < p->all.n; i++)
		pod_ns_show(p->all.v[i]);
	gauges(p);
}

static bool keep(void *arg, uint64_t netns)
{
	const struct pods *p = arg;

	if (p->own && p->own->in_map && p->own->cookie == netns)
		return true;
	for (size_t i = 0; i < p->all.n; i++) {
		if (p->all.v[i]->cookie == netns)
			return p->all.v[i]->in_map;
	}
	return false;
}

void pods_settle(struct pods *p)
{
	if (!p->settled)
		kern_pods_keep(p->kern, keep, p);
	p->settled = true;
}

int pods_netns(const struct pods *p, uint64_t netns)
{
	for (size_t i = 0; i < p->all.n; i++) {
		if (p->all.v[i]->netns == netns)
			return p->all.v[i]->fd;
	}
	return -ENOENT;
}

void pods_init(struct pods *p, struct loop *l, struct hub *h, const struct doors *d, struct kern *k, bool on, uint32_t max)
{
	*p = (struct pods){ .on = on, .loop = l, .doors = d, .kern = k, .max = max };
	if (!on)
		return;
	hub_add(h, &p->source, PODS_REGISTRY, PODS_REGISTRY, NULL);
	p->source.synced = true;
	hub_sink.synced(&p->source);
}

/* The entries stay: the proxy goes on listening, and the next agent takes them over. */
void pods_fini(struct pods *p)
{
	if (!p->loop)
		return;
	p->on = false;
	for (size_t i = 0; i < p->all.n; i++)
		p->all.v[i]->in_map = false;
	if (p->own)
		p->own->in_map = false;
	end(p);
	for (size_t i = 0; i < p->gone.n; i++)
		free(p->gone.v[i]);
	vec_fini(&p->gone);
	vec_fini(&p->all);
	vec_fini(&p->rows);
	p->loop = NULL;
}
