/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dubbo's own protocol (Dubbo 2.x over TCP, and what Dubbo 3 speaks there), both ends: "dubbo". What its users should know
 * beyond proto.h and docs/rpc.md:
 *
 * - msg.raw is the frame's head of 16 bytes, the body is all behind it: arguments and attachments flow as they came. Where
 *   msg.headers were changed, the map of attachments is written again while the body passes.
 * - Attachments are read of frames up to limits.frame_bytes (1 MiB), in hessian2. Of a longer one only service and method are
 *   known, and changes of its headers are not written; the same holds for an answer that came without attachments.
 * - Heartbeats are answered here. A host's "R" (it takes no more calls) is goaway(); put_goaway() says the same to clients.
 * - An answer by which the call threw has status 200 and MSG_EXCEPTION.
 * - A call from a host to its caller is answered with SERVER_ERROR: nobody takes it.
 */
#pragma once
#include "weft/proto.h"

extern const struct proto_ops proto_dubbo;
