/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of sockets. An IPv4 address is v4-mapped in struct ip, so one compare serves both families. Any thread. */
#pragma once
#include <sys/socket.h>
#include "weft/net_filter.h"

#define ADDR_TEXT_MAX 56                        /* "[ffff:...]:65535" and its NUL */

bool addr_is_v4(const struct ip *ip);
/* An IPv4 address becomes AF_INET. Returns the length. */
socklen_t addr_to_sockaddr(const struct net_addr *a, struct sockaddr_storage *out);
/* Another family than IP (a unix socket): all zero. */
struct net_addr addr_from_sockaddr(const struct sockaddr_storage *ss);
bool addr_eq(const struct net_addr *a, const struct net_addr *b);
/* The block's host bits do not matter. */
bool addr_in_block(const struct ip *ip, const struct ip_block *b);
/* "10.0.0.7:80", "[fe80::1]:80"; returns out, which holds ADDR_TEXT_MAX bytes. */
const char *addr_text(const struct net_addr *a, char *out);
