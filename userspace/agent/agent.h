/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent process: its parts in the order in which they start, taken apart in reverse. One thread, one loop. Stopping
 * leaves the kernel side pinned, so traffic goes on.
 */
#pragma once
#include "agent/discovery.h"
#include "agent/dns.h"
#include "agent/doors.h"
#include "agent/factory.h"
#include "agent/health.h"
#include "agent/http_server.h"
#include "agent/hub.h"
#include "agent/judge.h"
#include "agent/l7.h"
#include "agent/pods.h"
#include "agent/publish.h"
#include "agent/ready.h"
#include "agent/reload.h"
#include "agent/secrets.h"
#include "agent/sources.h"
#include "agent/states.h"
#include "agent/tally.h"
#include "conf/config.h"
#include "event/signal.h"
#include "kern/features.h"
#include "kern/kern.h"
#include "kern/steering.h"

struct agent_conf {
	const char *path;                       /* of the configuration */
	const char *instance;                   /* NULL: the only one */
	const struct conf_choice *registries;   /* types there are; daemon/builtin.c */
	const struct lb_ops *const *lbs;        /* balancers of the proxy, NULL-ended */
	const char *log_level;                  /* given on the command line; NULL: the configuration's */
};

struct agent {
	struct agent_conf conf;
	uint64_t started_ns;
	struct loop loop;
	struct signals signals;
	struct config *config;
	struct features features;
	struct store *store;
	struct kern *kern;
	struct judge judge;
	struct child child;
	struct doors doors;
	struct l7 l7;
	struct pods pods;
	struct factory factory;
	struct steering steer;
	struct tally tally;
	struct publish publish;
	struct hub hub;
	struct secrets secrets;
	struct http_carrier carrier;            /* of what parts of the agent ask others */
	struct sources sources;
	struct states states;
	struct health health;
	struct discovery discovery;
	struct dns dns;
	struct reload reload;
	struct http_server http;
	struct insertions insertions;
	char own_cgroup[512];                   /* never translated; "" = none */
	char program[4096];                     /* weftd itself */
	char proxy_socket[108];
};

/* Runs until SIGTERM or SIGINT. An exit code: 0, 1 for a failure, 2 for a bad configuration; said on stderr. */
int agent_run(const struct agent_conf *c);

struct overload_limits agent_overload(const struct config *c); /* the proxy's */
void agent_set_level(const struct agent *a);    /* of the log: the configuration's, or what the command line said */
/* What the kernel side is told of a configuration: strings are the config's. */
struct kern_conf agent_kern_conf(const struct config *c, const char *instance);
