/* SPDX-License-Identifier: Apache-2.0 */
#include "model/claim.h"
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "weft/str.h"

#define IP_TEXT 46

#define PROTO_NONE 0                            /* of destinations: whoever listens there is somebody else */

struct address_key {
	uint64_t netns;
	struct ip ip;
	uint16_t port, proto;
	uint32_t range;                         /* bits of a block, plus 1; 0: an address */
};
_Static_assert(sizeof(struct address_key) == 32, "no padding: it is compared as bytes");

static void range_text(const struct address_key *k, char *out, size_t size)
{
	struct ip_block block = { k->ip, (uint8_t)(k->range - 1) };
	char name[IP_TEXT + 4];

	ip_block_name(&block, name);
	if (k->port)
		snprintf(out, size, "range %s port %u", name, k->port);
	else
		snprintf(out, size, "range %s", name);
}

static void address_claim(const struct address_key *k, claim_fn *fn, void *arg)
{
	char text[IP_TEXT + 64], address[IP_TEXT], place[40] = "";

	if (k->netns)
		snprintf(place, sizeof(place), " in namespace %llu", (unsigned long long)k->netns);
	if (k->range)
		range_text(k, text, sizeof(text));
	else if (k->proto == PROTO_NONE)
		snprintf(text, sizeof(text), "destination %s port %u", ip_name(&k->ip, address), k->port);
	else
		snprintf(text, sizeof(text), "address %s port %u %s%s", ip_name(&k->ip, address), k->port,
			 k->proto == IPPROTO_UDP ? "UDP" : "TCP", place);
	fn(arg, (struct slice){ (const char *)k, sizeof(*k) }, text);
}

static void service_claims(const struct service_fact *s, claim_fn *fn, void *arg)
{
	for (size_t i = 0; i < s->naddrs; i++) {
		for (size_t j = 0; j < s->nports; j++) {
			const struct service_port *p = &s->ports[j];

			address_claim(&(struct address_key){ 0, s->addrs[i], p->port, p->proto, 0 }, fn, arg);
		}
	}
}

static void listener_claims(const struct listener *l, claim_fn *fn, void *arg)
{
	uint16_t proto = slice_eq_str(l->protocol, "udp") ? IPPROTO_UDP : IPPROTO_TCP;

	if (!l->socketless)
		address_claim(&(struct address_key){ l->netns, l->ip, l->port, proto, 0 }, fn, arg);
	for (size_t i = 0; i < l->nserves; i++)
		address_claim(&(struct address_key){ 0, l->serves[i].ip, l->serves[i].port, PROTO_NONE, 0 }, fn, arg);
	for (size_t i = 0; i < l->nranges; i++) {
		const struct listener_range *r = &l->ranges[i];

		address_claim(&(struct address_key){ 0, r->block.ip, r->port, PROTO_NONE, r->block.bits + 1u }, fn, arg);
	}
}

/* "/pods/a/", "pods/a": the same. */
static void cgroup_claim(struct slice path, claim_fn *fn, void *arg)
{
	char text[256];

	while (path.n && path.p[0] == '/') {
		path.p++;
		path.n--;
	}
	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	snprintf(text, sizeof(text), "cgroup %.*s", (int)path.n, path.p ? path.p : "");
	fn(arg, path, text);
}

void claim_each(const struct fact *f, claim_fn *fn, void *arg)
{
	if (f->kind == FACT_SERVICE)
		service_claims((const struct service_fact *)f, fn, arg);
	else if (f->kind == FACT_LISTENER)
		listener_claims((const struct listener *)f, fn, arg);
	else if (f->kind == FACT_WORKLOAD)
		cgroup_claim(((const struct workload_fact *)f)->cgroup, fn, arg);
}
