// SPDX-License-Identifier: Apache-2.0
#include "conf/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include "base/arena.h"
#include "base/magic.h"
#include "base/num.h"
#include "conf/errors.h"
#include "conf/reader.h"
#include "weft/str.h"

/* What one parser gets. size: of the field, or of a list's element. */
struct value {
	struct conf_reader *r;
	const struct conf_item *item;
	enum conf_type type;
	const struct conf_node *n;
	size_t size;
	void *out;
	struct err *e;
};

/* ---- bounds and words ------------------------------------------------------------------------ */

static bool bounded(const struct conf_item *item)
{
	return item->min || item->max;
}

int64_t value_min(const struct conf_item *item)
{
	return bounded(item) ? item->min : 0;
}

int64_t value_max(const struct conf_item *item, size_t size)
{
	if (item->max)
		return item->max;
	return size >= 8 ? INT64_MAX : (int64_t)((1ull << (8 * size)) - 1);
}

static size_t value_size(const struct conf_item *item)
{
	return item->type == CONF_LIST ? item->of_size : item->size;
}

static const char *amount(enum conf_type type, int64_t v, char *out)
{
	if (type == CONF_DURATION)
		return num_duration_str((uint64_t)v, out);
	if (type == CONF_SIZE)
		return num_size_str((uint64_t)v, out);
	sprintf(out, "%" PRId64, v);
	return out;
}

/* " from 1 to 65535", or "" when every value that fits the field will do. */
static const char *range(const struct conf_item *item, enum conf_type type, char *out, size_t size)
{
	int64_t max = value_max(item, value_size(item));
	char lo[32], hi[32];

	if (!bounded(item) && type != CONF_INT)
		return "";
	if (max == INT64_MAX && value_min(item) == INT64_MIN)
		snprintf(out, size, " of 64 bits");
	else if (max == INT64_MAX)
		snprintf(out, size, " of at least %s", amount(type, value_min(item), lo));
	else
		snprintf(out, size, " from %s to %s", amount(type, value_min(item), lo),
			 amount(type, max, hi));
	return out;
}

static const char *words_or(const char *const *names, const char *last, char *out, size_t size)
{
	size_t len = 0;

	out[0] = 0;
	for (size_t i = 0; names && names[i] && len < size; i++) {
		const char *between = i ? (names[i + 1] || last ? ", " : " or ") : "";

		len += snprintf(out + len, size - len, "%s%s", between, names[i]);
	}
	if (last && len < size)
		snprintf(out + len, size - len, "%s%s", len ? " or " : "", last);
	return out;
}

const char *value_want(const struct conf_item *item, enum conf_type type, char *out, size_t size)
{
	static const char *const plain[] = {
		[CONF_BOOL] = "true or false",
		[CONF_STRING] = "text",
		[CONF_PERCENT] = "a percentage from 0 to 100",
		[CONF_IP] = "an IPv4 or IPv6 address",
		[CONF_STRUCT] = "a mapping",
		[CONF_LIST] = "a list",
		[CONF_MAP] = "a mapping of text to text",
		[CONF_CLUSTER] = "the name of a cluster",
	};
	char part[192], r[96];

	if (type == CONF_ENUM) {
		words_or(item->names, NULL, out, size);
	} else if (type == CONF_INT) {
		snprintf(part, sizeof(part), "a whole number%s", range(item, type, r, sizeof(r)));
		words_or(item->names, part, out, size);
	} else if (type == CONF_DURATION) {
		snprintf(out, size, "a duration such as 250ms, 10s or 1h%s",
			 range(item, type, r, sizeof(r)));
	} else if (type == CONF_SIZE) {
		snprintf(out, size, "a size such as 64KiB or 1MiB%s",
			 range(item, type, r, sizeof(r)));
	} else if (type == CONF_ADDRESS) {
		snprintf(out, size,
			 item->min ? "IP:PORT (IPv6 as [IP]:PORT)"
				   : "IP:PORT (IPv6 as [IP]:PORT) or an IP (host names: discovery)");
	} else if (type == CONF_STRING && item->max) {
		snprintf(out, size, "text of at most %" PRId64 " bytes", item->max);
	} else {
		snprintf(out, size, "%s", plain[type] ? plain[type] : "text");
	}
	return out;
}

static int wrong(const struct value *v)
{
	char what[96], want[384];

	return err_add(v->e, -EINVAL, "want %s, not %s",
		       value_want(v->item, v->type, want, sizeof(want)),
		       reader_what(v->n, what, sizeof(what)));
}

static int out_of_range(const struct value *v)
{
	char what[96], want[384];

	return err_add(v->e, -EINVAL, "%s is out of range, want %s",
		       reader_what(v->n, what, sizeof(what)),
		       value_want(v->item, v->type, want, sizeof(want)));
}

/* ---- integers of any size -------------------------------------------------------------------- */

