// SPDX-License-Identifier: Apache-2.0
/* The agent's carrier against a process that answers as the case says: bounds, pauses, what waits, ends of all kinds. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "client/http.h"
#include "net/addr.h"
#include "net/sock.h"
#include "weft/conf.h"
#include "weft/str.h"

#define BODY 1000000u
#define OK(length) "HTTP/1.1 200 Fine\r\nContent-Length: " length "\r\n\r\n"

static struct {
	struct loop loop;
	struct http_carrier carrier;
	struct client owner;
	struct client_call *call;
	pid_t server;
	char url[64];
	unsigned heads, datas, ends;
	size_t bytes;
	int err, status;
	char words[256];
	bool pause_at_data, cancel_at_head;
} t;

static void on_head(void *arg, const struct msg *m)
{
	(void)arg;
	t.heads++;
	t.status = m->status;
	if (t.cancel_at_head)
		client_cancel(t.call);
}

static void on_data(void *arg, struct slice data)
{
	(void)arg;
	t.datas++;
	t.bytes += data.n;
	if (t.pause_at_data)
		client_pause(t.call, true);
}

static void on_end(void *arg, int err, int status, const char *words, const struct msg *trailers)
{
	(void)arg, (void)trailers;
	t.ends++;
	t.err = err;
	t.status = status;
	snprintf(t.words, sizeof(t.words), "%s", words);
}

static const struct client_events events = { on_head, on_data, on_end };

static int begin(void **state)
{
	struct err e = { 0 };

	(void)state;
	memset(&t, 0, sizeof(t));
	assert_int_equal(loop_init(&t.loop), 0);
	assert_int_equal(http_carrier_init(&t.carrier, &t.loop, "127.0.0.1:9", &e), 0);
	http_client_init(&t.owner, &t.carrier);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	client_fini(&t.owner);
	loop_once(&t.loop, 0);
	http_carrier_fini(&t.carrier);
	loop_fini(&t.loop);
	assert_int_equal(stat_get(&t.carrier.stat.open), 0);
	if (t.server > 0) {
		kill(t.server, SIGKILL);
		waitpid(t.server, NULL, 0);
	}
	return 0;
}

/* Reads once, writes the head and so much of a body, and then reads until the end; head NULL: says nothing. */
static void serve(int listener, const char *head, size_t body)
{
	static char bytes[BODY];
	struct net_addr from;
	int fd;

	while ((fd = sock_accept(listener, &from)) == -EAGAIN)
		usleep(1000);
	while (read(fd, bytes, sizeof(bytes)) < 0)
		usleep(1000);
	if (head && write(fd, head, strlen(head)) > 0)
		for (size_t n = 0; n < body;) {
			ssize_t k = write(fd, bytes, body - n);

			n += k > 0 ? (size_t)k : 0;
			if (k < 0 && errno != EAGAIN)
				_exit(1);
			usleep(k < 0 ? 1000 : 0);
		}
	while (read(fd, bytes, sizeof(bytes)))
		usleep(1000);
	_exit(0);
}

static void server(const char *head, size_t body)
{
	struct net_addr a = { .port = 0 };
	const struct sock_options o = { 0 };
	char text[ADDR_TEXT_MAX];
	int fd;

	ip_parse(SLICE_LIT("127.0.0.1"), &a.ip);
	fd = sock_listen(&a, &o, 8);
	assert_true(fd >= 0 && !sock_local(fd, &a));
	snprintf(t.url, sizeof(t.url), "http://%s/x", addr_text(&a, text));
	t.server = fork();
	if (!t.server) {
		signal(SIGPIPE, SIG_IGN);
		serve(fd, head, body);
	}
	close(fd);
}

static void ask(struct client_ask ask)
{
	int err = 0;

	if (!ask.url.n)
		ask.url = slice_str(t.url);
	if (!ask.timeout_ms)
		ask.timeout_ms = 120000;
	t.call = client_call(&t.owner, &ask, &events, &t, &err);
	assert_non_null(t.call);
	assert_int_equal(t.heads + t.datas + t.ends, 0);
}

