// SPDX-License-Identifier: Apache-2.0
/*
 * inotify: when to look again, never what is there; that is found by looking. The parent is watched
 * too, because the folder itself may be replaced, and the targets of symbolic links, because a
 * change there is no event here.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "base/clock.h"
#include "registry/file_priv.h"
#include "weft/log.h"

#define WRITING_MAX (1 * SEC) /* a writer that pauses longer is not waited for */

#define FOLDER_EVENTS                                                                              \
	(IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |        \
	 IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
#define PARENT_EVENTS                                                                              \
	(IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF |     \
	 IN_ONLYDIR)
#define LINK_EVENTS (IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

/* ---- what an event means --------------------------------------------------------------------- */

/* One of our files, by its name. */
static void on_file(struct file_state *s, struct slice name, uint32_t mask)
{
	struct file_hint *h = file_hint(s, name);

	if (mask & (IN_CREATE | IN_MODIFY)) {
		/* Whoever creates or cuts a file goes on to write it: its close is waited for. */
		h->writing_until_ns = clock_ns() + WRITING_MAX;
	} else {
		h->writing_until_ns = 0;
		h->read = true;
	}
	if (!(mask & IN_MODIFY))
		file_soon(s);
}

/* In a folder, or in the parent of the one file that we read. */
static void on_entry(struct file_state *s, const char *name, bool ours, uint32_t mask)
{
	if (ours)
		on_file(s, slice_str(name), mask);
	/* ..data of a mounted ConfigMap: the links did not change, all files did. */
	else if (!strncmp(name, "..", 2))
		file_soon(s);
}

static void on_event(struct file_state *s, const struct inotify_event *ev)
{
	const char *name = ev->len ? ev->name : "";

	if (ev->mask & IN_IGNORED)
		return;
	if (ev->mask & IN_Q_OVERFLOW) {
		log_warn(s->r->name.p,
			 "more changes than the kernel kept events of: looking at every file");
		file_soon(s);
	} else if (*name && ev->wd == s->watch.folder) {
		on_entry(s, name, file_named(name), ev->mask);
	} else if (*name && ev->wd == s->watch.parent && !s->folder) {
		on_entry(s, name, !strcmp(name, s->base), ev->mask);
	} else if (!*name || ev->wd != s->watch.parent || !strcmp(name, s->base)) {
		file_soon(s); /* the folder itself, or what a link leads to */
	}
}

static void on_ready(struct registry *r, int fd)
{
	_Alignas(struct inotify_event) char events[16 << 10];
	struct file_state *s = r->state;
	ssize_t n = read(fd, events, sizeof(events));

	for (char *p = events; n > 0 && p < events + n;) {
		const struct inotify_event *ev = (const struct inotify_event *)p;

		on_event(s, ev);
		p += sizeof(*ev) + ev->len;
	}
}

/* ---- what is watched ------------------------------------------------------------------------- */

static void change(struct file_state *s, int *wd, const char *path, uint32_t events)
{
	int new = inotify_add_watch(s->watch.fd, path, events);

	if (new < 0 && errno == ENOSPC)
		log_warn(s->r->name.p,
			 "%s: no inotify watch left (fs.inotify.max_user_watches): changes are "
			 "seen late",
			 path);
	/* The same folder gives the same number. */
	if (*wd >= 0 && *wd != new)
		inotify_rm_watch(s->watch.fd, *wd);
	*wd = new;
}

void watch_folder(struct file_state *s)
{
	if (s->watch.fd < 0)
		return;
	change(s, &s->watch.parent, s->parent,
	       s->folder ? PARENT_EVENTS : FOLDER_EVENTS | IN_ONLYDIR);
	if (s->folder)
		change(s, &s->watch.folder, s->path, FOLDER_EVENTS);
}

void watch_forget(struct file_state *s, struct slice name)
{
	void *was = table_del(&s->watch.links, name);

	if (was)
		inotify_rm_watch(s->watch.fd, (int)(intptr_t)was - 1);
}

void watch_link(struct file_state *s, const char *path, struct slice name, bool is_link)
{
	void *was = table_get(&s->watch.links, name);
	int wd;

	if (s->watch.fd < 0 || (!is_link && !was))
		return;
	wd = is_link ? inotify_add_watch(s->watch.fd, path, LINK_EVENTS) : -1;
	if (was && (int)(intptr_t)was - 1 != wd)
		watch_forget(s, name);
	if (wd >= 0)
		table_put(&s->watch.links, name, (void *)(intptr_t)(wd + 1));
}

int watch_open(struct file_state *s, struct err *e)
{
	struct file_watch *w = &s->watch;
	int err;

	w->folder = w->parent = -1;
	table_init(&w->links, TABLE_COPY_KEYS);
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0) {
		log_warn(s->r->name.p, "no inotify (%s): %s is looked at every second",
			 strerror(errno), s->path);
		return 0;
	}
	err = registry_watch(s->r, w->fd, on_ready);
	return err ? err_errno(e, err, "cannot watch %s", s->path) : 0;
}

void watch_close(struct file_state *s)
{
	if (s->watch.fd >= 0) {
		registry_watch(s->r, s->watch.fd, NULL);
		close(s->watch.fd);
	}
	s->watch.fd = -1;
	table_fini(&s->watch.links);
}
