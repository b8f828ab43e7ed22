/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP proxy: a session is a client's address and the address it asked, on the worker to which the kernel gives that
 * client's datagrams; it has a connected socket to one host. Answers leave from the address that was asked. Sessions end
 * when idle. Datagrams are moved in batches; those for which there is no session's place or no host are dropped and
 * counted, as the network would. One worker.
 */
#pragma once
#include "proxy/listener.h"

struct udps;                                    /* of one worker: memory of its batches */
void udps_free(struct udps *all);               /* after the listeners */
int udp_start(struct listener_socket *s);       /* reads from now on; 0 or -errno */
void udp_stop(struct listener_socket *s);       /* ends its sessions; the caller closes the socket */
