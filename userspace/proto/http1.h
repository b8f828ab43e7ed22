/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.0 and 1.1 (RFC 9112), both ends: "http1". What its users should know beyond proto.h:
 *
 * - Reading is strict and there is no switch that makes it lax. A request that is refused gets its
 *   answer from the codec (out), detail says which rule it broke; answer or not, the connection is
 *   over.
 * - Hop-by-hop headers are not in msg.headers: Connection and what it names, Keep-Alive,
 *   Proxy-Connection, Transfer-Encoding, Upgrade, HTTP2-Settings, TE but for "trailers". Only
 *   `Upgrade: websocket` becomes msg.upgrade, any other offer is dropped.
 * - Host and Content-Length are in msg.headers, as they came, and are written from msg.authority and
 *   msg.body_len: to change them, change these.
 * - Expect: 100-continue is in msg.headers and is forwarded. Who answers with 100 himself deletes it.
 * - put_head copies unchanged lines in one piece wherever they stand together in msg.raw, the first
 *   line included: changing one header of ten costs one line.
 * - put_goaway (server) makes the next answer say Connection: close.
 */
#pragma once
#include "weft/proto.h"

extern const struct proto_ops proto_http1;
