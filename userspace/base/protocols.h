/* SPDX-License-Identifier: Apache-2.0 */
/* The protocols of this process, built-in ones and those of plugins. Those of base/extensions.h. */
#pragma once
#include "weft/proto.h"
#include "weft/err.h"

/* NULL-ended, in the order in which connections are held against them; lives for ever. */
const struct proto_ops *const *protocols(void);
/* One whose requests name a service and a method (PROTO_RPC); NULL: there is no such one, or it is HTTP. */
const struct proto_ops *protocol_rpc(struct slice name);
bool protocol_pings(struct slice name);          /* protocol_rpc() finds it, and it has heartbeats */
const struct proto_ops *protocol_alpn(struct slice name); /* with PROTO_RPC, by a name of its ALPN list; NULL: none */
/* -EINVAL, with the words that are allowed: first, written out, and the names of all that protocol_rpc() finds; not name. */
int protocol_unknown(struct slice name, const char *first, struct err *e);
