// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Deliberately broken: redirects whatever it can, as public sockmap programs do. The self-test must refuse it. */
#include "lib/kernel.h"
#include "kern/limits.h"
#include "kern/reason.h"
#include "kern/maps.h"
#include "lib/ratchet.h"

#define ratchet_verdict(in) REASON_NONE
#include "redirect.bpf.c"
