/* SPDX-License-Identifier: Apache-2.0 */
#include "model/claim.h"
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "weft/str.h"

#define IP_TEXT 46

static void address_claim(const struct ip *ip, uint16_t port, uint8_t proto, claim_fn *fn, void *arg)
{
	char key[sizeof(*ip) + sizeof(port) + sizeof(proto)], text[IP_TEXT + 32], address[IP_TEXT];

	memcpy(key, ip, sizeof(*ip));
	memcpy(key + sizeof(*ip), &port, sizeof(port));
	memcpy(key + sizeof(*ip) + sizeof(port), &proto, sizeof(proto));
	snprintf(text, sizeof(text), "address %s port %u %s", ip_name(ip, address), port,
		 proto == IPPROTO_UDP ? "UDP" : "TCP");
	fn(arg, (struct slice){ key, sizeof(key) }, text);
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
	if (f->kind == FACT_SERVICE) {
		const struct service_fact *s = (const struct service_fact *)f;

		for (size_t i = 0; i < s->naddrs; i++) {
			for (size_t j = 0; j < s->nports; j++)
				address_claim(&s->addrs[i], s->ports[j].port, s->ports[j].proto, fn, arg);
		}
	} else if (f->kind == FACT_LISTENER) {
		const struct listener *l = (const struct listener *)f;

		address_claim(&l->ip, l->port, slice_eq_str(l->protocol, "udp") ? IPPROTO_UDP : IPPROTO_TCP, fn, arg);
	} else if (f->kind == FACT_WORKLOAD) {
		cgroup_claim(((const struct workload_fact *)f)->cgroup, fn, arg);
	}
}
