// SPDX-License-Identifier: Apache-2.0
/*
 * YAML events -> tree, one document at a time, so that a file of many documents costs the memory of
 * its largest. Files are not trusted: everything that could grow without bound has one, and no
 * function here calls itself.
 */
#include <errno.h>
#include <stdio.h>
#include <yaml.h>
#include "base/arena.h"
#include "base/mem.h"
#include "base/table.h"
#include "conf/errors.h"
#include "weft/conf.h"

#define PAIRWISE_MAX 16u /* members up to which comparing all keys is cheaper than a table */
#define TEXT_CHUNK   4096u

/* A sequence or mapping whose end was not seen yet. */
struct open_node {
	struct conf_node *node, *last; /* last: member put in so far */
	struct anchor *anchor;
	uint64_t weight;      /* nodes in it, those behind aliases included */
	struct conf_node key; /* mapping: key read, its value to come */
	bool has_key;
};

struct anchor {
	const struct conf_node *node;
	uint64_t weight;
	bool open;
};

struct conf_source {
	yaml_parser_t parser;
	struct slice input, name;
	struct conf_errors *errors;
	bool failed, ended;
	/* of the document under way */
	struct arena arena;
	struct table anchors;
	struct open_node open[CONF_DEPTH_MAX];
	size_t depth;
	struct conf_node *root;
	uint64_t nodes, aliased;
	char *text; /* strings are packed: most are shorter than an arena's alignment */
	size_t text_left;
};

const struct conf_node *conf_member(const struct conf_node *mapping, const char *key)
{
	if (!mapping || mapping->kind != CONF_MAPPING)
		return NULL;
	for (const struct conf_node *m = mapping->first; m; m = m->next) {
		if (slice_eq_str(m->key, key))
			return m;
	}
	return NULL;
}

struct slice conf_text(const struct conf_node *n)
{
	return n && n->kind == CONF_SCALAR ? n->text : (struct slice){0};
}

/* ---- words ----------------------------------------------------------------------------------- */

static int fail(struct conf_source *s, size_t line, const char *words)
{
	s->failed = true;
	conf_errors_add(s->errors, "%.*s:%zu: %s", SLICE_ARG(s->name), line, words);
	return -EINVAL;
}

static int fail_about(struct conf_source *s, size_t line, const char *fmt, struct slice what)
{
	char words[256], shown[96];

	snprintf(words, sizeof(words), fmt, errors_show(what, shown, sizeof(shown)));
	return fail(s, line, words);
}

/* The text of a line, to see what the parser stumbled over. */
static struct slice line_text(struct slice input, size_t line)
{
	const char *p = input.p, *end = input.p + input.n, *stop;

	for (; line && p; line--) {
		p = memchr(p, '\n', end - p);
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return (struct slice){0};
	stop = memchr(p, '\n', end - p);
	return (struct slice){p, (stop ? stop : end) - p};
}

static bool tab_indents(struct slice line)
{
	for (size_t i = 0; i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'); i++) {
		if (line.p[i] == '\t')
			return true;
	}
	return false;
}

static size_t line_of_offset(struct slice input, size_t offset)
{
	size_t line = 1;

	for (size_t i = 0; i < offset && i < input.n; i++)
		line += input.p[i] == '\n';
	return line;
}

static int fail_parser(struct conf_source *s)
{
	const yaml_parser_t *p = &s->parser;
	size_t line = p->problem_mark.line;
	char words[256];

	if (p->error == YAML_MEMORY_ERROR)
		return fail(s, 1, "out of memory");
	if (p->error == YAML_READER_ERROR) {
		snprintf(words, sizeof(words), "not text: %s (byte %zu), want UTF-8", p->problem,
			 p->problem_offset);
		return fail(s, line_of_offset(s->input, p->problem_offset), words);
	}
	if (tab_indents(line_text(s->input, line)))
		return fail(s, line + 1, "not YAML: a tab indents this line, want spaces");
	if (p->context)
		snprintf(words, sizeof(words), "not YAML: %s, %s", p->problem, p->context);
	else
		snprintf(words, sizeof(words), "not YAML: %s", p->problem);
	return fail(s, line + 1, words);
}

/* ---- building -------------------------------------------------------------------------------- */

static struct slice keep_text(struct conf_source *s, const void *p, size_t n)
{
	char *to;