uint64_t value_load(const void *field, size_t size)
{
	switch (size) {
	case 1: return *(const uint8_t *)field;
	case 2: return *(const uint16_t *)field;
	case 4: return *(const uint32_t *)field;
	default: return *(const uint64_t *)field;
	}
}

static int store(const struct value *v, uint64_t x)
{
	switch (v->size) {
	case 1: *(uint8_t *)v->out = (uint8_t)x; break;
	case 2: *(uint16_t *)v->out = (uint16_t)x; break;
	case 4: *(uint32_t *)v->out = (uint32_t)x; break;
	default: assert_always(v->size == 8); *(uint64_t *)v->out = x;
	}
	return 0;
}

static int in_range(const struct value *v, int64_t x)
{
	return x >= value_min(v->item) && x <= value_max(v->item, v->size);
}

/* ---- one parser a type ----------------------------------------------------------------------- */

static int parse_bool(const struct value *v)
{
	struct slice t = v->n->text;

	if (v->n->quoted || (!slice_eq_str(t, "true") && !slice_eq_str(t, "false")))
		return wrong(v);
	*(bool *)v->out = t.n == 4;
	return 0;
}

static int find_name(const struct value *v)
{
	for (int i = 0; v->item->names && v->item->names[i]; i++) {
		if (slice_eq_str(v->n->text, v->item->names[i]))
			return i;
	}
	return -1;
}

static int parse_int(const struct value *v)
{
	int word = find_name(v), err;
	int64_t x;

	if (word >= 0)
		return store(v, (uint64_t)word);
	err = v->n->quoted ? -EINVAL : num_i64(v->n->text, &x);
	if (err == -ERANGE || (!err && !in_range(v, x)))
		return out_of_range(v);
	return err ? wrong(v) : store(v, (uint64_t)x);
}

static int parse_string(const struct value *v)
{
	struct slice t = v->n->text;

	if (memchr(t.p, 0, t.n))
		return err_add(v->e, -EINVAL, "text may not contain a NUL");
	if (v->item->max && t.n > (size_t)v->item->max)
		return err_add(v->e, -EINVAL, "%zu bytes are too long, want at most %" PRId64, t.n,
			       v->item->max);
	if (v->item->min && t.n < (size_t)v->item->min)
		return err_add(v->e, -EINVAL, "%zu bytes are too short, want at least %" PRId64,
			       t.n, v->item->min);
	*(struct slice *)v->out = (struct slice){arena_dup(v->r->arena, t.p, t.n), t.n};
	return 0;
}

static int parse_duration(const struct value *v)
{
	uint64_t ns;
	int err = num_duration(v->n->text, &ns);

	if (err == -ERANGE || (!err && (ns > INT64_MAX || !in_range(v, (int64_t)ns))))
		return out_of_range(v);
	return err ? wrong(v) : store(v, ns);
}

static int parse_size(const struct value *v)
{
	uint64_t bytes;
	int err = num_size(v->n->text, &bytes);

	if (err == -ERANGE || (!err && (bytes > INT64_MAX || !in_range(v, (int64_t)bytes))))
		return out_of_range(v);
	return err ? wrong(v) : store(v, bytes);
}

static int parse_percent(const struct value *v)
{
	double p;

	if (num_percent(v->n->text, &p))
		return wrong(v);
	if (p > 100)
		return out_of_range(v);
	*(double *)v->out = p;
	return 0;
}

static int parse_enum(const struct value *v)
{
	int word = find_name(v);

	return word >= 0 ? store(v, (uint64_t)word) : wrong(v);
}

static int parse_ip(const struct value *v)
{
	return ip_parse(v->n->text, v->out) ? wrong(v) : 0;
}

static int parse_address(const struct value *v)
{
	struct conf_address a;

	if (conf_address_parse(v->n->text, &a) || (v->item->min && !a.port))
		return wrong(v);
	*(struct conf_address *)v->out = a;
	return 0;
}

int value_parse(struct conf_reader *r, const struct conf_item *item, enum conf_type type,
		const struct conf_node *n, void *out, struct err *e)
{
	static int (*const parsers[])(const struct value *) = {
		[CONF_BOOL] = parse_bool,	[CONF_INT] = parse_int,
		[CONF_STRING] = parse_string,	[CONF_DURATION] = parse_duration,
		[CONF_SIZE] = parse_size,	[CONF_PERCENT] = parse_percent,
		[CONF_ENUM] = parse_enum,	[CONF_IP] = parse_ip,
		[CONF_ADDRESS] = parse_address,	[CONF_CLUSTER] = parse_string,
	};
	const struct value v = {r, item, type, n, value_size(item), out, e};

	assert_always(type < sizeof(parsers) / sizeof(parsers[0]) && parsers[type]);
	return n->kind == CONF_SCALAR ? parsers[type](&v) : wrong(&v);
}
