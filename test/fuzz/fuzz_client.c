// SPDX-License-Identifier: Apache-2.0
/* Any text as a URL, and any bytes as gRPC messages of an answer, in pieces of any length. */
#include "base/buf_pool.h"
#include "base/magic.h"
#include "client/call.h"
#include "client/url.h"
#include "weft/str.h"

static bool within(struct slice s, struct slice text)
{
	return s.p >= text.p && s.p + s.n <= text.p + text.n;
}

static void url(struct slice text)
{
	struct url u;

	if (url_parse(text, &u))
		return;
	assert_always(u.path.n && u.path.p[0] == '/' && u.authority.n);
	assert_always(within(u.path, text) || slice_eq_str(u.path, "/"));
	if (u.socket.n)
		assert_always(within(u.socket, text) && u.socket.n <= URL_SOCKET_MAX && !u.tls);
	else
		assert_always(within(u.host, text) && within(u.authority, text) && u.host.n && u.host.n <= URL_HOST_MAX && u.port);
}

/* ---- messages ----------------------------------------------------------------------------------------------- */

struct try {
	struct client_call call;
	size_t messages, bytes;
};

static struct client_call *carry(struct client *owner, const struct client_ask *ask, int *err)
{
	static struct try t;

	(void)owner, (void)ask, (void)err;
	t = (struct try){ 0 };
	return &t.call;
}

static void release(struct client_call *c)
{
	(void)c;
}

static void pause_nothing(struct client_call *c)
{
	(void)c;
}

static void on_data(void *arg, struct slice data)
{
	struct try *t = *(struct try **)arg;

	t->messages++;
	t->bytes += data.n;
	/* Each third one is too much for its reader. */
	client_pause(&t->call, t->messages % 3 == 0);
}

static void messages(struct slice text)
{
	static const struct client_ops ops = { .call = carry, .pause = pause_nothing, .release = release };
	static const struct client_events on = { .data = on_data };
	const struct client_ask ask = { .grpc = true, .max_body = 4096 };
	struct client owner;
	struct try *t = NULL;
	struct buf in = { 0 };
	size_t step = text.n ? (unsigned char)text.p[0] + 1u : 1, at = 0;
	int err = 0;

	client_init(&owner, &ops, NULL, NULL);
	t = (struct try *)client_call(&owner, &ask, &on, &t, &err);
	while (at < text.n && !err) {
		size_t n = step < text.n - at ? step : text.n - at;

		assert_always(!buf_add(&in, text.p + at, n));
		at += n;
		do {
			client_pause(&t->call, false);
			err = client_tell_data(&t->call, &in);
		} while (!err && t->call.paused);
	}
	assert_always(5 * t->messages + t->bytes + in.len <= at && (!t->messages || t->bytes <= 4096 * t->messages));
	assert_always(err || 5 * t->messages + t->bytes + in.len == at);
	buf_fini(&in);
	client_fini(&owner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice text = { (const char *)data, n };

	url(text);
	messages(text);
	return 0;
}
