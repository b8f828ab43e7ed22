/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What explain says is what then happens: random models are brought into real maps, explain is asked, and a real socket
 * dials from a cgroup of the captured tree. Compared are the errno, the server that was reached, the address that
 * getpeername() shows, and the reason that was counted: exactly wherever the decision does not draw, as one of the
 * explained candidates where it does.
 *
 *	explain_property ROOT CAPTURED BPFFS MODELS [SEED]
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/rand.h"
#include "kern/explain.h"
#include "kern/kern.h"
#include "kern/pods.h"
#include "kern/read.h"
#include "model.h"
#include "model/diff.h"
#include "world.h"

#define DIALS 6                                 /* per model */
#define FAILURES_SHOWN 10

struct dialled {
	unsigned client;
	enum dial_kind kind;
	struct dial_target to, where;
	struct explain_answer said;
	struct dial_result got;
	uint64_t counted;
};

struct run {
	struct kern *kern;
	struct store *store;
	struct snapshot *now;
	struct rand rand;
	uint64_t netns;
	uint64_t *beat;                         /* the proxy's heartbeat words */
	int reason_fd, ncpus;
	uint64_t dials, failures, exact, refused, by_reason[REASON_MAX];
	unsigned model;
	struct dialled last;                    /* its question only */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t netns_cookie(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t n = sizeof(cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, 71 /* SO_NETNS_COOKIE */, &cookie, &n))
		world_broken("SO_NETNS_COOKIE");
	close(fd);
	return cookie;
}

/* ---- start -------------------------------------------------------------------------------------------------- */

static enum kern_served proxy_serves(void *arg, const struct service_fact *f, const struct service_port *p)
{
	(void)arg;
	(void)f;
	return p->port == 443 ? KERN_SERVED_NO : KERN_SERVED_YES;
}

static const struct snapshot *current(void *arg)
{
	return ((struct run *)arg)->now;
}

static void open_kernel(struct run *r, const char *captured, const char *bpffs)
{
	char own[1024];
	struct kern_conf c = {
		.mode = KERN_REQUIRED, .cgroup = captured, .own_cgroup = own, .bpffs = bpffs, .connect = true,
		.short_circuit = KERN_SWITCH_OFF, .beat_timeout_ms = 60000,
		.maps = { .frontends = 4096, .services = 1024, .backends = 8192, .slots = 1 << 18, .sockets = 64,
			  .affinity = 4096, .workloads = 16 },
	};
	struct err e = { 0 };
	int fd;

	snprintf(own, sizeof(own), "%s/own", captured);
	if (kern_open(&r->kern, NULL, &c, &e)) {
		fprintf(stderr, "explain_property: %s\n", err_text(&e));
		exit(1);
	}
	fd = kern_beat_fd(r->kern);
	r->beat = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || r->beat == MAP_FAILED)
		world_broken("beat_map");
	close(fd);
	kern_set_served(r->kern, proxy_serves, NULL);
	kern_set_source(r->kern, current, r);
	r->reason_fd = -1;                      /* pinned by the first sync */
	r->ncpus = libbpf_num_possible_cpus();
}

/* The maps show the next models; every other time by comparing all, else by what changed. */
static void next_models(struct run *r, const char *bpffs)
{
	struct snapshot *old = r->now;
	struct err e = { 0 };
	char pin[1024];
	struct diff d;

	models_make(r->store, &r->rand, MODELS_AT_ONCE);
	r->now = store_build(r->store, 0);
	diff_init(&d, old, r->now);
	if (kern_sync(r->kern, r->now, old && rand_below(&r->rand, 4) ? &d : NULL, &e)) {
		fprintf(stderr, "explain_property: %s\n", err_text(&e));
		exit(1);
	}
	diff_fini(&d);
	snapshot_drop(old);
	store_bury(r->store);
	/* The proxy is behind by a snapshot now and then: what is new is left to its fail mode. */
	if (rand_below(&r->rand, 3))
		kern_adopted(r->kern, snapshot_number(r->now));
	snprintf(pin, sizeof(pin), "%s/weft/abi%d/maps/reason_map", bpffs, MAPS_ABI);
	if (r->reason_fd < 0)
		r->reason_fd = bpf_obj_get(pin);
	if (r->reason_fd < 0)
		world_broken(pin);
}

/* No proxy, a proxy that lives, or one that has stopped beating. */
static void next_proxy(struct run *r)
{
	uint32_t state = rand_below(&r->rand, 3);

	kern_set_workers(r->kern, state ? 1 : 0);
	__atomic_store_n(r->beat, state == 1 ? now_ns() : 1, __ATOMIC_RELEASE);
}

