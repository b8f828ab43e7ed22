// SPDX-License-Identifier: Apache-2.0
/*
 * A mapping into a struct, by rows. Everything that is wrong is said, not only the first: a field
 * that fails keeps its default and the decode goes on, so the caller must not use what a failed
 * decode left.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/magic.h"
#include "base/mem.h"
#include "conf/errors.h"
#include "conf/reader.h"
#include "conf/value.h"
#include "weft/str.h"

#define ROWS_MAX 64 /* of one struct: one bit each in struct fields */

/* A struct being filled: its own rows, or those that its choice brings. */
struct fields {
	const struct conf_item *rows;
	void *out;
	uint64_t given;
};

static int decode_struct(struct conf_reader *r, const struct conf_item *rows,
			 const struct conf_node *n, void *out, bool required);

static void *at(void *out, const struct conf_item *item)
{
	return (char *)out + item->offset;
}

static bool row_ends(const struct conf_item *item)
{
	return !item->name && item->type != CONF_LINE;
}

/* ---- defaults -------------------------------------------------------------------------------- */

static void set_default(struct conf_reader *r, const struct conf_item *item, void *out)
{
	if (!item->size || item->type == CONF_LINE)
		return;
	if (item->type == CONF_STRUCT) {
		decode_struct(r, item->rows, NULL, at(out, item), false);
		return;
	}
	if (!item->dflt)
		return;

	struct conf_node n = {.kind = CONF_SCALAR, .text = slice_str(item->dflt)};
	struct err e;
	int err;

	err_clear(&e);
	err = value_parse(r, item, item->type, &n, at(out, item), &e);
	assert_always(!err);
}

/* ---- values ---------------------------------------------------------------------------------- */

static int check(struct conf_reader *r, const struct conf_item *item, const struct conf_node *n,
		 const void *value)
{
	struct err e;

	if (!item->check)
		return 0;
	err_clear(&e);
	return item->check(value, &e) ? conf_error(r, n, "%s", err_text(&e)) : 0;
}

static int decode_scalar(struct conf_reader *r, const struct conf_item *item, enum conf_type type,
			 const struct conf_node *n, void *out)
{
	struct err e;

	err_clear(&e);                          /* not all of it: there is one for every value of a file */
	if (value_parse(r, item, type, n, out, &e))
		return conf_error(r, n, "%s", err_text(&e));
	return check(r, item, n, out);
}

static int decode_list(struct conf_reader *r, const struct conf_item *item,
		       const struct conf_node *n, void *out);

static int decode_element(struct conf_reader *r, const struct conf_item *item,
			  const struct conf_node *n, void *out)
{
	if (item->of == CONF_LIST)
		return decode_list(r, item->rows, n, out);
	if (item->of != CONF_STRUCT)
		return decode_scalar(r, item, item->of, n, out);
	return decode_struct(r, item->rows, n, out, true) ?: check(r, item, n, out);
}

static int wrong_kind(struct conf_reader *r, const struct conf_node *n, const char *want)
{
	char what[96];

	return conf_error(r, n, "want %s, not %s", want, reader_what(n, what, sizeof(what)));
}

static int decode_list(struct conf_reader *r, const struct conf_item *item,
		       const struct conf_node *n, void *out)
{
	struct conf_list *list = out;
	size_t i = 0, before;
	int err = 0;

	if (n->kind != CONF_SEQUENCE)
		return wrong_kind(r, n, "a list");
	if (!n->n)
		return 0;
	list->v = arena_alloc(r->arena, (size_t)n->n * item->of_size);
	list->n = n->n;
	for (const struct conf_node *m = n->first; m; m = m->next, i++) {
		before = reader_enter_at(r, i);
		if (decode_element(r, item, m, (char *)list->v + i * item->of_size))
			err = -EINVAL;
		reader_leave(r, before);
	}
	return err;
}

static int by_name(const void *a, const void *b)
{
	return slice_cmp(((const struct name_value *)a)->name,
			 ((const struct name_value *)b)->name);
}

