// SPDX-License-Identifier: Apache-2.0
/* What all carriers share, with one that carries nothing: events are told by the test. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/call.h"
#include "weft/str.h"

struct carried {
	struct client_call call;
	struct buf sent;
	bool ended;
};

static int alive, refuse;
static char heard[4096];
static struct client_call *cancels;             /* by the next event */

static void said(const char *fmt, ...)
{
	size_t n = strlen(heard);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(heard + n, sizeof(heard) - n, fmt, ap);
	va_end(ap);
}

static void expect(const char *what)
{
	assert_string_equal(heard, what);
	heard[0] = 0;
}

static struct client_call *fake_call(struct client *o, const struct client_ask *ask, int *err)
{
	struct carried *c;

	(void)o;
	*err = refuse;
	if (refuse)
		return NULL;
	c = calloc(1, sizeof(*c));
	assert_int_equal(client_body(ask, &c->sent), 0);
	alive++;
	return &c->call;
}

static struct carried *of(struct client_call *c)
{
	return (struct carried *)c;
}

static int fake_send(struct client_call *c, struct buf *data, bool end)
{
	if (of(c)->sent.len > 64)
		return -EAGAIN;
	buf_move(&of(c)->sent, data);
	of(c)->ended = end;
	return 0;
}

static void fake_pause(struct client_call *c)
{
	said("%s ", c->paused ? "pause" : "go");
}

static void fake_release(struct client_call *c)
{
	buf_fini(&of(c)->sent);
	free(c);
	alive--;
}

static const struct client_ops fake = { fake_call, fake_send, fake_pause, fake_release };

static const char *hex(struct buf *b)
{
	static char text[256];
	struct slice all = buf_pull(b, b->len);

	text[0] = 0;
	for (size_t i = 0; i < all.n; i++)
		snprintf(text + 2 * i, sizeof(text) - 2 * i, "%02x", (unsigned char)all.p[i]);
	return text;
}

static void cancel_here(void)
{
	client_cancel(cancels);
	cancels = NULL;
}

static void on_head(void *arg, const struct msg *m)
{
	said("%s:head(%d) ", (const char *)arg, m->status);
	cancel_here();
}

static void on_data(void *arg, struct slice d)
{
	said("%s:data(%.*s) ", (const char *)arg, SLICE_ARG(d));
	cancel_here();
}

static void on_end(void *arg, int err, int status, const char *words, const struct msg *trailers)
{
	said("%s:end(%d,%d,%s,%s) ", (const char *)arg, err, status, words, trailers ? "trailers" : "");
}

static const struct client_events events = { on_head, on_data, on_end };

static struct client_call *begin(struct client *o, const struct client_ask *ask)
{
	int err = 1;
	struct client_call *c = client_call(o, ask, &events, "a", &err);

	assert_non_null(c);
	assert_int_equal(err, 0);
	return c;
}

static void whole(void **state)
{
	struct client o;
	struct client_call *c;
	struct msg head = { .status = 200 };
	struct buf b = { 0 };

	(void)state;
	client_init(&o, &fake, NULL, NULL);
	c = begin(&o, &(struct client_ask){ .body = SLICE_LIT("hello") });
	assert_string_equal(hex(&of(c)->sent), "68656c6c6f");
	assert_int_equal(o.ncalls, 1);
	assert_int_equal(client_tell_head(c, &head), 0);
	buf_add(&b, "one", 3);
	assert_int_equal(client_tell_data(c, &b), 0);
	assert_int_equal(b.len, 0);
	client_tell_end(c, 0, 200, "", &head);
	expect("a:head(200) a:data(one) a:end(0,200,,trailers) ");
	assert_int_equal(o.ncalls, 0);
	fake_release(c);
	client_fini(&o);
	client_fini(&o);
	assert_int_equal(alive, 0);
}

static void refused(void **state)
{
	struct client o;
	int err;

	(void)state;
	client_init(&o, &fake, NULL, NULL);
	o.max_calls = 1;
	refuse = -ENOENT;
	assert_null(client_call(&o, &(struct client_ask){ 0 }, &events, "a", &err));
	assert_int_equal(err, -ENOENT);
	refuse = 0;
	begin(&o, &(struct client_ask){ 0 });
	assert_null(client_call(&o, &(struct client_ask){ 0 }, &events, "a", &err));
	assert_int_equal(err, -EBUSY);
	client_fini(&o);
	assert_int_equal(alive, 0);
	/* Whoever has ended asks nobody any more. */
	assert_null(client_call(&o, &(struct client_ask){ 0 }, &events, "a", &err));
	assert_int_equal(err, -ESHUTDOWN);
	expect("");
}

static void too_long(void **state)
{
	struct client o;
	struct client_call *c;
	struct buf b = { 0 };

	(void)state;
	client_init(&o, &fake, NULL, NULL);
	c = begin(&o, &(struct client_ask){ .max_body = 5 });
	buf_add(&b, "abcde", 5);
	assert_int_equal(client_tell_data(c, &b), 0);
	buf_add(&b, "f", 1);
	assert_int_equal(client_tell_data(c, &b), -EMSGSIZE);
	expect("a:data(abcde) ");
	buf_fini(&b);
	client_fini(&o);
	assert_int_equal(alive, 0);
}

