/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which protocol a client's connection speaks. A listener that takes only one says it; else ALPN does; else the first bytes,
 * held against the declared protocol, then against the others that it takes, in the order of base/protocols.h. Pure.
 */
#pragma once
#include "weft/model.h"
#include "weft/proto.h"

#define DETECT_BYTES 64u                        /* that are looked at */

bool detect_takes(const struct listener *l, const struct proto_ops *p); /* clients of l may speak p */
bool detect_any(const struct listener *l);      /* they speak HTTP or RPC */
/* What is known before a byte came; NULL: they will tell. */
const struct proto_ops *detect_settled(const struct listener *l, struct slice alpn);
/* PROTO_YES with *out; PROTO_MORE: more bytes are needed; PROTO_NO: of none. l NULL: none is taken. in keeps its bytes. */
enum proto_match detect_protocol(const struct listener *l, struct buf *in, const struct proto_ops **out);