static int decode_map(struct conf_reader *r, const struct conf_item *item,
		      const struct conf_node *n, void *out)
{
	static const struct conf_item text = {.type = CONF_STRING};
	struct name_value *v;
	size_t i = 0;
	int err = 0;

	if (n->kind != CONF_MAPPING)
		return wrong_kind(r, n, "a mapping of text to text");
	v = ARENA_NEWN(r->arena, struct name_value, n->n);
	for (const struct conf_node *m = n->first; m; m = m->next, i++) {
		char key[96];
		size_t before = reader_enter(r, errors_show(m->key, key, sizeof(key)));

		v[i].name = arena_slice(r->arena, m->key);
		if (m->kind != CONF_NULL && decode_scalar(r, &text, CONF_STRING, m, &v[i].value))
			err = -EINVAL;
		reader_leave(r, before);
	}
	qsort(v, n->n, sizeof(*v), by_name);
	*(struct pair_list *)out = (struct pair_list){v, n->n};
	return err ?: check(r, item, n, out);
}

static int decode_value(struct conf_reader *r, const struct conf_item *item,
			const struct conf_node *n, void *out)
{
	if (item->type == CONF_REFUSED)
		return conf_error(r, n, "%s", item->help);
	if (!item->size || item->type == CONF_CHOICE)
		return 0;
	if (item->type == CONF_STRUCT)
		return decode_struct(r, item->rows, n, at(out, item), true)
			       ?: check(r, item, n, at(out, item));
	if (item->type == CONF_LIST)
		return decode_list(r, item, n, at(out, item));
	if (item->type == CONF_MAP)
		return decode_map(r, item, n, at(out, item));
	return decode_scalar(r, item, item->type, n, at(out, item));
}

/* ---- fields ---------------------------------------------------------------------------------- */

struct words {
	const struct conf_item *a, *b;
};

static const char *row_word(const void *arg, size_t i)
{
	const struct words *w = arg;

	for (const struct conf_item *rows = w->a;; rows = w->b) {
		for (const struct conf_item *item = rows; item && !row_ends(item); item++) {
			if (item->name && item->type != CONF_REFUSED && !i--)
				return item->name;
		}
		if (rows == w->b)
			return NULL;
	}
}

static int unknown(struct conf_reader *r, const struct words *w, const struct conf_node *n)
{
	const char *near = errors_nearest(n->key, row_word, w), *word;
	char allowed[384] = "", key[96];
	size_t len = 0, before;
	int err;

	before = reader_enter(r, errors_show(n->key, key, sizeof(key)));
	if (near) {
		err = conf_error(r, n, "no such field, did you mean %s?", near);
	} else {
		for (size_t i = 0; (word = row_word(w, i)) && len < sizeof(allowed); i++)
			len += snprintf(allowed + len, sizeof(allowed) - len, "%s%s", i ? ", " : "",
					word);
		err = conf_error(r, n, "no such field, want one of: %s", allowed);
	}
	reader_leave(r, before);
	return err;
}

/* 1: not a field of these rows. */
static int decode_field(struct conf_reader *r, struct fields *f, const struct conf_node *n)
{
	for (const struct conf_item *item = f->rows; item && !row_ends(item); item++) {
		size_t before;
		int err;

		if (!item->name || !slice_eq_str(n->key, item->name))
			continue;
		if (n->kind == CONF_NULL)
			return 0;
		f->given |= 1ull << (item - f->rows);
		before = reader_enter(r, item->name);
		err = decode_value(r, item, n, f->out);
		reader_leave(r, before);
		return err;
	}
	return 1;
}

static void fields_start(struct conf_reader *r, struct fields *f, uint32_t line)
{
	for (const struct conf_item *item = f->rows; item && !row_ends(item); item++) {
		assert_always(item - f->rows < ROWS_MAX);
		if (item->type == CONF_LINE)
			*(uint32_t *)at(f->out, item) = line;
		else
			set_default(r, item, f->out);
	}
}

static int fields_end(struct conf_reader *r, const struct fields *f, const struct conf_node *n)
{
	int err = 0;

	for (const struct conf_item *item = f->rows; item && !row_ends(item); item++) {
		if (item->required && !(f->given & 1ull << (item - f->rows)))
			err = conf_error(r, n, "%s is missing", item->name);
		else if (item->required && (item->type == CONF_STRING || item->type == CONF_CLUSTER) && item->size &&
			 !((struct slice *)at(f->out, item))->n)
			err = conf_error(r, n, "%s is empty", item->name);
	}
	return err;
}

/* ---- choice ---------------------------------------------------------------------------------- */

static const struct conf_item *choice_row(const struct conf_item *rows)
{
	for (; !row_ends(rows); rows++) {
		if (rows->type == CONF_CHOICE)
			return rows;
	}
	return NULL;
}

