/* SPDX-License-Identifier: Apache-2.0 */
/* The table of features against what is true: all privileges, none, and one missing. */
#include "env.h"
#include <errno.h>
#include <sys/capability.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kern/features.h"

static void all_here(void **state)
{
	(void)state;
	struct features f;

	features_probe(&f);
	assert_true(f.n > 25);
	assert_null(features_missing(&f, FEATURES_SHORT_CIRCUIT));
	for (size_t i = 0; i < f.n; i++) {
		assert_true(f.row[i].name[0] && f.row[i].use[0]);
		assert_true(f.row[i].ok ? !f.row[i].detail[0] && !f.row[i].err : f.row[i].detail[0] && f.row[i].err < 0);
	}
	assert_null(features_find(&f, "no such feature"));
}

/* Runs fn without these capabilities, in a child. */
static void without(cap_value_t *caps, int n, int (*fn)(void))
{
	pid_t pid = fork();
	int st;

	if (!pid) {
		cap_t c = cap_get_proc();

		cap_set_flag(c, CAP_EFFECTIVE, n, caps, CAP_CLEAR);
		cap_set_flag(c, CAP_PERMITTED, n, caps, CAP_CLEAR);
		_exit(cap_set_proc(c) ? 100 : fn());
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
}

static int balance_is_gone(void)
{
	struct features f;

	features_probe(&f);
	return !features_missing(&f, FEATURES_BALANCE) || features_find(&f, "cgroup/connect4")->ok ||
	       features_find(&f, "cgroup/connect4")->err != -EPERM;
}

static int short_circuit_is_gone(void)
{
	struct features f;

	features_probe(&f);
	if (features_missing(&f, FEATURES_BALANCE))
		return 1;
	return strcmp(features_missing(&f, FEATURES_SHORT_CIRCUIT)->name, "CAP_PERFMON") != 0;
}

static void without_privileges(void **state)
{
	(void)state;
	cap_value_t all[] = { CAP_BPF, CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_PERFMON };

	without(all, 4, balance_is_gone);
}

static void without_perfmon(void **state)
{
	(void)state;
	cap_value_t some[] = { CAP_SYS_ADMIN, CAP_PERFMON };

	without(some, 2, short_circuit_is_gone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_here),
		cmocka_unit_test(without_privileges),
		cmocka_unit_test(without_perfmon),
	};

	return cmocka_run_group_tests(tests, env_setup, env_teardown);
}
