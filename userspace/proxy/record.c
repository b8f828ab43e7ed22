// SPDX-License-Identifier: Apache-2.0
#include "proxy/record.h"

#include <stdio.h>
#include <string.h>

#include "proxy/stream.h"
#include "proxy/http.h"
#include "proxy/worker.h"

static const char *const letters[] = {
#define LETTERS_(NAME, letters, text) letters,
	STREAM_FLAGS(LETTERS_)
#undef LETTERS_
};

int record_flags(char *out, size_t size, uint64_t flags)
{
	size_t n = 0;

	for (unsigned i = 0; i < STREAM_FLAG_COUNT; i++) {
		size_t k = strlen(letters[i]);

		if (!(flags >> i & 1) || n + k + 2 > size)
			continue;
		if (n)
			out[n++] = ',';
		memcpy(out + n, letters[i], k);
		n += k;
	}
	if (!n)
		out[n++] = '-';
	out[n] = '\0';
	return (int)n;
}

static void count_status(struct http_stat *st, int status)
{
	_Atomic uint64_t *const by_class[] = { &st->answers_1xx, &st->answers_2xx, &st->answers_3xx, &st->answers_4xx,
					       &st->answers_5xx };

	if (status >= 100 && status < 600)
		stat_add(by_class[status / 100 - 1], 1);
}

void record_write(const struct stream *s)
{
	struct http_stat *st = &s->w->http->stat;

	count_status(st, s->info.status);
	stat_add(&st->request_bytes, s->info.request_bytes);
	stat_add(&st->response_bytes, s->info.response_bytes);
	if (s->cut)
		stat_add(&st->cut, 1);
}
