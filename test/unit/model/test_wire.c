// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include "example.h"
#include "lib/facts.h"
#include "model/store.h"
#include "model/wire.h"

/* A sink that encodes again what it gets, and can be told to fail. */
struct echo {
	struct buf out;
	unsigned begins, puts, dels, commits, snapshots;
	uint64_t number;
	struct fact *kept;
	int fail;
};

static int on_begin(void *arg)
{
	struct echo *e = arg;

	e->begins++;
	return wire_begin(&e->out);
}

static int on_put(void *arg, struct fact *take_f)
{
	struct echo *e = arg;
	int err = wire_put(&e->out, take_f);

	e->puts++;
	fact_drop(take_f);
	return e->fail ? e->fail : err;
}

static int on_del(void *arg, enum fact_kind kind, struct slice key)
{
	struct echo *e = arg;

	e->dels++;
	return wire_del(&e->out, kind, key);
}

static int on_commit(void *arg, uint64_t version)
{
	struct echo *e = arg;

	e->commits++;
	return wire_commit(&e->out, version);
}

static int on_snapshot(void *arg, uint64_t number)
{
	struct echo *e = arg;

	e->snapshots++;
	e->number = number;
	return wire_snapshot(&e->out, number);
}

static int on_put_keep(void *arg, struct fact *take_f)
{
	((struct echo *)arg)->kept = take_f;
	return 0;
}

static int on_begin_only(void *arg)
{
	((struct echo *)arg)->begins++;
	return 0;
}

static int on_beat(void *arg)
{
	return wire_beat(&((struct echo *)arg)->out);
}

static int on_socket(void *arg, struct slice listener, uint32_t index)
{
	return wire_socket(&((struct echo *)arg)->out, listener, index);
}

static int on_state(void *arg, struct slice key, uint8_t state)
{
	return wire_state(&((struct echo *)arg)->out, key, state);
}

static int on_steer(void *arg)
{
	return wire_steer(&((struct echo *)arg)->out);
}

static int on_log(void *arg, struct slice format, uint32_t index)
{
	return wire_log(&((struct echo *)arg)->out, format, index);
}

static int on_sockets(void *arg, uint64_t netns, uint32_t worker, uint8_t family)
{
	return wire_sockets(&((struct echo *)arg)->out, netns, worker, family);
}

static int on_overload(void *arg, const struct overload_limits *l)
{
	return wire_overload(&((struct echo *)arg)->out, l);
}

static int on_tickets(void *arg)
{
	return wire_tickets(&((struct echo *)arg)->out);
}

static const struct wire_sink keep_sink = { .begin = on_begin_only, .put = on_put_keep };
static const struct wire_sink echo_sink = { on_begin, on_put, on_del, on_commit, on_snapshot, on_beat, on_socket,
					     on_state, on_steer, on_log, on_sockets, on_overload, on_tickets };

/* Bytes of b, malloc'd; b keeps them. */
static char *bytes_of(struct buf *b, size_t *n)
{
	struct slice s = buf_pull(b, b->len);
	char *p = malloc(s.n + 1);

	memcpy(p, s.p, s.n);
	*n = s.n;
	return p;
}

static int feed(struct echo *e, const char *p, size_t n, size_t step, struct err *words)
{
	struct wire_decoder d;
	struct buf in;
	int err = 0;

	buf_init(&in);
	wire_decoder_init(&d, &echo_sink, e);
	for (size_t i = 0; !err && i < n; i += step) {
		buf_add(&in, p + i, n - i < step ? n - i : step);
		err = wire_feed(&d, &in, words);
	}
	if (err)
		assert_int_equal(wire_feed(&d, &in, NULL), err);
	buf_fini(&in);
	return err;
}

