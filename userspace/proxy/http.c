// SPDX-License-Identifier: Apache-2.0
#include "proxy/http.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/matcher.h"
#include "proxy/callout.h"
#include "proxy/downstream.h"
#include "proxy/pool.h"
#include "proxy/stream.h"
#include "proxy/worker.h"

struct http *http_new(struct worker *w)
{
	struct http *h = mem_alloc(sizeof(*h));

	h->worker = w;
	h->matcher = matcher_new();
	h->pipes.off = !w->splice;
	h->pipes.overload = w->overload;
	rand_init(&h->rand);
	traffic_init(&h->traffic);
	list_init(&h->dirty);
	list_init(&h->dirty_many);
	list_init(&h->downstreams);
	list_init(&h->callouts);
	list_init(&h->pools);
	list_init(&h->free_streams);
	return h;
}

static void states_free(struct http *h)
{
	while (h->free_states) {
		struct free_state *s = h->free_states;

		h->free_states = s->next;
		free(s);
	}
}

void http_free(struct http *h)
{
	if (!h)
		return;
	h->stopping = true;
	downstream_close_all(h->worker);
	callouts_end(h->worker);
	pool_close_idle(h->worker);
	streams_free(h->worker);
	states_free(h);
	matcher_free(h->matcher);
	traffic_fini(&h->traffic);
	list_del(&h->turn_end.node);
	relay_pipes_fini(&h->pipes);
	free(h);
}
