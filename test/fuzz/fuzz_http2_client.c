// SPDX-License-Identifier: Apache-2.0
/* Any bytes from a server, in answer to a few requests of different kinds: as fuzz_http2_server.c. */
#include "lib/http2_split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	split_check(false, data, n);
	return 0;
}
