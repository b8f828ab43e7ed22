/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tars, both ends: "tars". A frame is its length (4 bytes, counted in it) and the fields of a RequestPacket or a
 * ResponsePacket, each with a tag and a type. What its users should know beyond proto.h and docs/rpc.md:
 *
 * - msg.raw is all up to the number of the call, with it; the body is the fields behind it. service is the servant,
 *   rpc_method the function, headers are the map `context`, which is written again where they were changed.
 * - Frames up to limits.frame_bytes (1 MiB) are collected for it; of a longer one only servant and function are known.
 * - wire_status is iRet without its sign; a positive one is the application's: status 200 and MSG_EXCEPTION.
 * - Answers of version 2 and 3 (TUP) have the form of a request; ours to such requests too.
 * - There are no heartbeats (tars_ping is a call like others) and no goaway.
 */
#pragma once
#include "weft/proto.h"

extern const struct proto_ops proto_tars;
