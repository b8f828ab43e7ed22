// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes from a client or a host: however they are cut, each stream says the same and what goes on is the same.
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
	return two_fuzz(&proto_dubbo, DUBBO_ECHO DUBBO_JAVA_COLOR DUBBO_JAVA3_HELLO, change, data, n);
}
