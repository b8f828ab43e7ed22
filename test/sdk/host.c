/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host FOLDER: loads the plugins that run.sh built from docs/extending.md as conf/plugin will
 * (RTLD_NOW | RTLD_LOCAL, ABI first, no name twice) and calls one extension of each kind in the
 * order that its header promises.
 */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "core.h"
#include "weft/str.h"

static const char *folder;

static const struct weft_plugin *load(const char *file)
{
	char path[4096];
	const struct weft_plugin *p;
	void *so;

	snprintf(path, sizeof(path), "%s/%s.so", folder, file);
	so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	p = so ? dlsym(so, "weft_plugin") : NULL;
	if (!p) {
		printf("case fail %s: %s\n", file, dlerror());
		exit(1);
	}
	return p;
}

static const char *refusal(const struct weft_plugin *p)
{
	if (p->abi != WEFT_ABI)
		return "abi";
	if (p->size != sizeof(*p) || !p->name || !p->version)
		return "shape";
	return "";
}

static const struct weft_plugin *good(const char *file)
{
	const struct weft_plugin *p = load(file);
	char name[64];

	snprintf(name, sizeof(name), "%s is accepted", file);
	expect(name, "", refusal(p));
	return p;
}

/* ---- balancer ---- */

static void check_lb(void)
{
	const struct lb_ops *ops = good("lb_two")->lbs[0];
	struct lb_host hosts[3] = { { .weight = 1 }, { .weight = 1 }, { .weight = 2 } };
	struct lb_set set = { .hosts = hosts, .n = 3, .weighted = true, .total_weight = 4 };
	struct lb_cell cells[3], *refs[3] = { &cells[0], &cells[1], &cells[2] };
	struct lb lb = { .ops = ops, .set = &set, .cells = refs, .rng = 42 };
	uint32_t tried[] = { 0, 1 };
	struct lb_ask ask = { .now_ns = 1 };
	unsigned count[3] = { 0 };

	for (int i = 0; i < 3; i++)
		cells[i] = (struct lb_cell){ .factor = LB_FACTOR_ONE, .usable = true };
	for (int i = 0; i < 4000; i++) {
		uint32_t at = ops->pick(&lb, &ask);

		cells[at].active++;
		count[at]++;
	}
	expect("balancer follows load and weight", "1",
	       count[2] > 1800 && count[2] < 2200 && count[0] > 900 && count[1] > 900 ? "1" : "0");
	ask.tried = tried;
	ask.ntried = 2;
	expect_num("balancer gives the one that was not tried", 2, ops->pick(&lb, &ask));
	cells[2].usable = false;
	expect_num("balancer has none left", LB_NONE, ops->pick(&lb, &ask));
	set.n = 0;
	expect_num("balancer of an empty set", LB_NONE, ops->pick(&lb, &ask));
}

/* ---- filter ---- */

static void check_filter(void)
{
	const struct filter_ops *ops = good("filter_key")->filters[0];
	struct { struct slice cluster; uint64_t timeout; } conf = { SLICE_LIT("keys"), 200000000 };
	struct { bool open; } route = { true };
	struct stream_info info = { 0 };
	struct filter f = { .ops = ops, .conf = &conf, .info = &info, .arena = &arena,
			    .client = (struct client *)&info };
	struct msg_header h[] = { { SLICE_LIT("X-Api-Key"), SLICE_LIT("k1") } };
	struct msg m = { .arena = &arena, .headers = h, .nheaders = 1 }, bare = { 0 };

	expect_num("filter has rows for listener and route", 1,
		   ops->listener.size == sizeof(conf) && ops->route.size == sizeof(route) &&
			   !strcmp(ops->listener.items[1].name, "timeout") &&
			   !strcmp(ops->route.items[0].name, "open"));
	expect_num("filter answers at once", FILTER_REPLY, ops->request(&f, &bare));
	expect_num("filter answers 401", 401, replied);
	expect_num("filter says why", INT64_C(1) << STREAM_DENIED, (long long)info.flags);
	heard();
	expect_num("filter waits for its call", FILTER_WAIT, ops->request(&f, &m));
	expect("filter calls through a cluster", "call(keys,/check)", heard());
	expect_num("filter took the key out", 0, m.nheaders);
	expect_num("filter changed the head", MSG_CHANGED, m.flags);
	call_events->end(call_arg, 0, 200, "", NULL);
	expect("filter goes on", "resume(0)", heard());
	call_events->end(call_arg, 0, 403, "", NULL);
	expect("filter refuses", "reply(403) resume(2)", heard());
	call_events->end(call_arg, -ETIMEDOUT, 0, "slow", NULL);
	expect("filter fails closed", "reply(503) resume(2)", heard());
	f.route_conf = &route;
	expect_num("route's settings win", FILTER_NEXT, ops->request(&f, &bare));
}

/* ---- protocol ---- */