static void until_end(void)
{
	while (!t.ends)
		assert_int_equal(loop_once(&t.loop, -1), 0);
}

/* ---- cases -------------------------------------------------------------------------------------------------- */

static void whole_answer(void **state)
{
	(void)state;
	server(OK("5000"), 5000);
	ask((struct client_ask){ 0 });
	until_end();
	assert_int_equal(t.err, 0);
	assert_int_equal(t.status, 200);
	assert_string_equal(t.words, "Fine");
	assert_int_equal(t.bytes, 5000);
	assert_int_equal(t.heads, 1);
	assert_int_equal(stat_get(&t.carrier.stat.answered), 1);
}

static void bound_of_the_answer(void **state)
{
	(void)state;
	server(OK("5000"), 5000);
	ask((struct client_ask){ .max_body = 4999 });
	until_end();
	assert_int_equal(t.err, -EMSGSIZE);
	assert_int_equal(stat_get(&t.carrier.stat.errors_too_large), 1);
}

static void silent_in_the_middle(void **state)
{
	(void)state;
	server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 5);
	ask((struct client_ask){ .idle_ms = 50 });
	until_end();
	assert_int_equal(t.err, -ETIMEDOUT);
	assert_string_equal(t.words, "no byte of the answer for 50 ms");
	assert_in_range(t.bytes, 0, 5);
}

static void no_answer(void **state)
{
	(void)state;
	server(NULL, 0);
	ask((struct client_ask){ .timeout_ms = 60 });
	until_end();
	assert_int_equal(t.err, -ETIMEDOUT);
	assert_memory_equal(t.words, "after 60 ms still waiting for ", 30);
	assert_int_equal(stat_get(&t.carrier.stat.errors_timeout), 1);
}

static void no_http(void **state)
{
	(void)state;
	server("SSH-2.0-x\r\n", 0);
	ask((struct client_ask){ 0 });
	until_end();
	assert_int_equal(t.err, -EPROTO);
	assert_string_equal(t.words, "what came is not HTTP/1.1: not HTTP/1");
}

static void pauses(void **state)
{
	size_t before;

	(void)state;
	server(OK("1000000"), BODY);
	t.pause_at_data = true;
	ask((struct client_ask){ .max_body = 2 * BODY });
	while (!t.datas)
		loop_once(&t.loop, -1);
	before = t.bytes;
	assert_in_range(before, 1, 16384);
	for (int i = 0; i < 30; i++)
		loop_once(&t.loop, MSEC);
	assert_int_equal(t.bytes, before);
	assert_int_equal(t.ends, 0);
	/* One piece a time. */
	client_pause(t.call, false);
	assert_int_equal(t.bytes, before);
	while (t.datas < 2)
		loop_once(&t.loop, -1);
	t.pause_at_data = false;
	client_pause(t.call, false);
	until_end();
	assert_int_equal(t.err, 0);
	assert_int_equal(t.bytes, BODY);
}

static void much_is_unsent(void **state)
{
	static char piece[16384];
	const struct slice s = { piece, sizeof(piece) };
	unsigned n = 0;

	(void)state;
	server(NULL, 0);
	ask((struct client_ask){ .grpc = true, .stream = true });
	while (!client_send(t.call, s, false))
		n++;
	assert_int_equal(n, CLIENT_UNSENT_MAX / sizeof(piece));
	/* A server that says nothing has the windows of the standard. */
	for (int i = 0; i < 30; i++)
		loop_once(&t.loop, MSEC);
	for (n = 0; !client_send(t.call, s, false) && n < 100;)
		n++;
	assert_in_range(n, 0, 5);
	assert_int_equal(client_send(t.call, s, true), -EAGAIN);
	assert_int_equal(t.ends, 0);
}

static void nobody_is_there(void **state)
{
	(void)state;
	ask((struct client_ask){ .url = SLICE_LIT("http://127.0.0.1:1/") });
	until_end();
	assert_int_equal(t.err, -ECONNREFUSED);
	assert_string_equal(t.words, "127.0.0.1:1: Connection refused");
	assert_int_equal(stat_get(&t.carrier.stat.errors_connect), 1);
	t.ends = t.heads = 0;
	ask((struct client_ask){ .url = SLICE_LIT("unix:/nowhere/at.all:/x") });
	until_end();
	assert_int_equal(t.err, -ENOENT);
	assert_string_equal(t.words, "/nowhere/at.all: No such file or directory");
}

