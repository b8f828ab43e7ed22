// SPDX-License-Identifier: Apache-2.0
#include "proxy/headers.h"

#include <errno.h>

#include "base/rand.h"
#include "model/rewrite.h"
#include "net/addr.h"
#include "proxy/stream.h"
#include "proxy/http.h"
#include "proxy/worker.h"
#include "weft/str.h"

#define FORWARDED_FOR SLICE_LIT("x-forwarded-for")
#define FORWARDED_PROTO SLICE_LIT("x-forwarded-proto")
#define CLIENT_CERT SLICE_LIT("x-forwarded-client-cert")
#define REQUEST_ID SLICE_LIT("x-request-id")

static int set(struct msg *m, struct slice name, const char *value, size_t n)
{
	return msg_set(m, name, (struct slice){ value, n });
}

/* "address" without brackets and port, as X-Forwarded-For has it. */
static size_t ip_text(const struct net_addr *a, char out[ADDR_TEXT_MAX])
{
	char text[ADDR_TEXT_MAX], *from = text, *end;

	addr_text(a, text);
	end = strrchr(text, ':');
	if (*from == '[') {
		from++;
		end--;
	}
	memcpy(out, from, (size_t)(end - from));
	return (size_t)(end - from);
}

/* One line: what all of that name said, then the client (RFC 7239 7.4 tells how the two relate). */
static int append_forwarded_for(struct stream *s)
{
	struct msg *m = &s->request;
	const struct msg_header *h = msg_find(m, FORWARDED_FOR);
	char ip[ADDR_TEXT_MAX], *line;
	size_t nip = ip_text(&s->info.peer->source, ip), n = nip, at = 0;

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
	memcpy(line + at, ip, nip);
	return set(m, FORWARDED_FOR, line, n);
}

static bool trusted(const struct stream *s, const struct listener *l)
{
	return l->ntrusted && addr_in_blocks(&s->info.peer->remote.ip, l->trusted, l->ntrusted);
}

static int forwarded(struct stream *s, const struct listener *l)
{
	struct msg *m = &s->request;
	struct slice proto = s->info.peer->tls ? SLICE_LIT("https") : SLICE_LIT("http");
	int err = append_forwarded_for(s);

	if (err || (trusted(s, l) && msg_find(m, FORWARDED_PROTO)))
		return err;
	return msg_set(m, FORWARDED_PROTO, proto);
}

/* Nobody but us says who the client is: what came is dropped, what was proven is written. */
static int client_cert(struct stream *s)
{
	static const char digits[] = "0123456789abcdef";
	const struct net_peer *p = s->info.peer;
	struct msg *m = &s->request;
	char *line;
	size_t n = 0;

	if (!p->identity.n) {
		msg_del(m, CLIENT_CERT);
		return 0;
	}
	line = msg_alloc(m, p->identity.n + 2 * p->cert_hash.n + 16);
	if (!line)
		return -ENOMEM;
	if (p->cert_hash.n) {
		memcpy(line, "Hash=", 5);
		n = 5;
		for (size_t i = 0; i < p->cert_hash.n; i++) {
			line[n++] = digits[(unsigned char)p->cert_hash.p[i] >> 4];
			line[n++] = digits[p->cert_hash.p[i] & 15];
		}
		line[n++] = ';';
	}
	memcpy(line + n, "URI=", 4);
	memcpy(line + n + 4, p->identity.p, p->identity.n);
	return set(m, CLIENT_CERT, line, n + 4 + p->identity.n);
}

/* UUID version 4 (RFC 9562 5.4). */
static void uuid(struct rand *r, char out[36])
{
	static const char digits[] = "0123456789abcdef";
	uint64_t bits[2] = { rand_u64(r), rand_u64(r) };

	bits[0] = (bits[0] & ~0xf000ull) | 0x4000;
	bits[1] = (bits[1] & ~(3ull << 62)) | 1ull << 63;
	for (unsigned i = 0, k = 0; k < 32; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			out[i] = '-';
		} else {
			out[i] = digits[bits[k / 16] >> (60 - 4 * (k % 16)) & 15];
			k++;
		}
	}
}

static int request_id(struct stream *s)
{
	char *text;

	if (msg_find(&s->request, REQUEST_ID))
		return 0;
	text = msg_alloc(&s->request, 36);
	if (!text)
		return -ENOMEM;
	uuid(&s->w->http->rand, text);
	msg_touch(&s->request);
	return msg_push(&s->request, REQUEST_ID, (struct slice){ text, 36 });
}

int headers_request(struct stream *s, const struct listener *l)
{
	int err = client_cert(s);

	if (s->request.flags & MSG_EXPECT_CONTINUE)
		msg_del(&s->request, SLICE_LIT("expect"));
	if (!err && l->xff == XFF_APPEND)
		err = forwarded(s, l);
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
