/* SPDX-License-Identifier: Apache-2.0 */
#include "net/handover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/magic.h"

#define RIGHTS_MAX 8                            /* descriptors of one read: more than our own sender ever puts in one */

void handover_init(struct handover *h, int fd)
{
	*h = (struct handover){ .fd = fd };
	buf_init(&h->in);
	buf_init(&h->out);
}

void handover_fini(struct handover *h)
{
	for (size_t i = 0; i < h->going.n; i++)
		close(h->going.v[i].fd);
	for (size_t i = 0; i < h->come.n; i++)
		close(h->come.v[i]);
	vec_fini(&h->going);
	vec_fini(&h->come);
	buf_fini(&h->in);
	buf_fini(&h->out);
	h->fd = -1;
}

void handover_give(struct handover *h, int take_fd)
{
	assert_always(!h->going.n || h->going.v[h->going.n - 1].at < h->sent + h->out.len);
	vec_push(&h->going, (struct handover_fd){ .at = h->sent + h->out.len, .fd = take_fd });
}

int handover_take(struct handover *h)
{
	int fd;

	if (!h->come.n)
		return -1;
	fd = h->come.v[0];
	h->come.n--;
	memmove(h->come.v, h->come.v + 1, h->come.n * sizeof(fd));
	return fd;
}

/* ---- sending ------------------------------------------------------------------------------------------------ */

/* One send, with the descriptor whose place has come, up to the place of the next one. */
static ssize_t send_piece(struct handover *h)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct slice s = buf_head(&h->out);
	struct iovec iov = { (void *)s.p, s.n };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	bool gives = h->going.n && h->going.v[0].at == h->sent;
	uint64_t next = h->going.n > gives ? h->going.v[gives].at - h->sent : s.n;
	struct cmsghdr *cm;
	ssize_t n;

	if (iov.iov_len > next)
		iov.iov_len = next;
	if (gives) {
		mh.msg_control = control;
		mh.msg_controllen = sizeof(control);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &h->going.v[0].fd, sizeof(int));
	}
	n = sendmsg(h->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	if (gives) {
		close(h->going.v[0].fd);
		h->going.n--;
		memmove(h->going.v, h->going.v + 1, h->going.n * sizeof(*h->going.v));
	}
	return n;
}

int handover_flush(struct handover *h, size_t *n)
{
	size_t sent = 0;
	int err = 0;

	while (h->out.len && !err) {
		ssize_t got = send_piece(h);

		if (got < 0) {
			err = got == -EINTR ? 0 : got;
			continue;
		}
		h->sent += got;
		sent += got;
		buf_drop(&h->out, got);
	}
	if (n)
		*n = sent;
	return err;
}

/* ---- receiving ---------------------------------------------------------------------------------------------- */

static int take_rights(struct handover *h, struct msghdr *mh)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n = c->cmsg_len > CMSG_LEN(0) ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			vec_push(&h->come, fd);
		}
	}
	return h->come.n > HANDOVER_WAITING_MAX || (mh->msg_flags & MSG_CTRUNC) ? -EMSGSIZE : 0;
}

ssize_t handover_receive(struct handover *h)
{
	char control[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
	struct msghdr mh = { .msg_control = control, .msg_controllen = sizeof(control), .msg_iovlen = 1 };
	struct iovec iov;
	ssize_t n;

	iov.iov_base = buf_room(&h->in, 1, &iov.iov_len);
	if (!iov.iov_base)
		return -ENOMEM;
	mh.msg_iov = &iov;
	n = recvmsg(h->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		n = -errno;
	buf_commit(&h->in, n > 0 ? n : 0);
	if (n >= 0 && take_rights(h, &mh))
		return -EMSGSIZE;
	return n;
}
