/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 (RFC 9113), both ends, over nghttp2: "http2". What its users should know beyond proto.h:
 *
 * - Reading is strict. What breaks a rule of one message resets its stream, what breaks one of the connection ends it
 *   with GOAWAY; a head over its limits is answered with 431 or 414 by the codec. The sink hears of each by reset().
 * - Names in msg.headers are lower case; put_head writes them so, whatever they were. Pseudo-headers are fields of the
 *   msg, Host is its authority, crumbs of a cookie are one header, Content-Length stays and is written from body_len.
 * - The extended CONNECT of RFC 8441 is a GET with upgrade "websocket", its 200 a 101: so it goes on as HTTP/1, and back.
 *   Sec-WebSocket-Key and -Accept, which HTTP/2 does not have, are made and dropped here.
 * - put_data takes no more than the peer's windows allow, so all that was taken goes out with the next flush(), unless
 *   the peer takes a window back.
 * - A flood is what glitch() counts: resets, those that the peer provokes too, frames that say nothing, windows of a few
 *   bytes, control frames whose answers nobody reads.
 */
#pragma once
#include "weft/proto.h"

extern const struct proto_ops proto_http2;
