/* SPDX-License-Identifier: Apache-2.0 */
/* Fault: some requests wait, some are answered with an error, by chance: what clients make of it is to be seen. */
#include <errno.h>

#include "base/rand.h"
#include "weft/conf.h"
#include "weft/filter.h"

struct fault {
	struct fault_delay {
		uint32_t line;                  /* 0: not given */
		double percent;
		uint64_t fixed;                 /* ns */
	} delay;
	struct fault_abort {
		uint32_t line;
		double percent;
		uint32_t status;
	} abort;
};

static const struct conf_item delay_rows[] = {
	CONF_LINE_ITEM(struct fault_delay, line),
	CONF_ITEM(struct fault_delay, percent, "percent", PERCENT, .required = true, .help = "of the requests that wait"),
	CONF_ITEM(struct fault_delay, fixed, "fixed", DURATION, .required = true, .min = 1000000, .max = 3600000000000ll,
		  .help = "how long they wait"),
	CONF_END
};
static const struct conf_item abort_rows[] = {
	CONF_LINE_ITEM(struct fault_abort, line),
	CONF_ITEM(struct fault_abort, percent, "percent", PERCENT, .required = true, .help = "of the requests that get it"),
	CONF_ITEM(struct fault_abort, status, "status", INT, .required = true, .min = 200, .max = 599,
		  .help = "of the answer; gRPC and RPC callers get what it maps to"),
	CONF_END
};
static const struct conf_item fault_rows[] = {
	CONF_ITEM(struct fault, delay, "delay", STRUCT, .rows = delay_rows, .help = "none: no request waits"),
	CONF_ITEM(struct fault, abort, "abort", STRUCT, .rows = abort_rows, .help = "none: every request goes on; drawn after the delay"),
	CONF_END
};

static int rule_init(void *conf, struct err *e)
{
	const struct fault *c = conf;

	return c->delay.line || c->abort.line ? 0 : err_add(e, -EINVAL, "want delay, abort or both");
}

static int fault_worker_init(struct filter_worker *w, struct err *e)
{
	(void)e;
	rand_init(w->state);
	return 0;
}

static const struct fault *settings(const struct filter *f)
{
	return f->route_conf ? f->route_conf : f->conf;
}

static bool drawn(struct filter *f, double percent)
{
	return (double)(rand_u64(f->worker->state) >> 11) * 0x1p-53 * 100 < percent;
}

static enum filter_verdict go_on(struct filter *f)
{
	const struct fault_abort *a = &settings(f)->abort;
	struct proto_reply r = { .status = (int)a->status, .wire_status = MSG_NO_STATUS };

	if (!a->line || !drawn(f, a->percent))
		return FILTER_NEXT;
	filter_reply(f, &r, STREAM_FAULT_ABORT, "abort injected");
	return FILTER_REPLY;
}

static enum filter_verdict fault_request(struct filter *f, struct msg *m)
{
	const struct fault_delay *d = &settings(f)->delay;

	(void)m;
	if (!d->line || !drawn(f, d->percent))
		return go_on(f);
	f->info->flags |= 1ull << STREAM_FAULT_DELAY;
	filter_wake_after(f, (uint32_t)(d->fixed / 1000000));
	return FILTER_WAIT;
}

static void fault_wake(struct filter *f)
{
	filter_resume(f, go_on(f));
}

extern const struct filter_ops filter_fault;
const struct filter_ops filter_fault = {
	.name = "Fault",
	.listener = { fault_rows, sizeof(struct fault), NULL, NULL },
	.route = { fault_rows, sizeof(struct fault), rule_init, NULL },
	.worker_size = sizeof(struct rand),
	.worker_init = fault_worker_init,
	.request = fault_request,
	.wake = fault_wake,
};
