/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft's own connections are never translated, and are known by their cgroup. Under systemd or Kubernetes the daemon has
 * one to itself. Started from a shell it shares one with whoever else was started there, who would all be left alone: so
 * it then makes a cgroup below and moves there, before the proxy and other children are started.
 */
#pragma once
#include <stddef.h>
#include "weft/err.h"

/*
 * Path of the cgroup that this process is in when it returns. instance: NULL or "" for the only daemon. -errno with words
 * when it shares one and cannot leave it.
 */
int own_cgroup_enter(const char *instance, char *out, size_t size, struct err *e);
