/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy's counters as it reported them last, by set and name ("listener", "web"). They begin at 0 with each proxy.
 * Control thread.
 */
#pragma once
#include "base/table.h"
#include "weft/buf.h"
#include "weft/stat.h"

struct tally {
	struct table rows;
};

void tally_init(struct tally *t);
void tally_fini(struct tally *t);               /* accepts a zeroed one */
/* Of a proxy, whose word is not trusted: sets that are not known, and too many names, are left out. */
void tally_put(struct tally *t, struct slice set, struct slice name, const uint64_t *v, size_t n);
/* NULL: nothing was reported; else as many words as the set has rows, valid until the next put. */
const _Atomic uint64_t *tally_get(const struct tally *t, const struct stat_desc *d, struct slice name);
/* fn for each row of this set, in no order. */
void tally_each(const struct tally *t, const struct stat_desc *d, void (*fn)(void *arg, struct slice name), void *arg);
/* "shop.Orders/Get" of call_stat in two; the row of all others has no slash, and no service. */
void tally_call_name(struct slice name, struct slice *service, struct slice *method);
/* Of this set, what keep() says false to goes: of hosts that are gone. */
void tally_sweep(struct tally *t, const struct stat_desc *d, bool (*keep)(void *arg, struct slice name), void *arg);
void tally_clear(struct tally *t);              /* the proxy is gone */
void tally_metrics(const struct tally *t, struct buf *out); /* Prometheus text, a label by name */
