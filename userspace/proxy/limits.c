/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/limits.h"
#include "base/clock.h"
#include "base/magic.h"

#define BATCHES 32u                             /* per worker: 3 % of a limit may lie idle */
#define BATCH_MAX 64u

const char *const limit_names[LIMITS] = { "connections", "pending", "requests", "retries" };

void limit_set(struct limit_pool *p, uint32_t max, unsigned workers)
{
	uint32_t batch;

	max = max && max < LIMIT_NONE ? max : LIMIT_NONE;
	if (max == p->max)
		return;
	batch = max / (BATCHES * (workers ? workers : 1));
	batch = batch < 1 ? 1 : batch > BATCH_MAX ? BATCH_MAX : batch;
	atomic_store_explicit(&p->batch, batch, memory_order_relaxed);
	atomic_fetch_add_explicit(&p->spare, (int64_t)max - p->max, memory_order_relaxed);
	p->max = max;
}

static bool draw(struct limit_pool *p, struct limit_share *s)
{
	int64_t spare = atomic_load_explicit(&p->spare, memory_order_relaxed), n;
	uint32_t batch = atomic_load_explicit(&p->batch, memory_order_relaxed);

	do {
		if (spare <= 0) {
			atomic_store_explicit(&p->starved, true, memory_order_relaxed);
			return false;
		}
		n = spare < batch ? spare : batch;
	} while (!atomic_compare_exchange_weak_explicit(&p->spare, &spare, spare - n, memory_order_relaxed,
							memory_order_relaxed));
	if (spare - n > batch && atomic_load_explicit(&p->starved, memory_order_relaxed))
		atomic_store_explicit(&p->starved, false, memory_order_relaxed);
	s->kept = (uint32_t)n;
	return true;
}

bool limit_take(struct limit_pool *p, struct limit_share *s)
{
	if (!s->kept && !draw(p, s))
		return false;
	s->kept--;
	s->used++;
	return true;
}

void limit_take_over(struct limit_pool *p, struct limit_share *s)
{
	atomic_fetch_sub_explicit(&p->spare, 1, memory_order_relaxed);
	atomic_store_explicit(&p->starved, true, memory_order_relaxed);
	s->used++;
}

bool limit_left(const struct limit_pool *p, const struct limit_share *s)
{
	return s->kept || atomic_load_explicit(&p->spare, memory_order_relaxed) > 0;
}

static void put_back(struct limit_pool *p, struct limit_share *s, uint32_t n)
{
	s->kept -= n;
	atomic_fetch_add_explicit(&p->spare, n, memory_order_relaxed);
}

void limit_give(struct limit_pool *p, struct limit_share *s)
{
	uint32_t batch = atomic_load_explicit(&p->batch, memory_order_relaxed);

	assert_always(s->used);
	s->used--;
	s->kept++;
	if (atomic_load_explicit(&p->starved, memory_order_relaxed))
		put_back(p, s, s->kept);
	else if (s->kept >= batch)
		put_back(p, s, s->kept - batch / 2);
}

void limit_return(struct limit_pool *p, struct limit_share *s)
{
	if (s->kept)
		put_back(p, s, s->kept);
}

bool limit_rate_take(struct limit_rate *r, uint32_t per_s, uint64_t now_ns)
{
	uint64_t due = atomic_load_explicit(&r->due_ns, memory_order_relaxed), next;

	if (!per_s)
		return false;
	do {
		next = (due > now_ns ? due : now_ns) + SEC / per_s;
		if (next > now_ns + SEC)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&r->due_ns, &due, next, memory_order_relaxed, memory_order_relaxed));
	return true;
}
