/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/client_hello.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define RECORD_HANDSHAKE 22
#define HELLO_CLIENT 1
#define EXTENSION_SERVER_NAME 0
#define NAME_HOST 0

struct reader {
	const uint8_t *p;
	size_t n;                               /* left */
	bool bad;
};

static uint32_t read_uint(struct reader *r, size_t n)
{
	uint32_t v = 0;

	if (r->n < n) {
		r->bad = true;
		r->n = 0;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		v = v << 8 | r->p[i];
	r->p += n;
	r->n -= n;
	return v;
}

/* What follows a length of so many bytes. */
static struct reader read_vector(struct reader *r, size_t length_bytes)
{
	size_t n = read_uint(r, length_bytes);
	struct reader v = { r->p, n, false };

	if (r->n < n) {
		r->bad = true;
		return (struct reader){ .bad = true };
	}
	r->p += n;
	r->n -= n;
	return v;
}

static size_t message_length(const char *m)
{
	return (size_t)(uint8_t)m[1] << 16 | (size_t)(uint8_t)m[2] << 8 | (uint8_t)m[3];
}

/* The handshake message out of its records, of which it may fill several. 0, -EAGAIN, -EPROTO. */
static int gather(struct reader r, char *out, size_t *n)
{
	size_t have = 0;

	do {
		uint32_t type, version, len;

		if (r.n && r.p[0] != RECORD_HANDSHAKE)
			return -EPROTO;
		type = read_uint(&r, 1);
		version = read_uint(&r, 2);
		len = read_uint(&r, 2);
		if (r.bad)
			return -EAGAIN;
		if (type != RECORD_HANDSHAKE || version >> 8 != 3 || !len || have + len > CLIENT_HELLO_MAX)
			return -EPROTO;
		if (r.n < len)
			return -EAGAIN;
		memcpy(out + have, r.p, len);
		have += len;
		r.p += len;
		r.n -= len;
		*n = have < 4 ? SIZE_MAX : 4 + message_length(out);
		if (out[0] != HELLO_CLIENT || (have >= 4 && *n > CLIENT_HELLO_MAX))
			return -EPROTO;
	} while (have < *n);
	return 0;
}

static bool name_is_text(const struct reader *r)
{
	for (size_t i = 0; i < r->n; i++) {
		if (r->p[i] <= ' ' || r->p[i] >= 0x7f)
			return false;
	}
	return r->n > 0 && r->n < 256;
}

static int server_name(struct reader ext, struct slice *sni)
{
	struct reader list = read_vector(&ext, 2);

	while (list.n && !list.bad) {
		uint32_t type = read_uint(&list, 1);
		struct reader name = read_vector(&list, 2);

		if (list.bad || name.bad)
			return -EPROTO;
		if (type != NAME_HOST)
			continue;
		if (!name_is_text(&name))
			return -EPROTO;
		*sni = (struct slice){ (const char *)name.p, name.n };
		return 0;
	}
	return list.bad || ext.bad ? -EPROTO : 0;
}

int client_hello_sni(struct slice p, char *scratch, struct slice *sni)
{
	size_t n = 0;
	int err = gather((struct reader){ (const uint8_t *)p.p, p.n, false }, scratch, &n);
	struct reader m = { (const uint8_t *)scratch, n, false }, all;

	*sni = (struct slice){ 0 };
	if (err)
		return err;
	read_uint(&m, 4);                       /* type and length */
	read_uint(&m, 2 + 32);                  /* version, random */
	read_vector(&m, 1);                     /* session id */
	read_vector(&m, 2);                     /* cipher suites */
	read_vector(&m, 1);                     /* compression methods */
	if (!m.bad && !m.n)
		return 0;                       /* none of the extensions: as of old */
	all = read_vector(&m, 2);
	while (all.n && !all.bad && !m.bad) {
		uint32_t type = read_uint(&all, 2);
		struct reader ext = read_vector(&all, 2);

		if (!all.bad && type == EXTENSION_SERVER_NAME)
			return server_name(ext, sni);
	}
	return all.bad || m.bad ? -EPROTO : 0;
}
