/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine for one test: mount and network namespaces of its own with a private bpffs, and a private cgroup in which the
 * test itself runs, so that its own sockets are captured. Everything is gone when the process ends.
 */
#pragma once
#include "unit/kern/kit.h"
#include <stdio.h>
#include <string.h>
#include "kern/kern.h"

struct env {
	char dir[128];                          /* scratch; the bpffs is on it */
	char root[512];                         /* of cgroup2 */
	char cgroup[600];
	char home[600];                         /* the cgroup we came from */
	struct kit kit;
	struct kern *kern;
	struct kern_conf conf;
};

int env_setup(void **state);                    /* group setup: once per process; exits with 77 where BPF is denied */
int env_teardown(void **state);
int env_clean(void **state);                    /* test teardown: closed, detached, an empty model */
struct env *env(void);

void env_open(void);                            /* kern_open with env.conf; must succeed */
void env_close(void);
void env_sync(void);                            /* commits and builds the kit, and syncs by difference */
void env_judge(void);                           /* as if all known-answer tests had passed */
uint64_t env_stat(const char *name);            /* a word of kern_stat */

/* TCP on loopback addresses. */
int env_listen(const char *ip, uint16_t port);  /* listening socket */
int env_dial(const char *ip, uint16_t port);    /* connected socket, or -errno */
/* Which of the listeners' greetings comes: dials, reads one byte. -errno on failure. */
int env_ask(const char *ip, uint16_t port);
/* A child that answers each connection to ip:port with one byte, and echoes what it then gets. */
pid_t env_serve(const char *ip, uint16_t port, char greeting);
void env_reap(pid_t pid);                       /* ends a child that we started */
