/* SPDX-License-Identifier: Apache-2.0 */
#include "model/slots.h"
#include "base/magic.h"
#include "weft/model.h"

void slots_init(struct slots *s)
{
	*s = (struct slots){ 0 };
	table_init(&s->ghosts, TABLE_COPY_KEYS);
}

void slots_fini(struct slots *s)
{
	vec_fini(&s->users);
	table_fini(&s->ghosts);
}

uint32_t slots_take(struct slots *s, struct slice key)
{
	uintptr_t ghost = (uintptr_t)table_del(&s->ghosts, key);

	if (ghost) {
		s->users.v[ghost - 1]++;
		return ghost - 1;
	}
	while (s->low < s->users.n && s->users.v[s->low])
		s->low++;
	assert_always(s->low < FACT_NO_SLOT);
	if (s->low == s->users.n)
		vec_push(&s->users, 0);
	s->users.v[s->low] = 1;
	return s->low++;
}

void slots_share(struct slots *s, uint32_t slot)
{
	assert_always(slot < s->users.n && s->users.v[slot]);
	s->users.v[slot]++;
}

void slots_forget(struct slots *s, uint32_t slot, struct slice key)
{
	assert_always(slot < s->users.n && s->users.v[slot]);
	table_put(&s->ghosts, key, (void *)((uintptr_t)slot + 1));
}

void slots_drop(struct slots *s, uint32_t slot, struct slice key)
{
	assert_always(slot < s->users.n && s->users.v[slot]);
	if (--s->users.v[slot])
		return;
	table_del(&s->ghosts, key);
	if (slot < s->low)
		s->low = slot;
}