/* Frames come in pieces of any size; what is told are messages. */
static void grpc(void **state)
{
	static const char wire[] = "\0\0\0\0\3abc" "\0\0\0\0\0" "\0\0\0\0\1z";

	(void)state;
	for (size_t step = 1; step < sizeof(wire); step++) {
		struct client o;
		struct client_call *c;
		struct buf b = { 0 };

		client_init(&o, &fake, NULL, NULL);
		c = begin(&o, &(struct client_ask){ .grpc = true, .body = SLICE_LIT("hi") });
		assert_string_equal(hex(&of(c)->sent), "00000000026869");
		for (size_t i = 0; i < sizeof(wire) - 1; i += step) {
			buf_add(&b, wire + i, sizeof(wire) - 1 - i < step ? sizeof(wire) - 1 - i : step);
			assert_int_equal(client_tell_data(c, &b), 0);
		}
		assert_int_equal(b.len, 0);
		expect("a:data(abc) a:data() a:data(z) ");
		client_cancel(c);
		client_fini(&o);
	}
	assert_int_equal(alive, 0);
}

static void grpc_nonsense(void **state)
{
	struct client o;
	struct client_call *c;
	struct buf b = { 0 };

	(void)state;
	client_init(&o, &fake, NULL, NULL);
	c = begin(&o, &(struct client_ask){ .grpc = true });
	assert_string_equal(hex(&of(c)->sent), "0000000000");
	buf_add(&b, "\1\0\0\0\1a", 6);
	assert_int_equal(client_tell_data(c, &b), -EPROTO);
	buf_fini(&b);
	buf_add(&b, "\0\0\x40\0\1", 5);
	assert_int_equal(client_tell_data(c, &b), -EMSGSIZE);
	expect("");
	buf_fini(&b);
	client_fini(&o);
	assert_int_equal(alive, 0);
}

static void stream(void **state)
{
	static char much[100];
	struct client o;
	struct client_call *c;

	(void)state;
	client_init(&o, &fake, NULL, NULL);
	c = begin(&o, &(struct client_ask){ .grpc = true, .stream = true });
	assert_int_equal(of(c)->sent.len, 0);
	assert_int_equal(client_send(c, SLICE_LIT("x"), false), 0);
	assert_string_equal(hex(&of(c)->sent), "000000000178");
	assert_int_equal(client_send(c, (struct slice){ much, sizeof(much) }, false), 0);
	assert_int_equal(client_send(c, SLICE_LIT("y"), true), -EAGAIN);
	buf_fini(&of(c)->sent);
	assert_int_equal(client_send(c, (struct slice){ 0 }, true), 0);
	assert_true(of(c)->ended);
	assert_int_equal(of(c)->sent.len, 0);
	assert_int_equal(client_send(c, SLICE_LIT("z"), true), -EPIPE);
	client_fini(&o);
	assert_int_equal(alive, 0);
	expect("");
}

static void paused(void **state)
{
	struct client o;
	struct client_call *c;
	struct buf b = { 0 };

	(void)state;
	client_init(&o, &fake, NULL, NULL);
	c = begin(&o, &(struct client_ask){ 0 });
	client_pause(c, true);
	client_pause(c, true);
	buf_add(&b, "abc", 3);
	assert_int_equal(client_tell_data(c, &b), 0);
	assert_int_equal(b.len, 3);
	client_pause(c, false);
	assert_int_equal(client_tell_data(c, &b), 0);
	expect("pause go a:data(abc) ");
	client_fini(&o);
	assert_int_equal(alive, 0);
}

/* Within an event the carrier still has its hands on the call: it is released behind it. */
static void cancelled_within(void **state)
{
	struct client o;
	struct client_call *c;
	struct msg head = { .status = 200 };
	struct buf b = { 0 };

	(void)state;
	client_init(&o, &fake, NULL, NULL);
	c = cancels = begin(&o, &(struct client_ask){ .grpc = true });
	buf_add(&b, "\0\0\0\0\1a\0\0\0\0\1b", 12);
	assert_int_equal(client_tell_data(c, &b), -ECANCELED);
	assert_int_equal(alive, 1);
	assert_int_equal(o.ncalls, 0);
	assert_int_equal(client_tell_head(c, &head), -ECANCELED);
	assert_int_equal(client_tell_data(c, &b), -ECANCELED);
	client_tell_end(c, 0, 0, "", NULL);
	expect("a:data(a) ");
	client_fini(&o);
	assert_int_equal(alive, 1);
	fake_release(c);
	buf_fini(&b);
	client_cancel(NULL);
	assert_int_equal(alive, 0);
}

static void stop_watch(struct client_thing *t)
{
	said("watch ");
	list_del(&t->node);
	cancel_here();
}

/* A watch knows its call, so it goes first and takes it along. */
static void oldest_first(void **state)
{
	struct client_thing watch = { .stop = stop_watch };
	struct client o;

	(void)state;
	client_init(&o, &fake, NULL, NULL);
	client_add(&o, &watch);
	cancels = begin(&o, &(struct client_ask){ 0 });
	begin(&o, &(struct client_ask){ 0 });
	client_fini(&o);
	assert_null(cancels);
	expect("watch ");
	assert_int_equal(alive, 0);
}

static void times(void **state)
{
	(void)state;
	assert_int_equal(client_timeout_ms(&(struct client_ask){ 0 }), CLIENT_TIMEOUT_MS);
	assert_int_equal(client_timeout_ms(&(struct client_ask){ .stream = true }), 0);
	assert_int_equal(client_timeout_ms(&(struct client_ask){ .stream = true, .timeout_ms = 7 }), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),     cmocka_unit_test(refused),	       cmocka_unit_test(too_long),
		cmocka_unit_test(grpc),	     cmocka_unit_test(grpc_nonsense),  cmocka_unit_test(stream),
		cmocka_unit_test(paused),    cmocka_unit_test(cancelled_within), cmocka_unit_test(oldest_first),
		cmocka_unit_test(times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
