// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log_sink.h"
#include "weft/str.h"

static int from;                                /* what is logged can be read here */

static int setup(void **state)
{
	int fd[2];

	(void)state;
	if (pipe(fd))
		return -1;
	from = fd[0];
	log_open(fd[1]);
	return 0;
}

static const char *logged(void)
{
	static char text[65536];
	ssize_t n = read(from, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = 0;
	return text;
}

/* After "2026-01-02T03:04:05.678Z " */
static const char *after_time(const char *s)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ ";

	for (size_t i = 0; i < sizeof(shape) - 1; i++) {
		if (shape[i] == 'd')
			assert_true(s[i] >= '0' && s[i] <= '9');
		else
			assert_int_equal(s[i], shape[i]);
	}
	return s + sizeof(shape) - 1;
}

static void test_form(void **state)
{
	(void)state;
	log_info("cluster web", "%d hosts", 3);
	assert_string_equal(after_time(logged()), "info  cluster web: 3 hosts\n");
	log_error("a", "b");
	assert_string_equal(after_time(logged()), "error a: b\n");
	log_warn(NULL, "no subject");
	assert_string_equal(after_time(logged()), "warn  no subject\n");
}

static void test_levels(void **state)
{
	enum log_level level = LOG_LEVEL_INFO;

	(void)state;
	assert_false(log_enabled(LOG_LEVEL_DEBUG));
	log_debug("a", "hidden");
	log_at(LOG_LEVEL_DEBUG, "a", "hidden");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("a", "seen");
	assert_string_equal(after_time(logged()), "debug a: seen\n");
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("a", "hidden");
	log_error("a", "seen");
	assert_string_equal(after_time(logged()), "error a: seen\n");
	log_set_level(LOG_LEVEL_INFO);
	assert_int_equal(log_level(), LOG_LEVEL_INFO);
	assert_int_equal(log_level_parse(slice_str("warn"), &level), 0);
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_int_equal(log_level_parse(slice_str("war"), &level), -EINVAL);
	assert_int_equal(log_level_parse(slice_str(""), &level), -EINVAL);
	for (level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
		enum log_level back = 99;

		assert_int_equal(log_level_parse(slice_str(log_level_name(level)), &back), 0);
		assert_int_equal(back, level);
	}
	assert_string_equal(log_level_name(17), "?");
}

static void test_control_bytes_are_escaped(void **state)
{
	(void)state;
	log_info("a\nb", "1\n2\r3\t4\x1b[31m5\x7f" "6\xc2\x9b" "7\xc3\xa9\xc2\xa0 \\n");
	assert_string_equal(
		after_time(logged()),
		"info  a\\nb: 1\\n2\\x0d3\\t4\\x1b[31m5\\x7f6\\x9b7\xc3\xa9\xc2\xa0 \\n\n");
	log_info("a", "end\xc2");
	assert_string_equal(after_time(logged()), "info  a: end\xc2\n");
}

static void test_long_lines_are_cut(void **state)
{
	char words[9000];
	const char *s;

	(void)state;
	memset(words, '\n', sizeof(words));
	words[sizeof(words) - 1] = 0;
	log_info("a", "%s", words);
	s = logged();
	assert_in_range(strlen(s), 4080, 4096);
	assert_string_equal(s + strlen(s) - 6, "\\n...\n");
	memset(words, 'x', sizeof(words));
	words[4000] = 0;
	log_info("a", "%s", words);
	s = logged();
	assert_string_equal(s + strlen(s) - 3, "xx\n");
	log_info(words, "end");
	assert_string_equal(logged() + 4000 + 25 + 6, ": end\n");
}

static void test_journal_prefix(void **state)
{
	char name[64];
	struct stat st;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(fstat(fd[1], &st), 0);
	snprintf(name, sizeof(name), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", name, 1);
	log_open(fd[1]);
	from = fd[0];
	log_error("a", "b");
	log_info("a", "b");
	assert_memory_equal(logged(), "<3>", 3);
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_open(fd[1]);
	log_error("a", "b");
	assert_string_equal(after_time(logged()), "error a: b\n");
	setenv("JOURNAL_STREAM", "garbage", 1);
	log_open(fd[1]);
	log_error("a", "b");
	assert_string_equal(after_time(logged()), "error a: b\n");
	unsetenv("JOURNAL_STREAM");
}

static void test_errno_survives(void **state)
{
	(void)state;
	log_open(-1);
	errno = ENOENT;
	log_error("a", "nowhere");
	assert_int_equal(errno, ENOENT);
	setup(NULL);
}

static void *many(void *arg)
{
	for (int i = 0; i < 50; i++)
		log_info(arg, "%0100d", 0);
	return NULL;
}

static void test_lines_of_threads_stay_whole(void **state)
{
	pthread_t id[4];
	const char *s;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&id[i], NULL, many, "abcd"), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(id[i], NULL);
	s = logged();
	for (int i = 0; i < 200; i++) {
		s = after_time(s);
		assert_memory_equal(s, "info  abcd: 00", 14);
		s = strchr(s, '\n') + 1;
	}
	assert_int_equal(*s, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_control_bytes_are_escaped),
		cmocka_unit_test(test_long_lines_are_cut),
		cmocka_unit_test(test_journal_prefix),
		cmocka_unit_test(test_errno_survives),
		cmocka_unit_test(test_lines_of_threads_stay_whole),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
