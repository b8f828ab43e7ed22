// SPDX-License-Identifier: Apache-2.0
/* Any bytes from a client or a host: however they are cut, what is said and what goes on is the same. First byte: two_fuzz. */
#define RPC_STREAMS 512u
#include "lib/frames_two.h"
#include "proto/dubbo_thrift.h"

#define CALL                                                                                                           \
	"00000034 dabc 00000034 001a 01 00000005 'a.Api' 0000000000000007 80010001 00000004 'echo' 00000009 "          \
	"0b 0001 00000002 'hi' 00 "

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	return two_fuzz(&proto_dubbo_thrift, CALL CALL CALL, NULL, data, n);
}
