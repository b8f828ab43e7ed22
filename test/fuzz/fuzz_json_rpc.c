// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as an answer's body, of Dubbo and of bolt, which becomes JSON that is read again; and any text as the JSON of a call,
 * whose body is hessian2 to its end, as either has it.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include "base/magic.h"
#include "proto/hessian.h"
#include "proto/json_rpc.h"
#include "weft/str.h"

static const struct json_argument arguments[] = {
	{ SLICE_LIT("a"), SLICE_LIT("int") }, { SLICE_LIT("b"), SLICE_LIT("java.lang.Object") }, { SLICE_LIT("c"), SLICE_LIT("long[]") },
	{ SLICE_LIT("d"), SLICE_LIT("x.Y") },
};

enum { DUBBO, BOLT, BOLT_THREW, BOLT_EXCEPTION, KINDS };

static int read(unsigned kind, struct slice s, struct buf *out, int *status)
{
	*status = 500;
	if (kind == BOLT_EXCEPTION)
		return json_bolt_exception(s, out);
	return kind == DUBBO ? json_dubbo_response(s, out, status) : json_bolt_response(s, kind == BOLT_THREW, out, status);
}

static void answer(unsigned kind, struct slice s)
{
	struct buf out = { 0 };
	int status, err = read(kind, s, &out, &status);
	json_t *v;

	if (!err) {
		assert_always((status == 200 || status == 500) && out.len <= JSON_RPC_MAX && (status == 500 || kind != BOLT_THREW));
		v = json_loadb(buf_pull(&out, out.len).p, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		assert_always(v);
		json_decref(v);
	}
	assert_always(!err || err == -EPROTO || err == -EOVERFLOW);
	buf_fini(&out);
}

static void call(struct slice s, size_t n, bool bolt)
{
	struct json_method m = { .service = SLICE_LIT("S"), .name = SLICE_LIT("m"), .arguments = arguments, .n = n };
	static struct hessian h;
	struct buf out = { 0 };
	char why[64];

	if (!(bolt ? json_bolt_request(&m, SLICE_LIT("S:1"), s, &out, why, sizeof(why)) :
		     json_dubbo_request(&m, s, &out, why, sizeof(why)))) {
		hessian_init(&h, buf_pull(&out, out.len));
		h.draft = bolt;
		while (h.at < out.len)
			assert_always(!hessian_skip(&h));
	}
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *p = malloc(n + 1);

	memcpy(p, data, n);
	for (unsigned kind = 0; kind < KINDS; kind++)
		answer(kind, (struct slice){ p, n });
	for (size_t i = 0; i <= sizeof(arguments) / sizeof(arguments[0]); i++) {
		call((struct slice){ p, n }, i, false);
		call((struct slice){ p, n }, i, true);
	}
	free(p);
	return 0;
}
