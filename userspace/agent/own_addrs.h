/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses that a network namespace has, by rtnetlink: read, and watched. */
#pragma once
#include "weft/model.h"

enum { OWN_V4, OWN_V6, OWN_FAMILIES };

struct own_addrs {
	struct ip ip[OWN_FAMILIES];
	bool has[OWN_FAMILIES];
};

/* A socket of the namespace that the caller is in, to be closed by close(2); readable when addresses change. -errno. */
int own_addrs_open(void);
/*
 * The first global address of each family, or the loopback address where there is none or where that is asked for. An
 * address that was chosen before (*a) stays while it is there. Takes what waits on the socket. 0 or -errno, with *a as it was.
 */
int own_addrs_read(int fd, bool loopback, struct own_addrs *a);