static struct codec codec_of(const struct proto_ops *ops, bool server)
{
	static const struct proto_limits limits = { .streams = 2 };
	struct codec c = { .ops = ops, .limits = &limits, .sink = &sink, .server = server };

	c.state = calloc(1, ops->state_size);
	return c;
}

static int feed(struct codec *c, const void *p, size_t n, size_t step)
{
	struct buf in;
	int err = 0;

	buf_init(&in);
	for (size_t at = 0; at < n && !err; at += step) {
		buf_add(&in, (const char *)p + at, n - at < step ? n - at : step);
		err = c->ops->decode(c, &in);
	}
	buf_fini(&in);
	return err;
}

static const char *hex(struct buf *b)
{
	static char out[512];
	struct slice s = buf_pull(b, b->len);

	out[0] = 0;
	for (size_t i = 0; i < s.n && i < 250; i++)
		sprintf(out + 2 * i, "%02x", (unsigned char)s.p[i]);
	buf_drop(b, b->len);
	return out;
}

#define CALL "\xd7\0\0\3\0\0\0\7\0\0\0\2abchi"
#define PING "\xd7\3\0\0\0\0\0\x09\0\0\0\0"
#define BYE "\xd7\5\0\0\0\0\0\0\0\0\0\0"

static void check_server(const struct proto_ops *ops)
{
	struct codec c = codec_of(ops, true);
	struct proto_reply no_route = { .status = 404, .wire_status = MSG_NO_STATUS,
					.text = SLICE_LIT("none") };
	size_t need;
	uint64_t first;

	expect_num("sniff yes", PROTO_YES, ops->sniff((struct slice){ CALL, 2 }, &need));
	expect_num("sniff more", PROTO_MORE, ops->sniff((struct slice){ CALL, 1 }, &need));
	expect_num("sniff says how much", 2, (long long)need);
	expect_num("sniff no", PROTO_NO, ops->sniff(SLICE_LIT("GET"), &need));
	feed(&c, CALL PING CALL, sizeof(CALL PING CALL) - 1, 1);
	expect("server, a byte at a time",
	       "request(abc,0) data(h) data(i,end) ping(9) request(abc,0) data(h) data(i,end)",
	       heard());
	expect("heartbeat is answered by the codec", "d70400000000000900000000", hex(&c.out));
	expect_num("head as it came", 15, (long long)last_msg.raw.n);
	first = previous_id;
	expect_num("same wire id, two streams", 1,
		   first != last_id && (uint32_t)first == 7 && (uint32_t)last_id == 7);
	ops->put_reply(&c, first, &last_msg, &no_route);
	expect("local reply in its own words", "d70201000000000700000004" "6e6f6e65", hex(&c.out));
	refuse = true;
	feed(&c, CALL, sizeof(CALL) - 1, 3);
	refuse = false;
	expect("refused request is answered", "d70202000000000700000000", hex(&c.out));
	expect("and not seen", "", heard());
	expect_num("malformed", -EPROTO, feed(&c, "GET / HTTP/1.1\r\n", 16, 16));
	expect_num("with a reason", PROTO_MALFORMED, c.why);
	buf_fini(&c.out);
	free(c.state);
}

static void check_client(const struct proto_ops *ops)
{
	struct codec c = codec_of(ops, false);
	struct msg m = { .kind = MSG_REQUEST, .service = SLICE_LIT("abc"), .body_len = 2 };
	struct msg oneway = m, upgrade = m;
	uint64_t a = 0, b = 0, none = 0;
	struct buf body;

	oneway.kind = MSG_ONEWAY;
	upgrade.upgrade = SLICE_LIT("websocket");
	buf_init(&body);
	buf_add(&body, "hi", 2);
	expect_num("begins a request", 0, ops->put_head(&c, &a, &m, false));
	expect_num("moves its body", 2, ops->put_data(&c, a, &body, true));
	expect("with an id of its own", "d700000300000001000000026162636869", hex(&c.out));
	ops->put_head(&c, &b, &oneway, true);
	expect_num("oneway takes no room", 1, ops->room(&c));
	none = 0;
	ops->put_head(&c, &none, &m, true);
	none = 0;
	expect_num("no room", -EAGAIN, ops->put_head(&c, &none, &m, true));
	expect_num("cannot upgrade", -ENOTSUP, ops->put_head(&c, &none, &upgrade, true));
	feed(&c, "\xd7\2\3\0\0\0\0\1\0\0\0\0", 12, 5);
	expect("status in HTTP's words", "response(,504,end)", heard());
	expect_num("answer finds its stream", 1, last_id == a && last_msg.wire_status == 3);
	expect_num("is busy", false, ops->reusable(&c));
	ops->put_reset(&c, none, PROTO_CANCELLED);
	expect_num("is reusable", true, ops->reusable(&c));
	feed(&c, BYE, sizeof(BYE) - 1, 12);
	none = 0;
	expect_num("takes nothing after goodbye", -ESHUTDOWN, ops->put_head(&c, &none, &m, true));
	expect("which was told", "goaway", heard());
	buf_fini(&body);
	buf_fini(&c.out);
	free(c.state);
}

