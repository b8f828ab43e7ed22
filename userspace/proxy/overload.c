/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/overload.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "proxy/worker.h"
#include "weft/log.h"

#define LOOK_NS (100 * MSEC)
#define LOOK_SELDOM_NS (1 * SEC)                /* only descriptors are limited */
#define TRIM_NS (1 * SEC)

/* ---- measuring ---------------------------------------------------------------------------------------------- */

static uint64_t resident(const struct overload *o)
{
	char text[128];
	ssize_t n = o->statm_fd < 0 ? -1 : pread(o->statm_fd, text, sizeof(text) - 1, 0);
	unsigned long pages = 0;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return sscanf(text, "%*u %lu", &pages) == 1 ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t buffers(const struct overload *o)
{
	int64_t sum = 0;

	for (unsigned i = 0; i < o->nworkers; i++)
		sum += (int64_t)atomic_load_explicit(&o->workers[i].buffers, memory_order_relaxed);
	return sum > 0 ? (uint64_t)sum : 0;
}

/* Linux 6.2 and later say how many there are as the size of the folder; before, the lowest free one is a lower bound. */
static uint64_t descriptors(const struct overload *o)
{
	struct stat st;
	int fd;

	if (o->fds_fd >= 0 && !fstat(o->fds_fd, &st) && st.st_size > 0)
		return (uint64_t)st.st_size;
	fd = fcntl(0, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return o->limits.descriptors;
	close(fd);
	return (uint64_t)fd;
}

static void measure(struct overload *o)
{
	uint64_t rss = resident(o), bufs = buffers(o);

	stat_set(&o->stat.resident, rss);
	stat_set(&o->stat.buffers, bufs);
	stat_set(&o->stat.memory, rss > bufs ? rss : bufs);
	stat_set(&o->stat.connections, atomic_load_explicit(&o->open, memory_order_relaxed));
	stat_set(&o->stat.descriptors, descriptors(o));
}

/* ---- levels ------------------------------------------------------------------------------------------------- */

static void say(const struct overload *o, enum overload_level was)
{
	static const char *const what[] = {
		"everything is taken again",
		"connections are not kept, and where memory or descriptors are short new ones wait",
		"requests are answered 503, idle clients are closed, new connections wait",
	};
	char text[256];

	snprintf(text, sizeof(text), "%s (was %s): memory %llu of %llu MiB, %llu of %llu connections, %llu of %llu descriptors",
		 overload_level_names[o->level], overload_level_names[was],
		 (unsigned long long)stat_get(&o->stat.memory) >> 20, (unsigned long long)o->limits.memory >> 20,
		 (unsigned long long)stat_get(&o->stat.connections), (unsigned long long)o->limits.connections,
		 (unsigned long long)stat_get(&o->stat.descriptors), (unsigned long long)o->limits.descriptors);
	if (o->level > was)
		log_warn("overload", "%s: %s", text, what[o->level]);
	else
		log_info("overload", "%s: %s", text, what[o->level]);
}

static enum overload_level highest(const struct overload *o)
{
	enum overload_level l = o->memory > o->descriptors ? o->memory : o->descriptors;

	return l > o->connections ? l : o->connections;
}

static void tell(struct overload *o)
{
	enum overload_level was = o->level;
	/* A limit of connections is one that new ones wait at; short of it they are taken. */
	bool hold = o->memory || o->descriptors;

	o->level = highest(o);
	for (unsigned i = 0; i < o->nworkers; i++)
		worker_overload(&o->workers[i], o->level, hold);
	stat_set(&o->stat.level, o->level);
	if (o->level == was)
		return;
	stat_add(&o->stat.soft, was == OVERLOAD_NONE);
	stat_add(&o->stat.hard, o->level == OVERLOAD_HARD);
	stat_add(&o->stat.recovered, o->level == OVERLOAD_NONE);
	say(o, was);
}

static enum overload_level memory_level(const struct overload *o)
{
	return overload_next(o->memory, stat_get(&o->stat.memory), o->limits.memory, &o->limits);
}

/* What was given back to the heap counts as resident until the heap is asked for it: that comes before any refusal. */
static void trim(struct overload *o)
{
	if (memory_level(o) == OVERLOAD_NONE || o->loop->now_ns - o->trimmed_ns < TRIM_NS)
		return;
	o->trimmed_ns = o->loop->now_ns;
	malloc_trim(0);
	measure(o);
}

static void look(struct timer *t)
{
	struct overload *o = t->arg;
	enum overload_level memory = o->memory, descriptors = o->descriptors, connections = o->connections;
	bool often = o->limits.memory || o->limits.connections || o->limits.descriptors != o->own;

	measure(o);
	trim(o);
	o->memory = memory_level(o);
	o->descriptors = overload_next(descriptors, stat_get(&o->stat.descriptors), o->limits.descriptors, &o->limits);
	o->connections = overload_next(connections, stat_get(&o->stat.connections), o->limits.connections, &o->limits);
	/* That clients are many is no reason to refuse what the admitted ones ask. */
	if (o->connections == OVERLOAD_HARD)
		o->connections = OVERLOAD_SOFT;
	if (o->descriptors < OVERLOAD_HARD)
		atomic_store_explicit(&o->fd_short, false, memory_order_relaxed);
	if (o->memory != memory || o->descriptors != descriptors || o->connections != connections)
		tell(o);
	timer_arm(o->loop, t, often ? LOOK_NS : LOOK_SELDOM_NS, look, o);
}

/* ---- places ------------------------------------------------------------------------------------------------- */

bool overload_enter(struct overload *o)
{
	uint64_t most = atomic_load_explicit(&o->most, memory_order_relaxed);
	uint64_t n = atomic_load_explicit(&o->open, memory_order_relaxed);

	do {
		if (most && n >= most)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&o->open, &n, n + 1, memory_order_relaxed, memory_order_relaxed));
	return true;
}

void overload_leave(struct overload *o)
{
	atomic_fetch_sub_explicit(&o->open, 1, memory_order_relaxed);
}

bool overload_full(const struct overload *o)
{
	uint64_t most = atomic_load_explicit(&o->most, memory_order_relaxed);

	return atomic_load_explicit(&o->fd_short, memory_order_relaxed) ||
	       (most && atomic_load_explicit(&o->open, memory_order_relaxed) >= most);
}

/* POSIX: open(), socket() and the like give the lowest number that is free, so below fd all are in use. */
int overload_fd(struct overload *o, int fd)
{
	uint64_t line = o && fd >= 0 ? atomic_load_explicit(&o->fd_line, memory_order_relaxed) : 0;

	if (!line || (uint64_t)fd < line)
		return fd;
	if (!atomic_exchange_explicit(&o->fd_short, true, memory_order_relaxed))
		stat_add(&o->stat.short_of, 1);
	if ((uint64_t)fd < atomic_load_explicit(&o->fd_most, memory_order_relaxed))
		return fd;
	stat_add(&o->stat.over, 1);
	close(fd);
	return -EMFILE;
}

/* ---- life --------------------------------------------------------------------------------------------------- */

static uint64_t own_limit(void)
{
	struct rlimit r;

	return getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur == RLIM_INFINITY ? 0 : r.rlim_cur;
}

void overload_set(struct overload *o, const struct overload_limits *l)
{
	o->limits = *l;
	if (!l->descriptors || (o->own && o->own < l->descriptors))
		o->limits.descriptors = o->own;
	atomic_store_explicit(&o->most, l->connections, memory_order_relaxed);
	atomic_store_explicit(&o->fd_most, o->limits.descriptors, memory_order_relaxed);
	atomic_store_explicit(&o->fd_line, o->limits.descriptors * l->hard / 100, memory_order_relaxed);
	stat_set(&o->stat.memory_limit, l->memory);
	stat_set(&o->stat.connections_limit, l->connections);
	stat_set(&o->stat.descriptors_limit, o->limits.descriptors);
	if (o->loop)
		timer_arm(o->loop, &o->timer, 0, look, o);
}

void overload_init(struct overload *o)
{
	o->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	o->fds_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	o->own = own_limit();
	o->limits = (struct overload_limits){ .soft = 80, .hard = 95 };
}

void overload_start(struct overload *o, struct loop *l, struct worker *workers, unsigned n)
{
	o->loop = l;
	o->workers = workers;
	o->nworkers = n;
	overload_set(o, &o->limits);
}

void overload_fini(struct overload *o)
{
	if (o->loop)
		timer_disarm(o->loop, &o->timer);
	if (o->statm_fd > 0)
		close(o->statm_fd);
	if (o->fds_fd > 0)
		close(o->fds_fd);
	o->loop = NULL;
}
