/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weft/log.h"
#include "weft/str.h"

#define BUSIEST (offsetof(struct listener_stat, busiest) / sizeof(uint64_t))

static void entry_free(struct sockets_entry *e)
{
	for (size_t i = 0; i < e->fds.n; i++) {
		if (e->fds.v[i] >= 0)
			close(e->fds.v[i]);
	}
	vec_fini(&e->fds);
	listener_shared_drop(e->shared);
	free(e->name);
	free(e);
}

void sockets_fini(struct sockets *s)
{
	for (size_t i = 0; i < s->all.n; i++)
		entry_free(s->all.v[i]);
	vec_fini(&s->all);
	table_fini(&s->by_name);
}

static struct sockets_entry *entry(struct sockets *s, struct slice name)
{
	struct sockets_entry *e = table_get(&s->by_name, name);

	if (e)
		return e;
	e = mem_alloc(sizeof(*e));
	e->name = mem_dup(name.p, name.n);
	e->shared = listener_shared_new();
	vec_push(&s->all, e);
	table_put(&s->by_name, slice_str(e->name), e);
	return e;
}

void sockets_take(struct sockets *s, struct slice listener, unsigned index, int take_fd, struct worker *workers, unsigned n)
{
	struct sockets_entry *e = entry(s, listener);
	int copy = fcntl(take_fd, F_DUPFD_CLOEXEC, 0);

	while (e->fds.n <= index)
		vec_push(&e->fds, -1);
	if (e->fds.v[index] >= 0)
		close(e->fds.v[index]);
	e->fds.v[index] = take_fd;
	if (copy < 0) {
		log_error(e->name, "a socket cannot be given to its worker: %s", strerror(errno));
		return;
	}
	listeners_give(&workers[index % n], listener, index, copy, e->shared);
}

void sockets_stat(const struct sockets_entry *e, unsigned workers, uint64_t *v)
{
	for (size_t row = 0; row < listener_stat_desc.n; row++) {
		v[row] = 0;
		for (unsigned i = 0; i < workers; i++) {
			uint64_t one = stat_get((const _Atomic uint64_t *)&e->shared->worker[i].stat + row);

			if (row != BUSIEST)
				v[row] += one;
			else if (one > v[row])
				v[row] = one;
		}
	}
}

static void close_unfit(struct sockets_entry *e, const struct listener *conf)
{
	for (size_t i = 0; i < e->fds.n; i++) {
		if (e->fds.v[i] < 0 || listener_fits(conf, e->fds.v[i]))
			continue;
		close(e->fds.v[i]);
		e->fds.v[i] = -1;
	}
}

void sockets_keep(struct sockets *s, const struct snapshot *snap)
{
	for (size_t i = s->all.n; i-- > 0;) {
		struct sockets_entry *e = s->all.v[i];
		const struct fact *f = snapshot_fact(snap, FACT_LISTENER, slice_str(e->name));

		if (f) {
			close_unfit(e, (const struct listener *)f);
			continue;
		}
		table_del(&s->by_name, slice_str(e->name));
		entry_free(e);
		vec_remove_swap(&s->all, i);
	}
}

void sockets_announce(struct sockets *s, const struct snapshot *snap, const struct snapshot *before, struct worker *workers,
		      unsigned n)
{
	struct fact_set set = snapshot_facts(snap, FACT_LISTENER);

	if (before && snap->facts[FACT_LISTENER] == before->facts[FACT_LISTENER])
		return;
	for (size_t i = 0; i < set.n; i++) {
		const struct listener *l = (const struct listener *)set.v[i];

		if (!l->socketless || table_get(&s->by_name, l->name))
			continue;
		for (unsigned w = 0; w < n; w++)
			listeners_give(&workers[w], l->name, w, -1, entry(s, l->name)->shared);
	}
}
