/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/mem.h"
#include "base/num.h"
#include "weft/buf.h"
#include "weft/str.h"

/* ---- to text ------------------------------------------------------------------------------------------------- */

/* Bytes of a character that YAML would not take as it stands, or would fold as an end of line; 0: it may stand. */
static unsigned unprintable(const unsigned char *p, size_t n, unsigned *code)
{
	*code = p[0];
	if (p[0] < 0x20 || p[0] == 0x7f)
		return 1;
	if (n > 1 && p[0] == 0xc2 && p[1] < 0xa0) {
		*code = p[1];
		return 2;
	}
	if (n < 3 || p[0] < 0xe0 || p[0] > 0xef)
		return 0;
	*code = (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
	return *code == 0x2028 || *code == 0x2029 || *code == 0xfeff ? 3 : 0;
}

static void put_text(struct buf *b, struct slice s)
{
	buf_add(b, "\"", 1);
	for (size_t i = 0; i < s.n;) {
		unsigned code, n = unprintable((const unsigned char *)s.p + i, s.n - i, &code);

		if (n)
			buf_printf(b, "\\u%04x", code);
		else if (s.p[i] == '"' || s.p[i] == '\\')
			buf_printf(b, "\\%c", s.p[i]);
		else
			buf_add(b, s.p + i, 1);
		i += n ? n : 1;
	}
	buf_add(b, "\"", 1);
}

/* Rows of a number or a boolean do not take it as text. */
static void put_scalar(struct buf *b, const struct conf_node *n)
{
	bool word = slice_eq_str(n->text, "true") || slice_eq_str(n->text, "false");
	int64_t v;

	if (!n->quoted && (word || !num_i64(n->text, &v)))
		buf_add(b, n->text.p, n->text.n);
	else
		put_text(b, n->text);
}

static int by_key(const void *a, const void *b)
{
	return slice_cmp((*(const struct conf_node *const *)a)->key, (*(const struct conf_node *const *)b)->key);
}

static void put(struct buf *b, const struct conf_node *n, const char *without);

static void put_members(struct buf *b, const struct conf_node *n, const char *without)
{
	const struct conf_node **v = mem_alloc((n->n + 1) * sizeof(const struct conf_node *));
	size_t members = 0;

	for (const struct conf_node *m = n->first; m; m = m->next)
		if (!without || !slice_eq_str(m->key, without))
			v[members++] = m;
	if (n->kind == CONF_MAPPING)
		qsort(v, members, sizeof(const struct conf_node *), by_key);
	for (size_t i = 0; i < members; i++) {
		if (i)
			buf_add(b, ",", 1);
		if (n->kind == CONF_MAPPING) {
			put_text(b, v[i]->key);
			buf_add(b, ":", 1);
		}
		put(b, v[i], NULL);
	}
	free(v);
}

/* A document's depth is bounded (CONF_DEPTH_MAX). */
static void put(struct buf *b, const struct conf_node *n, const char *without)
{
	bool list = n->kind == CONF_SEQUENCE;

	if (n->kind == CONF_NULL) {
		buf_add(b, "null", 4);
	} else if (n->kind == CONF_SCALAR) {
		put_scalar(b, n);
	} else {
		buf_add(b, list ? "[" : "{", 1);
		put_members(b, n, without);
		buf_add(b, list ? "]" : "}", 1);
	}
}

struct slice settings_text(struct arena *a, const struct conf_node *n, const char *without)
{
	struct slice out;
	struct buf b;
	char *p;

	buf_init(&b);
	if (n)
		put(&b, n, without);
	else
		buf_add(&b, "{}", 2);
	out = (struct slice){ p = arena_alloc(a, b.len + 1), b.len };
	while (b.len) {
		struct slice part = buf_head(&b);

		p = mempcpy(p, part.p, part.n);
		buf_drop(&b, part.n);
	}
	buf_fini(&b);
	return out;
}

/* ---- and back ------------------------------------------------------------------------------------------------ */

struct settings {
	struct settings_kind kind;
	struct arena arena;
	void *conf;
};

/* chosen.conf of a decode is the decode's own memory. */
int settings_try(const struct settings_kind *k, const void *conf, struct err *e)
{
	int err = k->init ? k->init((void *)conf, e) : 0;

	if (k->fini)
		k->fini((void *)conf);
	return err;
}

static int decode(struct settings *s, struct slice text, struct conf_errors *errors)
{
	struct conf_reader r = { .arena = &s->arena, .errors = errors, .file = SLICE_LIT("settings") };
	static const struct conf_item none[] = { CONF_END };
	const struct conf_item *rows = s->kind.rows ? s->kind.rows : none;
	struct conf_source *source = text.n ? conf_open_text(text, r.file, errors) : NULL;
	const struct conf_node *root = NULL;
	int err = source && conf_next(source, &root) < 0 ? -EINVAL : conf_decode(&r, rows, root, s->conf);

	conf_close(source);
	return err;
}

struct settings *settings_new(const struct settings_kind *k, struct slice text, struct err *e)
{
	struct settings *s = mem_alloc(sizeof(*s));
	struct conf_errors errors = { 0 };
	int err;

	s->kind = *k;
	arena_init(&s->arena);
	s->conf = arena_alloc(&s->arena, k->size + 1);
	err = decode(s, text, &errors);
	if (err)
		conf_errors_words(&errors, err, e);
	conf_errors_fini(&errors);
	if (err) {
		arena_fini(&s->arena);
		free(s);
		return NULL;
	}
	if (k->init && k->init(s->conf, e)) {
		settings_free(s);
		return NULL;
	}
	return s;
}

void settings_free(struct settings *s)
{
	if (!s)
		return;
	if (s->kind.fini)
		s->kind.fini(s->conf);
	arena_fini(&s->arena);
	free(s);
}

const void *settings_conf(const struct settings *s)
{
	return s->conf;
}