/* It listens here in both families, in one of them, or not at all. */
static void next_pod(struct run *r)
{
	static const struct pod_place places[] = {
		{ .v4 = { .b = { [10] = 0xff, 0xff, 127, 0, 0, 1 } }, .v6 = { .b = { [15] = 1 } } },
		{ .v4 = { .b = { [10] = 0xff, 0xff, 127, 0, 0, 1 } } },
		{ .v6 = { .b = { [15] = 1 } } },
	};
	uint32_t i = rand_below(&r->rand, 4);
	struct pod_place p = i < 3 ? places[i] : (struct pod_place){ 0 };

	p.port = htons(WORLD_PROXY_PORT);
	kern_pod(r->kern, r->netns, i < 3 ? &p : NULL);
}

/* ---- one dial ----------------------------------------------------------------------------------------------- */

static uint64_t count_of(const struct run *r, uint32_t reason)
{
	uint64_t per_cpu[1024], sum = 0;

	if (r->ncpus > 1024 || bpf_map_lookup_elem(r->reason_fd, &reason, per_cpu))
		world_broken("reason_map");
	for (int i = 0; i < r->ncpus; i++)
		sum += per_cpu[i];
	return sum;
}

static struct explain_answer explain(struct run *r, const struct dialled *d)
{
	struct explain x = { .ask = { .addr = d->to.addr, .port = htons(d->to.port),
				      .proto = d->kind == DIAL_TCP ? IPPROTO_TCP : IPPROTO_UDP,
				      .rnd = (uint32_t)rand_u64(&r->rand), .netns = r->netns } };

	memcpy(x.ask.cgroup, world_clients[d->client].lineage, sizeof(x.ask.cgroup));
	if (read_explain(r->kern, &x))
		world_broken("explain");
	return x.answer;
}

struct candidates {
	struct dial_target got;
	unsigned n;                             /* that may be drawn */
	bool hit;
};

static bool is_v4(const struct addr16 *a)
{
	return !a->w[0] && !a->w[1] && a->w[2] == htonl(0xffff);
}

static bool candidate(void *arg, const struct read_backend *b)
{
	struct candidates *c = arg;

	if (b->entry.state != BACKEND_ACTIVE || !b->slots)
		return true;
	c->n++;
	c->hit |= b->entry.port == htons(c->got.port) && !memcmp(&b->entry.addr, &c->got.addr, sizeof(c->got.addr));
	return true;
}

static bool draws(const struct explain_answer *a)
{
	return a->path == EXPLAIN_PATH_KERNEL && a->reason != REASON_AFFINITY &&
	       (a->service.algo == LB_RANDOM || a->service.algo == LB_LEAST_OPEN);
}

static bool same_target(const struct dial_target *t, const struct addr16 *addr, uint16_t port_be)
{
	return t->port == ntohs(port_be) && !memcmp(&t->addr, addr, sizeof(*addr));
}

/* NULL: as it was said. Otherwise what differs. */
static const char *compare(struct run *r, const struct dialled *d)
{
	const struct explain_answer *a = &d->said;
	struct candidates c = { .got = d->where };

	if (d->counted != 1)
		return "another reason was counted";
	if (a->err)
		return d->got.err == a->err ? NULL : "another errno";
	if (a->path == EXPLAIN_PATH_NONE) {
		bool host = d->to.port == 7000;

		if (!host)
			return d->got.err == -ENETUNREACH ? NULL : "an address that is left alone was reached";
		return same_target(&d->where, &d->to.addr, htons(d->to.port)) ? NULL : "a host's own address led elsewhere";
	}
	if (d->got.err)
		return "refused";
	if (d->kind != DIAL_SENDTO && !same_target(&d->got.peer, &d->to.addr, htons(d->to.port)))
		return "getpeername() is not what was dialled";
	if (same_target(&d->where, &a->target_addr, a->target_port)) {
		r->exact++;
		return NULL;
	}
	if (!draws(a))
		return "another target";
	read_backends(r->kern, a->service_id, candidate, &c);
	return c.hit && c.n > 1 ? NULL : "a target that is none of the explained";
}

static const char *text(const struct addr16 *a, char *out)
{
	return inet_ntop(is_v4(a) ? AF_INET : AF_INET6, is_v4(a) ? a->b + 12 : a->b, out, INET6_ADDRSTRLEN);
}

