// SPDX-License-Identifier: Apache-2.0
#include "event/signal.h"

#include <errno.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void on_signal(struct loop_io *io, unsigned events)
{
	struct signals *s = io->arg;
	struct signalfd_siginfo info;

	(void)events;
	/* fn may close s. */
	while (io->active && read(io->fd, &info, sizeof(info)) == sizeof(info))
		s->fn(info.ssi_signo, s->arg);
}

int signals_open(struct signals *s, struct loop *l, const int *signos, size_t n,
		 void (*fn)(int, void *), void *arg)
{
	sigset_t set;
	int fd, err;

	*s = (struct signals){ .loop = l, .fn = fn, .arg = arg };
	sigemptyset(&set);
	for (size_t i = 0; i < n; i++) {
		if (sigaddset(&set, signos[i]))
			return -EINVAL;
	}
	err = -pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (err)
		return err;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	err = loop_add(l, &s->io, fd, LOOP_READ, on_signal, s);
	if (err)
		close(fd);
	return err;
}

void signals_close(struct signals *s)
{
	if (!s->io.active)
		return;
	loop_del(s->loop, &s->io);
	close(s->io.fd);
}
