// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uring.h"

#define RING_BYTES 65536

static void *ring_map(int ring, off_t what)
{
	return mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ring, what);
}

int uring_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct io_uring_params p = {};
	int ring = syscall(SYS_io_uring_setup, 4, &p), err;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	char *sq, *cq;

	if (ring < 0)
		return -errno;
	sq = ring_map(ring, IORING_OFF_SQ_RING);
	cq = ring_map(ring, IORING_OFF_CQ_RING);
	sqe = ring_map(ring, IORING_OFF_SQES);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_CONNECT;
	sqe->fd = fd;
	sqe->addr = (unsigned long)sa;
	sqe->off = len;
	*(unsigned int *)(sq + p.sq_off.array) = 0;
	__atomic_store_n((unsigned int *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	err = syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 ? -errno : 0;
	cqe = (void *)(cq + p.cq_off.cqes);
	if (!err)
		err = cqe->res;
	munmap(sq, RING_BYTES);
	munmap(cq, RING_BYTES);
	munmap(sqe, RING_BYTES);
	close(ring);
	return err;
}
