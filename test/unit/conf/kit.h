/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of a bad text, exactly; and what cmocka wants included before it. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"
#include "conf/config.h"
#include "weft/str.h"

/* A text, and every message that it must give, a line each. */
struct bad {
	const char *text, *says;
};

/* The messages as one text, a line each; free(3). */
char *kit_words(const struct conf_errors *errors);
/* Reads every document, and fails the test unless it says so. */
void kit_tree_says(const char *text, size_t n, const char *says);
void kit_config_says(const char *text, const char *says);
/* A configuration that must be good. */
struct config *kit_config(const char *text);
/* The fact of this kind and key; the test fails without it. */
const struct fact *kit_find(const struct config *c, enum fact_kind kind, const char *key);
/* The one registry type there is in these tests: "file", with a path. */
extern const struct conf_choice kit_choices[];

struct kit_registry {
	struct slice path;
	uint32_t burst;
};
