/* SPDX-License-Identifier: Apache-2.0 */
#include "model/hold.h"
#include "base/magic.h"
#include "base/mem.h"

#include <stdlib.h>

void adoption_send(struct adoption *a, struct snapshot *take_s)
{
	snapshot_drop(atomic_exchange_explicit(&a->next, take_s, memory_order_acq_rel));
}

static void hold_end(struct hold *h)
{
	if (h->users || h->current)
		return;
	if (h->of->let_go)
		h->of->let_go(h->of->arg, h->snap);
	snapshot_drop(h->snap);
	free(h);
}

static void retire(struct adoption *a)
{
	struct hold *old = a->cur;

	a->cur = NULL;
	if (!old)
		return;
	old->current = false;
	hold_end(old);
}

bool adoption_take(struct adoption *a)
{
	struct snapshot *s;
	struct hold *h;

	/* Mostly there is none, and a plain load is all that it costs. */
	if (!atomic_load_explicit(&a->next, memory_order_relaxed))
		return false;
	s = atomic_exchange_explicit(&a->next, NULL, memory_order_acq_rel);
	if (!s)
		return false;
	h = mem_alloc(sizeof(*h));
	h->snap = s;
	h->current = true;
	h->of = a;
	retire(a);
	a->cur = h;
	return true;
}

void adoption_fini(struct adoption *a)
{
	retire(a);
	snapshot_drop(atomic_exchange_explicit(&a->next, NULL, memory_order_acq_rel));
}

struct hold *hold_use(struct adoption *a)
{
	if (a->cur)
		a->cur->users++;
	return a->cur;
}

void hold_drop(struct hold *h)
{
	if (!h)
		return;
	assert_always(h->users);
	h->users--;
	hold_end(h);
}
