/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/grpc.h"

#include <errno.h>

#include "weft/str.h"

#define TYPE SLICE_LIT("application/grpc")
#define TIMEOUT_DIGITS 8

/* ---- codes -------------------------------------------------------------------------------------------------- */

static const struct {
	const char *word;
	int http;
} codes[GRPC_CODE_COUNT] = {
#define CODE_ROW_(NAME, number, word, http) [number] = { word, http },
	GRPC_CODES(CODE_ROW_)
#undef CODE_ROW_
};

static int known(int code)
{
	return code >= 0 && code < GRPC_CODE_COUNT ? code : GRPC_UNKNOWN;
}

const char *grpc_code_word(int code)
{
	return codes[known(code)].word;
}

int grpc_http_status(int code)
{
	return codes[known(code)].http;
}

/* http-grpc-status-mapping.md of grpc/grpc. */
int grpc_code_of_http(int status)
{
	switch (status) {
	case 400:
		return GRPC_INTERNAL;
	case 401:
		return GRPC_UNAUTHENTICATED;
	case 403:
		return GRPC_PERMISSION_DENIED;
	case 404:
		return GRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return GRPC_UNAVAILABLE;
	default:
		return GRPC_UNKNOWN;
	}
}

/* ---- numbers ------------------------------------------------------------------------------------------------ */

/* At most `most` digits, and nothing else. */
static bool digits(struct slice s, size_t most, uint64_t *out)
{
	uint64_t v = 0;

	if (!s.n || s.n > most)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	*out = v;
	return true;
}

int grpc_status(const struct msg *m)
{
	uint64_t v;

	return digits(msg_get(m, SLICE_LIT("grpc-status")), 3, &v) ? (int)v : MSG_NO_STATUS;
}

int64_t grpc_pushback_ms(const struct msg *m)
{
	struct slice s = msg_get(m, SLICE_LIT("grpc-retry-pushback-ms"));
	uint64_t v;

	if (!s.p)
		return GRPC_PUSHBACK_NONE;
	return digits(s, 18, &v) ? (int64_t)v : GRPC_PUSHBACK_STOP;
}

uint32_t grpc_previous_attempts(const struct msg *m)
{
	uint64_t v;

	return digits(msg_get(m, SLICE_LIT("grpc-previous-rpc-attempts")), 9, &v) ? (uint32_t)v : 0;
}

/* ---- time --------------------------------------------------------------------------------------------------- */

static const struct unit {
	char letter;
	uint64_t ns;
} units[] = {
	{ 'n', 1 }, { 'u', 1000 }, { 'm', 1000000 }, { 'S', 1000000000 }, { 'M', 60000000000 }, { 'H', 3600000000000 },
};

int grpc_timeout_read(struct slice text, uint64_t *ns)
{
	uint64_t v;

	if (!text.n || !digits((struct slice){ text.p, text.n - 1 }, TIMEOUT_DIGITS, &v))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].letter != text.p[text.n - 1])
			continue;
		*ns = v <= UINT64_MAX / units[i].ns ? v * units[i].ns : UINT64_MAX;
		return 0;
	}
	return -EINVAL;
}

size_t grpc_timeout_write(uint64_t ns, char out[GRPC_TIMEOUT_MAX])
{
	const struct unit *u = units;
	char text[TIMEOUT_DIGITS], *p = text + sizeof(text);
	uint64_t v = ns ? ns : 1;
	size_t n;

	while (v / u->ns > 99999999)
		u++;
	v /= u->ns;
	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	n = (size_t)(text + sizeof(text) - p);
	memcpy(out, p, n);
	out[n] = u->letter;
	return n + 1;
}

/* ---- messages ----------------------------------------------------------------------------------------------- */

