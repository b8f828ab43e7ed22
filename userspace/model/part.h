/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who of a cluster's hosts takes part in a request: subset, priority, panic, place. Pure; the proxy's workers and
 * `weft explain http` decide by the same functions.
 */
#pragma once
#include "weft/model.h"

/* Whether the cluster lets its hosts be told apart by exactly these names of metadata; one without `subsets` lets by any. */
bool part_declared(const struct cluster_fact *c, const struct name_value *want, size_t n);
/* want is sorted by name, as metadata is. */
bool part_carries(const struct host *h, const struct name_value *want, size_t n);
/* here NULL: unknown. */
bool part_near(const struct locality *here, const struct host *h, enum locality_prefer prefer);

/* Hosts of one priority, of which some are well. */
struct part_level {
	uint32_t hosts, usable;                 /* hosts: not 0 */
	uint32_t load;                          /* out: percent of the requests that begin here */
	bool panic;                             /* out: who is well does not count here */
};
/* By priority. */
void part_weigh(struct part_level *v, uint32_t n, uint32_t panic_percent);
