// SPDX-License-Identifier: Apache-2.0
/* Any bytes from a client or a host: however they are cut, what is said and what goes on is the same. First byte: two_fuzz. */
#define RPC_STREAMS 512u
#include "lib/frames_two.h"
#include "proto/tars.h"

#define CALL                                                                                                           \
	"0000002f 10 01 2c 3c 40 07 56 09 'App.S.Obj' 66 04 'echo' 7d 00 00 02 ffff 81 0bb8 98 00 01 06 01 'k' 16 01 'v' " \
	"a8 0c "

static void change(struct msg *m)
{
	msg_set(m, SLICE_LIT("k"), SLICE_LIT("w"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	return two_fuzz(&proto_tars, CALL CALL CALL, change, data, n);
}
