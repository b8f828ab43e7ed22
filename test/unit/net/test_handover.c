// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "net/handover.h"
#include "weft/str.h"

static struct handover a, b;
static int sv[2];

static void set_up(void)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	handover_init(&a, sv[0]);
	handover_init(&b, sv[1]);
}

static void tear_down(void)
{
	handover_fini(&a);
	handover_fini(&b);
	close(sv[0]);
	close(sv[1]);
}

/* A pipe's end that holds one byte: who has it can say which one it is. */
static int marked(char mark)
{
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], &mark, 1), 1);
	close(fd[1]);
	return fd[0];
}

static char mark_of(int take_fd)
{
	char c = 0;

	assert_true(take_fd >= 0);
	assert_int_equal(read(take_fd, &c, 1), 1);
	close(take_fd);
	return c;
}

static void test_order(void **state)
{
	(void)state;
	set_up();
	for (char c = 'a'; c <= 'z'; c++) {
		if (c % 2)
			handover_give(&a, marked(c));
		buf_add(&a.out, &c, 1);
	}
	assert_int_equal(handover_flush(&a, NULL), 0);
	/* Whatever one read takes: at the letter its descriptor is there, and those before it were taken. */
	while (b.in.len < 26)
		assert_true(handover_receive(&b) > 0);
	for (char c = 'a'; c <= 'z'; c++) {
		assert_int_equal(*buf_head(&b.in).p, c);
		buf_drop(&b.in, 1);
		if (c % 2)
			assert_int_equal(mark_of(handover_take(&b)), c);
	}
	assert_int_equal(handover_take(&b), -1);
	tear_down();
}

static void test_no_later_than_its_byte(void **state)
{
	size_t got = 0;
	char c;

	(void)state;
	set_up();
	buf_add(&a.out, "0123456789", 10);
	handover_give(&a, marked('x'));
	buf_add(&a.out, "abc", 3);
	handover_give(&a, marked('y'));
	buf_add(&a.out, "d", 1);
	assert_int_equal(handover_flush(&a, NULL), 0);
	while (got < 14) {
		assert_true(handover_receive(&b) > 0);
		for (; b.in.len; got++) {
			c = *buf_head(&b.in).p;
			buf_drop(&b.in, 1);
			if (c == 'a')
				assert_int_equal(mark_of(handover_take(&b)), 'x');
			if (c == 'd')
				assert_int_equal(mark_of(handover_take(&b)), 'y');
		}
	}
	tear_down();
}

/* The socket takes only a part at a time, and descriptors stay at their bytes. */
static void test_full_socket(void **state)
{
	enum { N = 40, SIZE = 30000 };
	char *block = calloc(1, SIZE);
	size_t got = 0, taken = 0;
	int err = -EAGAIN, small = 4096;

	(void)state;
	set_up();
	setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (int i = 0; i < N; i++) {
		handover_give(&a, marked((char)i));
		memset(block, i, SIZE);
		buf_add(&a.out, block, SIZE);
	}
	while (got < (size_t)N * SIZE) {
		if (err)
			err = handover_flush(&a, NULL);
		assert_true(!err || err == -EAGAIN);
		if (handover_receive(&b) < 0)
			continue;
		while (b.in.len) {
			struct slice s = buf_head(&b.in);

			for (size_t i = 0; i < s.n; i++, got++) {
				if (got % SIZE)
					continue;
				assert_int_equal(mark_of(handover_take(&b)), (char)taken);
				taken++;
			}
			buf_drop(&b.in, s.n);
		}
	}
	assert_int_equal(taken, N);
	free(block);
	tear_down();
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void test_end(void **state)
{
	int fd;

	(void)state;
	set_up();
	fd = marked('x');
	handover_give(&a, fd);
	buf_add(&a.out, "x", 1);
	handover_fini(&a);
	assert_false(is_open(fd));
	assert_int_equal(handover_receive(&b), -EAGAIN);
	shutdown(sv[0], SHUT_RDWR);
	assert_int_equal(handover_receive(&b), 0);
	tear_down();
}

static void test_too_many(void **state)
{
	ssize_t n = 1;
	int i;

	(void)state;
	set_up();
	for (i = 0; n > 0 && i <= HANDOVER_WAITING_MAX; i++) {
		handover_give(&a, marked('x'));
		buf_add(&a.out, "x", 1);
		assert_int_equal(handover_flush(&a, NULL), 0);
		n = handover_receive(&b);
		buf_drop(&b.in, b.in.len);
	}
	assert_int_equal(n, -EMSGSIZE);
	assert_int_equal(i, HANDOVER_WAITING_MAX + 1);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),	    cmocka_unit_test(test_no_later_than_its_byte),
		cmocka_unit_test(test_full_socket), cmocka_unit_test(test_end),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
