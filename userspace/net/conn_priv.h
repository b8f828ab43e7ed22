/* SPDX-License-Identifier: Apache-2.0 */
/* What conn.c (the socket and its events) and stack.c (the filters above it) say to each other. */
#pragma once
#include "net/conn.h"

/* The socket, below every layer. Bytes, 0 = FIN (read only), -EAGAIN, other -errno = dead. */
ssize_t socket_recv(struct conn *c, void *p, size_t n);
ssize_t socket_read(struct conn *c, struct buf *dst, size_t most);
ssize_t socket_send(struct conn *c, const struct iovec *v, unsigned n);
ssize_t socket_write(struct conn *c, struct buf *src);
int socket_shut(struct conn *c);
/* The loop comes back with what an event for both directions would bring, but for the socket's own state. */
void conn_wake(struct conn *c);

/* Lives until conn_close(). */
void *conn_alloc(struct conn *c, size_t n);

int stack_new(struct conn *c, const struct net_layer *layers, unsigned n);
void stack_free(struct conn *c);                /* closes the layers, top first */
int stack_open(struct conn *c);                 /* 0: all are open; -EAGAIN */
ssize_t stack_read(struct conn *c, struct buf *dst);
ssize_t stack_write(struct conn *c, struct buf *src);
int stack_shut(struct conn *c);
unsigned stack_want(const struct conn *c);
const char *stack_opening(const struct conn *c); /* name of the layer whose open() is waited for; NULL: none */
struct conn *stack_conn(struct net_filter *f);
bool stack_on_socket(struct net_filter *f);     /* no layer is below it */
bool stack_passes(const struct conn *c, unsigned want); /* NET_WANT_*: no layer changes or has bytes of that direction */
void stack_thin(struct conn *c);                /* frees it when nothing is left for it to do */