static void random_stream(struct source *s, struct buf *b)
{
	buf_init(b);
	wire_hello(b);
	wire_begin(b);
	for (int i = 0; i < 20; i++) {
		struct fact *f = facts_random(s, source_below(s, FACT_KINDS));

		assert_int_equal(wire_put(b, f), 0);
		wire_del(b, f->kind, f->key);
		fact_drop(f);
	}
	wire_commit(b, rand_u64(&s->rand));
	wire_beat(b);
	wire_steer(b);
	wire_socket(b, SLICE_LIT("web"), source_below(s, 64));
	wire_state(b, SLICE_LIT("web|10.0.0.1|80"), (uint8_t)source_below(s, 256));
	wire_log(b, SLICE_LIT("json"), source_below(s, 4));
	wire_sockets(b, rand_u64(&s->rand), source_below(s, 64), AF_INET6);
	wire_tickets(b);
	wire_overload(b, &(struct overload_limits){ rand_u64(&s->rand), source_below(s, 64), source_below(s, 64), source_below(s, 50), 95 });
	wire_snapshot(b, rand_u64(&s->rand));
}

/* What is decoded and encoded again is the same bytes, in whatever pieces it comes. */
static void test_there_and_back(void **state)
{
	struct source s = { .p = NULL };

	(void)state;
	rand_seed(&s.rand, 3);
	for (int i = 0; i < 60; i++) {
		static const size_t steps[] = { 1, 2, 3, 7, 100, 5000, 1 << 20 };
		struct echo e = { 0 };
		struct buf b;
		char *in, *out;
		size_t nin, nout;

		random_stream(&s, &b);
		in = bytes_of(&b, &nin);
		assert_int_equal(feed(&e, in, nin, steps[i % 7], NULL), 0);
		assert_int_equal(e.puts, 20);
		assert_int_equal(e.dels, 20);
		assert_int_equal(e.begins + e.commits + e.snapshots, 3);
		out = bytes_of(&e.out, &nout);
		assert_int_equal(nout, nin - 11);
		assert_memory_equal(out, in + 11, nout);
		free(in);
		free(out);
		buf_fini(&b);
		buf_fini(&e.out);
	}
}

static void test_size(void **state)
{
	struct source s = { .p = NULL };

	(void)state;
	rand_seed(&s.rand, 4);
	for (int i = 0; i < 200; i++) {
		struct fact *f = facts_random(&s, i % FACT_KINDS);
		struct buf b;

		buf_init(&b);
		assert_int_equal(wire_put(&b, f), 0);
		assert_int_equal(b.len, wire_size(f));
		buf_fini(&b);
		fact_drop(f);
	}
}

/* Two hexadecimal digits a byte, up to the words at the end of each line. */
static size_t hex(const char *text, uint8_t *out)
{
	const char *word;
	size_t n = 0;

	for (; *text; text += strspn(text, " \n")) {
		word = text;
		text += strcspn(text, " \n");
		if (strspn(word, "0123456789abcdef") < (size_t)(text - word) || (text - word) % 2) {
			text += strcspn(text, "\n");
			continue;
		}
		for (; word < text; word += 2)
			sscanf(word, "%2hhx", &out[n++]);
	}
	return n;
}

/* The bytes of docs/model.md. */
static void test_bytes(void **state)
{
	struct fact_mark mark = facts_mark("files", "f", 12);
	struct fact *f = fact_new(FACT_WORKLOAD, SLICE_LIT("web"), &mark);
	char *text = example_block("hex"), *p;
	uint8_t want[512];
	struct buf b;
	size_t n;

	(void)state;
	assert_in_range(strlen(text), 100, 2 * sizeof(want));
	((struct workload_fact *)f)->cgroup = SLICE_LIT("/w");
	((struct workload_fact *)f)->splice = SPLICE_NEVER;
	buf_init(&b);
	wire_hello(&b);
	wire_begin(&b);
	wire_put(&b, f);
	wire_del(&b, FACT_HOST, SLICE_LIT("web|10.0.0.1|8"));
	wire_commit(&b, 7);
	wire_snapshot(&b, 8);
	p = bytes_of(&b, &n);
	assert_int_equal(hex(text, want), n);
	assert_memory_equal(p, want, n);
	free(p);
	free(text);
	buf_fini(&b);
	fact_drop(f);
}

