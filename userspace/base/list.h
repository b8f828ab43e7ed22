/* SPDX-License-Identifier: Apache-2.0 */
/* Doubly linked list whose links live in the objects. A node is in no list when next is NULL. */
#pragma once
#include <stddef.h>
#include <stdbool.h>

struct list {
	struct list *next, *prev;
};

#define container_of(p, T, f) ((T *)((char *)(p)-offsetof(T, f)))
#define list_for(p, head) for (struct list *p = (head)->next, *p##_n = p->next; p != (head); p = p##_n, p##_n = p->next)

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline bool list_linked(const struct list *l)
{
	return l->next != NULL;
}

static inline void list_add_tail(struct list *head, struct list *n)
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}

static inline void list_add(struct list *head, struct list *n)
{
	list_add_tail(head->next, n);
}

/* Safe on a node in no list. */
static inline void list_del(struct list *n)
{
	if (!n->next)
		return;
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->next = n->prev = NULL;
}
