// SPDX-License-Identifier: Apache-2.0
#include "base/log_sink.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "weft/str.h"

#define LINE_MAX_BYTES 4096 /* PIPE_BUF: one write is one line in a shared pipe too */
#define CUT "...\n"

static const struct {
	const char *name;
	char priority;                          /* of syslog(3) */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", '3' },
	[LOG_LEVEL_WARN] = { "warn", '4' },
	[LOG_LEVEL_INFO] = { "info", '6' },
	[LOG_LEVEL_DEBUG] = { "debug", '7' },
};

#define NLEVELS (sizeof(levels) / sizeof(levels[0]))

/* The one sink of the process: style's exception from "no globals". */
static struct {
	_Atomic int fd, level, journal;         /* journal: 1 yes, 0 no, -1 not looked yet */
} sink = { STDERR_FILENO, LOG_LEVEL_INFO, -1 };

static int is_journal(int fd)
{
	const char *s = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (!s || sscanf(s, "%llu:%llu", &dev, &ino) != 2 || fstat(fd, &st))
		return 0;
	return st.st_dev == dev && st.st_ino == ino;
}

void log_open(int fd)
{
	atomic_store(&sink.fd, fd);
	atomic_store(&sink.journal, is_journal(fd));
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&sink.level, level, memory_order_relaxed);
}

enum log_level log_level(void)
{
	return atomic_load_explicit(&sink.level, memory_order_relaxed);
}

int log_enabled(enum log_level level)
{
	return level <= log_level();
}

const char *log_level_name(enum log_level level)
{
	return level < NLEVELS ? levels[level].name : "?";
}

int log_level_parse(struct slice s, enum log_level *out)
{
	for (size_t i = 0; i < NLEVELS; i++) {
		if (slice_eq_str(s, levels[i].name)) {
			*out = i;
			return 0;
		}
	}
	return -EINVAL;
}

struct line {
	char text[LINE_MAX_BYTES];
	size_t n;
	bool cut;
};

/* All or nothing, so that no escape is written by half; room for CUT is kept. */
static void put(struct line *l, const char *p, size_t n)
{
	if (l->cut || l->n + n > sizeof(l->text) - (sizeof(CUT) - 1)) {
		l->cut = true;
		return;
	}
	memcpy(l->text + l->n, p, n);
	l->n += n;
}

/*
 * Words may carry bytes of a peer: whatever a terminal or a line reader would obey is written as an
 * escape.
 */
static void put_escaped(struct line *l, const char *s)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)s;

	for (; *p; p++) {
		if (*p == '\n') {
			put(l, "\\n", 2);
		} else if (*p == '\t') {
			put(l, "\\t", 2);
		} else if (*p < 0x20 || *p == 0x7f) {
			put(l, (char[]){ '\\', 'x', hex[*p >> 4], hex[*p & 15] }, 4);
		} else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) { /* C1 in UTF-8 */
			p++;
			put(l, (char[]){ '\\', 'x', hex[*p >> 4], hex[*p & 15] }, 4);
		} else {
			put(l, (const char *)p, 1);
		}
	}
}

static void put_head(struct line *l, enum log_level level, const char *subject)
{
	char head[64], when[32];
	int journal = atomic_load_explicit(&sink.journal, memory_order_relaxed), n;

	if (journal < 0) {
		journal = is_journal(atomic_load(&sink.fd));
		atomic_store(&sink.journal, journal);
	}
	if (journal)
		put(l, (char[]){ '<', levels[level].priority, '>' }, 3);
	clock_wall(when, sizeof(when));
	n = snprintf(head, sizeof(head), "%s %-5s ", when, levels[level].name);
	put(l, head, n);
	if (subject && *subject) {
		put_escaped(l, subject);
		put(l, ": ", 2);
	}
}

void log_at(enum log_level level, const char *subject, const char *fmt, ...)
{
	char words[LINE_MAX_BYTES];
	struct line l;
	int err = errno;
	va_list ap;

	if (!log_enabled(level))
		return;
	l.n = 0;
	l.cut = false;
	put_head(&l, level, subject);
	va_start(ap, fmt);
	if (vsnprintf(words, sizeof(words), fmt, ap) < 0)
		words[0] = 0;
	va_end(ap);
	put_escaped(&l, words);
	memcpy(l.text + l.n, l.cut ? CUT : "\n", l.cut ? 4 : 1);
	l.n += l.cut ? 4 : 1;
	while (write(atomic_load(&sink.fd), l.text, l.n) < 0 && errno == EINTR)
		;
	errno = err;
}