#define HELLO "\x07\0\0\0\1weft\5\0"
#define BEGIN "\1\0\0\0\2"

static void wrong(const char *p, size_t n, int want, const char *words)
{
	struct err e = { 0 };
	struct echo echo = { 0 };

	assert_int_equal(feed(&echo, p, n, 1 << 20, &e), want);
	assert_string_equal(err_text(&e), words);
	buf_fini(&echo.out);
}

#define WRONG(bytes, want, words) wrong(bytes, sizeof(bytes) - 1, want, words)

static void test_wrong_frames(void **state)
{
	(void)state;
	WRONG("\0\0\0\0", -EPROTO, "facts' stream: an empty frame");
	WRONG("\xff\xff\xff\xff", -EMSGSIZE, "facts' stream: a frame too long");
	WRONG("\xfd\x03\x10\0", -EMSGSIZE, "facts' stream: a frame too long");
	WRONG(BEGIN, -EPROTO, "facts' stream: does not begin with a hello");
	WRONG("\x07\0\0\0\1weft\1\0", -EPROTONOSUPPORT, "facts' stream: another version");
	WRONG("\x07\0\0\0\1warp\3\0", -EPROTO, "facts' stream: does not begin with a hello");
	WRONG("\x08\0\0\0\1weft\5\0\0", -EPROTO, "facts' stream: does not begin with a hello");
	WRONG(HELLO HELLO, -EPROTO, "facts' stream: a frame out of order");
	WRONG(HELLO "\1\0\0\0\xf", -EPROTO, "facts' stream: a frame of no known type");
	WRONG(HELLO "\xd\0\0\0\xc\1\1\1\1\1\1\1\1\2\2\2\2", -EPROTO,
	      "facts' stream: a namespace's socket that cannot be read");
	WRONG(HELLO "\xf\0\0\0\xc\1\1\1\1\1\1\1\1\2\2\2\2\3\4", -EPROTO,
	      "facts' stream: a namespace's socket that cannot be read");
	WRONG(HELLO "\1\0\0\0\xb", -EPROTO, "facts' stream: a log that cannot be read");
	WRONG(HELLO "\1\0\0\0\x9", -EPROTO, "facts' stream: a state that cannot be read");
	WRONG(HELLO "\x8\0\0\0\x9\2\1\0\0\0ab", -EPROTO, "facts' stream: a state that cannot be read");
	WRONG(HELLO "\2\0\0\0\7\0", -EPROTO, "facts' stream: a heartbeat with a body");
	WRONG(HELLO BEGIN "\1\0\0\0\7", -EPROTO, "facts' stream: a frame out of order");
	WRONG(HELLO "\2\0\0\0\xa\0", -EPROTO, "facts' stream: connection counts with a body");
	WRONG(HELLO "\x9\0\0\0\x8\1\0\0\0\1\0\0\0", -EPROTO, "facts' stream: a socket that cannot be read");
	WRONG(HELLO "\xb\0\0\0\x8\1\0\0\0\1\0\0\0ab", -EPROTO, "facts' stream: a socket that cannot be read");
	WRONG(HELLO "\1\0\0\0\0", -EPROTO, "facts' stream: a frame of no known type");
	WRONG(HELLO "\2\0\0\0\2x", -EPROTO, "facts' stream: begin with a body");
	WRONG(HELLO BEGIN BEGIN, -EPROTO, "facts' stream: a frame out of order");
	WRONG(HELLO "\x09\0\0\0\5\7\0\0\0\0\0\0\0", -EPROTO, "facts' stream: a frame out of order");
	WRONG(HELLO BEGIN "\x09\0\0\0\6\7\0\0\0\0\0\0\0", -EPROTO, "facts' stream: a frame out of order");
	WRONG(HELLO BEGIN "\x08\0\0\0\5\7\0\0\0\0\0\0", -EPROTO, "facts' stream: a commit that cannot be read");
	WRONG(HELLO BEGIN "\x06\0\0\0\4\x09\0\0\0\0", -EPROTO, "facts' stream: a deletion that cannot be read");
	WRONG(HELLO BEGIN "\x06\0\0\0\4\1\1\0\0\0", -EPROTO, "facts' stream: a deletion that cannot be read");
}

