/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Is there memory for redirected bytes? TCP has three marks for all sockets of the node, net.ipv4.tcp_mem: low, pressure
 * and high, in pages.
 *
 * Where plain TCP meets them it drops, waits, or goes on by force with one segment. A redirect does neither: what
 * __sk_mem_raise_allocated() refuses to the peer's socket in bpf_tcp_ingress() is ENOMEM from the sender's write().
 * It refuses above high, and, while there is pressure, what an unfairly large socket wants. Pressure begins above the
 * second mark and ends at the first; at or below the first it refuses nothing. So nothing is redirected while there is
 * pressure. The distance from there to high (a third of it by default) is for what other sockets take between the
 * verdict and the queue.
 *
 * Above high every socket that is in the sockhash suffers, whatever the verdict: the program has not run yet when
 * tcp_bpf_sendmsg() gets EAGAIN from sk_msg_alloc(), poll() still says writable, and nothing may ever come to wake a
 * writer that waits for an edge. So half way there is MEMORY_SHORT: who sends then had better leave the map.
 *
 * Read for each message: a mark that somebody has just lowered counts at once.
 */
#pragma once

enum memory { MEMORY_ENOUGH, MEMORY_PRESSURE, MEMORY_SHORT };

static __always_inline enum memory memory_of(struct sock *sk)
{
	struct proto *prot = sk->__sk_common.skc_prot;
	__s64 used = prot->memory_allocated->counter;
	unsigned long pressure = 0;
	__s64 mark[3];

	if (bpf_probe_read_kernel(mark, sizeof(mark), prot->sysctl_mem))
		return MEMORY_PRESSURE;
	if (used <= mark[0])
		return MEMORY_ENOUGH;
	if (used > (mark[1] + mark[2]) >> 1)
		return MEMORY_SHORT;
	if (used > mark[1])
		return MEMORY_PRESSURE;
	bpf_probe_read_kernel(&pressure, sizeof(pressure), prot->memory_pressure);
	return pressure ? MEMORY_PRESSURE : MEMORY_ENOUGH;
}
