/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SOFARPC's bolt, versions 1 and 2, from both sides; a connection may carry frames of either. What holds beyond proto.h:
 * - A frame goes out in the version it came in, its head byte for byte but for the id while MSG_CHANGED is not set. The
 *   checksum of version 2 is verified before a body's end is given, and made anew for what goes out.
 * - msg.service is header `service`, else `sofa_head_target_service`, else the class of the content.
 * - A request whose frame has a length that makes sense but is over a limit, or whose header map makes none, is answered
 *   with status 9 CODEC_EXCEPTION, and the connection goes on. What breaks the frame itself ends the connection.
 * - An answer to a number that nobody waits for begins with an id that the core does not know, and is skipped.
 * - Heartbeats are answered here. What is written here while somebody else's frame is half written follows behind it.
 * - Requests that a host sends are answered with status 6 NO_PROCESSOR: nobody here takes them.
 */
#pragma once
#include "weft/proto.h"

struct bolt_conf {
	/* clients are told by command 100 that their connection will close */
	bool goaway;
	/* requests that came as no frame go to hosts in version 2, with a checksum */
	bool checksum;
};

extern const struct proto_ops proto_bolt;
