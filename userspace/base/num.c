// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "weft/str.h"

struct unit {
	const char *name;
	uint64_t size;
};

#define SECOND 1000000000u                      /* ns */

/* Descending: "1m30s" names them in this order, each once. */
static const struct unit times[] = {
	{ "h", 3600000000000u },
	{ "m", 60000000000u },
	{ "s", SECOND },
	{ "ms", 1000000u },
	{ "us", 1000u },
	{ "ns", 1u },
};
static const struct unit sizes[] = {
	{ "TiB", 1ull << 40 },
	{ "GiB", 1ull << 30 },
	{ "MiB", 1ull << 20 },
	{ "KiB", 1ull << 10 },
	{ "", 1 },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define FRACTION_MAX 18                         /* digits after the point: 10^18 fits 64 bits */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t digits(struct slice s)
{
	size_t n = 0;

	while (n < s.n && is_digit(s.p[n]))
		n++;
	return n;
}

static void skip(struct slice *s, size_t n)
{
	s->p += n;
	s->n -= n;
}

/* The digits at the head of *s, which moves past them. */
static int take_u64(struct slice *s, uint64_t *out)
{
	size_t n = digits(*s);
	uint64_t v = 0;

	if (!n)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (unsigned)(s->p[i] - '0'), &v))
			return -ERANGE;
	}
	skip(s, n);
	*out = v;
	return 0;
}

int num_u64(struct slice s, uint64_t *out)
{
	uint64_t v;
	int err;

	if (digits(s) != s.n)
		return -EINVAL;
	err = take_u64(&s, &v);
	if (!err)
		*out = v;
	return err;
}

int num_i64(struct slice s, int64_t *out)
{
	bool minus = s.n && s.p[0] == '-';
	uint64_t v;
	int err;

	if (minus)
		skip(&s, 1);
	err = num_u64(s, &v);
	if (err)
		return err;
	if (v > (uint64_t)INT64_MAX + minus)
		return -ERANGE;
	*out = (int64_t)(minus ? -v : v);
	return 0;
}

/* digits, or digits.digits */
static bool is_decimal(struct slice s)
{
	size_t whole = digits(s), part;

	if (!whole || whole == s.n)
		return whole;
	if (s.p[whole] != '.')
		return false;
	skip(&s, whole + 1);
	part = digits(s);
	return part && part == s.n;
}

int num_double(struct slice s, double *out)
{
	struct slice bare = s;
	char text[400];                         /* DBL_MAX has 309 digits */
	double v;

	if (s.n && s.p[0] == '-')
		skip(&bare, 1);
	if (!is_decimal(bare))
		return -EINVAL;
	if (s.n >= sizeof(text))
		return -ERANGE;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	/*
	 * Form and length are checked, and nothing here calls setlocale(3): all that can be wrong
	 * is the size.
	 */
	v = strtod(text, NULL);

	if (isinf(v))
		return -ERANGE;
	*out = v;
	return 0;
}

int num_percent(struct slice s, double *out)
{
	if (s.n && s.p[0] == '-')
		return -EINVAL;
	if (s.n && s.p[s.n - 1] == '%')
		s.n--;
	return num_double(s, out);
}

/* ".5" of a unit, exact to the unit's last part or -EINVAL. */
static int take_fraction(struct slice *s, uint64_t *part, uint64_t *whole)
{
	size_t n;
	int err;

	*part = 0;
	*whole = 1;
	if (!s->n || s->p[0] != '.')
		return 0;
	skip(s, 1);
	n = digits(*s);
	if (!n || n > FRACTION_MAX)
		return -EINVAL;
	err = take_u64(s, part);
	while (!err && n--)
		*whole *= 10;
	return err;
}

/* The unit at the head of *s, from times[*from] on; *from moves past it: none comes twice. */
static const struct unit *take_unit(struct slice *s, size_t *from)
{
	size_t n = 0;

	while (n < s->n && s->p[n] >= 'a' && s->p[n] <= 'z')
		n++;
	for (size_t i = *from; i < COUNT(times); i++) {
		if (slice_eq_str((struct slice){ s->p, n }, times[i].name)) {
			*from = i + 1;
			skip(s, n);
			return &times[i];
		}
	}
	return NULL;
}

static int take_time(struct slice *s, size_t *from, uint64_t *ns)
{
	uint64_t n, part, whole;
	const struct unit *u;
	unsigned __int128 v;
	int err = take_u64(s, &n);

	if (!err)
		err = take_fraction(s, &part, &whole);
	if (err)
		return err;
	u = take_unit(s, from);
	if (!u)
		return -EINVAL;
	v = (unsigned __int128)part * u->size;
	if (v % whole)
		return -EINVAL;
	v = v / whole + (unsigned __int128)n * u->size + *ns;
	if (v > UINT64_MAX)
		return -ERANGE;
	*ns = (uint64_t)v;
	return 0;
}

int num_duration(struct slice s, uint64_t *ns)
{
	uint64_t sum = 0;
	size_t from = 0;
	int err = s.n ? 0 : -EINVAL;

	while (!err && s.n)
		err = take_time(&s, &from, &sum);
	if (!err)
		*ns = sum;
	return err;
}

int num_size(struct slice s, uint64_t *bytes)
{
	uint64_t v;
	int err = take_u64(&s, &v);

	if (err)
		return err;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		if (!slice_eq_str(s, sizes[i].name))
			continue;
		if (__builtin_mul_overflow(v, sizes[i].size, &v))
			return -ERANGE;
		*bytes = v;
		return 0;
	}
	return -EINVAL;
}

/* "1.5" of a decimal unit: part / size without trailing zeros. size is a power of ten. */
static void put_decimal(char *out, uint64_t ns, const struct unit *u)
{
	uint64_t part = ns % u->size;
	int width = 0, n = sprintf(out, "%" PRIu64, ns / u->size);

	if (part) {
		for (uint64_t x = u->size; x > 1; x /= 10)
			width++;
		while (part % 10 == 0) {
			part /= 10;
			width--;
		}
		n += sprintf(out + n, ".%0*" PRIu64, width, part);
	}
	strcpy(out + n, u->name);
}

/* Fractions are of seconds and below, and never "0.5s": people write 500ms. */
const char *num_duration_str(uint64_t ns, char *out)
{
	char text[48];

	strcpy(out, "0s");
	if (!ns)
		return out;
	out[0] = 0;
	for (size_t i = 0; i < COUNT(times); i++) {
		const struct unit *u = &times[i];

		if (ns < u->size || (ns % u->size && u->size > SECOND))
			continue;
		put_decimal(text, ns, u);
		if (!out[0] || strlen(text) < strlen(out))
			strcpy(out, text);
	}
	return out;
}

const char *num_size_str(uint64_t bytes, char *out)
{
	for (size_t i = 0; i < COUNT(sizes); i++) {
		if (sizes[i].size > 1 && (!bytes || bytes % sizes[i].size))
			continue;
		sprintf(out, "%" PRIu64 "%s", bytes / sizes[i].size, sizes[i].name);
		break;
	}
	return out;
}
