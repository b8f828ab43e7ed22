// SPDX-License-Identifier: Apache-2.0
/*
 * Every case of test/smuggling/http1.txt through the codecs: in one piece, byte by byte, and cut at
 * random. However it is cut, the same calls of the sink follow, and the same bytes leave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/rand.h"
#include "lib/http1_rig.h"

#define TABLE "test/smuggling/http1.txt"
#define BYTES_MAX 2048

struct bytes {
	size_t n;
	char p[BYTES_MAX];
};

struct smuggling {
	char name[64];
	struct bytes q, r, want;
	bool answers;                           /* r is judged */
	bool wait;
	int status;                             /* 0: forwarded */
	char detail[128];
};

static struct smuggling *cases;
static size_t ncases;

static char digit(const char *p)
{
	unsigned v = 0;

	sscanf(p, "%2x", &v);
	return v;
}

/* "|" is CRLF; \r \n \t \0 \xHH, and the character itself. */
static void unescape(struct bytes *b, const char *s)
{
	b->n = 0;
	for (; *s && *s != '\n'; s++) {
		assert_true(b->n + 2 < BYTES_MAX);
		if (*s == '|') {
			b->p[b->n++] = '\r';
			b->p[b->n++] = '\n';
			continue;
		}
		if (*s != '\\') {
			b->p[b->n++] = *s;
			continue;
		}
		s++;
		b->p[b->n++] = *s == 'r' ? '\r' : *s == 'n' ? '\n' : *s == 't' ? '\t' : *s == '0' ? '\0' : *s == 'x' ? digit(s + 1) : *s;
		s += *s == 'x' ? 2 : 0;
	}
}

static void verdict(struct smuggling *s, const char *line)
{
	int n = 0;

	if (!strncmp(line, "wait", 4)) {
		s->wait = true;
	} else if (!strncmp(line, "forward", 7)) {
		s->want = s->answers ? s->r : s->q;
		if (line[7] == ' ')
			unescape(&s->want, line + 8);
	} else {
		assert_int_equal(sscanf(line, "%d %n", &s->status, &n), 1);
		snprintf(s->detail, sizeof(s->detail), "%.*s", (int)strcspn(line + n, "\n"), line + n);
	}
}

static int read_table(void **state)
{
	FILE *f = fopen(TABLE, "r");
	char line[BYTES_MAX];
	struct smuggling *s = NULL;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (line[1] != ' ') {
			cases = realloc(cases, ++ncases * sizeof(*cases));
			s = memset(&cases[ncases - 1], 0, sizeof(*s));
			unescape(&s->q, "GET / HTTP/1.1|Host: a||");
			unescape(&s->r, "HTTP/1.1 200 OK|Content-Length: 2||ok");
			assert_true(strchr(line, ':') - line < (int)sizeof(s->name) - 1);
			memcpy(s->name, line, strchr(line, ':') - line);
		} else if (line[0] == '=') {
			verdict(s, line + 2);
		} else {
			assert_true(line[0] == 'q' || line[0] == 'r');
			unescape(line[0] == 'q' ? &s->q : &s->r, line + 2);
			s->answers |= line[0] == 'r';
		}
	}
	fclose(f);
	return 0;
}

static int free_table(void **state)
{
	(void)state;
	free(cases);
	return 0;
}

/* ---- one case, cut in some way ---- */

enum cut { WHOLE, BYTES, RANDOM };

static struct rand dice;

static size_t next_piece(enum cut cut, size_t left)
{
	return cut == WHOLE ? left : cut == BYTES ? 1 : 1 + rand_below(&dice, left < 40 ? left : 40);
}

static void feed(struct rig *rig, struct bytes *b, enum cut cut, void (*to)(struct rig *, struct slice))
{
	for (size_t at = 0, n; at < b->n; at += n) {
		n = next_piece(cut, b->n - at);
		to(rig, (struct slice){ b->p + at, n });
	}
}

