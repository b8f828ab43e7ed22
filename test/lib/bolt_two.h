/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client and a host with bolt's codecs between them as a proxy joins them: `down` hears the client, `up` the host. What
 * comes out must not depend on where the bytes were cut, and must mean to the next one what it meant here.
 */
#pragma once
#include <zlib.h>
#include "base/bytes.h"
#include "lib/bolt_samples.h"
#include "lib/rpc_rig.h"
#include "proto/bolt_priv.h"

struct two {
	struct rpc_end down, up;
};

static inline void two_open(struct two *t)
{
	rpc_open(&t->down, &proto_bolt, true);
	rpc_open(&t->up, &proto_bolt, false);
	t->down.to = &t->up;
	t->up.to = &t->down;
}

static inline void two_close(struct two *t)
{
	rpc_close(&t->down);
	rpc_close(&t->up);
}

/* Eight calls under way, of both versions, with and without checksum; the client's numbers are 101 to 108. */
static inline void two_calls(struct two *t)
{
	static const char *const samples[] = { bolt_call, bolt_v2, bolt_v2_crc, bolt_raw };
	char frame[4096];

	for (uint32_t i = 0; i < 8; i++) {
		size_t n = rpc_hex(samples[i % 4], frame);
		bool v2 = frame[0] == 2;

		bytes_put32(frame + (v2 ? 6 : 5), 101 + i);
		if (samples[i % 4] == bolt_v2_crc)
			bytes_put32(frame + n - 4, (uint32_t)crc32(0, (const Bytef *)frame, (uInt)n - 4));
		assert_always(!rpc_decode(&t->down, (struct slice){ frame, n }, 0));
	}
	assert_always(t->down.heads == 8 && !t->down.c.out.len);
}

/* Wrong checksums of whole frames are put right, so that what lies behind them is reached. */
static inline void two_repair(char *p, size_t n)
{
	for (struct bolt_fixed f; n >= BOLT_FIXED_MAX && bolt_fixed_size((struct slice){ p, n });) {
		uint64_t all;

		if (bolt_fixed_read((struct slice){ p, n }, &f))
			return;
		all = bolt_frame_n(&f);
		if (all > n)
			return;
		if (bolt_has_crc(&f))
			bytes_put32(p + all - BOLT_CRC, (uint32_t)crc32(0, (const Bytef *)p, (uInt)(all - BOLT_CRC)));
		p += all;
		n -= all;
	}
}

static inline void two_equal(struct two *a, struct two *b)
{
	rpc_same(&a->down, &b->down);
	rpc_same(&a->up, &b->up);
}

static inline void two_run(struct two *t, struct slice s, bool answers, bool strict, size_t step)
{
	memset(t, 0, sizeof(*t));
	two_open(t);
	if (answers)
		two_calls(t);
	if (strict)
		t->down.limits = t->up.limits = (struct proto_limits){ .head_bytes = 200, .headers = 3, .frame_bytes = 20, .streams = 9 };
	rpc_decode(answers ? &t->up : &t->down, s, step);
}

/* What went to the host, read by the next proxy and sent on by it, is the same again. */
static inline void two_check_requests(struct two *t)
{
	static struct two next;

	memset(&next, 0, sizeof(next));
	two_open(&next);
	assert_always(!rpc_decode(&next.down, rpc_text(&t->up.c.out), 0));
	rpc_same_text(&t->up.c.out, &next.up.c.out);
	assert_always(!next.down.resets && !next.down.glitches);
	two_close(&next);
}

/* And what went to the client, likewise. */
static inline void two_check_answers(struct two *t)
{
	static struct two next;

	memset(&next, 0, sizeof(next));
	two_open(&next);
	bolt_of(&next.up.c)->last = 100;
	two_calls(&next);
	assert_always(!rpc_decode(&next.up, rpc_text(&t->down.c.out), 0));
	rpc_same_text(&t->down.c.out, &next.down.c.out);
	assert_always(!next.up.late && !next.up.glitches && !next.up.resets);
	two_close(&next);
}

/* Any bytes: in one piece, and cut into pieces of each of the steps. */
static inline void two_check(struct slice s, bool answers, bool strict, const size_t *steps, size_t n)
{
	static struct two whole, cut;

	two_run(&whole, s, answers, strict, 0);
	for (size_t i = 0; i < n; i++) {
		two_run(&cut, s, answers, strict, steps[i]);
		two_equal(&whole, &cut);
		two_close(&cut);
	}
	if (answers)
		two_check_answers(&whole);
	else
		two_check_requests(&whole);
	two_close(&whole);
}
