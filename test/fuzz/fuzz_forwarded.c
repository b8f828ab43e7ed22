// SPDX-License-Identifier: Apache-2.0
/* Any Forwarded and X-Forwarded-For: read within its bytes; one of ours behind a good one is the nearest hop. */
#include <stdlib.h>
#include "base/magic.h"
#include "proxy/forwarded.h"
#include "weft/conf.h"
#include "weft/str.h"

static void look(const struct forwarded *f)
{
	const struct forwarded_hop *h;
	struct net_addr a;

	for (size_t i = 0; (h = forwarded_back(f, i)); i++)
		forwarded_addr(h->node, &a);
}

static void append(struct slice value, struct slice host)
{
	struct ip ip = { { 1, 2, 3 } };
	struct forwarded_words w = { &ip, &ip, host, SLICE_LIT("http") };
	char *text = malloc(value.n + 1 + FORWARDED_WORDS_MAX(host));
	struct forwarded f = { 0 }, before = { 0 };
	struct net_addr a;
	size_t n;

	assert_always(!forwarded_read(&before, value));
	if (value.n)
		memcpy(text, value.p, value.n);
	text[value.n] = ',';
	n = forwarded_write(text + value.n + 1, &w);
	assert_always(n <= FORWARDED_WORDS_MAX(host));
	assert_always(!forwarded_read(&f, (struct slice){ text, value.n + 1 + n }) && f.n == before.n + 1);
	assert_always(forwarded_addr(forwarded_back(&f, 0)->node, &a) && !memcmp(&a.ip, &ip, sizeof(ip)));
	free(text);
}

static bool printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice value = { (const char *)data, n };
	struct forwarded rfc = { 0 }, xff = { 0 };

	forwarded_read_xff(&xff, value);
	look(&xff);
	if (!forwarded_read(&rfc, value))
		append(value, printable(value) ? value : SLICE_LIT("a:80"));
	look(&rfc);
	return 0;
}
