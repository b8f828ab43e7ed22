/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of the agent to where a URL leads: the name is resolved (never blocking), its addresses are tried one after the
 * other, TLS is opened with what its files say now. One loop.
 */
#pragma once
#include "client/url.h"
#include "net/conn.h"
#include "weft/err.h"

#define DIAL_ADDRESSES_MAX 8u                   /* of a name, that are tried */
#define DIAL_KEEPALIVE_S 20u                    /* a host that is gone is noticed within 40 s (TCP keepalive) */
#define DIAL_UNSENT_MS 30000u                   /* bytes that nobody acknowledged for so long: gone */

struct client_tls;
struct dns_channel;
struct tlsctx;
struct tlsctx_maker;

/* What all connections of a process share. */
struct dialler {
	struct loop *loop;
	const char *servers;                    /* "ip:port,..." of DNS, kept by the caller; NULL: as in resolv.conf */
	struct dns_channel *dns;                /* NULL: none is open */
	bool dns_failed;                        /* the last question had no answer: resolv.conf may be another by now */
	struct tlsctx_maker *tls;
};

int dialler_init(struct dialler *d, struct loop *l, const char *servers, struct err *e);
void dialler_fini(struct dialler *d);           /* after the last dial_stop(); accepts a zeroed one */

struct dial_lookup;
struct dial;
struct dial_events {
	void (*open)(struct dial *d);
	void (*readable)(struct dial *d);       /* as those of struct conn */
	void (*writable)(struct dial *d);
	void (*failed)(struct dial *d, int err, const char *words); /* never opened; the owner stops it */
};

/* One connection; embed it, zero it. Memory that dial_start() is given lives until dial_stop(). */
struct dial {
	struct dialler *dialler;
	const struct dial_events *on;
	const struct url *url;
	const struct client_tls *tls;           /* NULL: the system's trust */
	struct slice alpn;                      /* the one protocol that is spoken */
	uint32_t open_ms;                       /* for each address: TCP and TLS */
	struct conn conn;
	struct dial_lookup *lookup;             /* under way */
	struct tlsctx *ctx;
	struct ip ips[DIAL_ADDRESSES_MAX];
	unsigned nips, next;
	int err;                                /* of the last address */
	char words[512];
};

/* Not from an event of d's. failed() may come before it returns, the others do not. */
void dial_start(struct dial *d);
void dial_stop(struct dial *d);                 /* no event follows; accepts a zeroed or stopped one */
/* What it waits for: "the name's addresses", "a TCP connection", "the TLS handshake"; NULL: it is open. */
const char *dial_waits(const struct dial *d);
