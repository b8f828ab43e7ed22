/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PROXY protocol's header, versions 1 and 2, as bytes (HAProxy's proxy-protocol.txt, 2020/03/05). Pure: no memory, no
 * clock; every length is bounded. Any thread.
 */
#pragma once
#include "weft/net_filter.h"

#define PROXY_HEADER_MAX 4096u                  /* of version 2 with its TLVs; 536 is what senders are asked to keep to */
#define PROXY_HEADER_OUT_MAX 52u

struct proxy_head {
	bool known;                             /* addresses are given; else LOCAL, UNKNOWN, or a family without addresses */
	struct net_addr source, destination;
	struct slice authority, alpn;           /* TLVs 2 and 1, within the bytes that were given */
};

/*
 * > 0: its length. -EAGAIN: so far it is one, more must come. 0: these bytes begin no header. -EPROTO: it is a bad one,
 * *why says in what.
 */
ssize_t proxy_header_parse(struct slice in, struct proxy_head *out, const char **why);
/* Version 2; LOCAL when source is all zero. The length, at most PROXY_HEADER_OUT_MAX. */
size_t proxy_header_write(char *out, const struct net_addr *source, const struct net_addr *destination);
