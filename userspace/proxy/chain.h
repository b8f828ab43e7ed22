/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filters of one stream (weft/filter.h): those of its listener, then those of its rule that the listener does not name.
 * What came goes in at the functions below and comes out where the stream would have put it: bodies in request_body and
 * response_body, heads and trailers by their states. A stream without filters has no chain, and pays for asking that.
 */
#pragma once
#include "proxy/stream.h"

struct chain;
struct record_note;

enum chain_way { CHAIN_REQUEST, CHAIN_RESPONSE, CHAIN_WAYS };

/* The route is known, and the snapshot names filters: FILTER, or what stream_routed() and stream_say() give. */
enum stream_state chain_begin(struct stream *s);
/* Bytes of a body, as proto_sink.data; end: nothing follows but trailers. 0 or -ENOMEM. The stream may go on elsewhere: stream_run() follows. */
int chain_data(struct stream *s, enum chain_way way, struct buf *in, struct slice d, bool end);
/* s->request_trailers, or s->extra, is filled; the end of its direction. As chain_data(). */
void chain_trailers(struct stream *s, enum chain_way way);
/* 1xx; false: it does not go on, and stream_run() follows. */
bool chain_info(struct stream *s, struct msg *m);
/* RESPOND: true when the answer's head may go out. */
bool chain_respond(struct stream *s);
/* REPLY: s->response is an answer of our own, s->reply.text its body; then the same of it. */
void chain_reply_begin(struct stream *s);
bool chain_reply(struct stream *s);
/* The answer ends here, with trailers of our own: what is held of it is dropped. */
void chain_cut(struct stream *s);
/* Nothing is on its way any more. Each filter that was reached hears of it. */
void chain_end(struct stream *s);

bool chain_whole(const struct chain *c, enum chain_way way); /* all that came has gone through, its end too */
bool chain_plain(const struct chain *c, enum chain_way way); /* no filter looks at bodies of this direction */
size_t chain_holds(const struct chain *c, enum chain_way way); /* bytes, but what is collected on purpose */
bool chain_answered(const struct chain *c);     /* a host's answer, or one of our own, was shown to some filter */
int chain_host_status(const struct stream *s);  /* of the answer as the host gave it */
/* s->backend with what filter_subset() said beside; NULL: out of memory. */
const struct route_backend *chain_backend(const struct stream *s);

const struct record_note *chain_notes(const struct stream *s); /* what filter_note() said, newest first; NULL: nothing */
