/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proxy gives up before its first worker starts: root, capabilities, new privileges, and every system call that
 * moving bytes does not need. Threads inherit it.
 */
#pragma once
#include "weft/err.h"

/*
 * While there is one thread only. As root: becomes user "weft", or "nobody" where that user does not exist. Not as
 * root: stays who it is, without capabilities. 0 or -errno with words.
 */
int sandbox_enter(struct err *e);
