// SPDX-License-Identifier: Apache-2.0
/* What nghttp2 may hold for one connection, whatever the sizes that it asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "proto/http2_priv.h"

/* One block of some bytes, then such of n until there are no more: of them no more than so many. */
static void fill(size_t first, size_t n)
{
	size_t most = HTTP2_MEMORY_MAX / n + 1, k = 1;
	void **all = calloc(most + 1, sizeof(*all));
	struct http2 *h = calloc(1, sizeof(*h));

	assert_true(all && h);
	http2_memory_init(h);
	all[0] = h->mem.malloc(first, h);
	while (k <= most && (all[k] = h->mem.malloc(n, h)))
		k++;
	assert_true(k <= most);
	assert_true(h->held < HTTP2_MEMORY_MAX + 2 * n);
	assert_null(h->mem.malloc(n, h));
	while (k)
		h->mem.free(all[--k], h);
	assert_int_equal(h->held, 0);
	free(all);
	free(h);
}

static void test_bound(void **state)
{
	(void)state;
	fill(1, 64);
	fill(96, 150);                          /* 160 bytes are left at last, and such a block has 192 */
	fill(64, 1000);
	fill(768, 1100);
	fill(64, 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_bound) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
