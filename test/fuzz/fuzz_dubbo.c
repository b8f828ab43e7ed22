// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes from a client or a host: however they are cut, each stream says the same and what goes on is the same. The first
 * byte says which side, with bounds that bite or without, and whether heads are changed on their way.
 */
#define RPC_STREAMS 512u
#include "lib/dubbo_samples.h"
#include "lib/frames_two.h"
#include "proto/dubbo.h"

static void change(struct msg *m)
{
	msg_set(m, SLICE_LIT("color"), SLICE_LIT("red"));
	msg_del(m, SLICE_LIT("path"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct two_case k = { .ops = &proto_dubbo, .calls = DUBBO_ECHO DUBBO_JAVA_COLOR DUBBO_JAVA3_HELLO };

	if (n < 2 || n > 3000)
		return 0;
	k.answers = data[0] & 1;
	k.strict = data[0] & 2;
	k.change = data[0] & 4 ? change : NULL;
	k.bytes = (struct slice){ (const char *)data + 1, n - 1 };
	two_check(&k);
	return 0;
}
