/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place that writes the maps whose owner is kern/apply. Batches where the kernel has them; the balancing table
 * and the control word through their memory maps. A grace period is one membarrier(MEMBARRIER_CMD_GLOBAL), which is
 * synchronize_rcu(): BPF programs run inside RCU read sections, so when it returns (8 ms, measured) each run that began
 * before has ended. Where membarrier is refused (nohz_full), GRACE_MS are waited for instead.
 */
#pragma once
#include "kern/load.h"
#include "kern/plan.h"

#define GRACE_MS 100

struct apply {
	struct ctl *ctl;                        /* mapped */
	uint32_t *table;                        /* mapped as far as it was asked for */
	size_t table_bytes, table_mapped;
	int table_fd, fd[PLAN_MAP_MAX], workload_fd, open_fd;
	bool batch, verify;
	uint64_t verify_errors;                 /* entries that read back differently */
};

int apply_open(struct apply *a, struct load *l, bool verify, struct err *e);
void apply_close(struct apply *a);              /* accepts a zeroed one; descriptors are load's */
struct plan_ops apply_ops(const struct apply *a); /* arg: the apply */
int apply_grace(void *a);
/*
 * table[off .. off + n) may be read and written from now on. False: it lies outside. Mapping counts every page at once as
 * memory of the process, used or not, so the table grows as ranges are given out: from its beginning.
 */
bool apply_table(struct apply *a, uint32_t off, uint32_t n);

/* workload_map; 0 or -errno */
int apply_workload(struct apply *a, uint64_t cgroup, const struct workload *w); /* w NULL: removed */
/* Slots of backends that rest and whose last connection has closed may be used again. */
void apply_rest(struct apply *a, struct kern_state *st);
/* Single entries, for adoption and sweep: what no state knows, what differs from it. 0 or -errno. */
int apply_remove(struct apply *a, enum plan_map m, const void *key);
int apply_write(struct apply *a, enum plan_map m, const void *key, const void *value);

/* ctl_map, field by field: programs read single words. */
void apply_flags(struct apply *a, uint32_t set, uint32_t clear);
#define APPLY_CTL(a, field, v) __atomic_store_n(&(a)->ctl->field, v, __ATOMIC_RELAXED)
