/* SPDX-License-Identifier: Apache-2.0 */
/* What chain.c and chain_way.c share. All of it lives in the stream's arena, but for the bytes of bodies. */
#pragma once
#include "proxy/chain.h"
#include "proxy/filters.h"

enum chain_part { CHAIN_NOTHING, CHAIN_HEAD, CHAIN_BODY, CHAIN_TRAILERS };

/* One filter, one direction. */
struct link_way {
	uint8_t waits;                          /* enum chain_part: with what */
	bool head, end, tail;                   /* was shown; end: the body's last byte */
	bool end_in;                            /* the body's last byte is in fresh, or has been */
	bool collects;                          /* the head is held until all of the body is there */
	uint32_t max;                           /* bytes of it */
	struct buf fresh, held;                 /* not shown yet; shown, and waited with */
};

struct chain_link {
	struct filter f;                        /* first: what its methods get */
	struct chain *chain;
	const struct filter_unit *unit;         /* of f.conf */
	struct filter_stat *stat;
	struct callout_owner calls;             /* f.client */
	struct link_way way[CHAIN_WAYS];
	struct timer timer;
	bool reached, reroute;
	bool answer_first;                      /* it waits with the answer longer than with the request */
};

/* One direction. Filters have places in it, in the order in which things pass. */
struct passage {
	unsigned n;
	unsigned head, tail;                    /* so many have let the head pass; the trailers */
	bool begun, over;                       /* over: nothing passes any more, another answer takes its place */
	bool plain;                             /* nobody looks at the body */
	bool kept;                              /* nobody changes it */
	bool bodiless;                          /* the head is the end */
	bool end_in, trailed;                   /* the sender's end came; with trailers */
	bool head_out, end_out, tail_out;
	uint64_t bytes;                         /* that went out */
};

struct chain {
	struct stream *s;
	struct chain_link **link;
	unsigned n, reached;
	bool moving;
	unsigned todo;                          /* a bit for each way that is to be moved */
	int host_status;
	struct passage passage[CHAIN_WAYS];
	struct proto_reply reply;               /* filter_reply()'s; status 0: it was not called */
	enum stream_flag flag;
	const char *detail;
	const struct record_note *notes;
	struct name_value *subset;              /* filter_subset()'s, sorted */
	size_t nsubset;
};

static inline struct chain_link *chain_link_at(const struct chain *c, enum chain_way way, unsigned place)
{
	return c->link[way == CHAIN_REQUEST ? place : c->passage[way].n - 1 - place];
}

static inline bool chain_link_reads(const struct chain_link *l, enum chain_way way)
{
	return way == CHAIN_REQUEST ? l->f.ops->request_body : l->f.ops->response_body;
}

/* ---- chain_way.c ---- */

/* All that can pass, passes. The stream may be told to go on elsewhere: stream_run() follows. */
void chain_move(struct chain *c, enum chain_way way);
/* What a filter said of a part. True: it passes. */
bool chain_judge(struct chain_link *l, enum chain_way way, enum chain_part part, enum filter_verdict v);
void chain_passage_begin(struct chain *c, enum chain_way way, unsigned n, bool bodiless);
void chain_passage_drop(struct chain *c, enum chain_way way); /* what is held of it */
void chain_passage_plain(struct chain *c, enum chain_way way); /* its filters are others */

/* ---- chain.c ---- */

/* filter_reroute() was called, and its filter is done with the head: true when the stream goes on here. */
bool chain_reroute(struct chain *c, unsigned place);
