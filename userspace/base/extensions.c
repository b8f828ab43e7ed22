// SPDX-License-Identifier: Apache-2.0
#include "base/extensions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "weft/str.h"

struct extensions extensions;

#define WORDS(kind, list, words) words,
const char *const extension_words[EXTENSION_KINDS] = { EXTENSIONS(WORDS) };

/* Where the list of a kind is, here and in a plugin. Whatever the kind, a name comes first. */
#define PLACE(kind, list, words) { offsetof(struct extensions, list), offsetof(struct weft_plugin, list) },
static const struct {
	size_t here, there;
} places[] = { EXTENSIONS(PLACE) };

#define NAME_FIRST(kind, list, words) _Static_assert(offsetof(struct kind##_ops, name) == 0, words);
EXTENSIONS(NAME_FIRST)

/* Lists are of different pointers: they are read and written as bytes. */
static const void *get(const void *list, size_t i)
{
	const void *ops;

	memcpy(&ops, (const char *)list + i * sizeof(ops), sizeof(ops));
	return ops;
}

static char *list_of(enum extension_kind kind)
{
	return (char *)&extensions + places[kind].here;
}

const char *extension_name(const void *ops)
{
	const char *name;

	memcpy(&name, ops, sizeof(name));
	return name;
}

const void *extension_of(const struct weft_plugin *p, enum extension_kind kind, size_t i)
{
	const void *list = get((const char *)p + places[kind].there, 0);

	return list ? get(list, i) : NULL;
}

const void *extension_find(enum extension_kind kind, struct slice name)
{
	const void *ops;

	for (size_t i = 0; (ops = get(list_of(kind), i)); i++)
		if (slice_eq_str(name, extension_name(ops)))
			return ops;
	return NULL;
}

unsigned extension_room(enum extension_kind kind)
{
	unsigned n = 0;

	while (get(list_of(kind), n))
		n++;
	return EXTENSIONS_MAX - n;
}

int extension_add(enum extension_kind kind, const void *ops)
{
	unsigned room = extension_room(kind);

	if (extension_find(kind, slice_str(extension_name(ops))))
		return -EEXIST;
	if (!room)
		return -ENOSPC;
	memcpy(list_of(kind) + (EXTENSIONS_MAX - room) * sizeof(ops), &ops, sizeof(ops));
	return 0;
}

static bool has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = strstr(words, word); p; p = strstr(p + 1, word))
		if ((p == words || p[-1] == ' ') && (!p[n] || p[n] == ','))
			return true;
	return false;
}

int extension_unknown(enum extension_kind kind, struct slice name, const char *first, struct err *e)
{
	char names[512] = "";
	const void *ops;
	size_t n = 0;

	for (size_t i = 0; (ops = get(list_of(kind), i)) && n < sizeof(names); i++)
		if (!has_word(first, extension_name(ops)))
			n += (size_t)snprintf(names + n, sizeof(names) - n, ", %s", extension_name(ops));
	return err_add(e, -EINVAL, "want one of: %s%s; not %.*s", first, names, SLICE_ARG(name));
}
