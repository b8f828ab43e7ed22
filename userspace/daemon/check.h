/* SPDX-License-Identifier: Apache-2.0 */
/* weft config check: the configuration, and the files that its registries read, as the agent would take them. */
#pragma once
#include "daemon/tool.h"

int check_config(const struct tool_args *a);    /* exit code: 0 good, 2 something is wrong: FILE:LINE: words on stderr */
