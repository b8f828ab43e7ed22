// SPDX-License-Identifier: Apache-2.0
/*
 * The facts' stream from a hostile peer. The first byte chooses: '0' the rest is the stream as it is, '1' the rest makes
 * random facts that are encoded and must be read, '2' the same with bytes of the stream changed. Whatever is read is
 * encoded again and must be the bytes it came from, and a store is fed with it.
 */
#include <errno.h>
#include <stdlib.h>
#include "lib/facts.h"
#include "model/store.h"
#include "model/wire.h"

struct peer {
	struct buf echo;
	struct store *store;
	struct store_tx *tx;
};

static int on_begin(void *arg)
{
	struct peer *p = arg;

	p->tx = store_begin(p->store, (struct slice){ NULL, 0 });
	return wire_begin(&p->echo);
}

static int on_put(void *arg, struct fact *take_f)
{
	struct peer *p = arg;
	int err = wire_put(&p->echo, take_f);

	store_put(p->tx, take_f);
	return err;
}

static int on_del(void *arg, enum fact_kind kind, struct slice key)
{
	struct peer *p = arg;

	/* Longer ones come, but no encoder of ours sends them. */
	if (key.n > 4096)
		return -EPROTO;
	store_del(p->tx, kind, key);
	return wire_del(&p->echo, kind, key);
}

static int on_commit(void *arg, uint64_t version)
{
	struct peer *p = arg;
	struct registry_verdict v;

	assert_always(store_commit(p->tx, version, &v) == (v.nrefused == 0));
	for (size_t i = 0; i < v.nrefused; i++)
		assert_always(v.refused[i].why[0]);
	store_end(p->tx);
	p->tx = NULL;
	return wire_commit(&p->echo, version);
}

static int on_snapshot(void *arg, uint64_t number)
{
	struct peer *p = arg;

	if (number > store_number(p->store)) {
		snapshot_drop(store_build(p->store, number));
		store_bury(p->store);
	}
	return wire_snapshot(&p->echo, number);
}

static int on_beat(void *arg)
{
	return wire_beat(&((struct peer *)arg)->echo);
}

static int on_socket(void *arg, struct slice listener, uint32_t index)
{
	/* As with a key of a deletion. */
	return listener.n > 4096 ? -EPROTO : wire_socket(&((struct peer *)arg)->echo, listener, index);
}

static int on_state(void *arg, struct slice key, uint8_t state)
{
	return key.n > 4096 ? -EPROTO : wire_state(&((struct peer *)arg)->echo, key, state);
}

static int on_steer(void *arg)
{
	return wire_steer(&((struct peer *)arg)->echo);
}

static int on_log(void *arg, struct slice format, uint32_t index)
{
	return format.n > 4096 ? -EPROTO : wire_log(&((struct peer *)arg)->echo, format, index);
}

static int on_sockets(void *arg, uint64_t netns, uint32_t worker, uint8_t family)
{
	return wire_sockets(&((struct peer *)arg)->echo, netns, worker, family);
}

static int on_overload(void *arg, const struct overload_limits *l)
{
	return wire_overload(&((struct peer *)arg)->echo, l);
}

static int on_tickets(void *arg)
{
	return wire_tickets(&((struct peer *)arg)->echo);
}

static const struct wire_sink sink = { on_begin, on_put, on_del, on_commit, on_snapshot, on_beat, on_socket,
					on_state, on_steer, on_log, on_sockets, on_overload, on_tickets };

/* want: what decoding is to return; 1 = anything. */
static void feed(struct slice stream, int want)
{
	struct peer p = { .store = store_new() };
	struct wire_decoder d;
	struct slice echo;
	struct err e = { 0 };
	struct buf in;
	int err;

	/* As the agent's own is: names of "web" may come before what they name. */
	store_late(p.store, SLICE_LIT("web"));
	buf_init(&in);
	buf_init(&p.echo);
	wire_hello(&p.echo);
	wire_decoder_init(&d, &sink, &p);
	buf_add(&in, stream.p, stream.n);
	err = wire_feed(&d, &in, &e);
	assert_always(want == 1 || err == want);
	assert_always(!err || err == -EPROTO || err == -EPROTONOSUPPORT || err == -EMSGSIZE);
	echo = buf_pull(&p.echo, p.echo.len);
	if (d.greeted)
		assert_always(slice_starts(stream, echo));
	store_end(p.tx);
	store_free(p.store);
	buf_fini(&in);
	buf_fini(&p.echo);
}

static void facts_stream(struct source *s, struct buf *b)
{
	wire_hello(b);
	while (s->n > 4) {
		wire_begin(b);
		for (uint32_t i = 0; i < 4; i++) {
			struct fact *f = facts_random(s, source_below(s, FACT_KINDS));

			if (source_below(s, 4))
				wire_put(b, f);
			else
				wire_del(b, f->kind, f->key);
			fact_drop(f);
		}
		wire_commit(b, source_below(s, 256));
		wire_snapshot(b, source_below(s, 256));
		if (source_below(s, 2))
			wire_beat(b);
		if (source_below(s, 2))
			wire_steer(b);
		if (source_below(s, 2))
			wire_socket(b, (struct slice){ "listener", 8 }, source_below(s, 256));
		if (source_below(s, 2))
			wire_tickets(b);
		if (source_below(s, 2))
			wire_overload(b, &(struct overload_limits){ source_below(s, 1u << 31), source_below(s, 256),
								     source_below(s, 256), source_below(s, 60), 60 });
		if (source_below(s, 2))
			wire_sockets(b, source_below(s, 1u << 31), source_below(s, 256), (uint8_t)source_below(s, 256));
	}
}

/* Bytes at the head of the input say which bytes of the stream become what. */
static void change(struct source *s, char *stream, size_t n)
{
	uint32_t times = 1 + source_below(s, 4);

	for (uint32_t i = 0; i < times; i++) {
		uint32_t at = source_below(s, n);

		stream[at] = (char)source_below(s, 256);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf b;
	struct slice stream;
	char *copy;

	if (!n)
		return 0;
	buf_init(&b);
	if (*data % 3 == 0) {
		wire_hello(&b);
		buf_add(&b, data + 1, n - 1);
		feed(buf_pull(&b, b.len), 1);
	} else {
		struct source head = { .p = data + 1, .n = n - 1 < 16 ? n - 1 : 16 };
		struct source s = { .p = data + 1 + head.n, .n = n - 1 - head.n };

		facts_stream(&s, &b);
		stream = buf_pull(&b, b.len);
		feed(stream, 0);
		if (*data % 3 == 2) {
			copy = malloc(stream.n);
			memcpy(copy, stream.p, stream.n);
			change(&head, copy, stream.n);
			feed((struct slice){ copy, stream.n }, 1);
			free(copy);
		}
	}
	buf_fini(&b);
	return 0;
}
