// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes from a server, in answer to one of a few requests (the first byte chooses), then its
 * FIN: however they are cut, the same events and bytes follow. What the client gets is read by the
 * next client without an error.
 */
#include "base/rand.h"
#include "lib/http1_rig.h"
#include "lib/http1_two.h"

static const char *const requests[] = {
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.0\r\n\r\n",
	"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
};

static void run(struct rig *r, const char *request, struct slice s, unsigned step, struct rand *dice, uint32_t headers)
{
	rig_init(r);
	r->limits.headers = headers;
	r->answer = NULL;
	rig_ask(r, slice_str(request));
	for (size_t at = 0, k; at < s.n; at += k) {
		k = !step ? s.n : step == 1 ? 1 : 1 + rand_below(dice, step);
		if (k > s.n - at)
			k = s.n - at;
		rig_reply(r, (struct slice){ s.p + at, k });
	}
	if (!r->up_err)
		assert_always(!r->up.ops->eof(&r->up));
	rig_send(r);
}

/* We add a line or two. */
static void check_next(struct rig *first, const char *request)
{
	struct rig next;

	run(&next, request, rig_text(&first->to_client), 0, NULL, 110);
	assert_always(!next.up_err);
	rig_fini(&next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const unsigned steps[] = { 1, 3, 40 };
	struct slice s = { (const char *)data + 1, n - 1 };
	struct rig whole, cut;
	struct rand dice;
	const char *request;
	bool plain;

	if (!n || n > 2000)
		return 0;
	assert_always(!two_compare(s, false, &plain));
	request = requests[(data[0] - '0') % 5u];
	rand_seed(&dice, n * 256 + data[n - 1]);
	run(&whole, request, s, 0, &dice, 0);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		run(&cut, request, s, steps[i], &dice, 0);
		assert_always(!rig_difference(&whole, &cut));
		rig_fini(&cut);
	}
	check_next(&whole, request);
	rig_fini(&whole);
	return 0;
}
