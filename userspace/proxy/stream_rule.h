/* SPDX-License-Identifier: Apache-2.0 */
/* Which cluster a connection or session of a tcp or udp listener goes to. Pure. */
#pragma once
#include "weft/net_filter.h"

/* The first rule whose conditions hold; NULL: none. */
const struct stream_rule *stream_rule_find(const struct listener *l, const struct net_peer *peer);
/* Does any rule ask for the name in TLS's first message? */
bool stream_rule_asks_sni(const struct listener *l);
/* By weight; rnd is any number. NULL: all weights are 0. */
const struct route_backend *stream_rule_backend(const struct stream_rule *r, uint64_t rnd);
