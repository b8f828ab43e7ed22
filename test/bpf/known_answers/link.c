// SPDX-License-Identifier: Apache-2.0
#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 2048
#define QUEUE_LEN 4096                          /* packets under way in one direction */

struct packet {
	uint64_t due;                           /* ns */
	uint16_t len;
	uint8_t bytes[PACKET_MAX];
};

struct queue {
	uint32_t head, tail;
	struct packet *packet;
};

struct request {
	struct nlmsghdr nh;
	struct ifinfomsg ifi;
	char attrs[256];
};

static struct rtattr *attr(struct request *r, int type, const void *data, size_t len)
{
	struct rtattr *a = (void *)((char *)r + NLMSG_ALIGN(r->nh.nlmsg_len));

	a->rta_type = type;
	a->rta_len = RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(a), data, len);
	r->nh.nlmsg_len = NLMSG_ALIGN(r->nh.nlmsg_len) + RTA_ALIGN(a->rta_len);
	return a;
}

static void attr_end(struct request *r, struct rtattr *a)
{
	a->rta_len = (char *)r + r->nh.nlmsg_len - (char *)a;
}

static int talk(struct request *r)
{
	struct {
		struct nlmsghdr nh;
		struct nlmsgerr err;
		char rest[512];
	} answer;
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), err = 0;

	if (s < 0)
		return -errno;
	if (send(s, r, r->nh.nlmsg_len, 0) < 0 || recv(s, &answer, sizeof(answer), 0) < 0)
		err = -errno;
	close(s);
	return err ? err : answer.err.error;
}

/* Made in the caller's namespace, the other end in namespace `peer`. */
static int veth_add(int peer)
{
	struct request r = {.nh = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = RTM_NEWLINK,
				   .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK}};
	struct ifinfomsg ifi = {0};
	struct rtattr *info, *data, *end;

	attr(&r, IFLA_IFNAME, "l0", 3);
	info = attr(&r, IFLA_LINKINFO, NULL, 0);
	attr(&r, IFLA_INFO_KIND, "veth", 4);
	data = attr(&r, IFLA_INFO_DATA, NULL, 0);
	end = attr(&r, VETH_INFO_PEER, &ifi, sizeof(ifi));
	attr(&r, IFLA_IFNAME, "l0", 3);
	attr(&r, IFLA_NET_NS_FD, &peer, sizeof(peer));
	attr_end(&r, end);
	attr_end(&r, data);
	attr_end(&r, info);
	return talk(&r);
}

static int tun_add(void)
{
	struct ifreq ifr = {.ifr_name = "l0", .ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (!ioctl(fd, TUNSETIFF, &ifr))
		return fd;
	close(fd);
	return -errno;
}

static int up(const char *name, const char *addr)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;
	struct ifreq ifr = {0};
	struct sockaddr_in *a = (void *)&ifr.ifr_addr;        /* also of the mask: a union */

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	a->sin_family = AF_INET;
	if (addr && (inet_pton(AF_INET, addr, &a->sin_addr) != 1 || ioctl(s, SIOCSIFADDR, &ifr)))
		err = -errno;
	if (addr && !err && (inet_pton(AF_INET, "255.255.255.0", &a->sin_addr) != 1 || ioctl(s, SIOCSIFNETMASK, &ifr)))
		err = -errno;
	memset(&ifr.ifr_addr, 0, sizeof(ifr.ifr_addr));
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	if (!err && ioctl(s, SIOCSIFFLAGS, &ifr))
		err = -errno;
	close(s);
	return err;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void pull(struct queue *q, int fd, unsigned delay_us)
{
	while (q->tail - q->head < QUEUE_LEN) {
		struct packet *p = &q->packet[q->tail % QUEUE_LEN];
		ssize_t n = read(fd, p->bytes, sizeof(p->bytes));

		if (n <= 0)
			return;
		p->len = n;
		p->due = now() + delay_us * 1000ull;
		q->tail++;
	}
}

/* Sends what is due; ns until the next packet is, or -1. */
static int64_t push(struct queue *q, int fd)
{
	while (q->head != q->tail) {
		struct packet *p = &q->packet[q->head % QUEUE_LEN];
		int64_t left = p->due - now();

		if (left > 0)
			return left;
		if (write(fd, p->bytes, p->len) < 0 && errno == EAGAIN)
			return 100000;
		q->head++;
	}
	return -1;
}

static void *relay(void *arg)
{
	struct link *l = arg;
	struct queue q[2] = {0};

	q[0].packet = calloc(QUEUE_LEN, sizeof(struct packet));
	q[1].packet = calloc(QUEUE_LEN, sizeof(struct packet));
	for (;;) {
		struct pollfd p[2] = {{.fd = l->tun[0], .events = POLLIN}, {.fd = l->tun[1], .events = POLLIN}};
		int64_t a = push(&q[0], l->tun[1]), b = push(&q[1], l->tun[0]);
		int64_t left = a < 0 ? b : b < 0 ? a : a < b ? a : b;
		struct timespec t = {left / 1000000000, left % 1000000000};

		ppoll(p, 2, left < 0 ? NULL : &t, NULL);
		pull(&q[0], l->tun[0], l->delay_us);
		pull(&q[1], l->tun[1], l->delay_us);
	}
	return NULL;
}

int link_enter(const struct link *l, int i)
{
	return setns(l->ns[i], CLONE_NEWNET) ? -errno : 0;
}

int link_open(struct link *l, unsigned delay_us)
{
	static const char *const addr[2] = {"10.77.0.1", "10.77.0.2"};
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), err = 0;
	pthread_t t;

	*l = (struct link){.ns = {-1, -1}, .tun = {-1, -1}, .delay_us = delay_us};
	for (int i = 0; i < 2 && !err; i++) {
		if (unshare(CLONE_NEWNET))
			return -errno;
		l->ns[i] = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
		if (delay_us && (l->tun[i] = tun_add()) < 0)
			err = l->tun[i];
	}
	if (!err && !delay_us)
		err = veth_add(l->ns[0]);
	for (int i = 0; i < 2 && !err; i++)
		if (!(err = link_enter(l, i)) && !(err = up("lo", NULL)))
			err = up("l0", addr[i]);
	if (setns(home, CLONE_NEWNET) && !err)
		err = -errno;
	close(home);
	if (!err && delay_us)
		err = -pthread_create(&t, NULL, relay, l);
	return err;
}
