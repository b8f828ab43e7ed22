// SPDX-License-Identifier: Apache-2.0
/* The PROXY protocol's header: an answer to any bytes, the same with more behind it, and known addresses read back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/magic.h"
#include "netio/proxy_header.h"

static void check_back(const struct proxy_head *h)
{
	char out[PROXY_HEADER_OUT_MAX];
	size_t n = proxy_header_write(out, &h->source, &h->destination);
	struct proxy_head back;
	const char *why;

	assert_always(n <= sizeof(out));
	assert_always(proxy_header_parse((struct slice){ out, n }, &back, &why) == (ssize_t)n);
	assert_always(!back.known || !memcmp(&back.source, &h->source, sizeof(back.source)));
}

static void check_more(const uint8_t *data, size_t size, ssize_t n)
{
	char *more = malloc(size + 1);
	struct proxy_head h;
	const char *why;

	memcpy(more, data, size);
	more[size] = 'x';
	assert_always(proxy_header_parse((struct slice){ more, size + 1 }, &h, &why) == n);
	free(more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_head h;
	const char *why;
	ssize_t n = proxy_header_parse((struct slice){ (const char *)data, size }, &h, &why);

	assert_always(n == -EAGAIN || n == -EPROTO || (n >= 0 && (size_t)n <= size));
	assert_always((n == -EPROTO) == (why != NULL));
	if (n >= 0)
		check_more(data, size, n);
	if (n > 0 && h.known)
		check_back(&h);
	return 0;
}
