// SPDX-License-Identifier: Apache-2.0
/*
 * A stack that senders push on with one compare-and-swap and the loop takes whole, turned around.
 * Only who finds it empty rings the eventfd. The loop silences the bell before it takes the
 * letters, so a ring is late, never lost.
 */
#include "event/mailbox.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct letter *take(struct mailbox *m)
{
	struct letter *x = atomic_exchange_explicit(&m->head, NULL, memory_order_acquire);
	struct letter *oldest = NULL;

	while (x) {
		struct letter *next = x->next;

		x->next = oldest;
		oldest = x;
		x = next;
	}
	return oldest;
}

static bool deliver(struct mailbox *m)
{
	struct letter *x = take(m), *next;
	bool any = x;

	for (; x; x = next) {
		next = x->next;
		x->next = NULL;
		x->fn(x);
	}
	return any;
}

static void on_bell(struct loop_io *io, unsigned events)
{
	uint64_t n;

	(void)events;
	/* -EAGAIN cannot hurt: the letters are looked for in any case. */
	if (read(io->fd, &n, sizeof(n)) == sizeof(n) || errno == EAGAIN)
		deliver(io->arg);
}

int mailbox_init(struct mailbox *m, struct loop *l)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), err;

	*m = (struct mailbox){ .loop = l };
	if (fd < 0)
		return -errno;
	err = loop_add(l, &m->io, fd, LOOP_READ, on_bell, m);
	if (err)
		close(fd);
	return err;
}

void mailbox_fini(struct mailbox *m)
{
	if (!m->io.active)
		return;
	while (deliver(m))
		;
	loop_del(m->loop, &m->io);
	close(m->io.fd);
}

void mailbox_post(struct mailbox *m, struct letter *x, letter_fn *fn)
{
	struct letter *head = atomic_load_explicit(&m->head, memory_order_relaxed);
	uint64_t one = 1;

	x->fn = fn;
	do {
		x->next = head;
	} while (!atomic_compare_exchange_weak_explicit(&m->head, &head, x, memory_order_release,
							memory_order_relaxed));
	/* x may be gone by now. The counter cannot overflow: at most one ring per emptying. */
	if (!head)
		while (write(m->io.fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
}
