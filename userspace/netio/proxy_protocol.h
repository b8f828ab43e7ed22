/* SPDX-License-Identifier: Apache-2.0 */
/* The PROXY protocol as a layer, at the bottom of the stack. */
#pragma once
#include "weft/net_filter.h"

/*
 * From clients; conf: the struct listener, for the length of conn_open(). Fills peer->source and original, and the names
 * that TLVs give. Headers of peers that are not trusted are not looked at: with PROXY_HEADER_REQUIRED such a peer is
 * refused, with OPTIONAL its bytes are the codec's. OPTIONAL waits for the first bytes, so the client must speak first.
 */
extern const struct net_filter_ops proxy_protocol_ops;
/* Towards hosts, version 2: peer->source and original, which the owner has put there; LOCAL when it has not. conf: NULL. */
extern const struct net_filter_ops proxy_protocol_out_ops;
