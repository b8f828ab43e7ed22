/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/render.h"

#include <string.h>

#include "base/vec.h"

const json_t *render_path(const json_t *row, const char *path)
{
	char name[64];

	while (row && *path) {
		size_t n = strcspn(path, ".");

		if (n >= sizeof(name))
			return NULL;
		memcpy(name, path, n);
		name[n] = '\0';
		row = json_object_get(row, name);
		path += n + (path[n] == '.');
	}
	return row;
}

static void bytes_str(char *out, size_t size, double v)
{
	static const char unit[] = "BKMGTP";
	int i = 0;

	while (v >= 1024 && unit[i + 1]) {
		v /= 1024;
		i++;
	}
	snprintf(out, size, i ? "%.1f%c" : "%.0f%c", v, unit[i]);
}

static void seconds_str(char *out, size_t size, double v)
{
	unsigned long s = v;

	if (s < 60)
		snprintf(out, size, "%.1fs", v);
	else if (s < 3600)
		snprintf(out, size, "%lum%02lus", s / 60, s % 60);
	else
		snprintf(out, size, "%luh%02lum", s / 3600, s / 60 % 60);
}

static const char *array_str(const json_t *v, char *out, size_t size)
{
	size_t i, used = 0;
	json_t *e;

	out[0] = '\0';
	json_array_foreach(v, i, e) {
		const char *s = json_is_string(e) ? json_string_value(e) : "?";

		used += snprintf(out + used, used < size ? size - used : 0, "%s%s", i ? "," : "", s);
		if (used >= size)
			break;
	}
	return out[0] ? out : "-";
}

/* What a terminal would obey: C0, DEL, and C1 in UTF-8. */
static size_t control(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	if (*p < 0x20 || *p == 0x7f)
		return 1;
	return *p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0 ? 2 : 0;
}

/* s itself; out (which may be s), cut at size, where it holds names or words that the terminal must not see as they are. */
static const char *clean(const char *s, char *out, size_t size)
{
	const char *p = s;
	size_t n = 0;

	while (*p && !control(p))
		p++;
	if (!*p)
		return s;
	for (p = s; *p && n + 1 < size; n++) {
		size_t skip = control(p);

		out[n] = skip ? '?' : *p;
		p += skip ? skip : 1;
	}
	out[n] = '\0';
	return out;
}

const char *render_value(const json_t *v, enum column_kind kind)
{
	static char ring[4][512];
	static unsigned turn;
	char *out = ring[turn++ % 4];

	if (!v || json_is_null(v))
		return "-";
	if (json_is_string(v))
		return *json_string_value(v) ? clean(json_string_value(v), out, sizeof(ring[0])) : "-";
	if (json_is_boolean(v))
		return json_is_true(v) ? "yes" : "no";
	if (json_is_array(v))
		return clean(array_str(v, out, sizeof(ring[0])), out, sizeof(ring[0]));
	if (!json_is_number(v))
		return "?";
	if (kind == COLUMN_BYTES)
		bytes_str(out, sizeof(ring[0]), json_number_value(v));
	else if (kind == COLUMN_SECONDS)
		seconds_str(out, sizeof(ring[0]), json_number_value(v));
	else if (json_is_integer(v))
		snprintf(out, sizeof(ring[0]), "%lld", (long long)json_integer_value(v));
	else
		snprintf(out, sizeof(ring[0]), "%.2f", json_real_value(v));
	return out;
}

static const char *cell(const json_t *row, const struct column *c)
{
	return render_value(render_path(row, c->path), c->kind);
}

void render_table(FILE *out, const json_t *rows, const struct column *columns, enum output how)
{
	VEC(size_t) width = { 0 };
	const struct column *c;
	const json_t *row;
	size_t i, k;

	if (!json_array_size(rows)) {
		fprintf(out, "none\n");
		return;
	}
	for (c = columns; c->title; c++) {
		size_t w = strlen(c->title);

		json_array_foreach(rows, i, row) {
			size_t n = strlen(cell(row, c));

			w = n > w ? n : w;
		}
		vec_push(&width, w);
	}
	for (ssize_t r = -1; r < (ssize_t)json_array_size(rows); r++) {
		const char *gap = "";

		for (c = columns, k = 0; c->title; c++, k++) {
			const char *s = r < 0 ? c->title : cell(json_array_get(rows, r), c);
			int w = c[1].title || c->kind != COLUMN_TEXT ? (int)width.v[k] : 0;

			if (c->wide && how != OUTPUT_WIDE)
				continue;
			fprintf(out, "%s%*s", gap, c->kind == COLUMN_TEXT ? -w : w, s);
			gap = "  ";
		}
		fputc('\n', out);
	}
	vec_fini(&width);
}

void render_json(FILE *out, const json_t *v)
{
	json_dumpf(v, out, JSON_INDENT(2) | JSON_ENCODE_ANY);
	fputc('\n', out);
}
