/* SPDX-License-Identifier: Apache-2.0 */
#include "net/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

bool addr_is_v4(const struct ip *ip)
{
	return !memcmp(ip->b, mapped, sizeof(mapped));
}

socklen_t addr_to_sockaddr(const struct net_addr *a, struct sockaddr_storage *out)
{
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (addr_is_v4(&a->ip)) {
		in->sin_family = AF_INET;
		in->sin_port = htons(a->port);
		memcpy(&in->sin_addr, a->ip.b + sizeof(mapped), sizeof(in->sin_addr));
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(a->port);
	memcpy(&in6->sin6_addr, a->ip.b, sizeof(in6->sin6_addr));
	return sizeof(*in6);
}

struct net_addr addr_from_sockaddr(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;
	struct net_addr a = { 0 };

	if (ss->ss_family == AF_INET) {
		memcpy(a.ip.b, mapped, sizeof(mapped));
		memcpy(a.ip.b + sizeof(mapped), &in->sin_addr, sizeof(in->sin_addr));
		a.port = ntohs(in->sin_port);
	} else if (ss->ss_family == AF_INET6) {
		memcpy(a.ip.b, &in6->sin6_addr, sizeof(a.ip.b));
		a.port = ntohs(in6->sin6_port);
	}
	return a;
}

bool addr_eq(const struct net_addr *a, const struct net_addr *b)
{
	return a->port == b->port && !memcmp(&a->ip, &b->ip, sizeof(a->ip));
}

bool addr_in_block(const struct ip *ip, const struct ip_block *b)
{
	unsigned bytes = b->bits / 8, rest = b->bits % 8;

	if (memcmp(ip->b, b->ip.b, bytes))
		return false;
	return !rest || !((ip->b[bytes] ^ b->ip.b[bytes]) >> (8 - rest));
}

bool addr_in_blocks(const struct ip *ip, const struct ip_block *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (addr_in_block(ip, &v[i]))
			return true;
	return false;
}

const char *addr_text(const struct net_addr *a, char *out)
{
	char ip[INET6_ADDRSTRLEN];

	if (addr_is_v4(&a->ip))
		snprintf(out, ADDR_TEXT_MAX, "%s:%u", inet_ntop(AF_INET, a->ip.b + sizeof(mapped), ip, sizeof(ip)),
			 a->port);
	else
		snprintf(out, ADDR_TEXT_MAX, "[%s]:%u", inet_ntop(AF_INET6, a->ip.b, ip, sizeof(ip)), a->port);
	return out;
}