/* workload, key "", no mark: kind 8, four lengths and the line, then two empty texts, splice, paused, exempt. */
#define PUT_WORKLOAD(splice, paused)                                                                                   \
	"\x1d\0\0\0\3\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" splice paused "\0"
#define UNREADABLE "facts' stream: a fact that cannot be read"

static void test_wrong_facts(void **state)
{
	static const char good[] = HELLO BEGIN PUT_WORKLOAD("\1", "\1");
	struct echo e = { 0 };

	(void)state;
	assert_int_equal(feed(&e, good, sizeof(good) - 1, 1, NULL), 0);
	buf_fini(&e.out);
	WRONG(HELLO BEGIN PUT_WORKLOAD("\2", "\0"), -EPROTO, UNREADABLE);
	WRONG(HELLO BEGIN PUT_WORKLOAD("\0", "\2"), -EPROTO, UNREADABLE);
	WRONG(HELLO BEGIN "\1\0\0\0\3", -EPROTO, UNREADABLE);
	WRONG(HELLO BEGIN "\x12\0\0\0\3\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", -EPROTO, UNREADABLE);
	WRONG(HELLO BEGIN "\x12\0\0\0\3\1\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0", -EPROTO, UNREADABLE);
	/* route whose list claims 2^32 - 1 hosts; policy of 2 rules in 9 bytes */
	WRONG(HELLO BEGIN "\x16\0\0\0\3\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff", -EPROTO, UNREADABLE);
	WRONG(HELLO BEGIN "\x23\0\0\0\3\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0\1\0\0\0\0\1\0\0\0",
	      -EPROTO, UNREADABLE);
	/* node: labels out of order */
	WRONG(HELLO BEGIN "\x34\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
			  "\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0\1\0\0\0b\0\0\0\0\1\0\0\0a\0\0\0\0",
	      -EPROTO, UNREADABLE);
}

static void test_sink_says_no(void **state)
{
	static const char good[] = HELLO BEGIN PUT_WORKLOAD("\0", "\0");
	struct echo e = { .fail = -EBUSY };

	(void)state;
	assert_int_equal(feed(&e, good, sizeof(good) - 1, 1, NULL), -EBUSY);
	assert_int_equal(e.puts, 1);
	buf_fini(&e.out);
}

/* Every prefix of a good stream waits, every flipped bit is either read or refused, and nothing worse happens. */
static void test_mutilated(void **state)
{
	struct source s = { .p = NULL };
	struct buf b;
	size_t n;
	char *p;

	(void)state;
	rand_seed(&s.rand, 5);
	random_stream(&s, &b);
	p = bytes_of(&b, &n);
	for (size_t i = 0; i < n; i += 3) {
		struct echo e = { 0 };

		p[i] ^= 1 << (i % 8);
		feed(&e, p, n, 1 << 20, NULL);
		p[i] ^= 1 << (i % 8);
		buf_fini(&e.out);
		e = (struct echo){ 0 };
		assert_int_equal(feed(&e, p, i + 1, 1 << 20, NULL), 0);
		buf_fini(&e.out);
	}
	free(p);
	buf_fini(&b);
}

