/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/own_addrs.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 16384
#define SEQ 1u                                  /* of our dumps; news have 0 */

struct found {
	struct own_addrs global, local;
	const struct own_addrs *before;
	bool kept[OWN_FAMILIES];                /* that one is global, and there */
};

int own_addrs_open(void)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE), err;

	if (fd < 0)
		return -errno;
	if (!bind(fd, (void *)&a, sizeof(a)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int ask(int fd)
{
	struct {
		struct nlmsghdr head;
		struct ifaddrmsg body;
	} rq = {
		.head = { .nlmsg_len = sizeof(rq), .nlmsg_type = RTM_GETADDR, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			  .nlmsg_seq = SEQ },
		.body = { .ifa_family = AF_UNSPEC },
	};

	return send(fd, &rq, sizeof(rq), 0) < 0 ? -errno : 0;
}

static void take(struct found *f, struct own_addrs *set, int family, const struct ip *ip)
{
	if (set == &f->global && f->before->has[family] && !memcmp(ip, &f->before->ip[family], sizeof(*ip)))
		f->kept[family] = true;
	if (set->has[family])
		return;
	set->has[family] = true;
	set->ip[family] = *ip;
}

/* IFA_LOCAL is the own end of a point-to-point address; IFA_FLAGS are the flags beyond the eighth. */
static void one(struct found *f, const struct ifaddrmsg *m, int len)
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };
	size_t n = m->ifa_family == AF_INET ? 4 : 16;
	const struct rtattr *addr = NULL;
	uint32_t flags = m->ifa_flags;
	struct ip ip = { { 0 } };

	for (const struct rtattr *a = IFA_RTA(m); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == IFA_FLAGS && RTA_PAYLOAD(a) >= sizeof(flags))
			memcpy(&flags, RTA_DATA(a), sizeof(flags));
		else if (RTA_PAYLOAD(a) >= n && (a->rta_type == IFA_LOCAL || (a->rta_type == IFA_ADDRESS && !addr)))
			addr = a;
	}
	if (!addr || flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED))
		return;
	if (n == 4)
		memcpy(ip.b, mapped, sizeof(mapped));
	memcpy(ip.b + 16 - n, RTA_DATA(addr), n);
	if (m->ifa_scope == RT_SCOPE_UNIVERSE)
		take(f, &f->global, n == 4 ? OWN_V4 : OWN_V6, &ip);
	else if (m->ifa_scope == RT_SCOPE_HOST)
		take(f, &f->local, n == 4 ? OWN_V4 : OWN_V6, &ip);
}

/* 1: the dump has ended, 0: it goes on, -errno. */
static int messages(struct found *f, const struct nlmsghdr *h, unsigned n)
{
	for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		if (h->nlmsg_seq != SEQ)
			continue;
		if (h->nlmsg_type == NLMSG_DONE)
			return 1;
		if (h->nlmsg_type == NLMSG_ERROR)
			return -EIO;
		if (h->nlmsg_type == RTM_NEWADDR && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifaddrmsg)))
			one(f, NLMSG_DATA(h), (int)IFA_PAYLOAD(h));
	}
	return 0;
}

/* Lost news (ENOBUFS) are no matter: everything is read again. */
static int dump(int fd, struct found *f)
{
	_Alignas(struct nlmsghdr) char bytes[READ_BYTES];
	int err = ask(fd);

	while (!err) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

		if (n < 0 && (errno == EINTR || errno == ENOBUFS))
			continue;
		err = n < 0 ? -errno : messages(f, (void *)bytes, (unsigned)n);
	}
	return err == 1 ? 0 : err;
}

/* The loopback address proper: of others that have the scope of this host nobody knows what they are for. */
static void use_loopback(struct found *f, int family)
{
	static const struct ip loopback[OWN_FAMILIES] = {
		[OWN_V4] = { .b = { [10] = 0xff, 0xff, 127, 0, 0, 1 } },
		[OWN_V6] = { .b = { [15] = 1 } },
	};

	f->global.has[family] = f->local.has[family];
	f->global.ip[family] = loopback[family];
}

int own_addrs_read(int fd, bool loopback, struct own_addrs *a)
{
	struct found f = { .before = a };
	int err = dump(fd, &f);

	if (err)
		return err;
	for (int i = 0; i < OWN_FAMILIES; i++) {
		if (loopback || !f.global.has[i])
			use_loopback(&f, i);
		else if (f.kept[i])
			f.global.ip[i] = a->ip[i];
	}
	*a = f.global;
	return 0;
}
