/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/regex.h"

#include <errno.h>
#include <pcre2.h>
#include <stdlib.h>
#include "base/magic.h"
#include "base/vec.h"
#include "model/regex_syntax.h"
#include "weft/str.h"

#define MATCH_LIMIT 10000u                      /* PCRE2's count of steps back */
#define DEPTH_LIMIT 1000u                       /* of nested steps; without machine code */
#define HEAP_LIMIT_KIB 1024u                    /* the same */
#define JIT_STACK_BYTES (64u << 10)
#define NEST_LIMIT 50u                          /* of parentheses */
#define GROUPS_MAX 10u                          /* $0 ... $9 */

struct regex {
	pcre2_code *code;
};

struct regex_desk {
	pcre2_match_context *bounds;
	pcre2_match_data *found;
	pcre2_jit_stack *stack;
	VEC(char) out;
	struct regex_stat stat;
	bool gave_up;
};

STAT_DEFINE(regex_stat, "regex", REGEX_STATS);

/* ---- compiling ---------------------------------------------------------------------------------------------- */

static bool ascii(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	}
	return true;
}

static uint32_t options_of(struct slice pattern, enum regex_use use)
{
	uint32_t options = PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UCP;

	if (use == REGEX_WHOLE)
		options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NO_AUTO_CAPTURE;
	if (!ascii(pattern))
		options |= PCRE2_UTF | PCRE2_MATCH_INVALID_UTF;
	return options;
}

static pcre2_code *compile(struct slice pattern, enum regex_use use, struct err *e)
{
	pcre2_compile_context *c = pcre2_compile_context_create(NULL);
	pcre2_code *code = NULL;
	PCRE2_UCHAR words[128];
	PCRE2_SIZE at = 0;
	int err = 0;

	if (c) {
		pcre2_set_parens_nest_limit(c, NEST_LIMIT);
		code = pcre2_compile((PCRE2_SPTR)(pattern.n ? pattern.p : ""), pattern.n, options_of(pattern, use), &err,
				     &at, c);
		pcre2_compile_context_free(c);
	}
	if (code)
		return code;
	pcre2_get_error_message(err, words, sizeof(words));
	err_add(e, -EINVAL, "regular expression, byte %zu: %s", (size_t)at + 1, c ? (char *)words : "out of memory");
	return NULL;
}

static pcre2_code *checked(struct slice pattern, enum regex_use use, struct err *e)
{
	return regex_syntax_check(pattern, e) ? NULL : compile(pattern, use, e);
}

struct regex *regex_new(struct slice pattern, enum regex_use use, struct err *e)
{
	pcre2_code *code = checked(pattern, use, e);
	struct regex *r;

	if (!code)
		return NULL;
	r = mem_alloc(sizeof(*r));
	r->code = code;
	/* Where memory may not be made executable the interpreter gives the same answers, slower. */
	pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	return r;
}

void regex_free(struct regex *r)
{
	if (!r)
		return;
	pcre2_code_free(r->code);
	free(r);
}

int regex_check(struct slice pattern, struct err *e)
{
	pcre2_code *code = checked(pattern, REGEX_WHOLE, e);

	pcre2_code_free(code);
	return code ? 0 : -EINVAL;
}

int regex_check_replacement(struct slice pattern, struct slice with, struct err *e)
{
	pcre2_code *code = checked(pattern, REGEX_PARTS, e);
	uint32_t groups = 0;

	if (!code)
		return -EINVAL;
	pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
	pcre2_code_free(code);
	for (size_t i = 0; i < with.n; i++) {
		char c = i + 1 < with.n ? with.p[i + 1] : 0;

		if (with.p[i] != '$')
			continue;
		if (c != '$' && (c < '0' || c > '9'))
			return err_add(e, -EINVAL, "replacement, byte %zu: $0 to $9 or $$", i + 1);
		if (c != '$' && (uint32_t)(c - '0') > groups)
			return err_add(e, -EINVAL, "replacement, byte %zu: $%c, but the expression has %u groups", i + 1, c,
				       groups);
		i++;
	}
	return 0;
}

