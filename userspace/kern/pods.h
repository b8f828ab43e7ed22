/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_map: in which network namespaces connect() finds the proxy, and where. An entry is there only while the proxy
 * listens at its address; the entry goes first. Those of an earlier agent hold until somebody says which are to stay: its
 * proxy goes on listening meanwhile. No-ops without a capture (kern_status.no_capture).
 */
#pragma once
#include "kern/kern.h"

/* 0 or -errno. p NULL: the entry goes. netns: cookie. */
int kern_pod(struct kern *k, uint64_t netns, const struct pod_place *p);
/* Entries go of which keep() says no. */
void kern_pods_keep(struct kern *k, bool (*keep)(void *arg, uint64_t netns), void *arg);
