// SPDX-License-Identifier: Apache-2.0
/* Every parser of num.h over the same bytes: nothing is written on failure, and what is accepted
 * reads back the same. */
#include <errno.h>
#include <stdlib.h>
#include "base/magic.h"
#include "base/num.h"
#include "weft/str.h"

#define UNTOUCHED 0x1234567890abcdefull

static void check(int err, bool touched)
{
	assert_always(err == 0 || err == -EINVAL || err == -ERANGE);
	assert_always(!err || !touched);
}

static void check_integers(struct slice s)
{
	uint64_t u = UNTOUCHED, v = UNTOUCHED;
	int64_t i = UNTOUCHED;
	char out[32];
	int err = num_u64(s, &u);

	check(err, u != UNTOUCHED);
	check(num_i64(s, &i), i != UNTOUCHED);
	if (!err && u <= INT64_MAX)
		assert_always((uint64_t)i == u);
	err = num_size(s, &v);
	check(err, v != UNTOUCHED);
	if (!err) {
		assert_always(!num_size(slice_str(num_size_str(v, out)), &u));
		assert_always(u == v);
	}
}

static void check_duration(struct slice s)
{
	uint64_t ns = UNTOUCHED, back;
	char out[32];
	int err = num_duration(s, &ns);

	check(err, ns != UNTOUCHED);
	if (err)
		return;
	assert_always(!num_duration(slice_str(num_duration_str(ns, out)), &back));
	assert_always(ns == back);
	assert_always(strlen(out) < sizeof(out));
}

static void check_doubles(struct slice s)
{
	double d = -17, p = -17;
	int err = num_double(s, &d), perr = num_percent(s, &p);

	check(err, d != -17);
	check(perr, p != -17);
	assert_always(perr || p >= 0);
	if (!err && !perr)
		assert_always(d == p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = { (const char *)data, size };

	check_integers(s);
	check_duration(s);
	check_doubles(s);
	return 0;
}
