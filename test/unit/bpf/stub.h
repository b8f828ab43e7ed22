/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision headers of bpf/lib, compiled natively: maps with the kernel's semantics as far as one thread can see
 * them, helpers under the test's control. Include it before any lib/ header; one test program, one world.
 */
#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include <linux/types.h>
#include <cmocka.h>

#include "kern/limits.h"
#include "kern/reason.h"
#include "kern/maps.h"
#include "kern/event.h"

#pragma GCC diagnostic ignored "-Wunused-parameter" /* `state` of cmocka */

#define SEC(name)
#define __noinline __attribute__((noinline))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name

#include "lib/maps.h"
#include "stub_map.h"

#define STUB(m)                                                                                                        \
	((struct stub_map){ (m), sizeof(*(m)->type) / sizeof(int), sizeof(*(m)->key), sizeof(*(m)->value),             \
			    sizeof(*(m)->max_entries) / sizeof(int) })
/* A key of the wrong size is a build error here, where the kernel would read past it. */
#define STUB_KEY(m, k) ((void)sizeof(char[sizeof(*(k)) == sizeof(*(m)->key) ? 1 : -1]))
#define bpf_map_lookup_elem(m, k) (STUB_KEY(m, k), stub_lookup(STUB(m), k))
#define bpf_map_update_elem(m, k, v, flags) (STUB_KEY(m, k), stub_update(STUB(m), k, v, flags))
#define bpf_map_delete_elem(m, k) (STUB_KEY(m, k), stub_delete(STUB(m), k))
#define bpf_ktime_get_ns() stub_now_ns
#define bpf_ringbuf_output(m, data, len, flags) stub_record(data, len)
#define bpf_get_current_ancestor_cgroup_id(level) stub_cgroup[level]
