/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-ins for what proxy/, client/ and model/ implement: they say what they were asked for and do
 * no more.
 */
#include "core.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "weft/str.h"

int failures;
struct arena arena;
struct msg last_msg;
uint64_t last_id, previous_id;
bool refuse;
const struct client_events *call_events;
void *call_arg;
enum filter_verdict resumed;
int replied;
static char words[4096];
static size_t nwords;

void said(const char *fmt, ...)
{
	va_list ap;

	if (nwords && nwords < sizeof(words) - 1)
		words[nwords++] = ' ';
	va_start(ap, fmt);
	nwords += (size_t)vsnprintf(words + nwords, sizeof(words) - nwords, fmt, ap);
	va_end(ap);
	if (nwords >= sizeof(words))
		abort();
}

const char *heard(void)
{
	static char out[sizeof(words)];

	snprintf(out, sizeof(out), "%.*s", (int)nwords, words);
	nwords = 0;
	return out;
}

void expect(const char *name, const char *want, const char *got)
{
	if (!strcmp(want, got)) {
		printf("case pass %s\n", name);
		return;
	}
	printf("case fail %s: want \"%s\", got \"%s\"\n", name, want, got);
	failures++;
}

void expect_num(const char *name, long long want, long long got)
{
	char a[32], b[32];

	snprintf(a, sizeof(a), "%lld", want);
	snprintf(b, sizeof(b), "%lld", got);
	expect(name, a, b);
}

/* ---- the sink of a codec ---- */

static struct msg *sink_begin(void *arg, uint64_t id, enum msg_kind kind)
{
	struct msg *m = ARENA_NEW(&arena, struct msg);

	(void)arg, (void)id, (void)kind;
	m->arena = &arena;
	return refuse ? NULL : m;
}

static int sink_head(void *arg, uint64_t id, struct msg *m, bool end)
{
	static const char *const kinds[] = { "request", "oneway", "response", "info", "trailers" };

	(void)arg;
	last_msg = *m;
	previous_id = last_id;
	last_id = id;
	said("%s(%.*s,%d%s)", kinds[m->kind], SLICE_ARG(m->service), m->status, end ? ",end" : "");
	return 0;
}

static void sink_data(void *arg, uint64_t id, struct buf *in, struct slice d, bool end)
{
	(void)arg, (void)in;
	if (id != last_id)
		said("wrong-stream");
	said("data(%.*s%s)", SLICE_ARG(d), end ? ",end" : "");
}

static void sink_goaway(void *arg, uint64_t last, enum proto_why why)
{
	(void)arg, (void)last, (void)why;
	said("goaway");
}

static void sink_ping(void *arg, uint64_t token, bool ack)
{
	(void)arg;
	said("%s(%llu)", ack ? "pong" : "ping", (unsigned long long)token);
}

static int sink_glitch(void *arg)
{
	(void)arg;
	return 0;
}

const struct proto_sink sink = {
	.begin = sink_begin,
	.head = sink_head,
	.data = sink_data,
	.goaway = sink_goaway,
	.ping = sink_ping,
	.glitch = sink_glitch,
};

/* ---- what filters call ---- */

struct client_call *client_call(struct client *owner, const struct client_ask *ask,
				const struct client_events *on, void *arg, int *err)
{
	*err = 0;
	said("call(%.*s,%.*s)", SLICE_ARG(ask->cluster), SLICE_ARG(ask->path));
	call_events = on;
	call_arg = arg;
	return (struct client_call *)owner;
}

void filter_resume(struct filter *f, enum filter_verdict v)
{
	(void)f;
	resumed = v;
	said("resume(%d)", v);
}

void filter_reply(struct filter *f, const struct proto_reply *r, enum stream_flag flag,
		  const char *detail)
{
	f->info->flags |= UINT64_C(1) << flag;
	f->info->detail = detail;
	replied = r->status;
	said("reply(%d)", r->status);
}

/* ---- what registries call ---- */

struct fact *fact_new(enum fact_kind kind, struct slice key, const struct fact_mark *mark)
{
#define FACT_SIZE_(KIND, type, word) sizeof(struct type),
	static const size_t sizes[] = { FACTS(FACT_SIZE_) };
	struct fact *f = arena_alloc(&arena, sizes[kind]);

	f->kind = (uint8_t)kind;
	f->line = mark->line;
	f->key = arena_slice(&arena, key);
	return f;
}

struct host *host_new(struct slice cluster, const struct ip *ip, uint16_t port,
		      const struct fact_mark *mark)
{
	char key[300];
	int n = snprintf(key, sizeof(key), "%.*s|%d|%d", SLICE_ARG(cluster), ip->b[15], port);
	struct host *h = (struct host *)fact_new(FACT_HOST, (struct slice){ key, (size_t)n }, mark);

	h->cluster = arena_slice(&arena, cluster);
	h->ip = *ip;
	h->port = port;
	h->weight = 1;
	return h;
}