/* ---- matching ----------------------------------------------------------------------------------------------- */

struct regex_desk *regex_desk_new(void)
{
	struct regex_desk *d = mem_alloc(sizeof(*d));

	d->bounds = pcre2_match_context_create(NULL);
	d->found = pcre2_match_data_create(GROUPS_MAX, NULL);
	d->stack = pcre2_jit_stack_create(JIT_STACK_BYTES, JIT_STACK_BYTES, NULL);
	assert_always(d->bounds && d->found);
	pcre2_set_match_limit(d->bounds, MATCH_LIMIT);
	pcre2_set_depth_limit(d->bounds, DEPTH_LIMIT);
	pcre2_set_heap_limit(d->bounds, HEAP_LIMIT_KIB);
	/* Without one of its own (no executable memory) it takes 32 KiB of ours. */
	if (d->stack)
		pcre2_jit_stack_assign(d->bounds, NULL, d->stack);
	return d;
}

void regex_desk_free(struct regex_desk *d)
{
	if (!d)
		return;
	pcre2_jit_stack_free(d->stack);
	pcre2_match_data_free(d->found);
	pcre2_match_context_free(d->bounds);
	vec_fini(&d->out);
	free(d);
}

const struct regex_stat *regex_stats(const struct regex_desk *d)
{
	return &d->stat;
}

bool regex_gave_up(struct regex_desk *d)
{
	bool was = d->gave_up;

	d->gave_up = false;
	return was;
}

static bool find(const struct regex *r, struct regex_desk *d, struct slice text, size_t from, uint32_t options)
{
	int found;

	if (text.n > REGEX_TEXT_MAX) {
		stat_add(&d->stat.too_long, 1);
		d->gave_up = true;
		return false;
	}
	found = pcre2_match(r->code, (PCRE2_SPTR)(text.n ? text.p : ""), text.n, from, options, d->found, d->bounds);
	if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
		stat_add(&d->stat.limit, 1);
		d->gave_up = true;
	}
	/* 0: it matches and has more groups than anybody can ask for. */
	return found >= 0;
}

bool regex_match(const struct regex *r, struct regex_desk *d, struct slice text)
{
	return find(r, d, text, 0, 0);
}

static void put(struct regex_desk *d, const char *p, size_t n)
{
	vec_reserve(&d->out, d->out.n + n);
	if (n)
		memcpy(d->out.v + d->out.n, p, n);
	d->out.n += n;
}

static void put_group(struct regex_desk *d, struct slice text, unsigned group)
{
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(d->found) + 2 * group;

	/* A group that took no part in the match is empty. */
	if (at[0] != PCRE2_UNSET)
		put(d, text.p + at[0], at[1] - at[0]);
}

static void put_replacement(struct regex_desk *d, struct slice text, struct slice with)
{
	for (size_t i = 0; i < with.n; i++) {
		char c = i + 1 < with.n ? with.p[i + 1] : 0;

		if (with.p[i] != '$' || !(c == '$' || (c >= '0' && c <= '9'))) {
			put(d, with.p + i, 1);
			continue;
		}
		i++;
		if (c == '$')
			put(d, "$", 1);
		else
			put_group(d, text, c - '0');
	}
}

bool regex_replace(const struct regex *r, struct regex_desk *d, struct slice text, struct slice with, struct slice *out)
{
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(d->found);
	size_t done = 0;

	d->gave_up = false;
	vec_clear(&d->out);
	while (done < text.n && find(r, d, text, done, PCRE2_NOTEMPTY)) {
		put(d, text.p + done, at[0] - done);
		put_replacement(d, text, with);
		done = at[1];
		/* What a pattern of one byte makes of a long text is bounded as everything else is. */
		if (d->out.n > 2 * REGEX_TEXT_MAX) {
			stat_add(&d->stat.limit, 1);
			d->gave_up = true;
		}
		if (d->gave_up)
			return false;
	}
	/* A part of it is nothing. */
	if (!done || d->gave_up)
		return false;
	put(d, text.p + done, text.n - done);
	*out = (struct slice){ d->out.v, d->out.n };
	return true;
}
