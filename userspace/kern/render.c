/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/render.h"
#include <arpa/inet.h>
#include <bpf/btf.h>
#include <string.h>

#define DEPTH_MAX 8

static json_t *render(const struct btf *b, uint32_t id, const char *p, int depth);

static json_t *render_int(const struct btf_type *t, const char *p)
{
	int64_t s = 0;
	uint64_t u = 0;

	memcpy(&u, p, t->size > sizeof(u) ? sizeof(u) : t->size);
	if (!(btf_int_encoding(t) & BTF_INT_SIGNED))
		return json_integer((json_int_t)u);
	memcpy(&s, &u, sizeof(s));
	if (t->size < sizeof(s))
		s = (int64_t)(u << (64 - 8 * t->size)) >> (64 - 8 * t->size);
	return json_integer(s);
}

/* Ports: their BTF type is named __be16, and people read them as numbers. */
static bool is_be16(const struct btf *b, uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(b, id);

	for (; t && (btf_is_mod(t) || btf_is_typedef(t)); t = btf__type_by_id(b, t->type))
		if (btf_is_typedef(t) && !strcmp(btf__name_by_offset(b, t->name_off), "__be16"))
			return true;
	return false;
}

static json_t *render_be16(const char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return json_integer(ntohs(v));
}

static json_t *render_address(const char *p)
{
	static const char mapped[12] = { [10] = (char)0xff, (char)0xff };
	bool v4 = !memcmp(p, mapped, sizeof(mapped));
	char text[INET6_ADDRSTRLEN];

	return json_string(inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? p + 12 : p, text, sizeof(text)));
}

static json_t *render_array(const struct btf *b, const struct btf_type *t, const char *p, int depth)
{
	const struct btf_array *a = btf_array(t);
	int64_t size = btf__resolve_size(b, a->type);
	json_t *out = json_array();

	for (uint32_t i = 0; size > 0 && i < a->nelems; i++)
		json_array_append_new(out, render(b, a->type, p + (size_t)size * i, depth + 1));
	return out;
}

static json_t *render_struct(const struct btf *b, const struct btf_type *t, const char *p, int depth)
{
	const struct btf_member *m = btf_members(t);
	json_t *out = json_object();

	for (int i = 0; i < btf_vlen(t); i++, m++) {
		const char *name = btf__name_by_offset(b, m->name_off);

		if (strncmp(name, "pad", 3))
			json_object_set_new(out, name, render(b, m->type, p + m->offset / 8, depth + 1));
	}
	return out;
}

static json_t *render(const struct btf *b, uint32_t id, const char *p, int depth)
{
	int real = btf__resolve_type(b, id);
	const struct btf_type *t = real < 0 ? NULL : btf__type_by_id(b, (uint32_t)real);

	if (!t || depth > DEPTH_MAX)
		return json_null();
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		return is_be16(b, id) ? render_be16(p) : render_int(t, p);
	case BTF_KIND_ARRAY:
		return render_array(b, t, p, depth);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		if (!strcmp(btf__name_by_offset(b, t->name_off), "addr16"))
			return render_address(p);
		return render_struct(b, t, p, depth);
	default:
		return json_null();
	}
}

json_t *render_type(const struct btf *b, uint32_t type_id, const void *data)
{
	return render(b, type_id, data, 0);
}
