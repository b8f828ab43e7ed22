/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/events.h"
#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "kern/kern_priv.h"
#include "kern/read.h"
#include "weft/log.h"

#define LINES_PER_S 10

/* Whether one more line of this kind may be written; says first how many were not. */
static bool may_log(struct kern_rate *r, const char *what)
{
	uint64_t now = clock_ns();

	if (now - r->since_ns >= SEC) {
		if (r->suppressed)
			log_warn("kernel", "%u more %s in the second before", r->suppressed, what);
		*r = (struct kern_rate){ .since_ns = now };
	}
	if (r->n++ < LINES_PER_S)
		return true;
	r->suppressed++;
	return false;
}

static void closed(struct kern *k, const struct event_conn *c)
{
	struct kern_events *v = &k->events;

	v->kept[v->head] = *c;
	v->head = (v->head + 1) % EVENTS_KEPT;
	v->n += v->n < EVENTS_KEPT;
}

static void refused(struct kern *k, const struct event_refused *r)
{
	char addr[INET6_ADDRSTRLEN] = "?";
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };
	bool v4 = !memcmp(r->addr.b, mapped, sizeof(mapped));

	if (!may_log(&k->events.refused, "refused connections"))
		return;
	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? r->addr.b + 12 : r->addr.b, addr, sizeof(addr));
	log_info("kernel", "refused %s %s%s%s:%u from cgroup %llu: %s", r->proto == IPPROTO_UDP ? "udp" : "tcp",
		 v4 ? "" : "[", addr, v4 ? "" : "]", ntohs(r->port), (unsigned long long)r->cgroup,
		 read_reason_text(r->head.reason));
}

static void failed(struct kern *k, const struct event_error *x)
{
	if (may_log(&k->events.error, "errors"))
		log_error("kernel", "%s (%s)", read_reason_text(x->head.reason), strerror(-x->err));
}

static void unseen(struct kern *k, const struct event_netns *x)
{
	if (k->unseen)
		k->unseen(k->unseen_arg, x->netns, x->cgroup);
}

static int record(void *arg, void *data, size_t n)
{
	const struct event_head *h = data;
	struct kern *k = arg;

	stat_add(&k->stat.events, 1);
	if (n >= sizeof(struct event_conn) && h->type == EVENT_CLOSE)
		closed(k, data);
	else if (n >= sizeof(struct event_refused) && h->type == EVENT_REFUSED)
		refused(k, data);
	else if (n >= sizeof(struct event_error) && h->type == EVENT_ERROR)
		failed(k, data);
	else if (n >= sizeof(struct event_netns) && h->type == EVENT_NETNS)
		unseen(k, data);
	else
		stat_add(&k->stat.events_bad, 1);
	return 0;
}

static void on_events(struct loop_io *io, unsigned events)
{
	(void)events;
	ring_buffer__consume(((struct kern *)io->arg)->events.ring);
}

int events_open(struct kern *k, struct err *e)
{
	struct kern_events *v = &k->events;

	v->ring = ring_buffer__new(load_fd(&k->load, "event_map"), record, k, NULL);
	if (!v->ring)
		return err_errno(e, -errno, "event_map");
	if (!k->loop)
		return 0;
	int err = loop_add(k->loop, &v->io, ring_buffer__epoll_fd(v->ring), LOOP_READ, on_events, k);

	return err ? err_errno(e, err, "watch event_map") : 0;
}

void events_close(struct kern *k)
{
	if (k->loop)
		loop_del(k->loop, &k->events.io);
	ring_buffer__free(k->events.ring);
	k->events.ring = NULL;
}

int events_poll(struct kern *k)
{
	return k->events.ring ? ring_buffer__consume(k->events.ring) : 0;
}

void events_closed(const struct kern *k, events_conn_fn *fn, void *arg)
{
	const struct kern_events *v = &k->events;

	for (uint32_t i = 1; i <= v->n; i++)
		if (!fn(arg, &v->kept[(v->head + EVENTS_KEPT - i) % EVENTS_KEPT]))
			return;
}