	if (n >= TEXT_CHUNK / 4)
		return (struct slice){arena_dup(&s->arena, p, n), n};
	if (n + 1 > s->text_left) {
		s->text = arena_alloc(&s->arena, TEXT_CHUNK);
		s->text_left = TEXT_CHUNK;
	}
	to = s->text;
	memcpy(to, p, n);
	to[n] = 0;
	s->text += n + 1;
	s->text_left -= n + 1;
	return (struct slice){to, n};
}

static struct conf_node *node_at(struct conf_node *n, enum conf_kind kind, const yaml_mark_t *at)
{
	n->kind = kind;
	n->line = (uint32_t)at->line + 1;
	n->column = (uint32_t)at->column + 1;
	return n;
}

static struct conf_node *node_new(struct conf_source *s, enum conf_kind kind, const yaml_mark_t *at)
{
	return node_at(ARENA_NEW(&s->arena, struct conf_node), kind, at);
}

static bool wants_key(const struct conf_source *s)
{
	const struct open_node *top = s->depth ? &s->open[s->depth - 1] : NULL;

	return top && top->node->kind == CONF_MAPPING && !top->has_key;
}

/* A finished value, or a sequence or mapping at its start, goes to its place in the parent. */
static int place(struct conf_source *s, struct conf_node *n)
{
	struct open_node *top;

	if (!s->depth) {
		s->root = n;
		return 0;
	}
	top = &s->open[s->depth - 1];
	if (wants_key(s)) {
		if (n->kind != CONF_SCALAR)
			return fail(s, n->line, "a key of a mapping must be text");
		top->key = *n;
		top->has_key = true;
		return 0;
	}
	if (top->has_key) {
		n->key = top->key.text;
		n->line = top->key.line;
		n->column = top->key.column;
		top->has_key = false;
	}
	if (top->last)
		top->last->next = n;
	else
		top->node->first = n;
	top->last = n;
	top->node->n++;
	return 0;
}

static int weigh(struct conf_source *s, size_t line, uint64_t n)
{
	s->nodes += n;
	if (s->depth)
		s->open[s->depth - 1].weight += n;
	return s->nodes > CONF_NODES_MAX ? fail(s, line, "more than 2097152 values in one document")
					 : 0;
}

static struct anchor *anchor_add(struct conf_source *s, const yaml_char_t *name,
				 const struct conf_node *n)
{
	struct anchor *a;

	if (!name)
		return NULL;
	a = ARENA_NEW(&s->arena, struct anchor);
	*a = (struct anchor){.node = n, .weight = 1};
	/* YAML: a later one of the same name replaces it. */
	table_put(&s->anchors, slice_str((const char *)name), a);
	return a;
}

/* The members of what it names are shared, not copied; what walking them costs is counted. */
static int on_alias(struct conf_source *s, const yaml_event_t *e)
{
	struct slice name = slice_str((const char *)e->data.alias.anchor);
	const struct anchor *a = table_get(&s->anchors, name);
	size_t line = e->start_mark.line + 1;
	struct conf_node *n;

	if (!a)
		return fail_about(s, line, "alias *%s names no anchor above it", name);
	if (a->open)
		return fail_about(s, line, "alias *%s stands inside its own anchor", name);
	s->aliased += a->weight;
	if (s->aliased > CONF_ALIAS_NODES_MAX)
		return fail(s, line,
			    "the aliases of this document stand for more than 65536 values");
	n = node_new(s, a->node->kind, &e->start_mark);
	n->quoted = a->node->quoted;
	n->text = a->node->text;
	n->n = a->node->n;
	n->first = a->node->first;
	return weigh(s, line, a->weight) ?: place(s, n);
}

static bool tag_known(const yaml_char_t *tag, bool *text)
{
	static const char *const core[] = {"!",		  YAML_STR_TAG,
					   YAML_INT_TAG,  YAML_FLOAT_TAG,
					   YAML_BOOL_TAG, YAML_NULL_TAG,
					   YAML_MAP_TAG,  YAML_SEQ_TAG};

	*text = false;
	for (size_t i = 0; tag && i < sizeof(core) / sizeof(core[0]); i++) {
		if (strcmp((const char *)tag, core[i]))
			continue;
		*text = i < 2;
		return true;
	}
	return !tag;
}

static bool is_null(struct slice text)
{
	return !text.n || slice_eq_str(text, "~") || slice_eq_str(text, "null") ||
	       slice_eq_str(text, "Null") || slice_eq_str(text, "NULL");
}

static int on_scalar(struct conf_source *s, const yaml_event_t *e)
{
	size_t line = e->start_mark.line + 1;
	struct conf_node key = {0}, *n = &key;
	bool text;

	if (!tag_known(e->data.scalar.tag, &text))
		return fail_about(s, line, "tag %s is not used here",
				  slice_str((char *)e->data.scalar.tag));
	if (!wants_key(s) || e->data.scalar.anchor)
		n = ARENA_NEW(&s->arena, struct conf_node);
	node_at(n, CONF_SCALAR, &e->start_mark);
	n->quoted = text || e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	n->text = keep_text(s, e->data.scalar.value, e->data.scalar.length);
	if (!n->quoted && is_null(n->text))
		n->kind = CONF_NULL;
	anchor_add(s, e->data.scalar.anchor, n);
	return weigh(s, line, 1) ?: place(s, n);
}

static int on_start(struct conf_source *s, const yaml_event_t *e, enum conf_kind kind,
		    const yaml_char_t *tag, const yaml_char_t *anchor)
{
	size_t line = e->start_mark.line + 1;
	struct conf_node *n;
	bool text;
	int err;

	if (!tag_known(tag, &text))
		return fail_about(s, line, "tag %s is not used here", slice_str((char *)tag));
	if (s->depth == CONF_DEPTH_MAX)
		return fail(s, line, "nested deeper than 64");
	n = node_new(s, kind, &e->start_mark);
	err = place(s, n);
	if (err)
		return err;
	s->open[s->depth++] = (struct open_node){.node = n, .anchor = anchor_add(s, anchor, n)};
	if (s->open[s->depth - 1].anchor)
		s->open[s->depth - 1].anchor->open = true;
	return weigh(s, line, 1);
}

static int duplicate(struct conf_source *s, const struct conf_node *again,
		     const struct conf_node *first)
{
	char shown[96], words[192];

	snprintf(words, sizeof(words), "\"%s\" is given twice, first in line %u",
		 errors_show(again->key, shown, sizeof(shown)), first->line);
	return fail(s, again->line, words);
}

static int check_keys(struct conf_source *s, const struct conf_node *mapping)
{
	struct table seen;
	int err = 0;

	if (mapping->n <= PAIRWISE_MAX) {
		for (const struct conf_node *a = mapping->first; a; a = a->next) {
			for (const struct conf_node *b = mapping->first; b != a; b = b->next) {
				if (slice_eq(a->key, b->key))
					return duplicate(s, a, b);
			}
		}
		return 0;
	}
	table_init(&seen, 0);
	for (const struct conf_node *a = mapping->first; a && !err; a = a->next) {
		const struct conf_node *b = table_put(&seen, a->key, (void *)a);

		if (b)
			err = duplicate(s, a, b);
	}
	table_fini(&seen);
	return err;
}

static int on_end(struct conf_source *s)
{
	struct open_node *top = &s->open[--s->depth];

	if (top->anchor) {
		top->anchor->open = false;
		top->anchor->weight = top->weight;
	}
	if (s->depth)
		s->open[s->depth - 1].weight += top->weight;
	return top->node->kind == CONF_MAPPING ? check_keys(s, top->node) : 0;
}

static int on_event(struct conf_source *s, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT: return on_scalar(s, e);
	case YAML_ALIAS_EVENT: return on_alias(s, e);
	case YAML_SEQUENCE_START_EVENT:
		return on_start(s, e, CONF_SEQUENCE, e->data.sequence_start.tag,
				e->data.sequence_start.anchor);
	case YAML_MAPPING_START_EVENT:
		return on_start(s, e, CONF_MAPPING, e->data.mapping_start.tag,
				e->data.mapping_start.anchor);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT: return on_end(s);
	default: return 0;
	}
}

