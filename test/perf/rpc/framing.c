// SPDX-License-Identifier: Apache-2.0
/*
 * bolt as SOFARPC's clients write it (class, a header map of seven), Dubbo 2 with one string as argument, HTTP/1.1: GET where
 * there is no body, else POST.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "rpc.h"

#define REQUEST_CLASS "com.alipay.sofa.rpc.core.request.SofaRequest"
#define RESPONSE_CLASS "com.alipay.sofa.rpc.core.response.SofaResponse"

static size_t put(char *out, size_t at, const void *p, size_t n)
{
	memcpy(out + at, p, n);
	return at + n;
}

static size_t body(char *out, size_t at, size_t n)
{
	memset(out + at, 'x', n);
	return at + n;
}

/* ---- bolt ------------------------------------------------------------------------------------------------------- */

static size_t bolt_text(char *out, size_t at, const char *text)
{
	bytes_put32(out + at, (uint32_t)strlen(text));
	return put(out, at + 4, text, strlen(text));
}

static size_t bolt_ask(char *out, size_t n)
{
	static const char *const headers[] = {
		"sofa_head_target_service", "bench.Echo:1.0", "app", "bench", "protocol", "bolt",
		"rpc_trace_context.sofaTraceId", "0a6300fe1795219526029100111996", "service", "bench.Echo:1.0",
		"sofa_head_method_name", "echo", "type", "sync",
	};
	size_t at = 22, map;

	memcpy(out, "\1\1\0\1\1\0\0\0\0\1\0\0\x0b\xb8", 14);
	at = put(out, at, REQUEST_CLASS, sizeof(REQUEST_CLASS) - 1);
	map = at;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		at = bolt_text(out, at, headers[i]);
	bytes_put16(out + 14, sizeof(REQUEST_CLASS) - 1);
	bytes_put16(out + 16, (uint16_t)(at - map));
	bytes_put32(out + 18, (uint32_t)n);
	return body(out, at, n);
}

static size_t bolt_answer(char *out, size_t n)
{
	memcpy(out, "\1\0\0\2\1\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0", 20);
	bytes_put16(out + 12, sizeof(RESPONSE_CLASS) - 1);
	bytes_put32(out + 16, (uint32_t)n);
	return body(out, put(out, 20, RESPONSE_CLASS, sizeof(RESPONSE_CLASS) - 1), n);
}

static size_t bolt_pong(char *out)
{
	return put(out, 0, "\1\0\0\0\1\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0", 20);
}

static void bolt_number(char *p, uint64_t id)
{
	bytes_put32(p + 5, (uint32_t)id);
}

static int bolt_read(const char *p, size_t n, struct frame *f)
{
	size_t fixed;

	if (n < 22 && (n < 20 || p[1]))
		return 0;
	if (p[0] != 1 || p[1] < 0 || p[1] > 1)
		return -1;
	fixed = p[1] ? 22 : 20;
	f->n = fixed + bytes_get16(p + fixed - 8) + bytes_get16(p + fixed - 6) + bytes_get32(p + fixed - 4);
	f->id = bytes_get32(p + 5);
	f->answer = !p[1];
	f->event = !bytes_get16(p + 2);
	f->good = f->answer && !bytes_get16(p + 10);
	return 1;
}

/* ---- Dubbo ------------------------------------------------------------------------------------------------------ */

static size_t dubbo_text(char *out, size_t at, const char *text)
{
	out[at++] = (char)strlen(text);         /* below 32 */
	return put(out, at, text, strlen(text));
}

static size_t dubbo_long_text(char *out, size_t at, size_t n)
{
	out[at++] = 'S';
	bytes_put16(out + at, (uint16_t)n);
	return body(out, at + 2, n);
}

