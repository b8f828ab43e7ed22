/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States of hosts as the whole node sees them: checks say which are unhealthy, the proxy says which it has ejected. What
 * one of them finds out goes to the other side and to the kernel, at the end of the loop's iteration. Control thread.
 */
#pragma once
#include "base/vec.h"
#include "event/loop.h"
#include "model/diff.h"
#include "model/overlay.h"

struct child;
struct publish;

struct states {
	struct loop *loop;
	struct publish *publish;
	struct child *child;
	struct overlay overlay;
	VEC(char *) changed;                    /* names of clusters that the kernel does not know of yet */
	struct loop_deferred soon;
};

void states_init(struct states *s, struct loop *l, struct publish *p, struct child *c);
void states_fini(struct states *s);             /* accepts a zeroed one */
void states_health(struct states *s, struct slice host_key, bool healthy); /* by its checks */
void states_ejected(struct states *s, struct slice host_key, bool ejected); /* by the proxy */
void states_proxy(struct states *s, bool up);   /* a new one is told all; of one that is gone all is forgotten */
void states_update(struct states *s, const struct diff *d); /* a snapshot was published: hosts that are gone */
