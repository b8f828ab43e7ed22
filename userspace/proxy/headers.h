/* SPDX-License-Identifier: Apache-2.0 */
/* What weft writes into the heads that it passes on. Hop-by-hop headers are the codecs' business (RFC 9110 7.6.1). */
#pragma once
#include "weft/model.h"

struct stream;

/*
 * X-Forwarded-For and -Proto as the listener says, X-Forwarded-Client-Cert of a client that proved who it is (what came
 * under that name is dropped), x-request-id, and Expect, which the proxy answers. 0 or -ENOMEM.
 */
int headers_request(struct stream *s, const struct listener *l);
/* The rule's changes, and the cookie of a hash policy. 0 or -ENOMEM. */
int headers_response(struct stream *s);
