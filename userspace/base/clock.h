/* SPDX-License-Identifier: Apache-2.0 */
/* Time. Monotonic nanoseconds are what bpf_ktime_get_ns() gives too; wall time is for people only. */
#pragma once
#include <stdint.h>

#define MSEC 1000000ull                         /* ns */
#define SEC 1000000000ull                       /* ns */

uint64_t clock_ns(void);                        /* CLOCK_MONOTONIC */
/* "2026-01-02T03:04:05.678Z" into out, which holds at least 32 bytes. */
void clock_wall(char *out, unsigned long size);
