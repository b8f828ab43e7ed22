// SPDX-License-Identifier: Apache-2.0
#include "weft/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CUT "..."
#define JOINT ": "

static size_t vwords(char *out, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(out, size, fmt, ap);

	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

/* words in front of e's text; what does not fit is lost at the front, and CUT says so. */
static void prepend(struct err *e, const char *words, size_t n)
{
	size_t joint = n && e->len ? sizeof(JOINT) - 1 : 0, room = sizeof(e->text) - 1 - e->len;
	size_t skip = n + joint > room ? n + joint - room : 0;

	/* skip <= n + joint: e->len never passes the room there is */
	memmove(e->text + n + joint - skip, e->text, e->len + 1);
	for (size_t i = skip; i < n + joint; i++)
		e->text[i - skip] = i < n ? words[i] : JOINT[i - n];
	e->len += n + joint - skip;
	if (skip)
		memcpy(e->text, CUT, sizeof(CUT) - 1);
}

static void add(struct err *e, int code, const char *words, size_t n)
{
	if (!e->code)
		e->code = code;
	e->text[e->len] = 0;
	prepend(e, words, n);
}

int err_add(struct err *e, int code, const char *fmt, ...)
{
	char words[ERR_TEXT_MAX];
	va_list ap;

	if (!e)
		return code;
	va_start(ap, fmt);
	add(e, code, words, vwords(words, sizeof(words), fmt, ap));
	va_end(ap);
	return code;
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
	char words[ERR_TEXT_MAX];
	const char *what = strerrordesc_np(-code);
	va_list ap;
	size_t n;

	if (!e)
		return code;
	va_start(ap, fmt);
	n = vwords(words, sizeof(words), fmt, ap);
	va_end(ap);
	if (what)
		n += snprintf(words + n, sizeof(words) - n, ": %s", what);
	else
		n += snprintf(words + n, sizeof(words) - n, ": error %d", -code);
	add(e, code, words, n < sizeof(words) ? n : sizeof(words) - 1);
	return code;
}

const char *err_text(const struct err *e)
{
	return e && e->len ? e->text : "";
}

void err_clear(struct err *e)
{
	e->code = 0;
	e->len = 0;
	e->text[0] = 0;
}
