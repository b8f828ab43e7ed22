/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS, server or client as the connection is; conf: struct tlsctx *. Permissive (server): who begins with anything but a
 * TLS handshake is let through as plain bytes, peer->tls says which; the client has to speak first.
 */
#pragma once
#include "weft/net_filter.h"

extern const struct net_filter_ops tls_ops, tls_permissive_ops;