static void show(const struct run *r, const struct dialled *d, const char *why)
{
	static const char *const kinds[] = { "tcp", "udp", "sendto" };
	char to[INET6_ADDRSTRLEN], said[INET6_ADDRSTRLEN], got[INET6_ADDRSTRLEN];

	printf("model %u, %s %s port %u from %s: %s\n"
	       "  said: path %u err %d reason %s service %u algo %u backend %u target %s port %u\n"
	       "  got:  err %d reached %s port %u, reason counted %llu times\n",
	       r->model, kinds[d->kind], text(&d->to.addr, to), d->to.port, world_clients[d->client].cgroup, why, d->said.path,
	       d->said.err, read_reason_name(d->said.reason), d->said.service_id, d->said.service.algo, d->said.backend_id,
	       text(&d->said.target_addr, said), ntohs(d->said.target_port), d->got.err, text(&d->where.addr, got),
	       d->where.port, (unsigned long long)d->counted);
}

/* Half of them are the one before once more: the next turn, the same affinity, one more open connection. */
static void choose(struct run *r, unsigned m, struct dialled *d)
{
	*d = r->last;
	if (rand_below(&r->rand, 2) && r->dials)
		return;
	d->kind = rand_below(&r->rand, DIAL_KINDS);
	d->to = model_target(&r->rand, m);
	/* The two that are left alone are worth fewer dials. */
	d->client = rand_below(&r->rand, rand_below(&r->rand, 4) ? CLIENT_EXEMPT : CLIENTS);
	r->last = *d;
}

static void dial_once(struct run *r, unsigned m)
{
	struct dialled d;

	choose(r, m, &d);
	d.said = explain(r, &d);
	d.counted = count_of(r, d.said.reason);
	d.got = world_dial(d.client, d.kind, d.to, &d.where);
	d.counted = count_of(r, d.said.reason) - d.counted;
	const char *why = compare(r, &d);

	r->dials++;
	r->refused += d.said.err != 0;
	r->by_reason[d.said.reason]++;
	if (!why)
		return;
	if (r->failures++ < FAILURES_SHOWN)
		show(r, &d, why);
}

/* ---- the run ------------------------------------------------------------------------------------------------ */

static void run_models(struct run *r, unsigned nmodels, const char *bpffs)
{
	for (unsigned done = 0; done < nmodels; done += MODELS_AT_ONCE) {
		next_models(r, bpffs);
		for (unsigned m = 0; m < MODELS_AT_ONCE; m++) {
			r->model = done + m;
			next_proxy(r);
			next_pod(r);
			for (unsigned i = 0; i < DIALS; i++)
				dial_once(r, m);
		}
	}
}

/* What a run of this size must have met, or it shows nothing. */
static bool met_all(const struct run *r)
{
	static const enum reason must[] = { REASON_TRANSLATED, REASON_NO_SERVICE, REASON_NO_BACKEND, REASON_EXEMPT,
					    REASON_AFFINITY, REASON_AFFINITY_STALE, REASON_L7_PROXY, REASON_L7_OPEN,
					    REASON_L7_CLOSED, REASON_RANGE_PROXY, REASON_RANGE_OPEN, REASON_RANGE_CLOSED };
	bool all = true;

	for (size_t i = 0; i < sizeof(must) / sizeof(must[0]); i++) {
		printf("%s%s %llu", i ? ", " : "  reasons: ", read_reason_name(must[i]),
		       (unsigned long long)r->by_reason[must[i]]);
		all &= r->by_reason[must[i]] != 0;
	}
	printf("\n");
	return all;
}

int main(int argc, char **argv)
{
	struct run r = { 0 };

	if (argc < 5) {
		fprintf(stderr, "usage: explain_property ROOT CAPTURED BPFFS MODELS [SEED]\n");
		return 2;
	}
	unsigned nmodels = (unsigned)strtoul(argv[4], NULL, 10);
	uint64_t begin = now_ns(), seed = argc > 5 ? strtoull(argv[5], NULL, 10) : 1;

	rand_seed(&r.rand, seed);
	world_enter(argv[1], argv[2]);
	r.netns = netns_cookie();
	r.store = store_new();
	open_kernel(&r, argv[2], argv[3]);
	run_models(&r, nmodels, argv[3]);
	printf("%u models, seed %llu: %llu dials, %llu as said to the backend, %llu refused as said, %llu otherwise, %.1f s\n",
	       nmodels, (unsigned long long)seed, (unsigned long long)r.dials, (unsigned long long)r.exact,
	       (unsigned long long)r.refused, (unsigned long long)r.failures, (double)(now_ns() - begin) / 1e9);
	if (!met_all(&r)) {
		printf("not every reason was met\n");
		return 1;
	}
	return r.failures ? 1 : 0;
}