static void run(struct rig *rig, struct smuggling *s, enum cut cut)
{
	rig_init(rig);
	if (s->answers)
		rig->answer = NULL;
	feed(rig, &s->q, cut, rig_ask);
	if (s->answers)
		feed(rig, &s->r, cut, rig_reply);
}

static void run_cut(struct rig *whole, struct smuggling *s, enum cut cut)
{
	struct rig r;
	const char *difference;

	run(&r, s, cut);
	difference = rig_difference(whole, &r);
	if (difference)
		fail_msg("%s: other %s when cut\nwhole\n%.*s\ncut\n%.*s", s->name, difference,
			 SLICE_ARG(rig_text(&whole->events)), SLICE_ARG(rig_text(&r.events)));
	rig_fini(&r);
}

static bool has_status(struct buf *b, int status)
{
	struct slice s = rig_text(b);
	char line[32];

	snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
	return memmem(s.p, s.n, line, strlen(line));
}

static void judge(struct rig *r, struct smuggling *s)
{
	struct codec *c = s->answers ? &r->up : &r->down;
	int err = s->answers ? r->up_err : r->down_err;
	struct slice got = rig_text(s->answers ? &r->to_client : &r->to_server);
	bool right;

	if (s->status) {
		right = err == -EPROTO && c->detail && !strcmp(c->detail, s->detail) && !c->ops->reusable(c);
		right &= s->answers || has_status(&r->to_client, s->status);
	} else if (s->wait) {
		right = !err && !c->ops->reusable(c) && (s->answers || !r->to_client.len);
	} else {
		right = !err && slice_eq(got, (struct slice){ s->want.p, s->want.n });
	}
	if (!right)
		fail_msg("%s: %d %s\n%.*s", s->name, err, c->detail ? c->detail : "", SLICE_ARG(got));
}

static void test_verdicts(void **state)
{
	(void)state;
	assert_true(ncases >= 150);
	for (size_t i = 0; i < ncases; i++) {
		struct rig r;

		run(&r, &cases[i], WHOLE);
		judge(&r, &cases[i]);
		rig_fini(&r);
	}
}

static void test_however_it_is_cut(void **state)
{
	(void)state;
	rand_seed(&dice, 11);
	for (size_t i = 0; i < ncases; i++) {
		struct rig whole;

		run(&whole, &cases[i], WHOLE);
		run_cut(&whole, &cases[i], BYTES);
		for (int k = 0; k < 20; k++)
			run_cut(&whole, &cases[i], RANDOM);
		rig_fini(&whole);
	}
}

/* What was forwarded says the same to the next one who reads it: as many requests, and the same once more. */
static void test_what_is_forwarded_is_canonical(void **state)
{
	(void)state;
	for (size_t i = 0; i < ncases; i++) {
		struct rig first, second;
		struct slice s;

		if (cases[i].answers || cases[i].status || cases[i].wait)
			continue;
		run(&first, &cases[i], WHOLE);
		rig_init(&second);
		s = rig_text(&first.to_server);
		rig_ask(&second, s);
		if (!slice_eq(s, rig_text(&second.to_server)))
			fail_msg("%s: became\n%.*s", cases[i].name, SLICE_ARG(rig_text(&second.to_server)));
		rig_fini(&first);
		rig_fini(&second);
	}
}

static void test_the_page_knows_every_rule(void **state)
{
	static char page[65536];
	FILE *f = fopen("docs/http1.md", "r");

	(void)state;
	assert_non_null(f);
	assert_in_range(fread(page, 1, sizeof(page) - 1, f), 1000, sizeof(page) - 2);
	fclose(f);
	for (size_t i = 0; i < ncases; i++)
		if (!strstr(page, cases[i].detail))
			fail_msg("docs/http1.md does not know: %s", cases[i].detail);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_however_it_is_cut),
		cmocka_unit_test(test_what_is_forwarded_is_canonical),
		cmocka_unit_test(test_the_page_knows_every_rule),
	};

	return cmocka_run_group_tests(tests, read_table, free_table);
}
