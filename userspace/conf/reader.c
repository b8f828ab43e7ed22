// SPDX-License-Identifier: Apache-2.0
#include "conf/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include "conf/errors.h"
#include "weft/str.h"

static size_t extend(struct conf_reader *r, const char *fmt, ...)
{
	size_t before = r->path_n, room = sizeof(r->path) - before;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(r->path + before, room, fmt, ap);
	va_end(ap);
	r->path_n += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
	return before;
}

size_t reader_enter(struct conf_reader *r, const char *name)
{
	return extend(r, "%s%s", r->path_n ? "." : "", name);
}

size_t reader_enter_at(struct conf_reader *r, size_t i)
{
	return extend(r, "[%zu]", i);
}

void reader_leave(struct conf_reader *r, size_t before)
{
	r->path_n = before;
	r->path[before] = 0;
}

struct slice reader_file(const struct conf_reader *r, const struct conf_node *n)
{
	return r->files && n ? r->files[n->file] : r->file;
}

const char *reader_what(const struct conf_node *n, char *out, size_t size)
{
	char shown[64];

	switch (n->kind) {
	case CONF_SEQUENCE: snprintf(out, size, "a list"); break;
	case CONF_MAPPING: snprintf(out, size, "a mapping"); break;
	case CONF_NULL: snprintf(out, size, "nothing"); break;
	default:
		snprintf(out, size, n->quoted ? "\"%s\"" : "%s",
			 errors_show(n->text, shown, sizeof(shown)));
	}
	return out;
}

static int say(struct conf_reader *r, struct slice file, uint32_t line, const char *path,
	       const char *fmt, va_list ap)
{
	char words[ERR_TEXT_MAX - 320];

	vsnprintf(words, sizeof(words), fmt, ap);
	conf_errors_add(r->errors, "%.*s:%u: %s%s%s", SLICE_ARG(file), line, path,
			*path ? ": " : "", words);
	return -EINVAL;
}

int conf_error(struct conf_reader *r, const struct conf_node *at, const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = say(r, reader_file(r, at), at ? at->line : 1, r->path, fmt, ap);
	va_end(ap);
	return err;
}

int conf_error_line(struct conf_reader *r, uint32_t line, const char *path, const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = say(r, r->file, line, path, fmt, ap);
	va_end(ap);
	return err;
}
