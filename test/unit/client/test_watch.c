// SPDX-License-Identifier: Apache-2.0
/* Watches over a carrier that the test is: waits, what is asked again, who is told what, and how all of it ends. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client/watch.h"
#include "event/loop.h"
#include "weft/str.h"

/* ---- waits -------------------------------------------------------------------------------------------------- */

static void within(uint64_t ms, uint64_t low, uint64_t high)
{
	assert_in_range(ms, low, high);
}

static void waits_grow_to_a_bound(void **state)
{
	const struct client_backoff none = { 0 }, tight = { 100, 1000, 300, 10 }, steady = { 200, 100, 100, 100 };
	struct rand r;

	(void)state;
	rand_seed(&r, 1);
	for (unsigned i = 0; i < 200; i++) {
		within(watch_wait_ms(&none, 0, &r), 400, 600);
		within(watch_wait_ms(&none, 1, &r), 800, 1202);
		within(watch_wait_ms(&none, 7 + i, &r), 24000, 36000);
		within(watch_wait_ms(&tight, 1, &r), 270, 332);
		within(watch_wait_ms(&tight, 3, &r), 900, 1100);
		within(watch_wait_ms(&tight, UINT32_MAX, &r), 900, 1100);
		/* A first wait over the longest is that; all of it is jitter. */
		within(watch_wait_ms(&steady, i, &r), 0, 200);
	}
}

static void waits_differ(void **state)
{
	const struct client_backoff none = { 0 };
	uint64_t seen[8], same = 0;
	struct rand r;

	(void)state;
	rand_seed(&r, 7);
	for (unsigned i = 0; i < 8; i++) {
		seen[i] = watch_wait_ms(&none, 5, &r);
		same += i && seen[i] == seen[0];
	}
	assert_true(same < 7);
}

/* ---- a carrier ---------------------------------------------------------------------------------------------- */

struct try {
	struct client_call call;
	struct client_ask ask;
	bool released;
};

static struct {
	struct loop loop;
	struct client owner;
	struct client_watch *watch;
	struct try *now;                        /* the last one begun */
	unsigned begun, released, asks, heads, datas, ends, agains;
	int ask_err, call_err, err, status;
	int64_t wait;                           /* what wait_ms() says */
	bool stop_in_end, stop_in_data, again_in_data, stop_in_ask;
} t;

static struct client_call *carry(struct client *owner, const struct client_ask *ask, int *err)
{
	(void)owner;
	if (t.call_err) {
		*err = t.call_err;
		return NULL;
	}
	t.now = mem_alloc(sizeof(*t.now));
	t.now->ask = *ask;
	t.begun++;
	return &t.now->call;
}

static int send_nothing(struct client_call *c, struct buf *data, bool end)
{
	(void)c, (void)data, (void)end;
	return -EAGAIN;
}

static void pause_nothing(struct client_call *c)
{
	(void)c;
}

static void release(struct client_call *c)
{
	t.released++;
	if (t.now == (struct try *)c)
		t.now = NULL;
	free(c);
}

static const struct client_ops ops = { carry, send_nothing, pause_nothing, release };

static int on_ask(void *arg, struct client_ask *ask, bool again)
{
	(void)arg;
	t.asks++;
	t.agains += again;
	ask->url = SLICE_LIT("http://plane/");
	if (t.stop_in_ask)
		client_watch_stop(t.watch);
	return t.ask_err;
}

static void on_head(void *arg, const struct msg *m)
{
	(void)arg, (void)m;
	t.heads++;
}

static void on_data(void *arg, struct slice data)
{
	(void)arg, (void)data;
	t.datas++;
	if (t.stop_in_data)
		client_watch_stop(t.watch);
	if (t.again_in_data)
		client_watch_again(t.watch, "of no use");
}

static void on_end(void *arg, int err, int status, const char *words, const struct msg *trailers)
{
	(void)arg, (void)words, (void)trailers;
	t.ends++;
	t.err = err;
	t.status = status;
	assert_null(client_watch_call(t.watch));
	if (t.stop_in_end)
		client_watch_stop(t.watch);
}

static int64_t on_wait(void *arg, int err, int status)
{
	(void)arg, (void)err, (void)status;
	return t.wait;
}

static int begin(void **state)
{
	static const struct client_watch_events on = { on_ask, { on_head, on_data, on_end }, on_wait };
	const struct client_backoff b = { 1, *state ? 1000000000 : 1, 1000000000, 0 };

	memset(&t, 0, sizeof(t));
	t.wait = -1;
	assert_int_equal(loop_init(&t.loop), 0);
	client_init(&t.owner, &ops, &t.loop, NULL);
	t.watch = client_watch_start(&t.owner, &on, &b, &t);
	assert_non_null(t.watch);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	client_fini(&t.owner);
	loop_fini(&t.loop);
	assert_int_equal(t.begun, t.released);
	return 0;
}

/* Until a call is under way. */
static void try_comes(unsigned n)
{
	while (t.begun < n)
		assert_int_equal(loop_once(&t.loop, -1), 0);
}

static void head(int status)
{
	const struct msg m = { .status = status };

	if (client_tell_head(&t.now->call, &m))
		release(&t.now->call);
}

static void data(const char *text)
{
	struct buf b = { 0 };
	struct try *now = t.now;

	buf_add(&b, text, strlen(text));
	if (client_tell_data(&now->call, &b))
		release(&now->call);
	buf_fini(&b);
}

