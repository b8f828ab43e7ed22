/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request with JSON whose rule names a method (`rpc`): it goes to its host as a call of Dubbo or SOFARPC, and the answer's
 * value comes back as JSON. Filters see the request before, the answer's head after, its body before that. docs/rpc.md. Worker.
 */
#pragma once
#include "proxy/stream.h"

#define JSON_CALL_MAX (60u << 10)               /* bytes of JSON, unless the rule says more: what lies here at once, and a little less */

bool json_call(const struct stream *s);         /* the rule is known */
bool json_call_speaks(struct slice protocol);   /* hosts of it can be called so */
size_t json_call_more(const struct stream *s);  /* bytes that may lie here of its request beyond what may of others */
/* The request, once it is here, becomes the call. BLOCKED: that was done, or more is to come (no s->call). */
enum stream_state json_call_ask(struct stream *s);
int json_call_head(struct stream *s);           /* the answer's head is the host's; then it is HTTP's. 0 or -ENOMEM */
/* And its body, once it is here. RESPOND: that was done; BLOCKED: more is to come. */
enum stream_state json_call_answer(struct stream *s);
