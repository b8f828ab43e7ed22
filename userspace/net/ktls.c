/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ktls.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "event/timer.h"
#include "weft/log.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#define RECORD_ALERT 21

/* ---- is it there -------------------------------------------------------------------------------------------- */

/* Both ends are this process's; the kernel accepts by itself. -errno: there is no loopback to try it on. */
static int loopback_pair(int *listening, uint32_t mark)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;

	*listening = s;
	if (mark)
		setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	if (s < 0 || fd < 0 || bind(s, (struct sockaddr *)&a, n) || listen(s, 1) ||
	    getsockname(s, (struct sockaddr *)&a, &n) || connect(fd, (struct sockaddr *)&a, n))
		err = -errno;
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return err;
}

/* One that is not connected may not have it (ENOTCONN); of a kernel without it even that is told so (ENOENT). */
static int probe_ulp(int fd)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) && errno != ENOTCONN ? -errno : 0;
}

static int probe_cipher(int fd)
{
	const struct tls12_crypto_info_aes_gcm_128 c = {
		.info = { .version = TLS_1_3_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128 },
	};

	return setsockopt(fd, SOL_TLS, TLS_TX, &c, sizeof(c)) ? -errno : 0;
}

int ktls_probe(uint32_t mark, char *why, size_t room)
{
	int listening, fd = loopback_pair(&listening, mark), err;

	why[0] = '\0';
	if (fd >= 0) {
		err = probe_ulp(fd);
		if (err == -ENOENT)
			snprintf(why, room, "this kernel has no TLS (CONFIG_TLS, module tls)");
		if (!err && (err = probe_cipher(fd)))
			snprintf(why, room, "TLS is in this kernel, AES-GCM for it is not (CONFIG_CRYPTO_GCM, module gcm)");
		close(fd);
	} else {
		err = fd;
		snprintf(why, room, "no connection over loopback to try it with");
	}
	if (listening >= 0)
		close(listening);
	if (err && !why[0])
		snprintf(why, room, "%s", strerror(-err));
	return err;
}

static bool there;
static pthread_once_t there_once = PTHREAD_ONCE_INIT;

static void ask(void)
{
	char why[128];

	there = !ktls_probe(0, why, sizeof(why));
	if (there)
		log_info("tls", "`kernel: auto`: this kernel makes TLS records");
	else
		log_info("tls", "`kernel: auto`: %s; TLS is done in this process", why);
}

bool ktls_there(void)
{
	pthread_once(&there_once, ask);
	return there;
}

/* ---- the end ------------------------------------------------------------------------------------------------ */

/* Whose shutdown came to nothing so far. */
struct closing {
	struct list node;
	struct loop *loop;
	struct loop_io io;
	struct timer timer;
	struct loop_deferred later;
};

static _Thread_local struct list closings;

static void closing_free(struct loop_deferred *d)
{
	free(container_of(d, struct closing, later));
}

static void closing_end(struct closing *c)
{
	timer_disarm(c->loop, &c->timer);
	loop_del(c->loop, &c->io);
	close(c->io.fd);
	list_del(&c->node);
	loop_defer(c->loop, &c->later, closing_free);
}

int ktls_close_notify(int fd)
{
	unsigned char alert[2] = { 1, 0 };      /* warning, close_notify */
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(1)];
	} control = { .h = { .cmsg_len = CMSG_LEN(1), .cmsg_level = SOL_TLS, .cmsg_type = TLS_SET_RECORD_TYPE } };
	struct iovec v = { alert, sizeof(alert) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };

	*CMSG_DATA(&control.h) = RECORD_ALERT;
	return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void closing_event(struct loop_io *io, unsigned events)
{
	struct closing *c = container_of(io, struct closing, io);

	if (!(events & (LOOP_WRITE | LOOP_ERR)) || ktls_close_notify(io->fd) == -EAGAIN)
		return;
	shutdown(io->fd, SHUT_WR);
	closing_end(c);
}

static void closing_late(struct timer *t)
{
	closing_end(t->arg);
}

void ktls_close_later(struct loop *l, int take_fd)
{
	struct closing *c = mem_alloc(sizeof(*c));

	if (!closings.next)
		list_init(&closings);
	c->loop = l;
	c->io.fd = take_fd;
	list_add_tail(&closings, &c->node);
	if (loop_add_edge(l, &c->io, take_fd, closing_event, c))
		closing_end(c);
	else
		timer_arm(l, &c->timer, KTLS_CLOSE_MS * MSEC, closing_late, c);
}

void ktls_fini(void)
{
	while (closings.next && !list_empty(&closings))
		closing_end(container_of(closings.next, struct closing, node));
}
