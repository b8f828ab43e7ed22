// SPDX-License-Identifier: Apache-2.0
#include "conf/dump.h"

#include <math.h>
#include <stdio.h>
#include "base/num.h"
#include "conf/value.h"
#include "weft/str.h"

static json_t *text(struct slice s)
{
	return json_stringn(s.p ? s.p : "", s.n);
}

static json_t *dump_int(const struct conf_item *item, const void *field, size_t size)
{
	uint64_t v = value_load(field, size);

	for (uint64_t i = 0; item->names && item->names[i]; i++) {
		if (i == v)
			return json_string(item->names[i]);
	}
	return json_integer((json_int_t)v);
}

static json_t *dump_enum(const struct conf_item *item, const void *field, size_t size)
{
	const char *word = item->names[value_load(field, size)];

	if (!strcmp(word, "true") || !strcmp(word, "false"))
		return json_boolean(word[0] == 't');
	return json_string(word);
}

static json_t *dump_percent(double v)
{
	return v == floor(v) ? json_integer((json_int_t)v) : json_real(v);
}

static json_t *dump_map(const struct pair_list *l)
{
	json_t *j = json_object();

	for (size_t i = 0; i < l->n; i++)
		json_object_setn_new(j, l->v[i].name.p, l->v[i].name.n, text(l->v[i].value));
	return j;
}

static json_t *dump_value(const struct conf_item *item, enum conf_type type, const void *field,
			  size_t size);

static json_t *dump_list(const struct conf_item *item, const struct conf_list *l)
{
	json_t *j = json_array();

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(j,
				      dump_value(item->of == CONF_LIST ? item->rows : item, item->of, (char *)l->v + i * item->of_size,
						 item->of_size));
	return j;
}

static json_t *dump_value(const struct conf_item *item, enum conf_type type, const void *field,
			  size_t size)
{
	char out[64];

	switch (type) {
	case CONF_BOOL: return json_boolean(*(const bool *)field);
	case CONF_INT: return dump_int(item, field, size);
	case CONF_CLUSTER:
	case CONF_STRING: return text(*(const struct slice *)field);
	case CONF_DURATION: return json_string(num_duration_str(*(const uint64_t *)field, out));
	case CONF_SIZE: return json_string(num_size_str(*(const uint64_t *)field, out));
	case CONF_PERCENT: return dump_percent(*(const double *)field);
	case CONF_ENUM: return dump_enum(item, field, size);
	case CONF_IP: return json_string(ip_name(field, out));
	case CONF_ADDRESS: return json_string(conf_address_name(field, out));
	case CONF_STRUCT: return conf_dump(item->rows, field);
	case CONF_LIST: return dump_list(item, field);
	case CONF_MAP: return dump_map(field);
	default: return NULL;
	}
}

static void dump_into(json_t *j, const struct conf_item *rows, const void *base)
{
	for (; rows && (rows->name || rows->type == CONF_LINE); rows++) {
		const void *field = (const char *)base + rows->offset;

		if (!rows->size || rows->type == CONF_LINE)
			continue;
		if (rows->type == CONF_CHOICE) {
			const struct conf_chosen *chosen = field;

			json_object_set_new(j, rows->name, json_string(chosen->choice->name));
			dump_into(j, chosen->choice->rows, chosen->conf);
		} else {
			json_object_set_new(j, rows->name,
					    dump_value(rows, rows->type, field, rows->size));
		}
	}
}

json_t *conf_dump(const struct conf_item *rows, const void *base)
{
	json_t *j = json_object();

	dump_into(j, rows, base);
	return j;
}

json_t *config_dump(const struct config *c)
{
	return conf_dump(config_rows, c);
}
