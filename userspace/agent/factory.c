/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/factory.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/netns.h"
#include "base/clock.h"
#include "weft/log.h"

STAT_DEFINE(factory_stat, "factory", FACTORY_STATS);

/* How many of n may be made now. */
static uint32_t allowance(struct factory *f, uint32_t n)
{
	uint64_t now = clock_ns();
	uint32_t may = n < FACTORY_AT_ONCE ? n : FACTORY_AT_ONCE;

	if (now - f->since_ns >= SEC) {
		f->since_ns = now;
		f->n = 0;
	}
	if (may > FACTORY_PER_S - f->n)
		may = FACTORY_PER_S - f->n;
	f->n += may;
	stat_add(&f->stat.limited, n - may);
	return may;
}

/* In the namespace that we are in. How many were made. */
static uint32_t make(struct factory *f, const struct report_want *w, uint32_t n, int *fds)
{
	for (uint32_t i = 0; i < n; i++) {
		fds[i] = socket(w->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
		if (fds[i] >= 0)
			continue;
		stat_add(&f->stat.failed, n - i);
		log_warn("factory", "no socket for the proxy in namespace %llu: %s", (unsigned long long)w->netns, strerror(errno));
		return i;
	}
	return n;
}

void factory_want(struct factory *f, const struct report_want *w)
{
	int fds[FACTORY_AT_ONCE], netns = w->netns ? pods_netns(f->pods, w->netns) : -ENOENT, back;
	bool known = w->family == AF_INET || w->family == AF_INET6;
	uint32_t n;

	if (netns < 0 || !known || netns_enter(netns, &back)) {
		stat_add(&f->stat.refused, 1);
		return;
	}
	n = make(f, w, allowance(f, w->n), fds);
	netns_leave(back);
	for (uint32_t i = 0; i < n; i++)
		child_socket_of(f->child, w, fds[i]);
	child_push(f->child);
	stat_add(&f->stat.made, n);
}

void factory_init(struct factory *f, struct child *c, const struct pods *p)
{
	*f = (struct factory){ .child = c, .pods = p };
}
