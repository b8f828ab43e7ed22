/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread with a loop: its hold on a snapshot and its heartbeat. It shares nothing mutable with other workers: a
 * snapshot is sent down to it, the number it has adopted is sent up.
 */
#pragma once
#include "event/thread.h"
#include "event/timer.h"
#include "model/hold.h"
#include "model/overload.h"
#include "proxy/cluster.h"
#include "proxy/record_line.h"

#define WORKER_BEAT_MS 100                      /* longest time between two beats of a worker that is well */

struct worker;
struct http;
struct journal;
struct listeners;
struct clusters;
struct stock;
struct tcps;
struct udps;
struct overload;
struct tls_sessions;

/* On the control thread. */
struct worker_events {
	void (*adopted)(struct worker *w, uint64_t number);
	/* Sockets of a pod's namespace; those that come go to worker_socket(). */
	void (*want)(struct worker *w, uint64_t netns, uint8_t family, uint32_t n);
	void (*look)(struct worker *w, struct slice cluster); /* worker_look() at all the others */
	void (*quiet)(struct worker *w);        /* behind worker_drain(), once: no request is under way any more */
};

struct worker {
	struct thread thread;
	unsigned index;
	struct adoption adoption;
	struct listeners *listeners;            /* the thread's own, as the ones below; NULL: it has ended */
	struct clusters *clusters;
	struct stock *stock;
	struct tcps *tcps;
	struct http *http;
	struct journal *journal;                /* the process's access log; NULL: none */
	struct record_clock clock;              /* its lines' */
	struct tls_sessions *sessions;          /* of hosts */
	struct overload *overload;              /* the process's; NULL: nobody measures */
	enum overload_level level;              /* as the control thread said last; the thread's own, as hold */
	bool hold;                              /* nothing new is accepted */
	struct udps *udps;                      /* from the first udp listener on */
	struct timer quiet;                     /* armed while it drains */
	bool splice;                            /* bulk may go through pipes */
	_Atomic uint64_t *beat;                 /* its word in the kernel's map, or NULL; set by letter, worker_set_beat() */
	_Atomic int64_t buffers;                /* bytes, buf_pool_bytes(), at its last beat */
	_Atomic uint64_t beat_ns;               /* the same for the control thread, also without a kernel side */
	struct mailbox *up;                     /* the control thread's */
	struct outlier *outlier;                /* the control thread's: ejections are its */
	const struct worker_events *on;
	void *arg;
};

/* 0 or -errno. up, outlier, journal, overload, on and arg outlive the worker. */
int worker_start(struct worker *w, unsigned index, bool splice, struct mailbox *up, struct outlier *outlier,
		 struct journal *journal, struct overload *overload, const struct worker_events *on, void *arg);
void worker_stop(struct worker *w);             /* safe when never started */
void worker_send(struct worker *w, struct snapshot *take_s); /* control thread */
void worker_socket(struct worker *w, uint64_t netns, uint8_t family, int take_fd); /* control thread */
void worker_look(struct worker *w, struct slice cluster); /* control thread: cluster_conn_look() */
void worker_ask_again(struct worker *w);        /* control thread: nothing comes of what was wanted: another agent */
/* Control thread: the level is another. hold: listeners let new connections wait. */
void worker_overload(struct worker *w, enum overload_level level, bool hold);
/* Control thread: nothing new is accepted, clients are asked to go, and on->quiet() tells when no request is under way. */
void worker_drain(struct worker *w);
void worker_spin(struct worker *w, uint64_t ns); /* control thread: as loop.spin_ns */
/* Control thread. The word must stay mapped until the worker stops or the next call's letter was delivered. */
void worker_set_beat(struct worker *w, _Atomic uint64_t *word);
