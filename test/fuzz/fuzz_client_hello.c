// SPDX-License-Identifier: Apache-2.0
/* A TLS client's first bytes, whole and one by one: the same verdict at the same byte, and more bytes change nothing. */
#include <errno.h>
#include <stdlib.h>
#include "base/magic.h"
#include "proto/client_hello.h"
#include "weft/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *scratch = malloc(CLIENT_HELLO_MAX), *other = malloc(CLIENT_HELLO_MAX);
	struct slice whole, part = { 0 };
	int want = client_hello_sni((struct slice){ (const char *)data, n }, scratch, &whole), got = -EAGAIN;

	for (size_t i = 0; got == -EAGAIN && i <= n; i++)
		got = client_hello_sni((struct slice){ (const char *)data, i }, other, &part);
	assert_always(got == want && (want == 0 || want == -EAGAIN || want == -EPROTO));
	assert_always(slice_eq(whole, part) && (!want || !whole.n));
	free(scratch);
	free(other);
	return 0;
}
