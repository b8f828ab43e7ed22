/* SPDX-License-Identifier: Apache-2.0 */
/* What the workers counted of HTTP, for the agent: each worker's own, and by route and cluster the sum of all workers. */
#pragma once

struct feed;
struct worker;

/* Control thread; the workers run. */
void traffic_report(const struct worker *workers, unsigned n, struct feed *f);
