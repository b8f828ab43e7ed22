// SPDX-License-Identifier: Apache-2.0
/*
 * The verdict of the short-circuit against a model of the kernel: a sender, a redirected queue, a TCP queue, a reader
 * that empties the first before the second, publications at any time, and a kill switch. Every byte is its position.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/types.h>
#include <stdbool.h>
#include <string.h>

#include "kern/maps.h"
#include "kern/reason.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#include "lib/ratchet.h"

#define CAP 4096
#define START 0xfffff000u                       /* sequence numbers that wrap soon */

struct run {
	uint64_t first;                         /* position of its first byte in the whole stream */
	uint32_t len;
};

struct queue {
	struct run run[4096];
	uint32_t head, tail, bytes;
};

struct model {
	struct queue redirected, stack;
	uint32_t write_seq, copied_seq, sent;
	uint32_t read_seq;                      /* as published */
	uint64_t credit, written, read;
	uint32_t turns, state;
	bool killed;
};

static uint32_t seed;

static uint32_t dice(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static void put(struct queue *q, uint64_t first, uint32_t len)
{
	q->run[q->tail++ % 4096] = (struct run){ first, len };
	q->bytes += len;
}

/* Takes up to n bytes of the oldest run; every byte must be the next of the stream. */
static uint32_t take(struct model *m, struct queue *q, uint32_t n)
{
	struct run *r = &q->run[q->head % 4096];

	if (n > r->len)
		n = r->len;
	assert_int_equal(r->first, m->read);
	r->first += n;
	r->len -= n;
	q->bytes -= n;
	m->read += n;
	q->head += !r->len;
	return n;
}

static void model_send(struct model *m)
{
	struct verdict_in in = {
		.write_seq = m->write_seq, .read_seq = m->read_seq, .sent = m->sent, .size = 1 + dice(2000),
		.credit = m->credit, .cap = CAP, .source = CREDIT_MSG_TOT_LEN, .stop = m->killed ? REASON_KILLED : 0,
	};
	uint32_t why = ratchet_verdict(&in);

	m->turns += m->state != (why ? RATCHET_STACK : RATCHET_REDIRECT);
	m->state = why ? RATCHET_STACK : RATCHET_REDIRECT;
	if (why) {
		put(&m->stack, m->written, in.size);
		m->write_seq += in.size;
	} else {
		put(&m->redirected, m->written, in.size);
		m->sent += in.size;
	}
	m->written += in.size;
	assert_true(m->redirected.bytes <= CAP);
}

/* One recv(): of one queue only, as the kernel's. */
static void model_read(struct model *m)
{
	uint32_t want = 1 + dice(6000), n;

	if (m->redirected.bytes)
		while (want && m->redirected.bytes)
			want -= take(m, &m->redirected, want);
	else
		while (want && m->stack.bytes) {
			n = take(m, &m->stack, want);
			m->copied_seq += n;
			want -= n;
		}
}

static void model_publish(struct model *m)
{
	if (!m->stack.bytes)
		m->read_seq = m->copied_seq;
	if (credit_due(m->sent, m->credit, CAP, m->state == RATCHET_STACK))
		m->credit = credit_pack(m->sent, m->redirected.bytes);
}

static void test_order_and_bound(void **state)
{
	static struct model m;
	uint64_t turns = 0;

	(void)state;
	for (seed = 1; seed < 200;) {
		uint32_t was = seed;

		m = (struct model){ .write_seq = START, .copied_seq = START, .read_seq = START, .sent = START,
				    .credit = credit_pack(START, 0) };
		for (int i = 0; i < 4000; i++)
			switch (dice(8)) {
			case 0: case 1: case 2: model_send(&m); break;
			case 3: case 4: case 5: case 6: model_read(&m); break;
			case 7:
				model_publish(&m);
				m.killed = !dice(6) ? !m.killed : m.killed;
			}
		turns += m.turns;
		seed = was + 1;
	}
	/* Both ways, often, or it proves little. */
	assert_true(turns > 10000);
}

static void test_credit_edges(void **state)
{
	(void)state;
	assert_true(credit_allows(0, 0, CAP, CAP));
	assert_false(credit_allows(0, 0, CAP + 1, CAP));
	assert_false(credit_allows(1, 0, CAP, CAP));
	assert_true(credit_allows(5, credit_pack(0xfffffff0u, 10), 100, 131));
	assert_false(credit_allows(5, credit_pack(0xfffffff0u, 10), 101, 131));
	assert_false(credit_allows(0, 0, 0xffffffffu, CAP));
}

static void test_turning_needs_a_lone_thread(void **state)
{
	struct verdict_in in = { .sent = CAP, .size = 1, .cap = CAP };

	(void)state;
	assert_true(ratchet_turns(RATCHET_REDIRECT, REASON_CAP));
	assert_true(ratchet_turns(RATCHET_STACK, REASON_NONE));
	assert_false(ratchet_turns(RATCHET_UNSET, REASON_NONE));
	assert_false(ratchet_turns(RATCHET_STACK, REASON_UNREAD));
	assert_false(ratchet_turns(RATCHET_REDIRECT, REASON_NONE));
	assert_int_equal(ratchet_hold(&in, RATCHET_REDIRECT, REASON_CAP), REASON_NONE);
	assert_int_equal(ratchet_hold(&in, RATCHET_STACK, REASON_NONE), REASON_UNREAD);
	in.sent = HOLD_CAPS * CAP;
	assert_int_equal(ratchet_hold(&in, RATCHET_REDIRECT, REASON_CAP), REASON_CAP);
}

static void test_run_saturates(void **state)
{
	(void)state;
	assert_int_equal(ratchet_run(10, 20), 30);
	assert_int_equal(ratchet_run(RUN_MAX - 1, 2), RUN_MAX);
	assert_int_equal(ratchet_run(RUN_MAX, 0xffffffffu), RUN_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_bound),
		cmocka_unit_test(test_credit_edges),
		cmocka_unit_test(test_turning_needs_a_lone_thread),
		cmocka_unit_test(test_run_saturates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
