/* SPDX-License-Identifier: Apache-2.0 */
/* The server name in the first message of a TLS client (RFC 8446 4.1.2, RFC 6066 3), for TLS that is passed on. Pure. */
#pragma once
#include "weft/types.h"

#define CLIENT_HELLO_MAX 16384u                 /* bytes of the message */

/*
 * p: the first bytes of a connection. 0: *sni is its host name, in scratch (CLIENT_HELLO_MAX bytes); empty: it names
 * none. -EAGAIN: more bytes are needed. -EPROTO: this is no ClientHello, or none that a server would take.
 */
int client_hello_sni(struct slice p, char *scratch, struct slice *sni);
