// SPDX-License-Identifier: Apache-2.0
#include "conf/merge.h"

#include "base/arena.h"
#include "base/table.h"

static struct conf_node *copy(struct arena *arena, const struct conf_node *n)
{
	struct conf_node *c = ARENA_NEW(arena, struct conf_node);

	*c = *n;
	c->next = NULL;
	return c;
}

/* By what a member is known: its key, or its name; empty: nothing. */
static struct slice id(const struct conf_node *parent, const struct conf_node *n)
{
	return parent->kind == CONF_MAPPING ? n->key : conf_text(conf_member(n, "name"));
}

static bool named(const struct conf_node *list)
{
	for (const struct conf_node *n = list->first; n; n = n->next) {
		if (!conf_text(conf_member(n, "name")).n)
			return false;
	}
	return true;
}

static bool mergeable(const struct conf_node *a, const struct conf_node *b)
{
	if (a->kind != b->kind)
		return false;
	return a->kind == CONF_MAPPING || (a->kind == CONF_SEQUENCE && named(a) && named(b));
}

static void append(struct conf_node *parent, struct conf_node **last, struct conf_node *n)
{
	if (*last)
		(*last)->next = n;
	else
		parent->first = n;
	*last = n;
	parent->n++;
}

/* id -> its first member */
static void first_of(struct table *t, const struct conf_node *parent)
{
	table_init(t, 0);
	for (const struct conf_node *n = parent->first; n; n = n->next) {
		if (!table_get(t, id(parent, n)))
			table_put(t, id(parent, n), (void *)n);
	}
}

/*
 * b's members go over a's of the same id, the others behind them. A second one of its id stays, to
 * be refused later.
 */
static const struct conf_node *merge_members(struct arena *arena, const struct conf_node *a,
					     const struct conf_node *b)
{
	struct conf_node *out = copy(arena, a), *last = NULL;
	struct table in_a, in_b;

	first_of(&in_a, a);
	first_of(&in_b, b);
	out->first = NULL;
	out->n = 0;
	for (const struct conf_node *n = a->first; n; n = n->next) {
		const struct conf_node *over = table_get(&in_b, id(a, n));
		bool merges = over && table_get(&in_a, id(a, n)) == n;

		append(out, &last, copy(arena, merges ? merge_nodes(arena, n, over) : n));
	}
	for (const struct conf_node *n = b->first; n; n = n->next) {
		if (table_get(&in_b, id(b, n)) != n || !table_get(&in_a, id(b, n)))
			append(out, &last, copy(arena, n));
	}
	table_fini(&in_a);
	table_fini(&in_b);
	return out;
}

const struct conf_node *merge_nodes(struct arena *arena, const struct conf_node *a,
				    const struct conf_node *b)
{
	if (b->kind == CONF_NULL)
		return a;
	return mergeable(a, b) ? merge_members(arena, a, b) : b;
}

void merge_set_file(const struct conf_node *root, uint16_t file)
{
	((struct conf_node *)root)->file = file;
	for (const struct conf_node *n = root->first; n; n = n->next)
		merge_set_file(n, file);
}
