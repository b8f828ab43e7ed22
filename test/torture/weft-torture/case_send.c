// SPDX-License-Identifier: Apache-2.0
/*
 * Ways to send, and who may be sent to: splice(2) never returns redirected bytes, so splicers are
 * left to the stack.
 */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/socket.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif
#define FILE_BYTES 200000

/* A file that holds the next n bytes of the stream. */
static int file_of(const struct stream *s, size_t n)
{
	int fd = memfd_create("torture", MFD_CLOEXEC);
	uint8_t *buf = malloc(n);

	stream_bytes(s, s->off, buf, n);
	if (write(fd, buf, n) != (ssize_t)n) {
		close(fd);
		fd = -1;
	}
	free(buf);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static int file_up(struct rig *r, struct wire *w, size_t n)
{
	int fd = file_of(&w->up, n), err = 0;

	while (n && !err) {
		ssize_t sent = sendfile(w->c, fd, NULL, n);

		if (sent < 0 && errno == EAGAIN)
			err = drain(r, w);
		else if (sent <= 0)
			err = fault(r, sent ? -errno : -ENODATA, "sendfile()");
		else
			n -= sent, w->up.off += sent;
	}
	close(fd);
	return err ? err : drain(r, w);
}

static int case_sendfile(struct rig *r)
{
	struct wire w;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	for (int i = 0; i < 10 && !err; i++)
		if (!(err = file_up(r, &w, 1 + draw(&r->seed) % FILE_BYTES)))
			err = trips(r, &w, 2, 5000);
	if (!err)
		err = want_all(r, &w);
	wire_close(&w);
	return err;
}

/* From a pipe into the socket; the pipe is filled by write() or by vmsplice(). */
static int pipe_up(struct rig *r, struct wire *w, const int pipefd[2], size_t n, bool map)
{
	static uint8_t buf[65536];
	struct iovec iov = {buf, n};
	int err = 0;

	stream_bytes(&w->up, w->up.off, buf, n);
	if ((map ? vmsplice(pipefd[1], &iov, 1, 0) : write(pipefd[1], buf, n)) != (ssize_t)n)
		return fault(r, -errno, "fill the pipe");
	while (n && !err) {
		ssize_t sent = splice(pipefd[0], NULL, w->c, NULL, n, SPLICE_F_NONBLOCK);

		if (sent < 0 && errno == EAGAIN)
			err = drain(r, w);
		else if (sent <= 0)
			err = fault(r, sent ? -errno : -ENODATA, "splice()");
		else
			n -= sent, w->up.off += sent;
	}
	return err ? err : drain(r, w);
}

static int case_splice_writer(struct rig *r)
{
	int pipefd[2], err;
	struct wire w;

	if ((err = wire_open(r, &w, NULL)))
		return err;
	if (pipe2(pipefd, O_CLOEXEC))
		return -errno;
	for (int i = 0; i < 40 && !err; i++)
		if (!(err = pipe_up(r, &w, pipefd, 1 + draw(&r->seed) % 60000, i & 1)))
			err = trips(r, &w, 1, 5000);
	if (!err)
		err = want_all(r, &w);
	close(pipefd[0]);
	close(pipefd[1]);
	wire_close(&w);
	return err;
}

static int spliced(struct rig *r, int fd, const int pipefd[2], struct stream *s, size_t n)
{
	uint8_t buf[65536];
	int err = 0;

	while (n && !err) {
		ssize_t got;

		if (!ready(fd, POLLIN, PATIENCE_MS))
			return fault(r, -ETIMEDOUT, "splice(): nothing comes");
		got = splice(fd, NULL, pipefd[1], NULL, n < sizeof(buf) ? n : sizeof(buf),
			     SPLICE_F_NONBLOCK);
		if (got <= 0)
			return fault(r, got ? -errno : -ENODATA, "splice()");
		if (read(pipefd[0], buf, got) != got || (err = stream_check(s, buf, got)))
			return fault(r, err, "splice() at byte %llu", (unsigned long long)s->wrong);
		n -= got;
	}
	return err;
}

/* One end may splice: only the other is ever redirected to. Both may: nothing is. */
static int splicer(struct rig *r, const struct wire_opts *o, enum pair_side reader)
{
	bool both = o->from == o->to;
	int pipefd[2], err;
	struct wire w;

	if ((err = wire_open(r, &w, o)))
		return err;
	if (pipe2(pipefd, O_CLOEXEC))
		return -errno;
	for (int i = 0; i < 20 && !err; i++) {
		size_t n = 1 + draw(&r->seed) % 60000;

		if (reader == SIDE_SERVER && !(err = up(r, &w, n)) && !(err = up_got(r, &w, n)) &&
		    !(err = down(r, &w, n)))
			err = spliced(r, w.c, pipefd, &w.down_got, n);
		if (reader == SIDE_CLIENT && !(err = up(r, &w, n)) &&
		    !(err = spliced(r, w.s, pipefd, &w.up_got, n)) && !(err = down(r, &w, n)))
			err = down_got(r, &w, n);
	}
	if (!err)
		err = both ? want_refused(r, &w, REASON_SPLICE) : want_half(r, &w, reader);
	close(pipefd[0]);
	close(pipefd[1]);
	wire_close(&w);
	return err;
}

static int case_splice_reader(struct rig *r)
{
	const struct wire_opts client = {.from = POD_SPLICER, .to = POD_B},
			       server = {.from = POD_A, .to = POD_SPLICER},
			       both = {.from = POD_SPLICER, .to = POD_SPLICER};
	int err;

	if ((err = splicer(r, &client, SIDE_SERVER)) || (err = splicer(r, &server, SIDE_CLIENT)) ||
	    (err = splicer(r, &both, SIDE_SERVER)))
		return err;
	return reason_atleast(r, REASON_ACCEL_HALF, 2);
}

static int zerocopy(int fd)
{
	int one = 1;

	return setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) ? -errno : 0;
}

