/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/grpc_health.h"

#include <errno.h>

#include "weft/str.h"

#define FRAME 5                                 /* bytes before a message: compressed or not, its length */

size_t grpc_health_ask(struct slice service, char out[GRPC_HEALTH_ASK_MAX])
{
	char *p = out + FRAME;
	size_t n;

	if (service.n) {
		*p++ = 1 << 3 | 2;
		if (service.n > 0x7f)
			*p++ = (char)(service.n | 0x80);
		*p++ = (char)(service.n > 0x7f ? service.n >> 7 : service.n);
		memcpy(p, service.p, service.n);
		p += service.n;
	}
	n = (size_t)(p - out) - FRAME;
	out[0] = out[1] = out[2] = 0;
	out[3] = (char)(n >> 8);
	out[4] = (char)n;
	return n + FRAME;
}

static bool drop(struct slice *s, uint64_t n)
{
	if (n > s->n)
		return false;
	*s = (struct slice){ s->p + n, s->n - (size_t)n };
	return true;
}

static bool varint(struct slice *s, uint64_t *out)
{
	uint64_t v = 0;

	for (unsigned shift = 0; s->n && shift < 64; shift += 7) {
		unsigned char b = (unsigned char)*s->p;

		drop(s, 1);
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			*out = v;
			return true;
		}
	}
	return false;
}

/* Whatever else a message may have one day. */
static bool skip(struct slice *s, unsigned wire)
{
	uint64_t n;

	switch (wire) {
	case 0:
		return varint(s, &n);
	case 1:
		return drop(s, 8);
	case 2:
		return varint(s, &n) && drop(s, n);
	case 5:
		return drop(s, 4);
	default:
		return false;
	}
}

static bool message(struct slice s, uint64_t *status)
{
	uint64_t tag;

	while (s.n) {
		if (!varint(&s, &tag))
			return false;
		if (tag == 1 << 3 ? !varint(&s, status) : !skip(&s, tag & 7))
			return false;
	}
	return true;
}

int grpc_health_read(struct slice body, enum grpc_health *out)
{
	const unsigned char *p = (const unsigned char *)body.p;
	uint64_t status = 0;

	if (body.n < FRAME || p[0] || ((uint64_t)p[1] << 24 | p[2] << 16 | p[3] << 8 | p[4]) != body.n - FRAME ||
	    !message((struct slice){ body.p + FRAME, body.n - FRAME }, &status))
		return -EINVAL;
	*out = status <= GRPC_HEALTH_SERVICE_UNKNOWN ? (enum grpc_health)status : GRPC_HEALTH_UNKNOWN;
	return 0;
}

const char *grpc_health_word(enum grpc_health h)
{
	static const char *const words[] = { "UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN" };

	return words[h];
}