static void test_large(void **state)
{
	struct fact *f = facts_named(FACT_WORKLOAD, "w", 1);
	struct workload_fact *w = (struct workload_fact *)f;
	struct echo e = { 0 };
	struct buf b;
	size_t n = FACT_BYTES_MAX - 100;
	char *text = malloc(FACT_BYTES_MAX + 2000), *p;

	(void)state;
	memset(text, 'i', FACT_BYTES_MAX + 2000);
	w->identity = (struct slice){ text, n };
	buf_init(&b);
	wire_hello(&b);
	wire_begin(&b);
	assert_int_equal(wire_put(&b, f), 0);
	p = bytes_of(&b, &n);
	assert_int_equal(feed(&e, p, n, 60000, NULL), 0);
	assert_int_equal(e.puts, 1);
	w->identity = (struct slice){ text, FACT_BYTES_MAX + 2000 };
	assert_int_equal(wire_put(&b, f), -EMSGSIZE);
	assert_int_equal(b.len, n);
	free(p);
	free(text);
	buf_fini(&e.out);
	buf_fini(&b);
	fact_drop(f);
}

/* The shapes that grow most in memory: what is allocated stays in proportion to the frame. */
static void test_memory_of_a_frame(void **state)
{
	struct policy_fact *f = (struct policy_fact *)facts_named(FACT_POLICY, "p", 1);
	size_t n = FACT_BYTES_MAX / 5 - 100, before;
	struct policy_rule *rules = calloc(n, sizeof(*rules));
	struct echo e = { 0 };
	struct wire_decoder d;
	struct buf in;

	(void)state;
	f->rules = rules;
	f->nrules = n;
	buf_init(&in);
	wire_decoder_init(&d, &keep_sink, &e);
	wire_hello(&in);
	wire_begin(&in);
	assert_int_equal(wire_put(&in, &f->fact), 0);
	n = in.len;
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	assert_int_equal(wire_feed(&d, &in, NULL), 0);
	/* Sanitizers' malloc does not tell, and says 0. */
	assert_in_range(mallinfo2().uordblks + mallinfo2().hblkhd - before, 0, 16 * n);
	assert_non_null(e.kept);
	fact_drop(e.kept);
	fact_drop(&f->fact);
	free(rules);
	buf_fini(&in);
}

/* Bytes of an object all of whose lists and texts are empty. */
static size_t least(const struct shape *shape)
{
	size_t n = 0;

	shape_for(f, shape) {
		switch ((enum field_type)f->type) {
		case FIELD_SLICE:
		case FIELD_LIST:
		case FIELD_PAIRS:
			n += 4;
			break;
		case FIELD_IP:
			n += sizeof(struct ip);
			break;
		case FIELD_LOCALITY:
			n += 8;
			break;
		default:
			n += f->size;
		}
	}
	return n;
}

static void check_least(const struct shape *shape, const char *path)
{
	shape_for(f, shape) {
		if (f->type != FIELD_LIST && f->type != FIELD_PAIRS)
			continue;
		if (!f->of || f->of->wire_min != least(f->of))
			fail_msg("%s.%s: wire_min %zu, but its rows take %zu", path, f->name ? f->name : "", f->of->wire_min,
				 least(f->of));
		check_least(f->of, f->name ? f->name : path);
	}
}

/* A larger one refuses a list whose elements are all small: seen with rules that have nothing but a redirect. */
static void test_least_bytes_of_elements(void **state)
{
	(void)state;
	for (int k = 0; k < FACT_KINDS; k++)
		check_least(&fact_shapes[k], fact_words[k]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_size),
		cmocka_unit_test(test_bytes),	       cmocka_unit_test(test_wrong_frames),
		cmocka_unit_test(test_wrong_facts),    cmocka_unit_test(test_sink_says_no),
		cmocka_unit_test(test_mutilated),      cmocka_unit_test(test_large),
		cmocka_unit_test(test_memory_of_a_frame), cmocka_unit_test(test_least_bytes_of_elements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
