// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes of a client or of a host, through bolt's codecs as a proxy joins them: cut anywhere the same is heard and sent;
 * what is sent is read again, and sent again as it was. First byte: 1 = of a host, 2 = narrow limits, 4 = checksums are right.
 */
#define RPC_STREAMS 256u
#include "lib/bolt_two.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const size_t steps[] = { 1, 3, 29 };
	char bytes[3000];

	if (!n || n > sizeof(bytes))
		return 0;
	memcpy(bytes, data + 1, n - 1);
	if (data[0] & 4)
		two_repair(bytes, n - 1);
	two_check((struct slice){ bytes, n - 1 }, data[0] & 1, data[0] & 2, steps, sizeof(steps) / sizeof(steps[0]));
	return 0;
}
