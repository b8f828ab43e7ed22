/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the lines of weft/log.h go: stderr from the first call on, level info. Under systemd
 * (JOURNAL_STREAM names the descriptor) each line begins with "<N>", its syslog priority. Any
 * thread.
 */
#pragma once
#include "weft/log.h"
#include "weft/types.h"

void log_open(int fd);                          /* borrowed; looks at JOURNAL_STREAM */
void log_set_level(enum log_level level);
enum log_level log_level(void);
const char *log_level_name(enum log_level level); /* "error" "warn" "info" "debug" */
int log_level_parse(struct slice s, enum log_level *out); /* -EINVAL: none of these */
