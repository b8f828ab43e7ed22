// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/magic.h"
#include "base/mem.h"

static void test_zeroed_and_never_null(void **state)
{
	char *p = mem_alloc(1000), *q = mem_alloc(0);

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0);
	assert_non_null(q);
	q = mem_realloc(q, 0);
	assert_non_null(q);
	q = mem_realloc(q, 100);
	memset(q, 1, 100);
	free(p);
	free(q);
}

static void test_copies(void **state)
{
	char *a = mem_str("abc"), *b = mem_dup("a\0c", 3), *c = mem_printf("%s %d", a, 5),
	     *d = mem_dup(NULL, 0);

	(void)state;
	assert_string_equal(a, "abc");
	assert_memory_equal(b, "a\0c", 4);
	assert_string_equal(c, "abc 5");
	assert_string_equal(d, "");
	free(a);
	free(b);
	free(c);
	free(d);
}

/* Runs fn in a child: what it wrote to stderr, and that it died of SIGABRT. */
static void assert_aborts(void (*fn)(void), const char *words)
{
	char text[65536];
	size_t n = 0;
	ssize_t k;
	int fd[2], status;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		signal(SIGABRT, SIG_DFL);
		dup2(fd[1], STDERR_FILENO);
		fn();
		_exit(0);
	}
	close(fd[1]);
	while ((k = read(fd[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += k;
	text[n] = 0;
	close(fd[0]);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(text, words));
}

static void alloc_too_much(void)
{
	setrlimit(RLIMIT_AS, &(struct rlimit){ 1 << 20, 1 << 20 });
	mem_alloc(1ul << 40);
}

static void realloc_too_much(void)
{
	setrlimit(RLIMIT_AS, &(struct rlimit){ 1 << 20, 1 << 20 });
	free(mem_realloc(NULL, 1ul << 40));
}

static void fail_assert(void)
{
	assert_always(1 + 1 == 3);
}

struct thing {
	unsigned magic;
	int x;
};

#define thing_MAGIC 0x7468696eu

static void cast_wrong(void)
{
	struct thing t = { .magic = 1 };

	CAST(thing, (void *)&t)->x = 1;
}

static void cast_null(void)
{
	CAST(thing, NULL)->x = 1;
}

#if !defined(__SANITIZE_ADDRESS__) &&                                                              \
	!defined(__SANITIZE_THREAD__) /* they end the process in their own way */
static void test_out_of_memory(void **state)
{
	(void)state;
	assert_aborts(alloc_too_much, "out of memory (1099511627776 bytes)\n");
	assert_aborts(realloc_too_much, "out of memory (1099511627776 bytes)\n");
}
#else
static void test_out_of_memory(void **state)
{
	(void)state;
	(void)alloc_too_much;
	(void)realloc_too_much;
	skip();
}
#endif

static void test_assertions(void **state)
{
	struct thing t = { .magic = thing_MAGIC };

	(void)state;
	assert_always(t.magic);
	assert_ptr_equal(CAST(thing, (void *)&t), &t);
	assert_aborts(fail_assert, "assertion failed: 1 + 1 == 3\n");
	assert_aborts(cast_wrong, "magic == thing_MAGIC");
	assert_aborts(cast_null, "assertion failed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed_and_never_null),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_assertions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
