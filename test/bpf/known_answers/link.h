/* SPDX-License-Identifier: Apache-2.0 */
/* Two network namespaces joined by a veth pair, or by two tun devices and a relay that delays each packet. */
#pragma once

struct link {
	int ns[2];                              /* namespace descriptors */
	int tun[2];                             /* -1 with veth */
	unsigned delay_us;
};

/* delay_us 0: veth; else tun. Addresses are 10.77.0.1 and 10.77.0.2. 0 or -errno. The relay is a thread that stays. */
int link_open(struct link *l, unsigned delay_us);
/* The calling thread moves into namespace i. */
int link_enter(const struct link *l, int i);
