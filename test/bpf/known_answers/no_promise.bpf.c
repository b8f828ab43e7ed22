// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Deliberately broken sockops: takes every reader for one that never splices. The self-test must refuse it. */
#include "lib/kernel.h"
#include "kern/limits.h"
#include "kern/reason.h"
#include "kern/maps.h"
#include "lib/maps.h"
#include "lib/pair.h"

#define workload_flags(w, ctl) ((workload_flags)(w, ctl) | WORKLOAD_NO_SPLICE)
#include "sockops.bpf.c"
