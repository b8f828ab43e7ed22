/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pod_ns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/doors.h"
#include "agent/netns.h"
#include "agent/pods.h"
#include "kern/pods.h"
#include "model/fact.h"
#include "weft/log.h"
#include "weft/str.h"

/* ---- its entry ------------------------------------------------------------------------------------------------ */

static void hide(struct pod_ns *n)
{
	if (n->in_map)
		kern_pod(n->pods->kern, n->cookie, NULL);
	n->in_map = false;
}

/* Where doors are open, at the addresses that the facts say. */
static bool entry_of(const struct pod_ns *n, struct pod_place *out)
{
	struct addr16 *to[OWN_FAMILIES] = { &out->v4, &out->v6 };
	bool any = false;

	*out = (struct pod_place){ .port = htons(PODS_PORT) };
	for (int i = 0; i < OWN_FAMILIES; i++) {
		const struct door *d = n->given.has[i] ? doors_find(n->pods->doors, slice_str(n->name[i])) : NULL;

		if (!d || !d->n || memcmp(&d->place.addr.ip, &n->given.ip[i], sizeof(n->given.ip[i])))
			continue;
		memcpy(to[i], &n->given.ip[i], sizeof(*to[i]));
		any = true;
	}
	return any;
}

void pod_ns_show(struct pod_ns *n)
{
	struct pod_place want;

	if (!entry_of(n, &want)) {
		hide(n);
		return;
	}
	if (n->in_map && !memcmp(&want, &n->entry, sizeof(want)))
		return;
	n->in_map = !kern_pod(n->pods->kern, n->cookie, &want);
	n->entry = want;
}

/* ---- the namespace -------------------------------------------------------------------------------------------- */

static void addrs_look(struct pod_ns *n)
{
	int err = own_addrs_read(n->addrs_io.fd, !n->row, &n->addrs);

	if (err)
		log_warn(n->name[OWN_V4], "its addresses cannot be read: %s", strerror(-err));
	if (memcmp(&n->addrs, &n->given, sizeof(n->addrs)))
		pods_soon(n->pods);
}

static void on_addrs(struct loop_io *io, unsigned events)
{
	(void)events;
	addrs_look(io->arg);
}

static void ns_free(struct pod_ns *n)
{
	if (n->addrs_io.active) {
		loop_del(n->pods->loop, &n->addrs_io);
		close(n->addrs_io.fd);
	}
	if (n->fd >= 0)
		close(n->fd);
	free(n->name[OWN_V4]);
	free(n->name[OWN_V6]);
	free(n);
}

static void ns_name(struct pod_ns *n)
{
	n->name[OWN_V4] = n->netns ? mem_printf(PODS_PREFIX "/%llu", (unsigned long long)n->netns) : mem_str(PODS_PREFIX);
	n->name[OWN_V6] = mem_printf("%s/6", n->name[OWN_V4]);
}

/* fd -1: the namespace that we are in. *addrs_fd: a socket of it. */
static int ns_enter(struct pod_ns *n, int *addrs_fd)
{
	int back = -1, err = n->fd < 0 ? 0 : netns_enter(n->fd, &back);

	if (err)
		return err;
	err = netns_cookie(&n->cookie);
	*addrs_fd = own_addrs_open();
	if (back >= 0)
		netns_leave(back);
	return *addrs_fd < 0 ? *addrs_fd : n->fd < 0 ? 0 : err;
}

struct pod_ns *pod_ns_open(struct pods *p, const struct pods_row *r, int take_fd)
{
	struct pod_ns *n = mem_alloc(sizeof(*n));
	int addrs_fd = -1, err;

	n->pods = p;
	n->row = r;
	n->fd = take_fd;
	err = ns_enter(n, &addrs_fd);
	n->netns = take_fd < 0 ? 0 : n->cookie;
	ns_name(n);
	if (!err)
		err = loop_add(p->loop, &n->addrs_io, addrs_fd, LOOP_READ, on_addrs, n);
	if (!err) {
		addrs_look(n);
		return n;
	}
	stat_add(&p->stat.unreachable, 1);
	log_warn(r ? r->name : "agent", "a network namespace of it cannot be entered: %s", strerror(-err));
	if (addrs_fd >= 0)
		close(addrs_fd);
	ns_free(n);
	return NULL;
}

/* The entry first, then the facts, with which the sockets go. */
void pod_ns_drop(struct pod_ns *n)
{
	struct pods *p = n->pods;

	hide(n);
	for (int i = 0; i < OWN_FAMILIES; i++) {
		if (n->given.has[i])
			vec_push(&p->gone, mem_str(n->name[i]));
	}
	pods_soon(p);
	ns_free(n);
}

/* ---- its facts ------------------------------------------------------------------------------------------------ */

static struct fact *listener_make(const struct pod_ns *n, int family)
{
	struct fact_mark mark = { .registry = SLICE_LIT(PODS_REGISTRY), .file = slice_str(n->row ? n->row->name : "") };
	struct listener *f = (struct listener *)fact_new(FACT_LISTENER, slice_str(n->name[family]), &mark);

	f->netns = n->netns;
	f->ip = n->addrs.ip[family];
	f->port = PODS_PORT;
	f->dispatch = true;
	f->capture = CAPTURE_EBPF;
	return &f->fact;
}

void pod_ns_give(struct pod_ns *n, bool *open)
{
	struct pods *p = n->pods;

	if (!memcmp(&n->addrs, &n->given, sizeof(n->addrs)))
		return;
	hide(n);
	for (int i = 0; i < OWN_FAMILIES; i++) {
		pods_change(p, open);
		if (n->addrs.has[i])
			hub_sink.put(&p->source, listener_make(n, i));
		else if (n->given.has[i])
			hub_sink.del(&p->source, FACT_LISTENER, slice_str(n->name[i]));
	}
	n->given = n->addrs;
}
