/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of sessions: how many, how long, under which key. Real handshakes: test/net/tls_sessions.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "net/tls_session.h"
#include "weft/str.h"

static struct tls_sessions *all;

static int setup(void **state)
{
	(void)state;
	all = tls_sessions_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tls_sessions_free(all);
	return 0;
}

static SSL_SESSION *session(int version, const char *id, long timeout)
{
	SSL_SESSION *x = SSL_SESSION_new();

	assert_non_null(x);
	assert_int_equal(SSL_SESSION_set1_id(x, (const unsigned char *)id, (unsigned)strlen(id)), 1);
	assert_int_equal(SSL_SESSION_set_protocol_version(x, version), 1);
	SSL_SESSION_set_time(x, time(NULL));
	SSL_SESSION_set_timeout(x, timeout);
	return x;
}

static struct tls_session_key key(uint64_t context, uint16_t port, const char *name)
{
	return (struct tls_session_key){ context, { .port = port }, slice_str(name) };
}

static void put(struct tls_session_key k, int version, const char *id)
{
	tls_sessions_put(all, &k, session(version, id, 3600));
}

static void assert_takes(struct tls_session_key k, const char *want)
{
	SSL_SESSION *x = tls_sessions_take(all, &k);
	const unsigned char *id;
	unsigned n;

	if (!want) {
		assert_null(x);
		return;
	}
	assert_non_null(x);
	id = SSL_SESSION_get_id(x, &n);
	assert_int_equal(n, strlen(want));
	assert_memory_equal(id, want, n);
	SSL_SESSION_free(x);
}

static uint64_t kept(void)
{
	return stat_get(&tls_sessions_stat(all)->kept);
}

static void test_a_ticket_of_1_3_is_used_once(void **state)
{
	(void)state;
	put(key(1, 443, "a"), TLS1_3_VERSION, "first");
	put(key(1, 443, "a"), TLS1_3_VERSION, "second");
	assert_int_equal(kept(), 2);
	assert_takes(key(1, 443, "a"), "second");
	assert_takes(key(1, 443, "a"), "first");
	assert_takes(key(1, 443, "a"), NULL);
	assert_int_equal(kept(), 0);
}

static void test_one_of_1_2_is_used_until_another_comes(void **state)
{
	(void)state;
	put(key(1, 443, "a"), TLS1_2_VERSION, "first");
	assert_takes(key(1, 443, "a"), "first");
	assert_takes(key(1, 443, "a"), "first");
	put(key(1, 443, "a"), TLS1_2_VERSION, "second");
	assert_takes(key(1, 443, "a"), "second");
}

static void test_the_newest_of_one_host_are_kept(void **state)
{
	(void)state;
	for (int i = 0; i < TLS_SESSION_EACH + 3; i++) {
		char id[12];

		snprintf(id, sizeof(id), "%d", i);
		put(key(1, 443, "a"), TLS1_3_VERSION, id);
	}
	assert_int_equal(kept(), TLS_SESSION_EACH);
	assert_takes(key(1, 443, "a"), "4");
	assert_takes(key(1, 443, "a"), "3");
	assert_takes(key(1, 443, "a"), NULL);
}

static void test_keys_differ_in_all_parts(void **state)
{
	struct tls_session_key other = key(1, 443, "a");

	(void)state;
	other.host.ip.b[3] = 9;
	put(key(1, 443, "a"), TLS1_2_VERSION, "mine");
	assert_takes(key(2, 443, "a"), NULL);
	assert_takes(key(1, 444, "a"), NULL);
	assert_takes(key(1, 443, "b"), NULL);
	assert_takes(key(1, 443, ""), NULL);
	assert_takes(other, NULL);
	assert_takes(key(1, 443, "a"), "mine");
}

static void test_a_name_that_is_too_long_is_nobodys(void **state)
{
	char name[260];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[254] = '\0';
	put(key(1, 443, name), TLS1_2_VERSION, "x");
	assert_takes(key(1, 443, name), NULL);
	name[253] = '\0';
	assert_takes(key(1, 443, name), NULL);
	put(key(1, 443, name), TLS1_2_VERSION, "y");
	assert_takes(key(1, 443, name), "y");
}

static void test_what_is_over_is_not_offered(void **state)
{
	struct tls_session_key k = key(1, 443, "a");
	SSL_SESSION *over = session(TLS1_3_VERSION, "over", 50);

	(void)state;
	SSL_SESSION_set_time(over, time(NULL) - 100);
	put(k, TLS1_3_VERSION, "good");
	tls_sessions_put(all, &k, over);
	assert_takes(k, "good");
	assert_int_equal(kept(), 0);
}

static void test_the_host_used_longest_ago_goes(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < TLS_SESSION_HOSTS; i++)
		put(key(1, i, "a"), TLS1_2_VERSION, "x");
	assert_takes(key(1, 0, "a"), "x");
	put(key(1, 1000, "a"), TLS1_2_VERSION, "new");
	assert_int_equal(kept(), TLS_SESSION_HOSTS);
	assert_takes(key(1, 0, "a"), "x");
	assert_takes(key(1, 1, "a"), NULL);
	assert_takes(key(1, 1000, "a"), "new");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_ticket_of_1_3_is_used_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_of_1_2_is_used_until_another_comes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_newest_of_one_host_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys_differ_in_all_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_name_that_is_too_long_is_nobodys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_over_is_not_offered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_host_used_longest_ago_goes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
