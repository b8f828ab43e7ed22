// SPDX-License-Identifier: Apache-2.0
/* How much of a client's connection may be read: by what lies here of its requests, and of its answers. */
#include "proxy/downstream_priv.h"

#include "proxy/turns.h"

#define PIPELINED_MAX LEG_READ_MAX              /* bytes read ahead of requests behind the one under way */

size_t downstream_room(struct downstream *d)
{
	struct stream *s;
	struct turns *t = d->leg.ready ? downstream_turns(d) : NULL;

	if (t)
		t->clogged = d->leg.codec.out.len >= TURNS_OUT_HIGH;
	if (t && (t->full || t->clogged))
		return 0;
	/* Bodies of many streams are held back by their windows, or by what lies here of them. */
	if (d->phase == DOWNSTREAM_LINGER || !downstream_busy(d) || d->many)
		return LEG_READ_MAX;
	s = downstream_newest(d);
	if (s->request_end)
		return d->leg.in.len < PIPELINED_MAX ? PIPELINED_MAX - d->leg.in.len : 0;
	return stream_request_room(s);
}

void downstream_unclog(struct downstream *d)
{
	struct turns *t = d->leg.ready ? downstream_turns(d) : NULL;

	if (!t || !t->clogged || d->leg.codec.out.len > TURNS_OUT_LOW)
		return;
	t->clogged = false;
	leg_again(&d->leg);
}

void downstream_consumed(struct downstream *d, struct stream *s, size_t n)
{
	struct codec *c = &d->leg.codec;
	struct turns *t = downstream_turns(d);

	if (!n)
		return;
	s->unconsumed -= n;
	if (t)
		t->held -= n;
	if (t && t->full && t->held <= TURNS_HELD_LOW) {
		t->full = false;
		leg_again(&d->leg);
	}
	if (!c->ops->consumed)
		return;
	c->ops->consumed(c, s->down_id, n);
	leg_touch(&d->leg);
}

void downstream_held(struct downstream *d, struct stream *s, size_t n)
{
	struct turns *t = downstream_turns(d);

	if (!d->many)
		return;
	s->unconsumed += n;
	if (!t)
		return;
	t->held += n;
	t->full |= t->held >= TURNS_HELD_HIGH;
}
