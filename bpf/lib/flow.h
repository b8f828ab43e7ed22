/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What one socket dialled and what it got (flow_map). peer[0] belongs to connect(), the others to sendto() of an
 * unconnected UDP socket; what must make room there moves to udp_peer_map, so that a reply is always given the
 * address that was dialled. The kernel runs the hooks of one UDP socket under its lock: no two at a time.
 */
#pragma once

#include "lib/service.h"

static __always_inline bool origin_dialled(const struct origin *o, const struct ask *ask, __u32 service)
{
	return o->service == service && o->vip_port == ask->port && addr_eq(&o->vip, &ask->addr);
}

static __always_inline bool origin_is_from(const struct origin *o, const struct addr16 *addr, __u16 port)
{
	return o->service && o->backend_port == port && addr_eq(&o->backend_addr, addr);
}

static __always_inline void origin_set(struct origin *o, const struct ask *ask, const struct answer *a)
{
	o->vip = ask->addr;
	o->vip_port = ask->port;
	answer_target(ask, a, &o->backend_addr, &o->backend_port);
	o->service = a->service_id;
	o->backend = a->backend_id;
}

/* open_map counts sockets that connect() sent to a backend, from then until they dial again or are closed. */
static __always_inline void open_add(struct flow *f, const struct answer *a)
{
	__u32 slot = a->backend.slot;
	__s32 *n = bpf_map_lookup_elem(&open_map, &slot);

	if (!n)
		return;
	__sync_fetch_and_add(n, 1);
	f->open_slot = slot + 1;
}

static __always_inline void open_drop(struct flow *f)
{
	__u32 slot = f->open_slot - 1;
	__s32 *n;

	if (!f->open_slot)
		return;
	f->open_slot = 0;
	n = bpf_map_lookup_elem(&open_map, &slot);
	if (n)
		__sync_fetch_and_add(n, -1);
}

/* The index of the peer to which sendto(dst) went before; 0 = none. */
static __always_inline __u32 flow_peer(const struct flow *f, const struct ask *ask, __u32 service)
{
	for (__u32 i = 1; i < UDP_PEERS; i++)
		if (origin_dialled(&f->peer[i], ask, service))
			return i;
	return 0;
}

/* Keeps what an unconnected socket is about to forget. 0 or a negative errno. */
static __always_inline long peer_spill(struct flow *f, const struct origin *o, __u64 cookie)
{
	struct udp_peer_key key = { .addr = o->backend_addr, .cookie = cookie, .port = o->backend_port };
	struct udp_peer peer = { .vip = o->vip, .port = o->vip_port, .service = o->service };

	f->spilled = 1;
	return bpf_map_update_elem(&udp_peer_map, &key, &peer, BPF_ANY);
}

/*
 * Peer i becomes the one used last. The index goes through the map's memory: a verifier without CAP_PERFMON allows an
 * offset that it knows on one path only if it knows the same on all.
 */
static __always_inline struct origin *flow_last(struct flow *f, __u32 i)
{
	*(volatile __u8 *)&f->last = i;
	i = *(volatile __u8 *)&f->last;
	return i < UDP_PEERS ? &f->peer[i] : NULL;
}

/* Notes a new choice of an unconnected socket at index i (0 = wherever there is room). 0 or a negative errno. */
static __always_inline long flow_note(struct flow *f, __u32 i, const struct ask *ask, const struct answer *a,
				      __u64 cookie)
{
	struct origin *o;
	long err = 0;

	if (!i)
		i = 1 + f->next++ % (UDP_PEERS - 1);
	o = flow_last(f, i);
	if (!o)
		return 0;
	if (o->service)
		err = peer_spill(f, o, cookie);
	origin_set(o, ask, a);
	return err;
}

/* The application talks to a backend itself, by its own address: its replies are no longer renamed. */
static __always_inline void flow_direct(struct flow *f, const struct ask *ask, __u64 cookie)
{
	struct udp_peer_key key = { .addr = ask->addr, .cookie = cookie, .port = ask->port };

	for (__u32 i = 0; i < UDP_PEERS; i++)
		if (origin_is_from(&f->peer[i], &ask->addr, ask->port))
			f->peer[i].service = 0;
	if (f->spilled)
		bpf_map_delete_elem(&udp_peer_map, &key);
}

/*
 * The address that was dialled for a datagram from addr:port; false if it is not from a backend. Where two services
 * share a backend, the one used last answers.
 */
static __always_inline bool flow_dialled(const struct flow *f, struct addr16 *addr, __u16 *port, __u64 cookie)
{
	struct udp_peer_key key = { .addr = *addr, .cookie = cookie, .port = *port };
	const struct origin *hit = NULL;
	struct udp_peer old;

	for (__u32 i = 0; i < UDP_PEERS; i++)
		if (origin_is_from(&f->peer[i], addr, *port) && (!hit || i == f->last))
			hit = &f->peer[i];
	if (hit) {
		*addr = hit->vip;
		*port = hit->vip_port;
		return true;
	}
	if (!f->spilled || !map_read(&udp_peer_map, &key, &old))
		return false;
	*addr = old.vip;
	*port = old.port;
	return true;
}
