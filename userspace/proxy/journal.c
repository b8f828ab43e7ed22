/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"
#include "weft/log.h"
#include "weft/str.h"

#define TURN_NS (50 * MSEC)                     /* between two looks into the rings */
#define WAIT_MS 1000                            /* for a pipe whose reader is slow */

struct file_letter {
	struct letter letter;
	struct journal *journal;
	struct journal_file file;
	unsigned index;
};

/* ---- workers ------------------------------------------------------------------------------------------------ */

bool journal_put(struct journal *j, unsigned worker, enum journal_format f, const char *line, size_t n)
{
	struct journal_ring *r = &j->ring[worker][f];
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	size_t at = head % JOURNAL_RING, first = JOURNAL_RING - at;

	assert_hot(n <= JOURNAL_LINE_MAX);
	if (JOURNAL_RING - (head - tail) < n)
		return false;
	first = first < n ? first : n;
	memcpy(r->data + at, line, first);
	memcpy(r->data, line + first, n - first);
	atomic_store_explicit(&r->head, head + n, memory_order_release);
	return true;
}

/* ---- the writing thread ------------------------------------------------------------------------------------- */

/* False: the rest of p is lost. */
static bool write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EAGAIN && poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, WAIT_MS) > 0)
			continue;
		if (k < 0 && errno != EINTR)
			return false;
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		}
	}
	return true;
}

static void write_file(struct journal_file *f, const char *p, size_t n)
{
	bool failed = !write_all(f->fd, p, n);

	if (failed && !f->failing)
		log_error("access log", "lines are lost: %s", strerror(errno));
	else if (!failed && f->failing)
		log_info("access log", "lines are written again");
	f->failing = failed;
}

static void drain(struct journal *j, struct journal_ring *r, enum journal_format f)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);

	while (tail != head) {
		size_t at = tail % JOURNAL_RING, n = JOURNAL_RING - at;

		n = head - tail < n ? head - tail : n;
		for (unsigned i = 0; i < j->nfiles; i++)
			if (j->files[i].format == f)
				write_file(&j->files[i], r->data + at, n);
		tail += n;
		atomic_store_explicit(&r->tail, tail, memory_order_release);
	}
}

static void drain_all(struct journal *j)
{
	for (unsigned w = 0; w < j->workers; w++)
		for (int f = 0; f < JOURNAL_FORMATS; f++)
			drain(j, &j->ring[w][f], f);
}

static void turn(struct timer *t)
{
	struct journal *j = t->arg;

	drain_all(j);
	timer_arm(&j->thread.loop, t, TURN_NS, turn, j);
}

static void close_files(struct journal *j)
{
	while (j->nfiles)
		close(j->files[--j->nfiles].fd);
}

static void taken(struct letter *x)
{
	struct file_letter *m = container_of(x, struct file_letter, letter);
	struct journal *j = m->journal;

	if (!m->index) {
		drain_all(j);
		close_files(j);
	}
	if (m->file.fd < 0)
		;                               /* none in their place */
	else if (j->nfiles < JOURNAL_FILES_MAX)
		j->files[j->nfiles++] = m->file;
	else
		close(m->file.fd);
	free(m);
	if (!timer_armed(&j->timer))
		timer_arm(&j->thread.loop, &j->timer, TURN_NS, turn, j);
}

static void stop(struct thread *t, void *arg)
{
	struct journal *j = arg;

	drain_all(j);
	timer_disarm(&t->loop, &j->timer);
	close_files(j);
}

/* ---- control thread ----------------------------------------------------------------------------------------- */

int journal_start(struct journal *j, unsigned workers)
{
	j->workers = workers;
	return thread_start(&j->thread, "journal", NULL, stop, j);
}

void journal_stop(struct journal *j)
{
	atomic_store(&j->on, 0);
	thread_stop(&j->thread);
	for (unsigned w = 0; w < j->workers; w++)
		for (int f = 0; f < JOURNAL_FORMATS; f++)
			free(j->ring[w][f].data);
	memset(j->ring, 0, sizeof(j->ring));
}

static void post(struct journal *j, unsigned index, struct journal_file file)
{
	struct file_letter *m = mem_alloc(sizeof(*m));

	m->journal = j;
	m->index = index;
	m->file = file;
	mailbox_post(&j->thread.mail, &m->letter, taken);
}

static void turn_on(struct journal *j, enum journal_format f, bool alone)
{
	unsigned on = alone ? 0 : atomic_load(&j->on);

	for (unsigned w = 0; w < j->workers; w++)
		if (!j->ring[w][f].data)
			j->ring[w][f].data = mem_alloc(JOURNAL_RING);
	atomic_store_explicit(&j->on, on | 1u << f, memory_order_release);
}

void journal_add(struct journal *j, struct slice format, unsigned index, int take_fd)
{
	static const char *const words[] = { "text", "json" };

	if (!format.n && !index) {
		atomic_store_explicit(&j->on, 0, memory_order_release);
		post(j, 0, (struct journal_file){ .fd = -1 });
	}
	for (int f = 0; f < JOURNAL_FORMATS; f++) {
		if (!slice_eq_str(format, words[f]))
			continue;
		turn_on(j, f, !index);
		post(j, index, (struct journal_file){ .fd = take_fd, .format = f });
		return;
	}
	close(take_fd);
}
