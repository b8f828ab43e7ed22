/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy process, seen from the agent: started, dialled, fed facts, watched by pidfd, restarted with back-off. A proxy
 * that a former agent left behind is found on its socket and adopted when it is of the same build; another build is told
 * to stop first. Agent's control thread.
 */
#pragma once
#include <sys/types.h>
#include "event/timer.h"
#include "model/report.h"
#include "model/wire.h"
#include "net/handover.h"
#include "weft/stat.h"

#define CHILD_STATS(X)                                                                                                 \
	X(COUNTER, starts, "proxy processes started")                                                                  \
	X(COUNTER, adopted, "proxy processes taken over from a former agent")                                          \
	X(COUNTER, exits, "proxy processes that ended without being asked")                                            \
	X(COUNTER, hangs, "proxy processes killed because they did not answer")                                        \
	X(COUNTER, bytes_fed, "bytes of facts sent to the proxy")                                                      \
	X(COUNTER, bad_reports, "reports of the proxy that made no sense; its connection was closed")                  \
	X(GAUGE, running, "1 while a proxy runs and has said hello")                                                   \
	X(GAUGE, snapshot, "snapshot that every worker has adopted")
STAT_DECLARE(child_stat, CHILD_STATS);

enum child_state { CHILD_OFF, CHILD_STARTING, CHILD_RUNNING, CHILD_BACKOFF };
extern const char *const child_state_names[];

struct child_conf {
	const char *socket;                     /* beside the Admin API's, of this daemon only; kept by the caller */
	const char *program;                    /* weftd itself; kept by the caller */
	unsigned workers;
	bool splice;                            /* the proxy may */
	bool spin;                              /* its workers do */
	unsigned drain_ms;                      /* for requests under way when it is stopped */
	const char *log_level;
};

struct child_events {
	/* A proxy said hello: n heartbeat words are beaten. n = 0: it is gone. */
	void (*workers)(void *arg, unsigned n);
	/* A new descriptor of the heartbeat map, or negative: no kernel side. */
	int (*beat_fd)(void *arg);
	/* The same of the map by which listeners choose a worker. */
	int (*steer_fd)(void *arg);
	/* The snapshot that a new proxy has to know; NULL: none yet. Borrowed for the call. */
	struct snapshot *(*snapshot)(void *arg);
	/* It has been fed that: what else it has to know, by child_state(). */
	void (*fed)(void *arg);
	/* It has ejected a host for so long; 0: the host is back. key: for the call only. */
	void (*host)(void *arg, struct slice key, uint32_t for_ms);
	/* A listening socket that a proxy of a former agent has: before workers(). */
	void (*socket)(void *arg, struct slice listener, unsigned index, int take_fd);
	/* Its counters; slices and v for the call only. */
	void (*stat)(void *arg, struct slice set, struct slice name, const uint64_t *v, size_t n);
	/* Every worker has this snapshot. */
	void (*adopted)(void *arg, uint64_t snapshot);
	/* It asks for sockets of a namespace: child_socket_of(). */
	void (*want)(void *arg, const struct report_want *w);
	/* A new proxy is about to be fed: every socket there is by child_socket(). */
	void (*sockets)(void *arg);
};

struct child {
	struct loop *loop;
	struct child_conf conf;
	const struct child_events *on;
	void *arg;
	enum child_state state;
	pid_t pid;
	struct loop_io exit_io, io;             /* pidfd; connection */
	struct timer timer;                     /* back-off, or patience with a proxy that does not answer */
	uint64_t backoff_ns, started_ns;
	struct handover way;                    /* of its connection */
	struct report_hello hello;              /* of the running proxy */
	bool stopping;
	bool adopted;                           /* it was started by a former agent */
	int tickets_fd;                         /* in which keys of session tickets outlive a proxy; never mapped here. -1: none */
	struct child_stat stat;
};

int child_start(struct child *c, struct loop *l, const struct child_conf *conf, const struct child_events *on, void *arg,
		struct err *e);
/* Facts that changed; nothing while no proxy listens, it gets everything when it does. */
void child_feed(struct child *c, const struct diff *d);
/* The same for a listening socket, of which the proxy gets a copy; before the facts that name its listener. */
void child_socket(struct child *c, struct slice listener, unsigned index, int fd);
/* A socket that it wanted; takes it. Sent by child_push(), or with what is sent next. */
void child_socket_of(struct child *c, const struct report_want *w, int take_fd);
void child_push(struct child *c);
/* A file of the access log, as wire_log(); the proxy gets a copy. From sockets(), or when the files are others. */
void child_log(struct child *c, struct slice format, unsigned index, int fd);
/* The proxy's limits; nothing while no proxy runs. From sockets(), or when they are others. */
void child_overload(struct child *c, const struct overload_limits *l);
void child_state(struct child *c, struct slice host_key, uint8_t state); /* HOST_*; the same way, behind the facts */
bool child_is_proxy(pid_t pid);                 /* of whichever agent */
void child_stop(struct child *c);               /* SIGTERM, five seconds, SIGKILL; accepts a zeroed child */
