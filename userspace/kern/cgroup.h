/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and ids of cgroup v2, also where v1 controllers are mounted beside it. */
#pragma once
#include "weft/err.h"

#define CGROUP_PATH 512

/*
 * Where the true root of cgroup2 is mounted ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"). -ENOENT: no cgroup2 is mounted.
 * -EXDEV: one is, but only a part of the tree is seen there (a cgroup namespace, a bind mount).
 */
int cgroup_root(char *out, struct err *e);
bool cgroup_is_v2(const char *path);
int cgroup_id(const char *path, uint64_t *id);  /* as bpf_get_current_cgroup_id() gives it; 0 or -errno */
int cgroup_of_self(const char *root, char *out); /* path of this process's cgroup; 0 or -errno */
