/* SPDX-License-Identifier: Apache-2.0 */
#include "model/regex_syntax.h"

#include <ctype.h>
#include <errno.h>
#include "weft/model.h"
#include "weft/str.h"

struct scan {
	struct slice s;
	size_t i;                               /* next byte */
	bool in_class;                          /* between [ and ] */
};

static int at(const struct scan *c, size_t ahead)
{
	return c->i + ahead < c->s.n ? (unsigned char)c->s.p[c->i + ahead] : -1;
}

/* \Q ... \E: nothing in it has a meaning. c->i is behind the Q. */
static void skip_quoted(struct scan *c)
{
	while (c->i < c->s.n && !(at(c, 0) == '\\' && at(c, 1) == 'E'))
		c->i++;
	c->i += c->i < c->s.n ? 2 : 0;
}

/* c->i is behind the backslash. NULL: accepted and skipped. */
static const char *escape(struct scan *c)
{
	int x = at(c, 0);

	if (x == 'Q') {
		c->i++;
		skip_quoted(c);
		return NULL;
	}
	if (x == 'c')
		return "control characters (\\c)";
	if (x == 'C' || x == 'K' || x == 'G' || x == 'X' || x == 'R')
		return "\\C, \\G, \\K, \\R and \\X";
	if (!c->in_class && ((x >= '1' && x <= '9') || x == 'g' || x == 'k'))
		return "back-references";
	c->i += x >= 0;
	return NULL;
}

/* c->i is behind "(?". Groups without capture, with flags, with names: all else is refused. */
static const char *group(struct scan *c)
{
	int x = at(c, 0);

	if (x == 'P' && at(c, 1) == '<')
		return NULL;
	if (x == '=' || x == '!' || (x == '<' && (at(c, 1) == '=' || at(c, 1) == '!')))
		return "look-arounds";
	if (x == '<')
		return NULL;
	if (x == 'R' || x == '&' || x == '+' || isdigit(x) || (x == '-' && isdigit(at(c, 1))) || x == 'P')
		return "recursion and back-references";
	while (at(c, 0) == 'i' || at(c, 0) == 'm' || at(c, 0) == 's' || at(c, 0) == 'U' || at(c, 0) == '-')
		c->i++;
	if (at(c, 0) == ':' || at(c, 0) == ')')
		return NULL;
	return "groups other than (...), (?:...), (?flags:...) with the flags i, m, s, U, and (?P<name>...)";
}

/* c->i is behind "[" or "[^" and a "]" that stands first. "[:alpha:]" within a class is stepped over. */
static void class_name(struct scan *c)
{
	size_t n = 1;

	while (isalpha(at(c, n)) || at(c, n) == '^')
		n++;
	if (at(c, n) == ':' && at(c, n + 1) == ']')
		c->i += n + 2;
}

static void class_open(struct scan *c)
{
	c->in_class = true;
	if (at(c, 0) == '^')
		c->i++;
	if (at(c, 0) == ']')
		c->i++;
}

static const char *step(struct scan *c)
{
	int x = at(c, 0);

	c->i++;
	if (x == '\\')
		return escape(c);
	if (c->in_class) {
		if (x == ']')
			c->in_class = false;
		else if (x == '[' && at(c, 0) == ':')
			class_name(c);
		return NULL;
	}
	if (x == '[') {
		class_open(c);
	} else if (x == '(' && at(c, 0) == '*') {
		return "verbs (*...)";
	} else if (x == '(' && at(c, 0) == '?') {
		c->i++;
		return group(c);
	}
	return NULL;
}

int regex_syntax_check(struct slice pattern, struct err *e)
{
	struct scan c = { .s = pattern };

	if (pattern.n > REGEX_MAX)
		return err_add(e, -EINVAL, "regular expression of %zu bytes: at most %u", pattern.n, REGEX_MAX);
	while (c.i < pattern.n) {
		size_t from = c.i;
		const char *what = step(&c);

		if (what)
			return err_add(e, -EINVAL, "regular expression, byte %zu: %s are not accepted", from + 1, what);
	}
	return 0;
}
