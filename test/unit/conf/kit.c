// SPDX-License-Identifier: Apache-2.0
#include "kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "model/fact.h"

static int check(const void *conf, struct err *e)
{
	const struct kit_registry *r = conf;

	return r->path.p[0] != '/' ? err_add(e, -EINVAL, "path: want one that begins with /") : 0;
}

static const struct conf_item rows[] = {
	CONF_ITEM(struct kit_registry, path, "path", STRING, .required = true, .help = "a path"),
	CONF_ITEM(struct kit_registry, burst, "burst", INT, .min = 1, .max = 100, .dflt = "7", .help = "a number"),
	CONF_END
};

const struct conf_choice kit_choices[] = { { .name = "file", .rows = rows, .size = sizeof(struct kit_registry), .check = check },
					   { .name = NULL } };

char *kit_words(const struct conf_errors *errors)
{
	size_t len = 1;
	char *all;

	for (size_t i = 0; i < errors->n; i++)
		len += strlen(errors->text[i]) + 1;
	all = calloc(1, len);
	for (size_t i = 0; i < errors->n; i++) {
		strcat(all, i ? "\n" : "");
		strcat(all, errors->text[i]);
	}
	return all;
}

static void compare(struct conf_errors *errors, const char *says)
{
	char *all = kit_words(errors);

	conf_errors_fini(errors);
	assert_string_equal(all, says);
	free(all);
}

void kit_tree_says(const char *text, size_t n, const char *says)
{
	struct conf_errors errors = { 0 };
	struct conf_source *s = conf_open_text((struct slice){ text, n }, SLICE_LIT("f"), &errors);
	const struct conf_node *root;
	int got;

	while ((got = conf_next(s, &root)) > 0)
		;
	assert_int_equal(got, *says ? -EINVAL : 0);
	/* It stays so. */
	assert_int_equal(conf_next(s, &root), got);
	conf_close(s);
	compare(&errors, says);
}

void kit_config_says(const char *text, const char *says)
{
	struct conf_errors errors = { 0 };
	struct config *c = (void *)1;
	int err = config_load_text(slice_str(text), "f", kit_choices, &c, &errors);

	if (!err)
		print_error("accepted, though it should say: %s\n", says);
	assert_int_equal(err, -EINVAL);
	assert_null(c);
	compare(&errors, says);
}

struct config *kit_config(const char *text)
{
	struct conf_errors errors = { 0 };
	struct config *c;

	config_load_text(slice_str(text), "f", kit_choices, &c, &errors);
	compare(&errors, "");
	assert_non_null(c);
	return c;
}

const struct fact *kit_find(const struct config *c, enum fact_kind kind, const char *key)
{
	for (size_t i = 0; i < c->nfacts; i++) {
		if (c->facts[i]->kind == kind && slice_eq_str(c->facts[i]->key, key))
			return c->facts[i];
	}
	fail_msg("no %s %s", fact_words[kind], key);
	return NULL;
}
