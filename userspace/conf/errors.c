// SPDX-License-Identifier: Apache-2.0
#include "conf/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "weft/str.h"

#define WORD_MAX 32 /* longer words get no suggestion */

void conf_errors_fini(struct conf_errors *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->text[i]);
	*e = (struct conf_errors){0};
}

void conf_errors_add(struct conf_errors *e, const char *fmt, ...)
{
	char words[ERR_TEXT_MAX];
	va_list ap;

	if (e->n == CONF_ERRORS_MAX) {
		e->more++;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	e->text[e->n++] = mem_str(words);
}

int conf_errors_words(const struct conf_errors *errors, int code, struct err *e)
{
	char words[ERR_TEXT_MAX] = "";
	size_t len = 0, shown;

	/* 40: room for how many more there are. */
	for (shown = 0; shown < errors->n; shown++) {
		size_t n = strlen(errors->text[shown]);

		if (len + n + 40 > sizeof(words) && shown)
			break;
		len += snprintf(words + len, sizeof(words) - len, "%s%s", shown ? "\n" : "",
				errors->text[shown]);
		if (len >= sizeof(words))
			len = sizeof(words) - 1;
	}
	if (errors->n - shown + errors->more)
		snprintf(words + len, sizeof(words) - len, "\n(and %zu more)",
			 errors->n - shown + errors->more);
	return err_add(e, code, "%s", words);
}

const char *errors_show(struct slice s, char *out, size_t size)
{
	size_t n = s.n < size - 4 ? s.n : size - 4, i;

	for (i = 0; i < n; i++)
		out[i] = (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f ? '?' : s.p[i];
	strcpy(out + i, n < s.n ? "..." : "");
	return out;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Insertions, deletions, replacements and neighbours swapped, case apart. Both at most WORD_MAX. */
static unsigned distance(struct slice a, struct slice b)
{
	unsigned row[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= a.n; i++) {
		for (size_t j = 0; j <= b.n; j++) {
			unsigned same;

			if (!i || !j) {
				row[i][j] = i + j;
				continue;
			}
			same = lower(a.p[i - 1]) == lower(b.p[j - 1]);
			row[i][j] = min3(row[i - 1][j] + 1, row[i][j - 1] + 1,
					 row[i - 1][j - 1] + !same);
			if (i > 1 && j > 1 && lower(a.p[i - 1]) == lower(b.p[j - 2]) &&
			    lower(a.p[i - 2]) == lower(b.p[j - 1]) &&
			    row[i - 2][j - 2] + 1 < row[i][j])
				row[i][j] = row[i - 2][j - 2] + 1;
		}
	}
	return row[a.n][b.n];
}

const char *errors_nearest(struct slice word, const char *(*next)(const void *arg, size_t i),
			   const void *arg)
{
	const char *best = NULL, *w;
	unsigned least = word.n < 4 ? 2 : 3, d; /* below which a word is near */

	if (!word.n || word.n > WORD_MAX)
		return NULL;
	for (size_t i = 0; (w = next(arg, i)); i++) {
		if (strlen(w) > WORD_MAX)
			continue;
		d = distance(word, slice_str(w));
		if (d < least) {
			least = d;
			best = w;
		}
	}
	return best;
}
