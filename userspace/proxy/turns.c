// SPDX-License-Identifier: Apache-2.0
#include "proxy/turns.h"

#include <stdlib.h>

#include "proxy/stream.h"
#include "weft/proto.h"

void *turns_new(const struct proto_ops *ops)
{
	struct turns *t = calloc(1, sizeof(*t) + ops->state_size);

	if (!t)
		return NULL;
	list_init(&t->waiting);
	list_init(&t->leaving);
	return t + 1;
}

void turns_free(void *state)
{
	free(turns_of(state));
}

bool turns_take(struct turns *t, struct stream *s)
{
	if (t->talking && t->talking != s) {
		if (!list_linked(&s->turn_node))
			list_add_tail(&t->waiting, &s->turn_node);
		return false;
	}
	list_del(&s->turn_node);
	t->talking = s;
	return true;
}

/* Who goes on may be done at once, and pass it on in turn: that is left to the outermost. */
static void pass(struct turns *t)
{
	if (t->passing)
		return;
	t->passing = true;
	while (!t->talking && !list_empty(&t->waiting)) {
		struct stream *next = container_of(t->waiting.next, struct stream, turn_node);

		list_del(&next->turn_node);
		stream_run(next);
	}
	t->passing = false;
}

void turns_pass(struct turns *t, struct stream *s)
{
	list_del(&s->turn_node);
	if (t->talking == s)
		t->talking = NULL;
	pass(t);
}

void turns_written(struct turns *t, struct stream *s)
{
	turns_take(t, s);
	t->talking = NULL;
	list_add_tail(&t->leaving, &s->turn_node);
	pass(t);
}
