/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/drainer.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "bpf/drain.skel.h"
#include "kern/drain.h"
#include "kern/each.h"
#include "weft/log.h"

#define PAUSE_NS (20 * MSEC)

void drainer_open(struct drainer *d, int sock_map_fd)
{
	union bpf_iter_link_info info = { .map.map_fd = (uint32_t)sock_map_fd };
	LIBBPF_OPTS(bpf_iter_attach_opts, o, .link_info = &info, .link_info_len = sizeof(info));

	*d = (struct drainer){ .sock_map = sock_map_fd, .bpf = drain_bpf__open_and_load() };
	if (d->bpf)
		d->link = bpf_program__attach_iter(d->bpf->progs.drain_sockets, &o);
}

void drainer_close(struct drainer *d)
{
	bpf_link__destroy(d->link);
	drain_bpf__destroy(d->bpf);
	d->link = NULL;
	d->bpf = NULL;
}

static void one_row(struct drainer *d, const struct drain_row *r)
{
	if (r->state == DRAIN_EMPTY && !bpf_map_delete_elem(d->sock_map, &r->cookie))
		return;
	d->left++;
	d->unread += r->state == DRAIN_UNREAD;
}

static bool count_one(void *arg, const void *key, void *value)
{
	(void)key;
	(void)value;
	((struct drainer *)arg)->left++;
	return true;
}

static void once(struct drainer *d)
{
	struct drain_row rows[64];
	int fd = d->link ? bpf_iter_create(bpf_link__fd(d->link)) : -1;
	ssize_t n = 0;

	d->left = d->unread = 0;
	/* Rows are read whole: the iterator fills its buffer by whole records. */
	while (fd >= 0 && (n = read(fd, rows, sizeof(rows))) > 0)
		for (size_t i = 0; i < (size_t)n / sizeof(*rows); i++)
			one_row(d, &rows[i]);
	if (fd < 0 || n < 0)
		each_entry(d->sock_map, count_one, d);
	if (fd >= 0)
		close(fd);
}

void drainer_run(struct drainer *d, uint32_t ms)
{
	uint64_t end = clock_ns() + ms * MSEC;
	struct timespec pause = { .tv_nsec = PAUSE_NS };

	for (;;) {
		once(d);
		/* Looking again is of use only where sockets can be taken out, or close by themselves. */
		if (!d->left || clock_ns() >= end)
			break;
		nanosleep(&pause, NULL);
	}
	if (d->left && !d->link)
		log_warn("kernel", "%u sockets stay in the sockhash: this kernel does not show which have unread bytes", d->left);
}