size_t grpc_message_write(struct slice text, char *out)
{
	static const char hex[] = "0123456789ABCDEF";
	char *p = out;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char b = (unsigned char)text.p[i];

		if (b >= ' ' && b <= '~' && b != '%') {
			*p++ = (char)b;
			continue;
		}
		*p++ = '%';
		*p++ = hex[b >> 4];
		*p++ = hex[b & 15];
	}
	return (size_t)(p - out);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t grpc_message_read(struct slice text, char *out)
{
	char *p = out;

	for (size_t i = 0; i < text.n; i++) {
		int high = text.p[i] == '%' && i + 2 < text.n ? hex_digit(text.p[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(text.p[i + 2]) : -1;

		*p++ = low >= 0 ? (char)(high << 4 | low) : text.p[i];
		i += low >= 0 ? 2 : 0;
	}
	return (size_t)(p - out);
}

/* ---- what kind of message ----------------------------------------------------------------------------------- */

static bool take(struct slice *s, struct slice prefix)
{
	if (s->n < prefix.n || strncasecmp(s->p, prefix.p, prefix.n))
		return false;
	*s = (struct slice){ s->p + prefix.n, s->n - prefix.n };
	return true;
}

/* Types have no case (RFC 9110 8.3.1). */
enum grpc_kind grpc_kind_of(struct slice content_type, struct slice *format)
{
	struct slice s = content_type;
	enum grpc_kind kind = GRPC_PLAIN;

	if (!take(&s, TYPE))
		return GRPC_NONE;
	if (take(&s, SLICE_LIT("-web-text")))
		kind = GRPC_WEB_TEXT;
	else if (take(&s, SLICE_LIT("-web")))
		kind = GRPC_WEB;
	if (s.n && s.p[0] != '+' && s.p[0] != ';' && s.p[0] != ' ' && s.p[0] != '\t')
		return GRPC_NONE;
	if (format)
		*format = s;
	return kind;
}

bool grpc_path(struct slice path, struct slice *service, struct slice *method)
{
	const char *query = path.n ? memchr(path.p, '?', path.n) : NULL, *slash;

	*service = *method = (struct slice){ NULL, 0 };
	if (query)
		path.n = (size_t)(query - path.p);
	if (path.n < 4 || path.p[0] != '/')
		return false;
	path = (struct slice){ path.p + 1, path.n - 1 };
	slash = memchr(path.p, '/', path.n);
	if (!slash || slash == path.p || slash + 1 == path.p + path.n || memrchr(path.p, '/', path.n) != slash)
		return false;
	*service = (struct slice){ path.p, (size_t)(slash - path.p) };
	*method = (struct slice){ slash + 1, path.n - service->n - 1 };
	return true;
}

/* Milliseconds, rounded up: a call that has some time left is not over. */
static int32_t timeout_ms(const struct msg *m)
{
	uint64_t ns, ms;

	if (grpc_timeout_read(msg_get(m, SLICE_LIT("grpc-timeout")), &ns))
		return 0;
	ms = ns / 1000000 + !!(ns % 1000000);
	return ms > INT32_MAX ? INT32_MAX : ms ? (int32_t)ms : 1;
}

struct slice grpc_kind_name(enum grpc_kind kind)
{
	return kind == GRPC_WEB_TEXT ? SLICE_LIT("application/grpc-web-text") :
	       kind == GRPC_WEB ? SLICE_LIT("application/grpc-web") : SLICE_LIT("application/grpc");
}

int grpc_kind_set(struct msg *m, enum grpc_kind kind, struct slice format)
{
	struct slice name = grpc_kind_name(kind);
	char *text = msg_alloc(m, name.n + format.n);

	if (!text)
		return -ENOMEM;
	memcpy(text, name.p, name.n);
	if (format.n)
		memcpy(text + name.n, format.p, format.n);
	return msg_set(m, SLICE_LIT("content-type"), (struct slice){ text, name.n + format.n });
}

void grpc_recognise(struct msg *m, bool end)
{
	if (m->kind == MSG_TRAILERS) {
		m->wire_status = grpc_status(m);
		return;
	}
	if (m->kind == MSG_INFO || grpc_kind_of(msg_get(m, SLICE_LIT("content-type")), NULL) != GRPC_PLAIN)
		return;
	m->flags |= MSG_GRPC;
	if (m->kind == MSG_REQUEST) {
		grpc_path(m->path, &m->service, &m->rpc_method);
		m->timeout_ms = timeout_ms(m);
	} else if (end) {
		m->wire_status = grpc_status(m);
	}
	if (m->kind == MSG_RESPONSE && end && m->wire_status != MSG_NO_STATUS)
		m->flags |= MSG_TRAILERS_ONLY;
}
