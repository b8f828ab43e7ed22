/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the stub maps as the agent would. After stub.h and lib/service.h. */
#pragma once

#include <arpa/inet.h>

#define SVC(...) ((struct service){ __VA_ARGS__ })

static uint32_t model_slots;                        /* of table_map in use */

static inline void model_reset(void)
{
	stub_reset();
	model_slots = 0;
}

static inline struct addr16 ip(const char *text)
{
	struct addr16 a = { .b = { [10] = 0xff, [11] = 0xff } };

	if (inet_pton(AF_INET, text, &a.b[12]) != 1)
		inet_pton(AF_INET6, text, a.b);
	return a;
}

static inline void put_backend(uint32_t id, struct backend be)
{
	if (!be.addr.w[3])
		be.addr = addr_v4(htonl(0x0a000000 + id));
	bpf_map_update_elem(&backend_map, &id, &be, 0);
}

static inline void del_backend(uint32_t id)
{
	bpf_map_delete_elem(&backend_map, &id);
}

static inline struct service put_service(uint32_t id, struct service svc, const uint32_t *ids, uint32_t n)
{
	svc.off = model_slots;
	svc.n = n;
	svc.slot = id;
	model_slots += n;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t row = (svc.off + i) / TABLE_ROW;
		struct table_row *r = bpf_map_lookup_elem(&table_map, &row);

		r->slot[(svc.off + i) % TABLE_ROW] = ids[i];
	}
	bpf_map_update_elem(&service_map, &id, &svc, 0);
	return svc;
}

/* n backends with ids from `first` on, one slot each, all active. */
static inline struct service put_plain(uint32_t id, struct service svc, uint32_t first, uint32_t n)
{
	uint32_t ids[n + 1];

	for (uint32_t i = 0; i < n; i++) {
		ids[i] = first + i;
		put_backend(ids[i], (struct backend){ .port = htons(80), .slot = ids[i], .weight = 1 });
	}
	return put_service(id, svc, ids, n);
}

static inline void put_frontend(const char *addr, int port, int proto, uint32_t service)
{
	struct frontend_key key = { .addr = ip(addr), .port = htons(port), .proto = proto };
	struct frontend f = { .service = service };

	bpf_map_update_elem(&frontend_map, &key, &f, 0);
}

/* bits of 128, and of an IPv4 block 96 more than it is written with; port 0: any. */
static inline void put_prefix(const char *addr, int bits, int port, struct prefix v)
{
	struct prefix_key key = { .bits = PREFIX_HEAD_BITS + bits, .port = htons(port), .addr = ip(addr) };

	v.bits = bits;
	v.port = key.port;
	bpf_map_update_elem(&prefix_map, &key, &v, 0);
}

/* xorshift: the same numbers in every run. */
static inline uint32_t chance(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x >> 16;
}

/* Pearson's statistic of counts against expected shares (weights). */
static inline double chi_square(const uint32_t *got, const uint32_t *weight, uint32_t n, uint32_t total)
{
	double sum = 0, x = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += weight[i];
	for (uint32_t i = 0; i < n; i++) {
		double want = total * weight[i] / sum;

		x += (got[i] - want) * (got[i] - want) / want;
	}
	return x;
}
