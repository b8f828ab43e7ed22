// SPDX-License-Identifier: Apache-2.0
#include "proxy/headers.h"

#include <errno.h>

#include "base/rand.h"
#include "model/rewrite.h"
#include "net/addr.h"
#include "proxy/forwarded.h"
#include "proxy/stream.h"
#include "proxy/http.h"
#include "proxy/worker.h"
#include "weft/conf.h"
#include "weft/log.h"
#include "weft/str.h"

#define FORWARDED SLICE_LIT("forwarded")
#define FORWARDED_FOR SLICE_LIT("x-forwarded-for")
#define FORWARDED_PROTO SLICE_LIT("x-forwarded-proto")
#define FORWARDED_HOST SLICE_LIT("x-forwarded-host")
#define FORWARDED_PORT SLICE_LIT("x-forwarded-port")
#define CLIENT_CERT SLICE_LIT("x-forwarded-client-cert")
#define REQUEST_ID SLICE_LIT("x-request-id")

static int set(struct msg *m, struct slice name, const char *value, size_t n)
{
	return msg_set(m, name, (struct slice){ value, n });
}

/* ---- who the client is -------------------------------------------------------------------------------------- */

static bool trusted(const struct listener *l, const struct ip *ip)
{
	return l->ntrusted && addr_in_blocks(ip, l->trusted, l->ntrusted);
}

static int read_forwarded(const struct msg *m, struct forwarded *f)
{
	int err = 0;

	*f = (struct forwarded){ 0 };
	for (const struct msg_header *h = msg_find(m, FORWARDED); h && !err; h = msg_find_next(m, h))
		err = forwarded_read(f, h->value);
	return err;
}

static void read_xff(const struct msg *m, struct forwarded *f)
{
	*f = (struct forwarded){ 0 };
	for (const struct msg_header *h = msg_find(m, FORWARDED_FOR); h; h = msg_find_next(m, h))
		forwarded_read_xff(f, h->value);
}

/* A hop is believed as long as the one that told of it is trusted. NULL: none was told. */
static const struct forwarded_hop *farthest(const struct forwarded *f, const struct listener *l, struct net_addr *out)
{
	const struct forwarded_hop *found = NULL, *hop;
	struct net_addr a;

	for (size_t i = 0; (hop = forwarded_back(f, i)) && forwarded_addr(hop->node, &a); i++) {
		*out = a;
		found = hop;
		if (!trusted(l, &a.ip))
			break;
	}
	return found;
}

static struct slice known_proto(struct slice proto)
{
	static const struct slice known[] = { SLICE_LIT("https"), SLICE_LIT("http") };

	for (size_t i = 0; i < 2; i++)
		if (slice_eq_nocase(proto, known[i]))
			return known[i];
	return (struct slice){ NULL, 0 };
}

struct told {
	struct net_addr client;
	struct slice proto;
	bool any;
};

static struct told told_by_forwarded(const struct stream *s, const struct listener *l)
{
	const struct forwarded_hop *hop;
	struct told t = { 0 };
	struct forwarded f;

	if (read_forwarded(&s->request, &f))
		return t;
	hop = farthest(&f, l, &t.client);
	t.any = hop;
	t.proto = hop ? known_proto(hop->proto) : t.proto;
	return t;
}

static struct told told_by_xff(const struct stream *s, const struct listener *l)
{
	struct told t = { 0 };
	struct forwarded f;

	read_xff(&s->request, &f);
	t.any = farthest(&f, l, &t.client);
	t.proto = known_proto(msg_get(&s->request, FORWARDED_PROTO));
	return t;
}

/* Both were told: one that says something else was written by somebody whom the last hop did not check. */
static bool at_odds(const struct told *a, const struct told *b)
{
	return a->any && b->any && memcmp(&a->client.ip, &b->client.ip, sizeof(a->client.ip));
}

static struct told told_by_hops(struct stream *s, const struct listener *l)
{
	struct told rfc = { 0 }, xff = { 0 };

	if (l->forwarded != FORWARDED_X)
		rfc = told_by_forwarded(s, l);
	if (l->forwarded != FORWARDED_RFC)
		xff = told_by_xff(s, l);
	if (!at_odds(&rfc, &xff))
		return rfc.any ? rfc : xff;
	stat_add(&s->w->http->stat.forwarded_refused, 1);
	log_debug("headers", "Forwarded and X-Forwarded-For tell of different clients: neither is believed");
	return (struct told){ 0 };
}

