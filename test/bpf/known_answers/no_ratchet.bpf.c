// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Deliberately broken: bounded, but redirects past unread stack bytes. The self-test must refuse it. */
#include "lib/kernel.h"
#include "kern/limits.h"
#include "kern/reason.h"
#include "kern/maps.h"
#include "lib/ratchet.h"

#define ratchet_verdict(in) ((in)->read_seq = (in)->write_seq, (ratchet_verdict)(in))
#include "redirect.bpf.c"
