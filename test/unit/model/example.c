// SPDX-License-Identifier: Apache-2.0
#include "example.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define DOC "docs/model.md" /* tests run at the top of the tree */

char *example_block(const char *lang)
{
	static char text[65536];
	FILE *f = fopen(DOC, "r");
	char fence[32], *begin, *end;
	size_t n;

	if (!f)
		fail_msg("%s cannot be read: run this at the top of the tree", DOC);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	snprintf(fence, sizeof(fence), "\n```%s\n", lang);
	begin = strstr(text, fence);
	if (!begin)
		fail_msg("%s has no block of %s", DOC, lang);
	begin += strlen(fence);
	end = strstr(begin, "```\n");
	assert_non_null(end);
	return strndup(begin, (size_t)(end - begin));
}
