/* SPDX-License-Identifier: Apache-2.0 */
#include "netio/proxy_header.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include "weft/str.h"

#define V1_MAX 107u                             /* with CRLF */
#define V2_FIXED 16u
#define INET_BYTES 12u
#define INET6_BYTES 36u
#define UNIX_BYTES 216u

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum { TLV_ALPN = 1, TLV_AUTHORITY = 2, TLV_CRC32C = 3 };

static ssize_t bad(const char **why, const char *what)
{
	*why = what;
	return -EPROTO;
}

static void set_v4(struct net_addr *a, const void *ip)
{
	memset(&a->ip, 0, sizeof(a->ip));
	a->ip.b[10] = a->ip.b[11] = 0xff;
	memcpy(a->ip.b + 12, ip, 4);
}

static uint16_t get16(const char *p)
{
	return (uint16_t)((uint8_t)p[0] << 8 | (uint8_t)p[1]);
}

/* ---- version 1 ------------------------------------------------------------------------------------------------- */

/* The next word up to one space or the end; false: there is none. */
static bool next_word(struct slice *line, struct slice *word)
{
	const char *space = line->n ? memchr(line->p, ' ', line->n) : NULL;
	size_t n = space ? (size_t)(space - line->p) : line->n;

	*word = (struct slice){ line->p, n };
	line->p += n + (space ? 1 : 0);
	line->n -= n + (space ? 1 : 0);
	return n > 0;
}

static bool parse_ip(struct slice s, int family, struct net_addr *out)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char ip[16];

	if (s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (strlen(text) != s.n || inet_pton(family, text, ip) != 1)
		return false;
	if (family == AF_INET)
		set_v4(out, ip);
	else
		memcpy(out->ip.b, ip, sizeof(out->ip.b));
	return true;
}

