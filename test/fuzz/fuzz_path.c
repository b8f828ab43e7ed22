// SPDX-License-Identifier: Apache-2.0
/* Any request target: what comes out is canonical, no longer, and comes out of itself; the query stays. */
#include <errno.h>
#include <stdlib.h>
#include "base/magic.h"
#include "base/path.h"
#include "weft/str.h"

static bool has(struct slice s, const char *word)
{
	return s.n && memmem(s.p, s.n, word, strlen(word));
}

static bool ends(struct slice s, const char *word)
{
	size_t n = strlen(word);

	return s.n >= n && !memcmp(s.p + s.n - n, word, n);
}

static void check(struct slice in, struct slice out, unsigned options)
{
	const char *mark = memchr(out.p, '?', out.n), *before = memchr(in.p, '?', in.n);
	struct slice path = { out.p, mark ? (size_t)(mark - out.p) : out.n };
	struct slice query = { out.p + path.n, out.n - path.n };

	assert_always(out.n <= in.n && !!mark == !!before);
	assert_always(!before || slice_eq(query, (struct slice){ before, in.n - (before - in.p) }));
	assert_always(!has(path, "/./") && !has(path, "/../") && !ends(path, "/.") && !ends(path, "/.."));
	assert_always(!has(path, "\\") && !has(path, "%00") && !has(path, "%2e") && !has(path, "%2E") && !has(path, "%61"));
	assert_always(!(options & PATH_MERGE_SLASHES) || !has(path, "//"));
	assert_always(!(options & PATH_REJECT_ESCAPED_SLASHES) || (!has(path, "%2F") && !has(path, "%5C")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { (const char *)data, size }, out, again;
	char *room = malloc(size + 1), *more = malloc(size + 1);

	for (unsigned options = 0; options < 4; options++) {
		const char *why = NULL;
		int err = path_normalise(in, options, room, &out, &why);

		assert_always(err == 0 || (err == -EINVAL && why));
		if (err)
			continue;
		check(in, out, options);
		assert_always(!path_normalise(out, options, more, &again, &why) && again.p == out.p && again.n == out.n);
	}
	free(room);
	free(more);
	return 0;
}
