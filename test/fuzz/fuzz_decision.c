// SPDX-License-Identifier: Apache-2.0
/*
 * The decision over maps of any content: no wild access, no endless walk, and an answer that makes sense. The input
 * is a little program that fills the maps and asks.
 */
#include "unit/bpf/stub.h"
#include "lib/explain.h"
#include "lib/flow.h"
#include "unit/bpf/stub.c"
#include "unit/bpf/asked.h"

struct input {
	const uint8_t *at, *end;
};

static void take(struct input *in, void *out, size_t len)
{
	size_t n = in->end - in->at < (ptrdiff_t)len ? (size_t)(in->end - in->at) : len;

	memset(out, 0, len);
	memcpy(out, in->at, n);
	in->at += n;
}

static uint8_t byte(struct input *in)
{
	uint8_t b;

	take(in, &b, 1);
	return b;
}

#define TAKE(in, var) take(in, &(var), sizeof(var))

/* Small ids and slots, so that things meet; everything else as it comes. */
static void fill_one(struct input *in)
{
	uint32_t id = byte(in) % 8;
	struct frontend_key key = { .port = byte(in) % 3, .proto = IPPROTO_TCP };
	struct frontend f = { .service = byte(in) % 4 };
	struct workload w = { .flags = byte(in) };
	struct table_row row;
	struct service svc;
	struct pod_place place;
	struct prefix_key range;
	struct prefix prefix;
	struct backend be;
	uint64_t word;

	switch (byte(in) % 9) {
	case 0:
		key.addr = addr_v4(byte(in) % 2);
		bpf_map_update_elem(&frontend_map, &key, &f, 0);
		break;
	case 1:
		TAKE(in, svc);
		svc.algo %= LB_ALGO_MAX + 1;
		if (byte(in) % 4)
			svc.off %= 64;
		svc.n %= byte(in) % 4 ? 64 : ~0u;
		bpf_map_update_elem(&service_map, &id, &svc, 0);
		break;
	case 2:
		TAKE(in, be);
		if (byte(in) % 4)
			be.addr = addr_v4(id);
		be.state %= 3;
		bpf_map_update_elem(&backend_map, &id, &be, 0);
		break;
	case 3:
		for (int i = 0; i < TABLE_ROW; i++)
			row.slot[i] = byte(in) % 9;
		bpf_map_update_elem(&table_map, &id, &row, 0);
		break;
	case 4:
		word = 100 + byte(in) % 8;
		bpf_map_update_elem(&workload_map, &word, &w, 0);
		break;
	case 5:
		TAKE(in, word);
		bpf_map_update_elem(&beat_map, &id, &word, 0);
		break;
	case 6:
		bpf_map_delete_elem(&backend_map, &id);
		break;
	case 7:
		word = byte(in) % 3;
		TAKE(in, place);
		bpf_map_update_elem(&pod_map, &word, &place, 0);
		break;
	case 8:
		TAKE(in, prefix);
		range = (struct prefix_key){ .bits = byte(in) % (PREFIX_HEAD_BITS + 129), .port = byte(in) % 3,
					     .addr = addr_v4(byte(in) % 2) };
		bpf_map_update_elem(&prefix_map, &range, &prefix, 0);
		break;
	}
}

static void check(const struct ask *ask, const struct answer *a, const struct explain_answer *e)
{
	struct addr16 addr;
	uint16_t port;

	if (a->verdict > VERDICT_REFUSE || a->reason >= REASON_MAX || a->tries > PICK_TRIES)
		abort();
	if (a->verdict == VERDICT_BACKEND) {
		answer_target(ask, a, &addr, &port);
		if (!a->backend_id || a->backend.state != BACKEND_ACTIVE || addr_is_v4(&addr) != addr_is_v4(&ask->addr))
			abort();
	}
	if (e->verdict != a->verdict || e->reason != a->reason || e->backend_id != a->backend_id ||
	    e->service_id != a->service_id)
		abort();
}

static void ask_one(struct input *in, struct flow *f)
{
	struct ask ask = { .addr = addr_v4(byte(in) % 2), .port = byte(in) % 3, .proto = IPPROTO_TCP };
	struct explain_answer e = {};
	struct caller c = {};
	struct answer a = {}, dry = {};
	struct explain_ask asked = asked_of(&ask);
	struct lineage of = {};
	struct ctl ctl;

	TAKE(in, ctl);
	ctl.flags |= CTL_CONNECT;
	TAKE(in, ask.rnd);
	ask.client = byte(in) % 3;
	ask.now_ns = stub_now_ns += byte(in) * 1000000000ull;
	for (int level = 1; level <= CGROUP_LEVELS; level++)
		stub_cgroup[level] = byte(in) % 2 ? 100 + level : 0;
	lineage_self(&of);
	caller_find(&c, &ctl, &of);
	ask.netns = byte(in) % 3;
	ask.dry = DRY_NEXT;
	explain_choose(&dry, &ask, &asked, &c, &ctl);
	explain_answer(&e, &ask, &c, &dry);
	ask.dry = 0;
	destination_find(&ctl, &ask, &a);
	if (!a.service_id)
		return;
	destination_decide(&ctl, &ask, &c, &a);
	check(&ask, &a, &e);
	if (a.verdict == VERDICT_PASS || a.verdict == VERDICT_REFUSE)
		return;
	service_commit(&ask, &a);
	flow_note(f, byte(in) % 6, &ask, &a, 7);
	open_drop(f);
	open_add(f, &a);
	if (byte(in) % 4 == 0)
		flow_direct(f, &ask, 7);
	flow_dialled(f, &ask.addr, &ask.port, 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { data, data + len };
	struct flow f = {};

	stub_reset();
	while (in.at < in.end)
		if (byte(&in) % 4)
			fill_one(&in);
		else
			ask_one(&in, &f);
	return 0;
}
