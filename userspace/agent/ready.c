/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ready.h"

#include <stdio.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/clock.h"
#include "kern/read.h"
#include "weft/str.h"

static void registries(struct agent *a, struct ready_condition *c)
{
	bool synced;

	c->name = "registries";
	hub_health(&a->hub, &synced, c->message, sizeof(c->message));
	c->ok = synced && !c->message[0];
	if (c->ok)
		snprintf(c->message, sizeof(c->message), "%llu sources in step",
			 (unsigned long long)stat_get(&a->hub.stat.sources));
}

static void snapshot(struct agent *a, struct ready_condition *c)
{
	c->name = "snapshot";
	c->ok = a->publish.now != NULL;
	if (c->ok)
		snprintf(c->message, sizeof(c->message), "number %llu", (unsigned long long)a->publish.now->number);
	else
		snprintf(c->message, sizeof(c->message), "none yet");
}

/* Whoever names a cgroup wants it captured: that it is not there is a mistake and no lower rung. */
static bool cgroup_missing(const struct agent *a)
{
	const struct config_kernel *k = &a->config->kernel;

	return k->mode != CONFIG_KERNEL_OFF && !slice_eq_str(k->cgroup, "auto") && access(k->cgroup.p, F_OK);
}

static void kernel(struct agent *a, struct ready_condition *c)
{
	struct kern_status s;

	kern_status(a->kern, &s);
	c->name = "kernel";
	/* Attaching is tried again every second, so what the last sync failed with may be over. */
	c->ok = !s.degraded && (s.attached || (s.rung == KERN_RUNG_OFF && !cgroup_missing(a)));
	if (c->ok)
		snprintf(c->message, sizeof(c->message), "%s%s%.200s", kern_rung_names[s.rung], s.why[0] ? ": " : "", s.why);
	else
		snprintf(c->message, sizeof(c->message), "%.300s", s.degraded		       ? s.degraded
								   : a->publish.kernel_error[0] ? a->publish.kernel_error
								   : s.rung == KERN_RUNG_OFF	? s.why
												: "nothing is attached");
}

static const enum reason lost[] = { REASON_PAIR_FULL,	  REASON_SOCKS_FULL, REASON_STORAGE_FULL,
				    REASON_AFFINITY_FULL, REASON_BAD_TABLE,  REASON_UDP_PEER_FULL };

#define NLOST (sizeof(lost) / sizeof(lost[0]))
#define UNWELL_NS (60 * SEC)

static void insertions_look(struct insertions *s, struct kern *k)
{
	uint64_t n[REASON_MAX], sum = 0;

	read_reasons(k, n);
	for (size_t i = 0; i < NLOST; i++) {
		sum += n[lost[i]];
		if (n[lost[i]] > s->each[i])
			s->worst = lost[i];
		s->each[i] = n[lost[i]];
	}
	if (sum > s->seen)
		s->grew_ns = clock_ns();
	s->seen = sum;
}

void insertions_init(struct insertions *s, struct kern *k)
{
	insertions_look(s, k);
	s->grew_ns = 0;
}

/* Something was not remembered that should have been: unwell for a minute after the last time. */
static void insertions(struct agent *a, struct ready_condition *c)
{
	struct insertions *s = &a->insertions;

	insertions_look(s, a->kern);
	c->name = "insertions";
	c->ok = !s->grew_ns || clock_ns() - s->grew_ns > UNWELL_NS;
	if (c->ok)
		snprintf(c->message, sizeof(c->message), "no entry was refused for want of room within a minute");
	else
		snprintf(c->message, sizeof(c->message), "%llu in all, the last one: %s", (unsigned long long)s->seen,
			 read_reason_text(s->worst));
}

static void proxy(struct agent *a, struct ready_condition *c)
{
	c->name = "proxy";
	c->ok = a->child.state == CHILD_RUNNING;
	if (c->ok)
		snprintf(c->message, sizeof(c->message), "process %d, %u workers, snapshot %llu", a->child.pid,
			 a->child.hello.workers, (unsigned long long)stat_get(&a->child.stat.snapshot));
	else
		snprintf(c->message, sizeof(c->message), "%s", child_state_names[a->child.state]);
}

static void listeners(struct agent *a, struct ready_condition *c)
{
	c->name = "listeners";
	c->ok = !doors_health(&a->doors, c->message, sizeof(c->message))[0];
	if (c->ok)
		snprintf(c->message, sizeof(c->message), "%llu listening",
			 (unsigned long long)stat_get(&a->doors.stat.listening));
}

static void config(struct agent *a, struct ready_condition *c)
{
	c->name = "config";
	c->ok = !a->reload.refusal;
	snprintf(c->message, sizeof(c->message), "%.310s", c->ok ? "the files are in force" : a->reload.refusal);
}

static void namespaces(struct agent *a, struct ready_condition *c)
{
	const struct pods *p = &a->pods;

	c->name = "namespaces";
	c->ok = !p->full;
	snprintf(c->message, sizeof(c->message),
		 c->ok ? "%zu of workloads, at most %u" : "%zu of workloads, at most %u (proxy.namespaces): clients in further ones meet the fail mode",
		 p->all.n, p->max);
}

bool ready_check(struct agent *a, struct ready_condition out[READY_CONDITIONS])
{
	bool ok = true;

	registries(a, &out[0]);
	snapshot(a, &out[1]);
	kernel(a, &out[2]);
	insertions(a, &out[3]);
	proxy(a, &out[4]);
	listeners(a, &out[5]);
	config(a, &out[6]);
	namespaces(a, &out[7]);
	for (size_t i = 0; i < READY_CONDITIONS; i++)
		ok &= out[i].ok;
	return ok;
}