static void zerocopy_first(int fd)
{
	zerocopy(fd);
}

static int completed(struct rig *r, int fd)
{
	char room[256];
	struct msghdr m = {.msg_control = room, .msg_controllen = sizeof(room)};
	const struct sock_extended_err *e;
	struct cmsghdr *c;

	if (!ready(fd, POLLERR, PATIENCE_MS))
		return fault(r, -ETIMEDOUT, "no completion of MSG_ZEROCOPY");
	if (recvmsg(fd, &m, MSG_ERRQUEUE) < 0 || !(c = CMSG_FIRSTHDR(&m)))
		return fault(r, -errno, "error queue");
	e = (const void *)CMSG_DATA(c);
	return e->ee_origin == SO_EE_ORIGIN_ZEROCOPY
		       ? 0
		       : fault(r, -EPROTO, "completion of origin %u", e->ee_origin);
}

/* The flag alone asks for nothing: it is ignored, as TCP does. */
static int said_zerocopy(struct rig *r, struct wire *w, size_t n)
{
	int err = stream_say(w->c, &w->up, n, MSG_ZEROCOPY);

	return err ? fault(r, err, "MSG_ZEROCOPY without SO_ZEROCOPY") : drain(r, w);
}

/*
 * Asked for in time it keeps the socket off and works; later it is refused, and libraries copy as
 * they always did.
 */
static int case_zerocopy(struct rig *r)
{
	struct wire_opts o = {.dialling = zerocopy_first};
	static uint8_t buf[60000];
	struct wire w;
	int err = wire_open(r, &w, &o);

	if (err)
		return err;
	stream_bytes(&w.up, 0, buf, sizeof(buf));
	w.up.off = send(w.c, buf, sizeof(buf), MSG_ZEROCOPY);
	if (!(err = drain(r, &w)) && !(err = completed(r, w.c)))
		err = want_refused(r, &w, REASON_ZEROCOPY);
	wire_close(&w);
	o = (struct wire_opts){.listening = zerocopy_first};
	if (err || (err = wire_open(r, &w, &o)))
		return err;
	if (!(err = trips(r, &w, 3, 9000)))
		err = want_refused(r, &w, REASON_ZEROCOPY);
	wire_close(&w);
	if (err || (err = wire_open(r, &w, NULL)))
		return err;
	for (int i = 0; i < 2 && !err; i++) {
		int got = zerocopy(w.c);

		if (got != -EOPNOTSUPP)
			err = fault(r, -EPROTO, "SO_ZEROCOPY on a paired socket: %s",
				    strerror(-got));
		else if (!(err = said_zerocopy(r, &w, 30000)))
			err = trips(r, &w, 3, 9000);
	}
	if (!err)
		err = want_all(r, &w);
	wire_close(&w);
	return err;
}

/* TCP_CORK and MSG_MORE hold nothing back for ever, and lose nothing. */
static int case_more(struct rig *r)
{
	struct wire w;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	for (int i = 0; i < 30 && !err; i++) {
		size_t n = 1 + draw(&r->seed) % 3000;

		for (int k = 0; k < 5 && !err; k++)
			if ((err = stream_say(w.c, &w.up, n, k < 4 ? MSG_MORE : 0)))
				fault(r, err, "MSG_MORE");
		if (!err && !(err = drain(r, &w)) && !(err = down(r, &w, n)))
			err = drain(r, &w);
	}
	if (!err)
		err = want_all(r, &w);
	wire_close(&w);
	return err;
}

/* Many messages a call, many pieces a message. */
static int case_sendmmsg(struct rig *r)
{
	static uint8_t buf[64 * 100];
	struct mmsghdr m[8];
	struct iovec iov[64];
	struct wire w;
	int err = wire_open(r, &w, NULL);

	if (err)
		return err;
	for (int i = 0; i < 30 && !err; i++) {
		int n;

		stream_bytes(&w.up, w.up.off, buf, sizeof(buf));
		for (int k = 0; k < 64; k++)
			iov[k] = (struct iovec){buf + k * 100, 100};
		for (int k = 0; k < 8; k++)
			m[k] = (struct mmsghdr){
				.msg_hdr = {.msg_iov = iov + k * 8, .msg_iovlen = 8}};
		n = sendmmsg(w.c, m, 8, MSG_NOSIGNAL);
		if (n != 8)
			err = fault(r, -errno, "sendmmsg() sent %d of 8", n);
		w.up.off += sizeof(buf);
		if (!err && !(err = drain(r, &w)) && !(err = down(r, &w, 50)))
			err = drain(r, &w);
	}
	if (!err)
		err = want_all(r, &w);
	wire_close(&w);
	return err;
}

/* clang-format off */
const struct torture_case send_cases[] = {
	CASE("sendfile", case_sendfile, ON_ALL, "sendfile() from a file"),
	CASE("splice-writer", case_splice_writer, ON_ALL,
	     "splice() and vmsplice() into the socket"),
	CASE("splice-reader", case_splice_reader, ON_VETH4 | ON_VETH6,
	     "a reader that may splice is never redirected to"),
	CASE("zerocopy", case_zerocopy, ON_ALL, "SO_ZEROCOPY keeps off or is refused"),
	CASE("more", case_more, ON_TWO, "MSG_MORE"),
	CASE("sendmmsg", case_sendmmsg, ON_TWO, "many messages and pieces in one call"),
	{.name = NULL},
};
/* clang-format on */