static size_t dubbo_ask(char *out, size_t n)
{
	static const char *const call[] = { "2.0.2", "bench.Echo", "1.0", "echo", "Ljava/lang/String;" };
	static const char *const attachments[] = { "path", "bench.Echo", "interface", "bench.Echo", "version", "1.0" };
	size_t at = 16;

	memset(out, 0, at);
	memcpy(out, "\xda\xbb\xc2", 3);
	for (size_t i = 0; i < sizeof(call) / sizeof(call[0]); i++)
		at = dubbo_text(out, at, call[i]);
	at = dubbo_long_text(out, at, n);
	out[at++] = 'H';
	for (size_t i = 0; i < sizeof(attachments) / sizeof(attachments[0]); i++)
		at = dubbo_text(out, at, attachments[i]);
	out[at++] = 'Z';
	bytes_put32(out + 12, (uint32_t)(at - 16));
	return at;
}

static size_t dubbo_answer(char *out, size_t n)
{
	size_t at = 16;

	memset(out, 0, at);
	memcpy(out, "\xda\xbb\2\x14", 4);
	out[at++] = '\x91';
	at = dubbo_long_text(out, at, n);
	bytes_put32(out + 12, (uint32_t)(at - 16));
	return at;
}

static size_t dubbo_pong(char *out)
{
	return put(out, 0, "\xda\xbb\x22\x14\0\0\0\0\0\0\0\0\0\0\0\1N", 17);
}

static void dubbo_number(char *p, uint64_t id)
{
	bytes_put32(p + 4, (uint32_t)(id >> 32));
	bytes_put32(p + 8, (uint32_t)id);
}

static int dubbo_read(const char *p, size_t n, struct frame *f)
{
	if (n < 16)
		return 0;
	if (bytes_get16(p) != 0xdabb)
		return -1;
	f->n = 16 + (size_t)bytes_get32(p + 12);
	f->id = (uint64_t)bytes_get32(p + 4) << 32 | bytes_get32(p + 8);
	f->answer = !(p[2] & 0x80);
	f->event = p[2] & 0x20;
	f->good = f->answer && p[3] == 20;
	return 1;
}

/* ---- HTTP/1.1 --------------------------------------------------------------------------------------------------- */

static size_t http_ask(char *out, size_t n)
{
	if (!n)
		return (size_t)sprintf(out, "GET / HTTP/1.1\r\nHost: bench\r\n\r\n");
	return body(out, (size_t)sprintf(out, "POST / HTTP/1.1\r\nHost: bench\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", n),
		    n);
}

static size_t http_answer(char *out, size_t n)
{
	return body(out, (size_t)sprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", n), n);
}

static void http_number(char *p, uint64_t id)
{
	(void)p;
	(void)id;
}

static int http_read(const char *p, size_t n, struct frame *f)
{
	const char *end = memmem(p, n, "\r\n\r\n", 4), *length;

	if (!end)
		return 0;
	length = memmem(p, (size_t)(end - p), "ontent-", 7);
	f->n = (size_t)(end - p) + 4;
	for (; length; length = memmem(length + 7, (size_t)(end - length) - 7, "ontent-", 7))
		if (!strncasecmp(length + 7, "length:", 7))
			f->n += strtoul(length + 14, NULL, 10);
	f->id = 0;
	f->answer = !memcmp(p, "HTTP/", 5);
	f->event = false;
	f->good = f->answer && !memcmp(p + 9, "200", 3);
	return 1;
}

static const struct framing framings[] = {
	{ "bolt", true, bolt_ask, bolt_answer, bolt_pong, bolt_number, bolt_read },
	{ "dubbo", true, dubbo_ask, dubbo_answer, dubbo_pong, dubbo_number, dubbo_read },
	{ "http1", false, http_ask, http_answer, NULL, http_number, http_read },
};

const struct framing *framing_of(const char *name)
{
	for (size_t i = 0; i < sizeof(framings) / sizeof(framings[0]); i++)
		if (!strcmp(framings[i].name, name))
			return &framings[i];
	die("no protocol %s: bolt, dubbo and http1 there are", name);
}
