// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes from a client, through the HTTP/1 codecs as a proxy joins them: in one piece, byte by
 * byte, and in pieces that the bytes themselves choose. The same events and bytes follow; what is
 * passed on is read by the next server without an error, and means the same to it.
 */
#include "base/rand.h"
#include "lib/http1_rig.h"
#include "lib/http1_two.h"

static void run(struct rig *r, const char *p, size_t n, unsigned step, struct rand *dice)
{
	rig_init(r);
	for (size_t at = 0, k; at < n; at += k) {
		k = !step ? n : step == 1 ? 1 : 1 + rand_below(dice, step);
		if (k > n - at)
			k = n - at;
		rig_ask(r, (struct slice){ p + at, k });
	}
}

/* What `first` sent on, once more. */
static void check_next(struct rig *first)
{
	struct slice s = rig_text(&first->to_server);
	struct rig next;

	rig_init(&next);
	next.limits.headers = 110;              /* we add a line or two */
	rig_ask(&next, s);
	assert_always(!next.down_err);
	if (!first->down_err && !first->opaque)
		assert_always(slice_eq(rig_text(&next.to_server), s));
	rig_fini(&next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const unsigned steps[] = { 1, 3, 40 };
	struct rig whole, cut;
	struct rand dice;
	bool plain;

	if (n > 2000)
		return 0;
	assert_always(!two_compare((struct slice){ (const char *)data, n }, true, &plain));
	rand_seed(&dice, n ? n * 256 + data[n - 1] : 0);
	run(&whole, (const char *)data, n, 0, &dice);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		run(&cut, (const char *)data, n, steps[i], &dice);
		assert_always(!rig_difference(&whole, &cut));
		rig_fini(&cut);
	}
	check_next(&whole);
	rig_fini(&whole);
	return 0;
}
