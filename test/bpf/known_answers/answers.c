// SPDX-License-Identifier: Apache-2.0
/*
 * Runs the self-test of the kernel short-circuit on the programs of weft, then on programs that are broken on purpose:
 * each must be refused, and by the cases that are about it.
 */
#include "known_answers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kern/selftest_priv.h"
#include "test/bpf/known_answers/naive.skel.h"
#include "test/bpf/known_answers/no_credit.skel.h"
#include "test/bpf/known_answers/no_promise.skel.h"
#include "test/bpf/known_answers/no_ratchet.skel.h"
#include "weft/err.h"

struct broken {
	const char *name;
	const void *(*elf)(size_t *len);
	bool is_sockops;
	const char *must_fail[4];               /* cases that have to catch it */
};

static const struct broken broken[] = {
	{"naive", naive_bpf__elf_bytes, false, {"order-defer-accept", "order-switch", "backpressure"}},
	{"no_ratchet", no_ratchet_bpf__elf_bytes, false, {"order-defer-accept"}},
	{"no_credit", no_credit_bpf__elf_bytes, false, {"backpressure"}},
	{"no_promise", no_promise_bpf__elf_bytes, true, {"splice-rule"}},
};

/* A failed restricting case, and a fatal one that was expected here, are findings about this kernel and no errors. */
static void print(const struct selftest_report *r, const char *expected)
{
	for (uint32_t i = 0; i < r->n; i++) {
		const struct selftest_result *c = &r->result[i];
		bool found = c->verdict == SELFTEST_FAIL && (c->cls == SELFTEST_RESTRICTING || strstr(expected, c->name));

		printf("case %s %s: %s%s (%u us)\n", found ? "pass" : selftest_verdict_text(c->verdict), c->name,
		       !found ? "" : c->cls == SELFTEST_FATAL ? "as expected, short-circuit off: " : "does not hold here: ",
		       c->detail, c->us);
	}
	printf("works %d, splice safe %d, leave safe %d, credit source %u\n", r->works, r->splice_safe, r->leave_safe,
	       r->credit);
}

static bool failed(const struct selftest_report *r, const char *name)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (!strcmp(r->result[i].name, name))
			return r->result[i].verdict == SELFTEST_FAIL;
	return false;
}

/* 0 when the broken program was refused by the cases that should refuse it. */
static int refused(const struct broken *b)
{
	struct selftest_progs p = {0};
	struct selftest_report r;
	struct err e = {0};
	int bad = 0;

	if (b->is_sockops)
		p.sockops = b->elf(&p.sockops_len);
	else
		p.redirect = b->elf(&p.redirect_len);
	if (selftest_run(&p, NULL, &r, &e)) {
		printf("broken %s: %s\n", b->name, err_text(&e));
		return 1;
	}
	for (int i = 0; i < 4 && b->must_fail[i]; i++)
		if (!failed(&r, b->must_fail[i])) {
			printf("%s: case %s did not notice\n", b->name, b->must_fail[i]);
			bad = 1;
		}
	bad |= r.works;
	printf("case %s broken-%s: %s\n", bad ? "fail" : "pass", b->name,
	       r.works ? "accepted" : bad ? "refused by the wrong cases" : "refused");
	return bad;
}

static bool fatal_failed(const struct selftest_result *c)
{
	return c->cls == SELFTEST_FATAL && c->verdict != SELFTEST_PASS;
}

/* Do exactly the cases of a comma-separated list fail? */
static bool as_expected(const struct selftest_report *r, const char *expected)
{
	bool same = true;
	size_t n = 0;

	for (uint32_t i = 0; i < r->n; i++) {
		const char *name = r->result[i].name, *at = strstr(expected, name);
		bool listed = at && (at == expected || at[-1] == ',') && strchr(",", at[strlen(name)]);

		n += listed;
		if (listed != fatal_failed(&r->result[i]))
			same = false;
	}
	return same && (n || !*expected);
}

/* Below the programs of another weft that runs already: what a restarted agent meets. */
static int nested(const char *expected)
{
	struct selftest_report r;
	struct err e = {0};
	struct kit k;
	int bad = kit_open(&k, NULL, NULL, &e) || selftest_run(NULL, k.path, &r, &e);

	if (bad)
		printf("case fail nested: %s\n", err_text(&e));
	else if ((bad = !as_expected(&r, expected)))
		printf("case fail nested: not the same as alone\n");
	else
		printf("case pass nested: below programs that run already\n");
	kit_close(&k);
	return bad;
}

int answers(const char *expected)
{
	struct selftest_report r;
	struct err e = {0};
	int err = selftest_run(NULL, NULL, &r, &e), bad;

	if (err) {
		printf("known answers: %s\n", err_text(&e));
		return err == -EPERM || err == -ENOENT ? 77 : 1;
	}
	print(&r, expected);
	bad = nested(expected) || !as_expected(&r, expected);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		bad |= refused(&broken[i]);
	return bad;
}
