/* SPDX-License-Identifier: Apache-2.0 */
/* The page in which keys of session tickets outlive a process: what is taken over, and what is not believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include "base/clock.h"
#include "net/tlsctx.h"

#define WHICH 8                                 /* where things lie in the page */
#define SLOT 16
#define SLOT_SIZE (8 + TLSCTX_TICKET_KEYS * 88)

static _Alignas(64) unsigned char page[TLSCTX_TICKET_PAGE];

static unsigned taken_by_another(void)
{
	struct tlsctx_maker *m = tlsctx_maker_new();
	unsigned char copy[sizeof(page)];
	unsigned n;

	memcpy(copy, page, sizeof(page));
	n = tlsctx_keep_tickets(m, page, true);
	tlsctx_maker_free(m);
	memcpy(page, copy, sizeof(page));
	return n;
}

static struct tlsctx_maker *first(void)
{
	struct tlsctx_maker *m = tlsctx_maker_new();

	memset(page, 0, sizeof(page));
	assert_int_equal(tlsctx_keep_tickets(m, page, true), 0);
	return m;
}

static uint64_t *made_ns(unsigned slot, unsigned key)
{
	return (uint64_t *)(void *)(page + SLOT + slot * SLOT_SIZE + 8 + key * 88);
}

static void test_keys_go_on(void **state)
{
	struct tlsctx_maker *m = first();

	(void)state;
	assert_int_equal(taken_by_another(), 1);
	assert_int_equal(tlsctx_rotate(m), 0);
	assert_int_equal(taken_by_another(), 2);
	for (int i = 0; i < 5; i++)
		assert_int_equal(tlsctx_rotate(m), 0);
	assert_int_equal(taken_by_another(), TLSCTX_TICKET_KEYS);
	tlsctx_maker_free(m);
	assert_int_equal(taken_by_another(), TLSCTX_TICKET_KEYS);
}

static void test_times_go_on(void **state)
{
	struct tlsctx_maker *m = first(), *next = tlsctx_maker_new();
	uint32_t which;
	uint64_t due;

	(void)state;
	memcpy(&which, page + WHICH, sizeof(which));
	*made_ns(which, 0) = clock_ns() > 100 * SEC ? clock_ns() - 100 * SEC : 0;
	assert_int_equal(tlsctx_keep_tickets(next, page, true), 1);
	assert_int_equal(tlsctx_rotate_due(next, &due), 1);
	assert_true(due < TLSCTX_ROTATE_S * SEC);
	tlsctx_maker_free(next);
	tlsctx_maker_free(m);
}

static void test_one_that_has_keys_leaves_them(void **state)
{
	struct tlsctx_maker *m = first(), *other = tlsctx_maker_new();

	(void)state;
	assert_int_equal(tlsctx_rotate(m), 0);
	/* Its own single key goes into the page instead. */
	assert_int_equal(tlsctx_keep_tickets(other, page, false), 0);
	assert_int_equal(taken_by_another(), 1);
	tlsctx_maker_free(other);
	tlsctx_maker_free(m);
}

static void test_what_makes_no_sense_is_not_taken(void **state)
{
	struct tlsctx_maker *m = first();
	uint32_t which, wrong = 7;
	uint64_t later = clock_ns() + 3600 * SEC;

	(void)state;
	memcpy(&which, page + WHICH, sizeof(which));
	*made_ns(which, 0) = later;
	assert_int_equal(taken_by_another(), 0);
	*made_ns(which, 0) = clock_ns();
	assert_int_equal(taken_by_another(), 1);
	memcpy(page + SLOT + which * SLOT_SIZE, &(uint32_t){ 99 }, 4);
	assert_int_equal(taken_by_another(), 0);
	memcpy(page + SLOT + which * SLOT_SIZE, &(uint32_t){ 0 }, 4);
	assert_int_equal(taken_by_another(), 0);
	memcpy(page + SLOT + which * SLOT_SIZE, &(uint32_t){ 1 }, 4);
	memcpy(page + WHICH, &wrong, 4);
	assert_int_equal(taken_by_another(), 0);
	memset(page, 0x5a, sizeof(page));
	assert_int_equal(taken_by_another(), 0);
	tlsctx_maker_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_go_on),
		cmocka_unit_test(test_times_go_on),
		cmocka_unit_test(test_one_that_has_keys_leaves_them),
		cmocka_unit_test(test_what_makes_no_sense_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
