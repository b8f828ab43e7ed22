/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/record_line.h"

#include "base/clock.h"
#include "net/addr.h"
#include "proxy/journal.h"
#include "weft/conf.h"
#include "weft/str.h"

#define VALUE_MAX 1024u                         /* bytes of one value, as written */
#define TEXTS 17u                               /* values that somebody else says, or that have no other bound */
#define BYTE_MAX 6                              /* "\\u00xx" */
#define TAIL 8u                                 /* room kept for what ends a line */

_Static_assert(TEXTS * VALUE_MAX + 1600 < JOURNAL_LINE_MAX, "a line is whole whatever a client sends");

struct line {
	char *p, *end;
	bool json, any;                         /* any: a field is there already */
	struct record_clock *clock;
};

/* ---- values ------------------------------------------------------------------------------------------------- */

static void put(struct line *l, const char *p, size_t n)
{
	if (n > (size_t)(l->end - l->p))
		n = (size_t)(l->end - l->p);
	memcpy(l->p, p, n);
	l->p += n;
}

/* As JSON has it, in both formats; what is no ASCII is "\u00xx", a byte each. */
static void put_byte(struct line *l, unsigned char b)
{
	static const char digits[] = "0123456789abcdef";
	char u[6] = { '\\', 'u', '0', '0', digits[b >> 4], digits[b & 15] }, quoted[2] = { '\\', (char)b };

	if (b == '"' || b == '\\')
		put(l, quoted, 2);
	else if (b < 0x20 || b >= 0x7f)
		put(l, u, 6);
	else
		put(l, quoted + 1, 1);
}

static void put_quoted(struct line *l, struct slice s)
{
	char *most = l->p + VALUE_MAX;

	put(l, "\"", 1);
	for (size_t i = 0; i < s.n && l->p + BYTE_MAX <= most; i++)
		put_byte(l, (unsigned char)s.p[i]);
	put(l, "\"", 1);
}

static void put_number(struct line *l, uint64_t v)
{
	char text[24], *p = text + sizeof(text);

	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	put(l, p, (size_t)(text + sizeof(text) - p));
}

/* Three digits. */
static void put_thousandths(struct line *l, unsigned v)
{
	char text[3] = { (char)('0' + v / 100), (char)('0' + v / 10 % 10), (char)('0' + v % 10) };

	put(l, text, 3);
}

/* ---- fields: a name in front, or a space -------------------------------------------------------------------- */

static void name(struct line *l, const char *word)
{
	if (l->any)
		put(l, l->json ? "," : " ", 1);
	l->any = true;
	if (!l->json)
		return;
	put_quoted(l, slice_str(word));
	put(l, ":", 1);
}

static void text(struct line *l, const char *word, struct slice value)
{
	name(l, word);
	put_quoted(l, value);
}

static void number(struct line *l, const char *word, uint64_t value)
{
	name(l, word);
	put_number(l, value);
}

static void ms(struct line *l, const char *word, uint64_t ns)
{
	name(l, word);
	put_number(l, ns / MSEC);
	put(l, ".", 1);
	put_thousandths(l, (unsigned)(ns / 1000 % 1000));
}

static void addr(struct line *l, const char *word, const struct net_addr *a)
{
	static const struct ip none;
	char words[ADDR_TEXT_MAX];

	if (a && a->port)
		addr_text(a, words);
	else if (a && memcmp(&a->ip, &none, sizeof(none)))
		ip_name(&a->ip, words);
	else
		words[0] = '\0';
	text(l, word, slice_str(words));
}

/* ---- what takes more than a value --------------------------------------------------------------------------- */

static void begun(struct line *l, uint64_t total_ns)
{
	struct timespec now;
	uint64_t ns;
	struct tm tm;
	time_t at;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = (uint64_t)now.tv_sec * SEC + (uint64_t)now.tv_nsec - total_ns;
	at = (time_t)(ns / SEC);
	if (at != l->clock->at) {
		l->clock->at = at;
		gmtime_r(&at, &tm);
		strftime(l->clock->text, sizeof(l->clock->text), "%Y-%m-%dT%H:%M:%S", &tm);
	}
	name(l, "time");
	put(l, "\"", 1);
	put(l, l->clock->text, strlen(l->clock->text));
	put(l, ".", 1);
	put_thousandths(l, (unsigned)(ns % SEC / MSEC));
	put(l, "Z\"", 2);
}

static void put_bytes(struct line *l, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		put_byte(l, (unsigned char)s.p[i]);
}

static void note(struct line *l, const struct record_note *n)
{
	if (l->json) {
		put_quoted(l, n->key);
		put(l, ":", 1);
		put_quoted(l, n->value);
		return;
	}
	put_bytes(l, n->key);
	put(l, "=", 1);
	put_bytes(l, n->value);
}

/* Until the room of one value is used up. JSON: an object; else one text of key=value. */
static void notes(struct line *l, const struct record_note *n)
{
	char *most;

	name(l, "notes");
	most = l->p + VALUE_MAX;
	put(l, l->json ? "{" : "\"", 1);
	for (bool any = false; n; n = n->next) {
		size_t bytes = BYTE_MAX * (n->key.n + n->value.n) + 6;

		if (bytes > (size_t)(most - l->p))
			continue;
		if (any)
			put(l, ",", 1);
		any = true;
		note(l, n);
	}
	put(l, l->json ? "}" : "\"", 1);
}

/* ---- a line ------------------------------------------------------------------------------------------------- */

static void request_fields(struct line *l, const struct record *r)
{
	text(l, "method", r->method);
	text(l, "path", r->path);
	text(l, "authority", r->authority);
	text(l, "protocol", r->protocol);
	number(l, "status", (uint64_t)r->status);
	text(l, "flags", r->flags);
	text(l, "termination", (struct slice){ r->termination, 2 });
	text(l, "detail", r->detail);
	number(l, "bytes_in", r->bytes_in);
	number(l, "bytes_out", r->bytes_out);
}

/* HAProxy's TR, Tw, Tc, Tr, Ta. */
static void time_fields(struct line *l, const struct record *r)
{
	ms(l, "ms_head", r->head_ns);
	ms(l, "ms_queue", r->queue_ns);
	ms(l, "ms_connect", r->connect_ns);
	ms(l, "ms_answer", r->answer_ns);
	ms(l, "ms_total", r->total_ns);
}

static void place_fields(struct line *l, const struct record *r)
{
	text(l, "listener", r->listener);
	text(l, "route", r->route);
	text(l, "cluster", r->cluster);
	addr(l, "host", r->host);
	number(l, "tries", r->tries);
	addr(l, "client", r->client);
	text(l, "identity", r->identity);
	text(l, "request_id", r->request_id);
	text(l, "traceparent", r->traceparent);
	text(l, "forwarded_for", r->forwarded_for);
	text(l, "user_agent", r->user_agent);
	addr(l, "original", r->original);
	text(l, "sni", r->sni);
	text(l, "service", r->service);
	text(l, "rpc_method", r->rpc_method);
	text(l, "grpc_status", r->grpc_status);
	text(l, "rpc_status", r->rpc_status);
	notes(l, r->notes);
}

size_t record_line(const struct record *r, bool json, struct record_clock *c, char *out, size_t size)
{
	struct line l = { .p = out, .end = out + size - TAIL, .json = json, .clock = c };

	if (json)
		put(&l, "{", 1);
	begun(&l, r->total_ns);
	request_fields(&l, r);
	time_fields(&l, r);
	place_fields(&l, r);
	l.end = out + size;
	put(&l, json ? "}\n" : "\n", json ? 2 : 1);
	return (size_t)(l.p - out);
}