static void end(int err, int status)
{
	struct try *now = t.now;

	client_tell_end(&now->call, err, status, "words", NULL);
	release(&now->call);
}

static void see(void *arg, const struct watch_state *s)
{
	*(struct watch_state *)arg = *s;
}

static struct watch_state look(void)
{
	struct watch_state s = { .tries = 99 };

	watch_each(&t.owner, see, &s);
	return s;
}

/* ---- cases -------------------------------------------------------------------------------------------------- */

static void is_made_again(void **state)
{
	(void)state;
	assert_int_equal(t.asks, 0);
	assert_null(client_watch_call(t.watch));
	try_comes(1);
	assert_int_equal(t.agains, 0);
	assert_ptr_equal(client_watch_call(t.watch), &t.now->call);
	head(200);
	data("a");
	assert_true(look().answered);
	end(-ECONNRESET, 0);
	assert_int_equal(t.err, -ECONNRESET);
	assert_string_equal(look().error, "words");
	assert_false(look().answered);
	try_comes(2);
	assert_int_equal(t.agains, 1);
	assert_int_equal(t.owner.rewatches, 1);
	end(0, 503);
	assert_string_equal(look().error, "status 503: words");
	try_comes(3);
	assert_int_equal(t.heads + t.datas, 2);
	assert_int_equal(t.ends, 2);
	assert_int_equal(look().tries, 3);
}

static void has_no_bounds_of_its_own(void **state)
{
	(void)state;
	try_comes(1);
	assert_int_equal(t.now->ask.timeout_ms, UINT32_MAX);
	assert_int_equal(t.now->ask.max_body, UINT32_MAX);
}

static void what_cannot_be_asked_waits(void **state)
{
	(void)state;
	t.ask_err = -EINVAL;
	while (t.asks < 3)
		loop_once(&t.loop, -1);
	assert_int_equal(t.begun, 0);
	t.ask_err = 0;
	t.call_err = -EBUSY;
	while (t.asks < 6)
		loop_once(&t.loop, -1);
	assert_string_equal(look().error, "too many calls at once");
	t.call_err = 0;
	try_comes(1);
	assert_int_equal(t.ends, 0);
}

static void its_own_wait_counts(void **state)
{
	(void)state;
	try_comes(1);
	t.wait = 0;
	end(0, 200);
	try_comes(2);
	t.wait = 1000000000;
	end(0, 200);
	for (int i = 0; i < 5; i++)
		loop_once(&t.loop, MSEC);
	assert_int_equal(t.begun, 2);
	assert_string_equal(look().error, "");
}

static void waits_longer_each_time(void **state)
{
	(void)state;
	try_comes(1);
	end(-ECONNRESET, 0);
	try_comes(2);
	end(-ECONNRESET, 0);
	for (int i = 0; i < 5; i++)
		loop_once(&t.loop, MSEC);
	assert_int_equal(t.begun, 2);
}

static void what_fails_at_once_waits(void **state)
{
	(void)state;
	t.wait = 0;
	for (unsigned i = 1; i <= 3; i++) {
		try_comes(i);
		end(0, 410);
	}
	for (int i = 0; i < 5; i++)
		loop_once(&t.loop, MSEC);
	assert_int_equal(t.begun, 3);
}

static void stops_anywhere(void **state)
{
	(void)state;
	try_comes(1);
	t.stop_in_data = true;
	data("a");
	loop_once(&t.loop, 0);
	assert_int_equal(t.ends, 0);
	assert_int_equal(look().tries, 99);
}

static void stops_in_its_end(void **state)
{
	(void)state;
	try_comes(1);
	t.stop_in_end = true;
	end(0, 200);
	loop_once(&t.loop, 0);
	assert_int_equal(look().tries, 99);
}

static void stops_when_asked(void **state)
{
	(void)state;
	t.stop_in_ask = true;
	while (!t.asks)
		loop_once(&t.loop, -1);
	assert_int_equal(t.begun, 0);
	assert_int_equal(look().tries, 99);
}

static void what_is_of_no_use(void **state)
{
	(void)state;
	try_comes(1);
	t.again_in_data = true;
	head(200);
	data("a");
	assert_int_equal(t.released, 1);
	assert_null(client_watch_call(t.watch));
	assert_string_equal(look().error, "of no use");
	client_watch_again(t.watch, "nothing happens between two tries");
	assert_string_equal(look().error, "of no use");
	t.again_in_data = false;
	try_comes(2);
	assert_int_equal(t.ends, 0);
}

static void ends_with_its_owner(void **state)
{
	(void)state;
	try_comes(1);
	client_fini(&t.owner);
	assert_int_equal(t.released, 1);
	assert_int_equal(t.ends, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_grow_to_a_bound), cmocka_unit_test(waits_differ), T(is_made_again), T(has_no_bounds_of_its_own),
		T(what_cannot_be_asked_waits), T(its_own_wait_counts),
		cmocka_unit_test_prestate_setup_teardown(waits_longer_each_time, begin, finish, &t),
		cmocka_unit_test_prestate_setup_teardown(what_fails_at_once_waits, begin, finish, &t), T(stops_anywhere), T(stops_in_its_end), T(stops_when_asked),
		T(what_is_of_no_use), T(ends_with_its_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