static void no_such_name(void **state)
{
	(void)state;
	ask((struct client_ask){ .url = SLICE_LIT("http://nobody.invalid/") });
	until_end();
	assert_int_equal(t.err, -EHOSTUNREACH);
	assert_memory_equal(t.words, "nobody.invalid cannot be resolved: ", 35);
	assert_int_equal(stat_get(&t.carrier.stat.errors_resolve), 1);
}

static void no_url(void **state)
{
	const struct client_ask bad = { .url = SLICE_LIT("gopher://a/") };
	int err = 0;

	(void)state;
	assert_null(client_call(&t.owner, &bad, &events, &t, &err));
	assert_int_equal(err, -EINVAL);
}

static void what_cannot_be_said(void **state)
{
	const struct msg_header h = { SLICE_LIT("x"), SLICE_LIT("a\nb") };

	(void)state;
	server(OK("0"), 0);
	ask((struct client_ask){ .headers = &h, .nheaders = 1 });
	until_end();
	assert_int_equal(t.err, -EINVAL);
	assert_string_equal(t.words, "the request cannot be said in its protocol");
}

static void no_file_of_a_ca(void **state)
{
	const struct client_tls tls = { .ca_file = SLICE_LIT("/nowhere/ca.crt") };

	(void)state;
	ask((struct client_ask){ .url = SLICE_LIT("https://127.0.0.1:1/"), .tls = &tls });
	until_end();
	assert_int_equal(t.err, -ENOKEY);
	assert_string_equal(t.words, "cannot open /nowhere/ca.crt: No such file or directory");
}

static void so_many_at_once(void **state)
{
	const struct client_ask a = { .url = SLICE_LIT("http://127.0.0.1:1/") };
	int err = 0;

	(void)state;
	for (unsigned i = 0; i < HTTP_CALLS_MAX; i++)
		assert_non_null(client_call(&t.owner, &a, &events, &t, &err));
	assert_null(client_call(&t.owner, &a, &events, &t, &err));
	assert_int_equal(err, -EBUSY);
	while (t.ends < HTTP_CALLS_MAX)
		loop_once(&t.loop, -1);
	assert_non_null(client_call(&t.owner, &a, &events, &t, &err));
}

static void cancelled(void **state)
{
	(void)state;
	server(OK("1000000"), BODY);
	/* At once, while its name is looked for, and in an event of its own. */
	ask((struct client_ask){ 0 });
	client_cancel(t.call);
	ask((struct client_ask){ .url = SLICE_LIT("http://nobody.invalid/") });
	loop_once(&t.loop, 0);
	client_cancel(t.call);
	t.cancel_at_head = true;
	ask((struct client_ask){ 0 });
	while (!t.heads)
		loop_once(&t.loop, -1);
	for (int i = 0; i < 10; i++)
		loop_once(&t.loop, MSEC);
	assert_int_equal(t.datas + t.ends, 0);
	assert_int_equal(stat_get(&t.carrier.stat.cancelled), 3);
}

static void the_owner_ends(void **state)
{
	(void)state;
	server(OK("1000000"), BODY);
	t.pause_at_data = true;
	ask((struct client_ask){ .max_body = 2 * BODY });
	while (!t.datas)
		loop_once(&t.loop, -1);
	client_fini(&t.owner);
	for (int i = 0; i < 5; i++)
		loop_once(&t.loop, MSEC);
	assert_int_equal(t.datas, 1);
	assert_int_equal(t.ends, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(whole_answer), T(bound_of_the_answer), T(silent_in_the_middle), T(no_answer), T(no_http), T(pauses), T(much_is_unsent),
		T(nobody_is_there), T(no_such_name), T(no_url), T(what_cannot_be_said), T(no_file_of_a_ca), T(so_many_at_once),
		T(cancelled), T(the_owner_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
