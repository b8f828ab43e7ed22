/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One agent's stream of facts: a store of its own, filled by the wire decoder, and the connection that carries it. A new
 * agent gets a new feed, so nothing of the old one's facts can remain; the old store lives until its last snapshot was
 * dropped. Control thread of the proxy.
 */
#pragma once
#include "event/loop.h"
#include "model/report.h"
#include "model/store.h"
#include "model/wire.h"

struct feed;
struct feed_events {
	void (*snapshot)(void *arg, struct feed *f, struct snapshot *take_s);
	void (*beat_fd)(void *arg, int take_fd);        /* heartbeat map of the kernel side */
	void (*steer_fd)(void *arg, int take_fd);       /* map of connections per worker */
	void (*socket)(void *arg, struct slice listener, unsigned index, int take_fd);
	/* A host of the newest snapshot, by the agent's checks: HOST_UNHEALTHY or 0. key: for the call only. */
	void (*state)(void *arg, struct feed *f, struct slice key, uint8_t state);
	void (*log)(void *arg, struct slice format, unsigned index, int take_fd); /* a file of the access log, as wire_log() */
	void (*pod_socket)(void *arg, uint64_t netns, unsigned worker, uint8_t family, int take_fd);
	void (*overload)(void *arg, const struct overload_limits *l); /* for the call only */
	void (*tickets)(void *arg, int take_fd); /* the page of tickets' keys */
	void (*closed)(void *arg, struct feed *f, const char *why); /* its connection is gone; the store stays */
};

struct feed *feed_new(struct loop *l, int take_fd, const struct feed_events *on, void *arg);
/* Closes the connection. False while snapshots of its store live: call it again later. */
bool feed_free(struct feed *f);
int feed_report(struct feed *f, const struct report_hello *h, uint64_t snapshot); /* h NULL: the number alone */
/* A listening socket back to a new agent, a copy of fd: before its hello. */
void feed_socket(struct feed *f, struct slice listener, unsigned index, int fd);
void feed_tickets(struct feed *f, int fd);      /* the same for the page of tickets' keys */
int feed_stat(struct feed *f, const struct stat_desc *d, struct slice name, const uint64_t *v);
int feed_host(struct feed *f, struct slice host_key, uint32_t for_ms); /* ejected for so long; 0: back */
/* Sockets that a worker wants. Nothing while its connection is gone. */
int feed_want(struct feed *f, const struct report_want *w);
int feed_alive(struct feed *f, uint32_t stalest_ms); /* nothing while its connection is gone */
