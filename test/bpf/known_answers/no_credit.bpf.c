// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Deliberately broken: in order, but a sleeping reader bounds nothing. The self-test must refuse it. */
#include "lib/kernel.h"
#include "kern/limits.h"
#include "kern/reason.h"
#include "kern/maps.h"
#include "lib/ratchet.h"

#define ratchet_verdict(in) ((in)->cap = ~0u, (in)->credit = 0, (in)->sent = 0, (ratchet_verdict)(in))
#include "redirect.bpf.c"
