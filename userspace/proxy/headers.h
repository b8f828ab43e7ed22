/* SPDX-License-Identifier: Apache-2.0 */
/* What weft writes into the heads that it passes on. Hop-by-hop headers are the codecs' business (RFC 9110 7.6.1). */
#pragma once
#include "weft/model.h"

struct stream;

/*
 * Who the client is, before a rule looks: info.client and client_proto. What Forwarded or X-Forwarded-* tell is believed
 * of trusted peers, hop by hop. 0 or -ENOMEM.
 */
int headers_client(struct stream *s, const struct listener *l);
/*
 * X-Forwarded-* and Forwarded as the listener says, X-Forwarded-Client-Cert of a client that proved who it is (what came
 * under that name is dropped), x-request-id, and Expect, which the proxy answers. host: the authority as the client asked.
 * 0 or -ENOMEM.
 */
int headers_request(struct stream *s, const struct listener *l, struct slice host);
/* The rule's changes, and the cookie of a hash policy. 0 or -ENOMEM. */
int headers_response(struct stream *s);
