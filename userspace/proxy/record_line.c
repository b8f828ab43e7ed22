/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/record_line.h"

#include "base/clock.h"
#include "net/addr.h"
#include "proxy/journal.h"
#include "proxy/record.h"
#include "proxy/stream.h"
#include "proxy/worker.h"
#include "weft/conf.h"
#include "weft/str.h"

#define VALUE_MAX 1024u                         /* bytes of one value, as written */
#define TEXTS 13u                               /* values that somebody else says, or that have no other bound */
#define BYTE_MAX 6                              /* "\\u00xx" */
#define TAIL 8u                                 /* room kept for what ends a line */

_Static_assert(TEXTS * VALUE_MAX + 2048 < JOURNAL_LINE_MAX, "a line is whole whatever a client sends");

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

	if (a->port)
		addr_text(a, words);
	else if (memcmp(&a->ip, &none, sizeof(none)))
		ip_name(&a->ip, words);
	else
		words[0] = '\0';
	text(l, word, slice_str(words));
}

static void header(struct line *l, const char *word, const struct stream *s, struct slice of)
{
	text(l, word, msg_get(&s->request, of));
}

/* ---- what takes more than a value --------------------------------------------------------------------------- */

static void begun(struct line *l, const struct stream *s)
{
	struct timespec now;
	uint64_t ns;
	struct tm tm;
	time_t at;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = (uint64_t)now.tv_sec * SEC + (uint64_t)now.tv_nsec - s->info.end_ns;
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

static uint64_t span(uint64_t from, uint64_t to)
{
	return from && to > from ? to - from : 0;
}

/* Who ended it, and what was under way: two letters after HAProxy's. */
static void termination(struct line *l, const struct stream *s)
{
#define FLAG(name) (1ull << STREAM_##name)
	static const char during[STREAM_STATE_COUNT] = {
		[STREAM_HEAD] = 'R',	[STREAM_ROUTE] = 'Q', [STREAM_PICK] = 'Q',   [STREAM_QUEUE] = 'Q',
		[STREAM_BACKOFF] = 'Q', [STREAM_CONNECT] = 'C', [STREAM_SEND] = 'H', [STREAM_WAIT] = 'H',
		[STREAM_RESPOND] = 'D', [STREAM_RELAY] = 'D', [STREAM_TUNNEL] = 'T', [STREAM_REPLY] = 'L',
		[STREAM_FLUSH] = 'L',	[STREAM_DONE] = 'L',
	};
	const uint64_t client = FLAG(CLIENT_CLOSED) | FLAG(CLIENT_MALFORMED);
	const uint64_t late = FLAG(UPSTREAM_TIMEOUT) | FLAG(TIMEOUT);
	const uint64_t host = FLAG(CONNECT_FAILED) | FLAG(UPSTREAM_CLOSED) | FLAG(UPSTREAM_RESET) | FLAG(UPSTREAM_MALFORMED);
	uint64_t f = s->info.flags;
	char words[2] = { f & client ? 'C' : f & late ? 's' : f & host ? 'S' : f ? 'P' : '-',
			  f ? during[s->flagged_in] : '-' };

	text(l, "termination", (struct slice){ words, 2 });
#undef FLAG
}

static void flags(struct line *l, const struct stream *s)
{
	char words[96];
	int n = record_flags(words, sizeof(words), s->info.flags);

	text(l, "flags", (struct slice){ words, (size_t)n });
}

/* ---- a line ------------------------------------------------------------------------------------------------- */

static void request_fields(struct line *l, const struct stream *s)
{
	text(l, "method", s->request.method);
	text(l, "path", s->request.path_raw.n ? s->request.path_raw : s->request.path);
	text(l, "authority", s->request.authority);
	text(l, "protocol", slice_str(s->info.proto->name));
	number(l, "status", (uint64_t)s->info.status);
	flags(l, s);
	termination(l, s);
	text(l, "detail", slice_str(s->info.detail));
	number(l, "bytes_in", s->info.request_bytes);
	number(l, "bytes_out", s->info.response_bytes);
}

/* HAProxy's TR, Tw, Tc, Tr, Ta. */
static void time_fields(struct line *l, const struct stream *s)
{
	const struct stream_info *in = &s->info;

	ms(l, "ms_head", in->head_ns);
	ms(l, "ms_queue", span(in->head_ns, in->picked_ns));
	ms(l, "ms_connect", span(in->picked_ns, in->connected_ns));
	ms(l, "ms_answer", span(in->connected_ns, in->first_byte_ns));
	ms(l, "ms_total", in->end_ns);
}

static void place_fields(struct line *l, const struct stream *s)
{
	text(l, "listener", s->info.listener);
	text(l, "route", s->info.route);
	text(l, "cluster", s->info.cluster);
	addr(l, "host", &s->host_addr);
	number(l, "tries", s->info.tries);
	addr(l, "client", s->info.client);
	text(l, "identity", s->info.peer->identity);
	header(l, "request_id", s, SLICE_LIT("x-request-id"));
	header(l, "traceparent", s, SLICE_LIT("traceparent"));
	header(l, "forwarded_for", s, SLICE_LIT("x-forwarded-for"));
	header(l, "user_agent", s, SLICE_LIT("user-agent"));
}

size_t record_line(const struct stream *s, bool json, struct record_clock *c, char *out, size_t size)
{
	struct line l = { .p = out, .end = out + size - TAIL, .json = json, .clock = c };

	if (json)
		put(&l, "{", 1);
	begun(&l, s);
	request_fields(&l, s);
	time_fields(&l, s);
	place_fields(&l, s);
	l.end = out + size;
	put(&l, json ? "}\n" : "\n", json ? 2 : 1);
	return (size_t)(l.p - out);
}
