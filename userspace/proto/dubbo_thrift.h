/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thrift in Dubbo's frames, both ends: "dubbo-thrift". A frame is its length (4 bytes, not counted in it), da bc, the length
 * again, the length of the head (2), version 1, service (4 and text), number of the call (8); then a message of the strict
 * binary protocol. What its users should know beyond proto.h and docs/rpc.md:
 *
 * - msg.raw is all up to the number, the body is Thrift's message. Headers (service, method, messageType, seqId) say what is
 *   in the frame; it has none, so changes of them go nowhere.
 * - Answers: a reply has status 200, and MSG_EXCEPTION where its result is an exception that was declared; an exception of
 *   Thrift itself (TApplicationException) has its type as wire_status.
 * - There are no heartbeats and no goaway.
 */
#pragma once
#include "weft/proto.h"

extern const struct proto_ops proto_dubbo_thrift;