/* ---- source ---------------------------------------------------------------------------------- */

struct conf_source *conf_open_text(struct slice text, struct slice name, struct conf_errors *errors)
{
	struct conf_source *s = mem_alloc(sizeof(*s));

	s->input = text;
	s->name = name;
	s->errors = errors;
	arena_init(&s->arena);
	table_init(&s->anchors, TABLE_COPY_KEYS);
	if (!yaml_parser_initialize(&s->parser))
		fail(s, 1, "out of memory");
	else if (text.n > CONF_FILE_MAX)
		fail(s, 1, "larger than 64 MiB");
	else
		yaml_parser_set_input_string(&s->parser,
					     (const unsigned char *)(text.n ? text.p : ""), text.n);
	return s;
}

static void forget_document(struct conf_source *s)
{
	table_fini(&s->anchors);
	table_init(&s->anchors, TABLE_COPY_KEYS);
	arena_reset(&s->arena);
	s->depth = 0;
	s->root = NULL;
	s->nodes = s->aliased = 0;
	s->text = NULL;
	s->text_left = 0;
}

/* One document, or the end of them all. */
static int read_document(struct conf_source *s)
{
	yaml_event_type_t type = YAML_NO_EVENT;
	yaml_event_t e;
	int err = 0;

	while (!err && type != YAML_DOCUMENT_END_EVENT && type != YAML_STREAM_END_EVENT) {
		if (!yaml_parser_parse(&s->parser, &e))
			return fail_parser(s);
		type = e.type;
		err = on_event(s, &e);
		yaml_event_delete(&e);
	}
	s->ended = type == YAML_STREAM_END_EVENT;
	return err;
}

int conf_next(struct conf_source *s, const struct conf_node **root)
{
	*root = NULL;
	while (!s->failed && !s->ended) {
		forget_document(s);
		if (read_document(s))
			break;
		if (s->root && s->root->kind != CONF_NULL) {
			*root = s->root;
			return 1;
		}
	}
	return s->failed ? -EINVAL : 0;
}

int conf_end(struct conf_source *s)
{
	yaml_event_t e;
	int err = 0;

	if (s->failed || s->ended)
		return s->failed ? -EINVAL : 0;
	if (!yaml_parser_parse(&s->parser, &e))
		return fail_parser(s);
	if (e.type != YAML_STREAM_END_EVENT)
		err = fail(s, e.start_mark.line + 1, "a second document begins here, want one");
	s->ended = true;
	yaml_event_delete(&e);
	return err;
}

void conf_close(struct conf_source *s)
{
	if (!s)
		return;
	yaml_parser_delete(&s->parser);
	table_fini(&s->anchors);
	arena_fini(&s->arena);
	free(s);
}
