// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes from a client: however they are cut, each stream says the same, and so does the connection's end. With a core
 * that has had enough after a few odd things, none is begun afterwards. A first byte of 'p' stands for the preface.
 */
#include "lib/http2_split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	split_check(true, data, n);
	return 0;
}