int headers_client(struct stream *s, const struct listener *l)
{
	const struct net_peer *p = s->info.peer;
	struct net_addr *client;
	struct told t;

	s->client_proto = p->tls ? SLICE_LIT("https") : SLICE_LIT("http");
	if (!trusted(l, &p->source.ip))
		return 0;
	t = told_by_hops(s, l);
	if (t.proto.n)
		s->client_proto = t.proto;
	if (!t.any)
		return 0;
	client = msg_alloc(&s->request, sizeof(*client));
	if (!client)
		return -ENOMEM;
	*client = t.client;
	s->info.client = client;
	return 0;
}

/* ---- what the host is told of it ---------------------------------------------------------------------------- */

/* One line: what all of that name said before, then last. */
static int join(struct msg *m, struct slice name, struct slice last)
{
	const struct msg_header *h = msg_find(m, name);
	size_t n = last.n, at = 0;
	char *line;

	for (const struct msg_header *x = h; x; x = msg_find_next(m, x))
		n += x->value.n + 2;
	line = msg_alloc(m, n);
	if (!line)
		return -ENOMEM;
	for (; h; h = msg_find_next(m, h)) {
		memcpy(line + at, h->value.p, h->value.n);
		at += h->value.n;
		line[at++] = ',';
		line[at++] = ' ';
	}
	memcpy(line + at, last.p, last.n);
	return set(m, name, line, n);
}

/* A value that cannot be read would swallow what stands behind it. */
static void drop_unreadable(struct stream *s)
{
	struct forwarded f;

	if (!read_forwarded(&s->request, &f))
		return;
	msg_del(&s->request, FORWARDED);
	stat_add(&s->w->http->stat.forwarded_refused, 1);
	log_debug("headers", "a Forwarded header that is none is dropped");
}

/* Each hop tells of the one before it; with XFF_SET ours is the only one, and tells of the client. */
static int write_forwarded(struct stream *s, const struct listener *l, struct slice host)
{
	bool alone = l->xff == XFF_SET;
	const struct net_peer *p = s->info.peer;
	struct forwarded_words w = {
		.client = alone ? &s->info.client->ip : &p->source.ip, .by = &p->local.ip, .host = host,
		.proto = alone ? s->client_proto : p->tls ? SLICE_LIT("https") : SLICE_LIT("http"),
	};
	char *line = msg_alloc(&s->request, FORWARDED_WORDS_MAX(host));
	struct slice made;

	if (!line)
		return -ENOMEM;
	made = (struct slice){ line, forwarded_write(line, &w) };
	if (alone)
		return msg_set(&s->request, FORWARDED, made);
	drop_unreadable(s);
	return join(&s->request, FORWARDED, made);
}

static int write_x(struct stream *s, const struct listener *l, struct slice host)
{
	bool alone = l->xff == XFF_SET, believed = !alone && trusted(l, &s->info.peer->source.ip);
	struct msg *m = &s->request;
	char ip[46];
	int err;

	ip_name(alone ? &s->info.client->ip : &s->info.peer->source.ip, ip);
	err = alone ? msg_set(m, FORWARDED_FOR, slice_str(ip)) : join(m, FORWARDED_FOR, slice_str(ip));
	if (!err && !(believed && msg_find(m, FORWARDED_PROTO)))
		err = msg_set(m, FORWARDED_PROTO, s->client_proto);
	if (err || slice_eq(host, m->authority) || (believed && msg_find(m, FORWARDED_HOST)))
		return err;
	return msg_set(m, FORWARDED_HOST, host);
}

static int forwarded(struct stream *s, const struct listener *l, struct slice host)
{
	static const struct slice all[] = { FORWARDED, FORWARDED_FOR, FORWARDED_PROTO, FORWARDED_HOST, FORWARDED_PORT };
	int err = 0;

	if (l->xff == XFF_SET)
		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			msg_del(&s->request, all[i]);
	if (l->forwarded != FORWARDED_X)
		err = write_forwarded(s, l, host);
	if (!err && l->forwarded != FORWARDED_RFC)
		err = write_x(s, l, host);
	return err;
}

/* ---- the others --------------------------------------------------------------------------------------------- */