static const char *choice_word(const void *arg, size_t i)
{
	return ((const struct conf_choice *)arg)[i].name;
}

static const struct conf_choice *choices_of(const struct conf_reader *r, const struct conf_item *item)
{
	static const struct conf_choice none[1];

	return item->choices ? item->choices : r->choices ? r->choices : none;
}

static int choice_unknown(struct conf_reader *r, const struct conf_item *item,
			  const struct conf_node *n)
{
	const struct conf_choice *v = choices_of(r, item);
	const char *near = n->kind == CONF_SCALAR ? errors_nearest(n->text, choice_word, v) : NULL;
	size_t len = 0, before = reader_enter(r, item->name);
	char words[256] = "", what[96];

	for (size_t i = 0; v[i].name && len < sizeof(words); i++) {
		if (!v[i].refused)
			len += snprintf(words + len, sizeof(words) - len, "%s%s", len ? ", " : "", v[i].name);
	}
	conf_error(r, n, "want one of: %s; not %s%s%s%s", words, reader_what(n, what, sizeof(what)),
		   near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	reader_leave(r, before);
	return -EINVAL;
}

static int choice_refused(struct conf_reader *r, const struct conf_item *item,
			  const struct conf_node *n, const struct conf_choice *c)
{
	size_t before = reader_enter(r, item->name);

	conf_error(r, n, "%s: %s", c->name, c->refused);
	reader_leave(r, before);
	return 1;
}

/*
 * Which further rows this mapping has. 1: it names none that is known, so its other fields cannot
 * be judged.
 */
static int choose(struct conf_reader *r, const struct conf_item *item, const struct conf_node *n,
		  struct fields *f, void *out)
{
	const struct conf_node *word = conf_member(n, item->name);
	struct conf_chosen *chosen = at(out, item);

	if (!word || word->kind == CONF_NULL)
		return 1;
	for (const struct conf_choice *c = choices_of(r, item); c->name; c++) {
		if (!slice_eq_str(conf_text(word), c->name))
			continue;
		if (c->refused)
			return choice_refused(r, item, word, c);
		f->rows = c->rows;
		f->out = arena_alloc(r->arena, c->size ? c->size : 1);
		*chosen = (struct conf_chosen){c, f->out};
		return 0;
	}
	choice_unknown(r, item, word);
	return 1;
}

static int choice_check(struct conf_reader *r, const struct conf_chosen *chosen,
			const struct conf_node *n)
{
	struct err e = {0};

	if (!chosen->choice || !chosen->choice->check || !chosen->choice->check(chosen->conf, &e))
		return 0;
	return conf_error(r, n, "%s", err_text(&e));
}

/* ---- struct ---------------------------------------------------------------------------------- */

static int decode_members(struct conf_reader *r, struct fields *own, struct fields *more,
			  const struct conf_node *n, bool unknown_ok)
{
	const struct words words = {own->rows, more->rows};
	int err = 0;

	for (const struct conf_node *m = n->first; m; m = m->next) {
		int one = decode_field(r, own, m);

		if (one > 0)
			one = decode_field(r, more, m);
		if (one > 0)
			one = unknown_ok ? 0 : unknown(r, &words, m);
		if (one)
			err = one;
	}
	return err;
}

static int decode_struct(struct conf_reader *r, const struct conf_item *rows,
			 const struct conf_node *n, void *out, bool required)
{
	const struct conf_item *choice = choice_row(rows);
	struct fields own = {rows, out, 0}, more = {0};
	bool unknown_ok = r->flags & CONF_UNKNOWN_OK;
	int err = 0, bad = 0;

	if (n && n->kind != CONF_MAPPING)
		return wrong_kind(r, n, "a mapping");
	fields_start(r, &own, n ? n->line : 0);
	if (choice && n && choose(r, choice, n, &more, out)) {
		unknown_ok = true;
		bad = -EINVAL;
	}
	if (more.rows)
		fields_start(r, &more, n->line);
	if (n)
		err = decode_members(r, &own, &more, n, unknown_ok);
	if (!required)
		return err;
	if (fields_end(r, &own, n) || (more.rows && fields_end(r, &more, n)))
		err = -EINVAL;
	if (!err && !bad && choice)
		err = choice_check(r, at(out, choice), n);
	return err ?: bad;
}

int conf_decode(struct conf_reader *r, const struct conf_item *rows, const struct conf_node *n,
		void *out)
{
	return decode_struct(r, rows, n, out, true);
}
