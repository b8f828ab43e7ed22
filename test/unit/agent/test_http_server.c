// SPDX-License-Identifier: Apache-2.0
/* The Admin API's HTTP against raw bytes, over its unix socket; TCP's Host rule over loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/http_server.h"
#include "base/clock.h"
#include "weft/str.h"

struct fixture {
	struct loop loop;
	struct http_server server;
	char dir[64], path[108];
	unsigned asked, posts;
	char seen_path[64], seen_query[64];
};

static void handler(void *arg, const struct http_request *rq, struct http_response *rs)
{
	struct fixture *f = arg;

	f->asked++;
	f->posts += rq->post;
	snprintf(f->seen_path, sizeof(f->seen_path), "%.*s", SLICE_ARG(rq->path));
	snprintf(f->seen_query, sizeof(f->seen_query), "%.*s", SLICE_ARG(rq->query));
	if (slice_eq_str(rq->path, "/big"))
		for (int i = 0; i < 100000; i++)
			buf_add(&rs->body, "0123456789abcdef0123456789abcdef", 32);
	else
		buf_add(&rs->body, "{}", 2);
}

static int setup(void **state)
{
	static struct fixture f;
	struct err e = { 0 };

	f = (struct fixture){ 0 };
	strcpy(f.dir, "/tmp/weft-http.XXXXXX");
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/s", f.dir);
	assert_int_equal(loop_init(&f.loop), 0);
	assert_int_equal(http_server_open(&f.server, &f.loop, f.path, "127.0.0.1:0", handler, &f, &e), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	http_server_close(&f->server);
	loop_fini(&f->loop);
	assert_int_equal(access(f->path, F_OK), -1);
	rmdir(f->dir);
	return 0;
}

static int dial_unix(struct fixture *f)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(a.sun_path, f->path);
	assert_int_equal(connect(fd, (void *)&a, sizeof(a)), 0);
	return fd;
}

static int dial_tcp(struct fixture *f)
{
	struct sockaddr_in a;
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(getsockname(f->server.tcp_io.fd, (void *)&a, &n), 0);
	assert_int_equal(connect(fd, (void *)&a, sizeof(a)), 0);
	return fd;
}

/* Until the answer stops coming: the loop has nothing more to do for it. */
static size_t talk(struct fixture *f, int fd, const char *request, char *out, size_t size)
{
	size_t n = 0;
	ssize_t got;

	if (request)
		assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	for (int idle = 0; idle < 20 && n < size - 1;) {
		loop_once(&f->loop, 1000000);
		got = recv(fd, out + n, size - 1 - n, MSG_DONTWAIT);
		idle = got > 0 ? 0 : idle + 1;
		n += got > 0 ? got : 0;
		if (got == 0)
			break;
	}
	out[n] = '\0';
	return n;
}

static void expect(struct fixture *f, int fd, const char *request, const char *start)
{
	char out[4096];

	talk(f, fd, request, out, sizeof(out));
	if (strncmp(out, start, strlen(start)))
		fail_msg("%.60s\ngot: %.200s", request, out);
	close(fd);
	loop_once(&f->loop, 0);
}

static void test_get(void **state)
{
	struct fixture *f = *state;

	expect(f, dial_unix(f), "GET /a/b?x=1&y=2 HTTP/1.1\r\nHost: weft\r\n\r\n", "HTTP/1.1 200 OK\r\n");
	assert_string_equal(f->seen_path, "/a/b");
	assert_string_equal(f->seen_query, "x=1&y=2");
}

static void test_pipelined_and_kept_alive(void **state)
{
	struct fixture *f = *state;
	int fd = dial_unix(f);
	char out[4096];

	talk(f, fd, "GET /1 HTTP/1.1\r\nHost: weft\r\n\r\nGET /2 HTTP/1.1\r\nHost: weft\r\n\r\n", out, sizeof(out));
	assert_int_equal(f->asked, 2);
	talk(f, fd, "GET /3 HTTP/1.1\r\nHost: weft\r\nConnection: close\r\n\r\n", out, sizeof(out));
	assert_int_equal(f->asked, 3);
	assert_int_equal(recv(fd, out, sizeof(out), 0), 0);
	close(fd);
	loop_once(&f->loop, 0);
	assert_int_equal(f->server.nconns, 0);
}