static size_t put_hash(char *out, const unsigned char *hash)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 5;

	if (!hash)
		return 0;
	memcpy(out, "Hash=", 5);
	for (size_t i = 0; i < NET_CERT_HASH; i++) {
		out[n++] = digits[hash[i] >> 4];
		out[n++] = digits[hash[i] & 15];
	}
	out[n++] = ';';
	return n;
}

/* In quotes, as Envoy has it, where a reader would take a part of it for a field of its own; a subject always. */
static size_t put_identity(char *out, struct slice id)
{
	bool subject = id.p[0] == '/', quoted = subject;
	char *p = out;

	for (size_t i = 0; i < id.n && !quoted; i++)
		quoted = strchr(",;=", id.p[i]);
	p = mempcpy(p, subject ? "Subject=" : "URI=", subject ? 8 : 4);
	if (quoted)
		*p++ = '"';
	for (size_t i = 0; i < id.n; i++) {
		if (id.p[i] == '"' || id.p[i] == '\\')
			*p++ = '\\';
		*p++ = id.p[i];
	}
	if (quoted)
		*p++ = '"';
	return (size_t)(p - out);
}

/* Nobody but us says who the client is: what came is dropped, what was proven is written. */
static int client_cert(struct stream *s)
{
	const struct net_peer *p = s->info.peer;
	struct msg *m = &s->request;
	char *line;
	size_t n;

	if (!p->identity.n) {
		msg_del(m, CLIENT_CERT);
		return 0;
	}
	line = msg_alloc(m, 2 * p->identity.n + 2 * NET_CERT_HASH + 16);
	if (!line)
		return -ENOMEM;
	n = put_hash(line, p->cert_hash);
	n += put_identity(line + n, p->identity);
	return set(m, CLIENT_CERT, line, n);
}

/* Eight digits at a time: a nibble in each byte, highest first, and what lies between '9' and 'a' where it is above 9. */
static void hex8(uint32_t v, char out[8])
{
	const uint64_t ones = ~0ull / 255;
	uint64_t n = (v & 0xffff) | (uint64_t)(v >> 16) << 32;

	n = (n | n << 8) & 0x00ff00ff00ff00ff;
	n = (n | n << 4) & 0x0f0f0f0f0f0f0f0f;
	n += ones * '0' + ((n + ones * 6) >> 4 & ones) * ('a' - '9' - 1);
	n = __builtin_bswap64(n);
	memcpy(out, &n, 8);
}

/* UUID version 4 (RFC 9562 5.4). */
static void uuid(struct rand *r, char out[36])
{
	uint64_t bits[2] = { rand_u64(r), rand_u64(r) };
	char d[32];

	bits[0] = (bits[0] & ~0xf000ull) | 0x4000;
	bits[1] = (bits[1] & ~(3ull << 62)) | 1ull << 63;
	for (unsigned i = 0; i < 4; i++)
		hex8((uint32_t)(bits[i / 2] >> (i & 1 ? 0 : 32)), d + 8 * i);
	memcpy(out, d, 8);
	memcpy(out + 9, d + 8, 4);
	memcpy(out + 14, d + 12, 4);
	memcpy(out + 19, d + 16, 4);
	memcpy(out + 24, d + 20, 12);
	out[8] = out[13] = out[18] = out[23] = '-';
}

static int request_id(struct stream *s)
{
	const struct msg_header *h = msg_find(&s->request, REQUEST_ID);
	char *text;

	/* An empty one says nothing. */
	if (h && h->value.n)
		return 0;
	text = msg_alloc(&s->request, 36);
	if (!text)
		return -ENOMEM;
	uuid(&s->w->http->rand, text);
	if (h)
		return set(&s->request, REQUEST_ID, text, 36);
	msg_touch(&s->request);
	return msg_push(&s->request, REQUEST_ID, (struct slice){ text, 36 });
}

int headers_request(struct stream *s, const struct listener *l, struct slice host)
{
	int err = client_cert(s);

	if (s->request.flags & MSG_EXPECT_CONTINUE)
		msg_del(&s->request, SLICE_LIT("expect"));
	if (!err && l->xff != XFF_KEEP)
		err = forwarded(s, l, host);
	if (!err && l->request_id)
		err = request_id(s);
	return err;
}

int headers_response(struct stream *s)
{
	int err = s->hit.rule ? rewrite_response(&s->hit, &s->response) : 0;

	if (!err && s->set_cookie.n)
		err = msg_add(&s->response, SLICE_LIT("set-cookie"), s->set_cookie);
	return err;
}
