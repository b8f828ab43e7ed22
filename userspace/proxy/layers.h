/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The net filters of connections: what a listener or a cluster says becomes a list for conn_open(). TLS contexts are made on
 * the control thread when a snapshot comes, and carried by it; one whose secrets cannot be used keeps the context that
 * it had, and says so in the log.
 */
#pragma once
#include "model/snapshot.h"
#include "net/conn.h"
#include "net/sock.h"
#include "net/tlsctx.h"

#define LAYERS_MAX (2 + NET_FILTERS_MAX)        /* PROXY header, TLS, and what the listener names */

/* Control thread. The snapshot must not have been sent yet. before: the one sent last, or NULL. */
void layers_attach(struct snapshot *s, const struct snapshot *before, struct tlsctx_maker *m);
/*
 * Any thread that holds the snapshot; l, c are its facts. How many, for conn_open() at once; -ENOKEY: TLS is wanted and
 * there is no certificate for it, so nothing may be opened.
 */
int layers_of_listener(const struct snapshot *s, const struct listener *l, struct net_layer out[LAYERS_MAX]);
int layers_of_cluster(const struct snapshot *s, const struct cluster_fact *c, struct net_layer out[LAYERS_MAX]);

/* A connection to a host of a cluster, begun. */
struct layers_dial {
	const struct snapshot *snap;
	const struct cluster_fact *conf;
	struct net_addr to;
	const struct sock_options *options;
	struct slice authority;                 /* that was asked for: the TLS server's name, where the cluster says none */
	const struct net_peer *client;          /* for whom; NULL: nobody */
	struct tls_sessions *sessions;          /* the worker's */
	const struct conn_events *on;
	struct overload *overload;              /* the process's; NULL: its descriptors have no limit */
	uint64_t waited_ns;                     /* of the cluster's connectTimeout, by now */
};
int layers_dial(struct conn *c, struct loop *l, const struct layers_dial *d); /* 0 or -errno */
/* By a TCP socket that was made elsewhere, for another network namespace say. */
int layers_dial_by(struct conn *c, struct loop *l, int take_fd, const struct layers_dial *d);
struct slice layers_host(struct slice authority); /* without port and brackets */