/* One call at a time: decode() stops behind each, so that the next one is not begun before the answer. */
static void check_one_by_one(const struct proto_ops *ops)
{
	static const char calls[] = "CALL abc m 2\nhiPING\nTELL abc m 0\nCALL abc m 1\nx";
	struct codec c = codec_of(ops, true);
	struct msg answer = { .kind = MSG_RESPONSE, .status = 200, .wire_status = MSG_NO_STATUS };
	struct buf in;

	buf_init(&in);
	buf_add(&in, calls, sizeof(calls) - 1);
	expect_num("stops behind a call", -EAGAIN, ops->decode(&c, &in));
	expect("of which it has told", "request(abc,0) data(hi,end)", heard());
	expect_num("which is answered", 0, ops->put_head(&c, &last_id, &answer, true));
	expect_num("stops behind a oneway, too", -EAGAIN, ops->decode(&c, &in));
	expect("behind what came in front of it", "ping(0) oneway(abc,0,end)", heard());
	expect("each in its place", "414e5357455220302030" "0a" "504f4e47" "0a", hex(&c.out));
	expect_num("and the last", -EAGAIN, ops->decode(&c, &in));
	expect("of them", "request(abc,0) data(x,end)", heard());
	expect_num("nothing is left", 0, (long long)in.len);
	buf_fini(&in);
	buf_fini(&c.out);
	free(c.state);
}

static void check_move(const struct proto_ops *ops)
{
	struct codec old = codec_of(ops, true), new = codec_of(ops, true);
	struct msg answer = { .kind = MSG_RESPONSE, .status = 200 };
	struct buf blob;
	uint64_t id;

	buf_init(&blob);
	feed(&old, CALL, sizeof(CALL) - 2, 64);
	expect_num("does not move in a body", -EBUSY, ops->freeze(&old, &blob));
	feed(&old, "i", 1, 1);
	id = last_id;
	expect_num("moves while an answer is awaited", 1, ops->freeze(&old, &blob));
	expect_num("new process takes it", 0, ops->thaw(&new, buf_pull(&blob, blob.len)));
	expect_num("garbage is refused", -EINVAL, ops->thaw(&new, SLICE_LIT("\2nonsense")));
	heard();
	feed(&new, CALL, sizeof(CALL) - 1, 64);
	expect_num("ids go on", 1, last_id == id + (UINT64_C(1) << 32));
	ops->put_head(&old, &id, &answer, true);
	expect("the old one still answers, in whole frames", "d70200000000000700000000",
	       hex(&old.out));
	heard();
	buf_fini(&blob);
	free(old.state);
	buf_fini(&new.out);
	free(new.state);
}

/* ---- net filter and registry ---- */

static void check_net_filter(void)
{
	const struct net_filter_ops *ops = good("net_identity")->net_filters[0];
	struct net_peer peer = { .identity = SLICE_LIT("spiffe://cluster.local/ns/a/sa/b") };
	struct net_filter f = { .ops = ops, .peer = &peer };

	expect_num("net filter lets ours in", 0, ops->open(&f));
	expect_num("net filter steps aside", true, ops->transparent(&f));
	peer.identity = SLICE_LIT("spiffe://cluster.locals/");
	expect_num("net filter refuses others", -EACCES, ops->open(&f));
}

static void put(void *arg, struct fact *f)
{
	(void)arg;
	said("%.*s", SLICE_ARG(f->key));
}

static void word(void *arg)
{
	said("%s", (const char *)arg);
}

static void commit(void *arg, uint64_t version)
{
	(void)arg;
	said("commit(%" PRIu64 ")", version);
}

static void check_registry(void)
{
	static const struct registry_sink to = { .begin = word, .put = put, .commit = commit,
						 .synced = word };
	const struct registry_ops *ops = good("registry_one")->registries[0];
	struct { struct slice cluster; struct conf_address address; } conf = {
		SLICE_LIT("a"), { .ip.b[15] = 7, .port = 80 }
	};
	struct registry r = { .ops = ops, .name = SLICE_LIT("x"), .conf = &conf, .sink = &to,
			      .sink_arg = (void *)(uintptr_t)"." };

	expect_num("registry starts", 0, ops->start(&r, NULL));
	expect("registry tells all in one transaction", ". a a|7|80 commit(1) .", heard());
	ops->stop(&r);
}

int main(int argc, char **argv)
{
	const struct proto_ops *note;

	if (argc != 2)
		return 2;
	folder = argv[1];
	arena_init(&arena);
	check_lb();
	check_filter();
	note = good("proto_note")->protos[0];
	check_server(note);
	check_client(note);
	check_move(note);
	check_one_by_one(good("proto_pong")->protos[0]);
	check_net_filter();
	check_registry();
	expect("another ABI is refused", "abi", refusal(load("other_abi")));
	arena_fini(&arena);
	return failures > 0;
}