static bool parse_port(struct slice s, struct net_addr *out)
{
	uint32_t port = 0;

	if (!s.n || s.n > 5 || (s.n > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		port = port * 10 + (uint32_t)(s.p[i] - '0');
	}
	out->port = (uint16_t)port;
	return port <= UINT16_MAX;
}

static bool parse_addresses(struct slice line, int family, struct proxy_head *out)
{
	struct slice w[4];

	for (int i = 0; i < 4; i++)
		if (!next_word(&line, &w[i]))
			return false;
	return !line.n && w[3].p + w[3].n == line.p && parse_ip(w[0], family, &out->source) &&
	       parse_ip(w[1], family, &out->destination) && parse_port(w[2], &out->source) &&
	       parse_port(w[3], &out->destination);
}

static ssize_t parse_v1(struct slice in, struct proxy_head *out, const char **why)
{
	size_t most = in.n < V1_MAX ? in.n : V1_MAX;
	const char *end = memmem(in.p, most, "\r\n", 2);
	struct slice line, word;

	if (!end)
		return most < V1_MAX ? -EAGAIN : bad(why, "version 1: no end of line in 107 bytes");
	line = (struct slice){ in.p + 6, (size_t)(end - in.p) - 6 };
	if ((size_t)(end - in.p) < 6 || !next_word(&line, &word))
		return bad(why, "version 1: no protocol");
	if (slice_eq_str(word, "UNKNOWN"))
		return end + 2 - in.p;
	if (!slice_eq_str(word, "TCP4") && !slice_eq_str(word, "TCP6"))
		return bad(why, "version 1: neither TCP4 nor TCP6 nor UNKNOWN");
	if (!parse_addresses(line, word.p[3] == '4' ? AF_INET : AF_INET6, out))
		return bad(why, "version 1: addresses or ports that are none");
	out->known = true;
	return end + 2 - in.p;
}

/* ---- version 2 ------------------------------------------------------------------------------------------------- */

static uint32_t crc32c(uint32_t crc, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= (uint8_t)p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

/* Over the whole header, with its own four bytes as zeros. */
static bool crc_holds(struct slice header, const char *at)
{
	static const char zeros[4];
	size_t before = (size_t)(at - header.p), after = header.n - before - 4;
	uint32_t crc = crc32c(crc32c(crc32c(~0u, header.p, before), zeros, 4), at + 4, after);

	return ~crc == ((uint32_t)get16(at) << 16 | get16(at + 2));
}

static ssize_t parse_tlvs(struct slice header, size_t at, struct proxy_head *out, const char **why)
{
	while (at < header.n) {
		struct slice value;

		if (header.n - at < 3)
			return bad(why, "version 2: a TLV is cut off");
		value = (struct slice){ header.p + at + 3, get16(header.p + at + 1) };
		if (value.n > header.n - at - 3)
			return bad(why, "version 2: a TLV is longer than the header");
		switch (header.p[at]) {
		case TLV_ALPN:
			out->alpn = value;
			break;
		case TLV_AUTHORITY:
			if (value.n > 255)
				return bad(why, "version 2: a host name of more than 255 bytes");
			out->authority = value;
			break;
		case TLV_CRC32C:
			if (value.n != 4 || !crc_holds(header, value.p))
				return bad(why, "version 2: the CRC32C is wrong");
			break;
		}
		at += 3 + value.n;
	}
	return (ssize_t)header.n;
}

static ssize_t parse_v2_addresses(struct slice header, unsigned family, struct proxy_head *out, const char **why)
{
	const char *p = header.p + V2_FIXED;
	size_t n = header.n - V2_FIXED;
	size_t need = family == 0x11 ? INET_BYTES : family == 0x21 ? INET6_BYTES : family >> 4 == 3 ? UNIX_BYTES : n;

	if (family >> 4 > 3 || (family & 15) > 2)
		return bad(why, "version 2: a family or protocol that is not defined");
	if (n < need)
		return bad(why, "version 2: shorter than its addresses");
	if (family == 0x11) {
		set_v4(&out->source, p);
		set_v4(&out->destination, p + 4);
		out->source.port = get16(p + 8);
		out->destination.port = get16(p + 10);
	} else if (family == 0x21) {
		memcpy(out->source.ip.b, p, 16);
		memcpy(out->destination.ip.b, p + 16, 16);
		out->source.port = get16(p + 32);
		out->destination.port = get16(p + 34);
	}
	out->known = family == 0x11 || family == 0x21;
	return parse_tlvs(header, V2_FIXED + need, out, why);
}

static ssize_t parse_v2(struct slice in, struct proxy_head *out, const char **why)
{
	unsigned command;
	size_t len;

	if (in.n < V2_FIXED)
		return -EAGAIN;
	command = (uint8_t)in.p[12];
	if (command != 0x20 && command != 0x21)
		return bad(why, "version 2: a version or command that is not defined");
	len = V2_FIXED + get16(in.p + 14);
	if (len > PROXY_HEADER_MAX)
		return bad(why, "version 2: longer than 4096 bytes");
	if (in.n < len)
		return -EAGAIN;
	/* LOCAL: the sender speaks for itself, and what else it says is passed over. */
	if (command == 0x20)
		return (ssize_t)len;
	return parse_v2_addresses((struct slice){ in.p, len }, (uint8_t)in.p[13], out, why);
}

/* ---- both ------------------------------------------------------------------------------------------------------ */

/* 1: begins with all of it; 0: cannot; -EAGAIN: may yet. */
static int begins(struct slice in, struct slice with)
{
	size_t n = in.n < with.n ? in.n : with.n;

	if (n && memcmp(in.p, with.p, n))
		return 0;
	return n == with.n ? 1 : -EAGAIN;
}

ssize_t proxy_header_parse(struct slice in, struct proxy_head *out, const char **why)
{
	int v1 = begins(in, SLICE_LIT("PROXY ")), v2 = begins(in, (struct slice){ signature, sizeof(signature) });

	*out = (struct proxy_head){ 0 };
	*why = NULL;
	if (v1 == 1)
		return parse_v1(in, out, why);
	if (v2 == 1)
		return parse_v2(in, out, why);
	return v1 ? v1 : v2;
}

static void put16(char *p, uint16_t v)
{
	p[0] = (char)(v >> 8);
	p[1] = (char)v;
}

static bool is_v4(const struct net_addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(a->ip.b, mapped, sizeof(mapped));
}

size_t proxy_header_write(char *out, const struct net_addr *source, const struct net_addr *destination)
{
	static const struct ip none;
	char *p = out + V2_FIXED;

	memcpy(out, signature, sizeof(signature));
	if (!memcmp(&source->ip, &none, sizeof(none))) {
		memcpy(out + sizeof(signature), "\x20\0\0\0", 4);
		return V2_FIXED;
	}
	out[12] = 0x21;
	if (is_v4(source) && is_v4(destination)) {
		out[13] = 0x11;
		put16(out + 14, INET_BYTES);
		memcpy(p, source->ip.b + 12, 4);
		memcpy(p + 4, destination->ip.b + 12, 4);
		p += 8;
	} else {
		out[13] = 0x21;
		put16(out + 14, INET6_BYTES);
		memcpy(p, source->ip.b, 16);
		memcpy(p + 16, destination->ip.b, 16);
		p += 32;
	}
	put16(p, source->port);
	put16(p + 2, destination->port);
	return (size_t)(p + 4 - out);
}