static void test_split_at_every_byte(void **state)
{
	static const char rq[] = "GET /split HTTP/1.1\r\nHost: weft\r\n\r\n";
	struct fixture *f = *state;
	char out[4096];

	for (size_t cut = 1; cut < sizeof(rq) - 1; cut++) {
		int fd = dial_unix(f);

		send(fd, rq, cut, 0);
		talk(f, fd, NULL, out, sizeof(out));
		assert_int_equal(out[0], '\0');
		send(fd, rq + cut, sizeof(rq) - 1 - cut, 0);
		talk(f, fd, NULL, out, sizeof(out));
		assert_memory_equal(out, "HTTP/1.1 200 OK", 15);
		close(fd);
		loop_once(&f->loop, 0);
	}
}

static void test_head_has_no_body(void **state)
{
	struct fixture *f = *state;
	int fd = dial_unix(f);
	char out[4096];

	talk(f, fd, "HEAD / HTTP/1.1\r\nHost: weft\r\n\r\n", out, sizeof(out));
	assert_non_null(strstr(out, "Content-Length: 2\r\n"));
	assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n");
	close(fd);
}

static void test_refused(void **state)
{
	static const struct {
		const char *request, *answer;
	} rows[] = {
		{ "PUT / HTTP/1.1\r\nHost: weft\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405" },
		{ "POST / HTTP/1.1\r\nHost: weft\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 413" },
		{ "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400" },
		{ "GET / HTTP/1.1\r\nHost: weft\r\nHost: weft\r\n\r\n", "HTTP/1.1 400" },
		{ "GET / HTTP/1.1\r\nHost: weft\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 413" },
		{ "GET / HTTP/1.1\r\nHost: weft\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 413" },
		{ "GET / HTTP/1.1\r\nHost: weft\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 4" },
		{ "nonsense\r\n\r\n", "HTTP/1.1 400" },
		{ "GET / HTTP/1.1\nHost: weft\n\n", "HTTP/1.1 400" },
		{ "\x16\x03\x01\x02", "HTTP/1.1 400" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(f, dial_unix(f), rows[i].request, rows[i].answer);
	assert_int_equal(f->asked, 0);
	assert_int_equal(stat_get(&f->server.stat.refused), sizeof(rows) / sizeof(rows[0]));
}

/* Who may use the unix socket is root; over TCP anything on this machine could ask. */
static void test_post_by_unix_socket_only(void **state)
{
	struct fixture *f = *state;

	expect(f, dial_unix(f), "POST / HTTP/1.1\r\nHost: weft\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200");
	expect(f, dial_unix(f), "POST / HTTP/1.1\r\nHost: weft\r\n\r\n", "HTTP/1.1 200");
	assert_int_equal(f->posts, 2);
	expect(f, dial_tcp(f), "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405");
	expect(f, dial_unix(f), "GET / HTTP/1.1\r\nHost: weft\r\n\r\n", "HTTP/1.1 200");
	assert_int_equal(f->posts, 2);
	assert_int_equal(f->asked, 3);
}

static void test_too_long(void **state)
{
	struct fixture *f = *state;
	char *rq = malloc(40000);

	snprintf(rq, 40000, "GET /%03000d HTTP/1.1\r\nHost: weft\r\n\r\n", 0);
	expect(f, dial_unix(f), rq, "HTTP/1.1 414");
	snprintf(rq, 40000, "GET / HTTP/1.1\r\nHost: weft\r\nX: %030000d\r\n\r\n", 0);
	expect(f, dial_unix(f), rq, "HTTP/1.1 431");
	free(rq);
	assert_int_equal(f->asked, 0);
}

static void test_tcp_wants_a_local_host(void **state)
{
	struct fixture *f = *state;

	expect(f, dial_tcp(f), "GET / HTTP/1.1\r\nHost: localhost:15000\r\n\r\n", "HTTP/1.1 200");
	expect(f, dial_tcp(f), "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "HTTP/1.1 200");
	expect(f, dial_tcp(f), "GET / HTTP/1.1\r\nHost: [::1]:15000\r\n\r\n", "HTTP/1.1 200");
	expect(f, dial_tcp(f), "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 403");
	expect(f, dial_tcp(f), "GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", "HTTP/1.1 403");
	expect(f, dial_tcp(f), "GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", "HTTP/1.1 403");
	assert_int_equal(f->asked, 3);
}

/* A client that asks and does not read gets one answer's worth of memory, not one for each request. */
static void test_slow_reader(void **state)
{
	static const char rq[] = "GET /big HTTP/1.1\r\nHost: weft\r\n\r\n";
	struct fixture *f = *state;
	int fd = dial_unix(f), sent = 0;

	for (int i = 0; i < 2000; i++) {
		sent += send(fd, rq, sizeof(rq) - 1, MSG_NOSIGNAL) > 0;
		loop_once(&f->loop, 0);
	}
	assert_int_equal(f->asked, 1);
	close(fd);
	loop_once(&f->loop, 0);
	assert_int_equal(f->server.nconns, 0);
}

/* Requests that came with one that is being answered are answered too, each when its turn has come. */
static void test_pipelined_large(void **state)
{
	static const char rq[] = "GET /big HTTP/1.1\r\nHost: weft\r\n\r\n";
	struct fixture *f = *state;
	size_t size = 64 << 20, n;
	char *all = malloc(size);
	int fd = dial_unix(f);

	for (int i = 0; i < 10; i++)
		memcpy(all + i * (sizeof(rq) - 1), rq, sizeof(rq) - 1);
	all[10 * (sizeof(rq) - 1)] = '\0';
	assert_int_equal(send(fd, all, strlen(all), MSG_NOSIGNAL), strlen(all));
	while (!f->asked)
		loop_once(&f->loop, 1000000);
	assert_int_equal(f->asked, 1);
	n = talk(f, fd, NULL, all, size);
	assert_int_equal(f->asked, 10);
	assert_in_range(n, 10 * 3200000, 10 * 3200300);
	free(all);
	close(fd);
}

/* Whoever may only use TCP cannot keep root from its own socket. */
static void test_tcp_leaves_room(void **state)
{
	struct fixture *f = *state;
	int fds[60];

	for (int i = 0; i < 60; i++) {
		fds[i] = dial_tcp(f);
		loop_once(&f->loop, 1000000);
	}
	assert_int_equal(f->server.nconns, 48);
	expect(f, dial_unix(f), "GET / HTTP/1.1\r\nHost: weft\r\n\r\n", "HTTP/1.1 200");
	for (int i = 0; i < 60; i++)
		close(fds[i]);
	for (int i = 0; i < 5; i++)
		loop_once(&f->loop, 0);
	assert_int_equal(f->server.nconns, 0);
	assert_int_equal(f->server.ntcp, 0);
}

static void test_many_connections(void **state)
{
	struct fixture *f = *state;
	int fds[100];

	for (int i = 0; i < 100; i++) {
		fds[i] = dial_unix(f);
		loop_once(&f->loop, 0);
	}
	assert_int_equal(f->server.nconns, 64);
	assert_int_equal(stat_get(&f->server.stat.connections_refused), 36);
	for (int i = 0; i < 100; i++)
		close(fds[i]);
	for (int i = 0; i < 5; i++)
		loop_once(&f->loop, 0);
	assert_int_equal(f->server.nconns, 0);
}

/* Out of descriptors the listener rests instead of spinning, and takes the waiting connection afterwards. */
static void test_no_descriptor_left(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, none;
	int fd = dial_unix(f);
	char out[256];

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ fd + 1, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	loop_once(&f->loop, 0);
	assert_int_equal(f->server.nconns, 0);
	assert_true(timer_armed(&f->server.rest));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	while (timer_armed(&f->server.rest))
		loop_once(&f->loop, -1);
	talk(f, fd, "GET / HTTP/1.1\r\nHost: weft\r\nConnection: close\r\n\r\n", out, sizeof(out));
	assert_memory_equal(out, "HTTP/1.1 200", 12);
	close(fd);
}

static void test_open_errors(void **state)
{
	struct fixture *f = *state;
	struct http_server other;
	struct err e = { 0 };
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(http_server_open(&other, &f->loop, f->path, NULL, handler, f, &e), -EADDRINUSE);
	assert_non_null(strstr(err_text(&e), "another weftd answers there"));
	err_clear(&e);
	assert_int_equal(http_server_open(&other, &f->loop, NULL, "0.0.0.0:0", handler, f, &e), -EINVAL);
	assert_non_null(strstr(err_text(&e), "must be a loopback address"));
	err_clear(&e);
	assert_int_equal(http_server_open(&other, &f->loop, NULL, "[::1]:0", handler, f, &e), 0);
	http_server_close(&other);
}

/* Of one that was killed a child is left for a moment, which has its socket and never answers. */
static void test_a_socket_that_goes(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct http_server other;
	struct err e = { 0 };
	pid_t pid;

	assert_true(snprintf(a.sun_path, sizeof(a.sun_path), "%s.left", f->path) < (int)sizeof(a.sun_path));
	assert_int_equal(bind(fd, (void *)&a, sizeof(a)) || listen(fd, 1), 0);
	pid = fork();
	if (!pid) {
		poll(NULL, 0, 100);
		_exit(0);
	}
	close(fd);
	assert_int_equal(http_server_open(&other, &f->loop, a.sun_path, NULL, handler, f, &e), 0);
	http_server_close(&other);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_query(void **state)
{
	struct slice q = SLICE_LIT("a=1&bb=x%20y+z&c=%zz&d=");
	char out[8];

	(void)state;
	assert_true(http_query(q, "a", out, sizeof(out)));
	assert_string_equal(out, "1");
	assert_true(http_query(q, "bb", out, sizeof(out)));
	assert_string_equal(out, "x y z");
	assert_true(http_query(q, "c", out, sizeof(out)));
	assert_string_equal(out, "%zz");
	assert_true(http_query(q, "d", out, sizeof(out)));
	assert_string_equal(out, "");
	assert_false(http_query(q, "b", out, sizeof(out)));
	assert_true(http_query(SLICE_LIT("long=0123456789"), "long", out, sizeof(out)));
	assert_string_equal(out, "0123456");
	assert_true(http_query(SLICE_LIT("p=%4"), "p", out, sizeof(out)));
	assert_string_equal(out, "%4");
}

/* One byte after another keeps no connection: a head has one deadline. */
static void slow_head_is_cut_off(void **state)
{
	static const char head[] = "GET /x HTTP/1.1\r\nHost: weft\r\nX-Slow: ";
	struct fixture *f = *state;
	char out[512] = "";
	int fd = dial_unix(f);
	bool over = false;

	f->server.head_ns = 200000000;
	talk(f, fd, head, out, sizeof(out));
	for (uint64_t until = clock_ns() + 60 * SEC; clock_ns() < until && !over; usleep(5000)) {
		ssize_t n = send(fd, "x", 1, MSG_NOSIGNAL);

		loop_once(&f->loop, 10000000);
		over = n < 0 || !f->server.nconns;
	}
	assert_true(over);
	assert_true(recv(fd, out, sizeof(out) - 1, MSG_DONTWAIT) > 0);
	assert_non_null(strstr(out, "HTTP/1.1 408 "));
	assert_int_equal(f->asked, 0);
	close(fd);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_get), CASE(test_pipelined_and_kept_alive), CASE(test_split_at_every_byte), CASE(test_head_has_no_body),
		CASE(test_refused), CASE(test_post_by_unix_socket_only), CASE(test_too_long), CASE(test_tcp_wants_a_local_host), CASE(test_slow_reader),
		CASE(test_pipelined_large), CASE(test_tcp_leaves_room), CASE(slow_head_is_cut_off),
		CASE(test_many_connections), CASE(test_no_descriptor_left), CASE(test_open_errors),
		CASE(test_a_socket_that_goes),
		cmocka_unit_test(test_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
