/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/layout.h"
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>
#include "base/hash.h"

#define DEPTH_MAX 8

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	return hash_bytes((struct slice){ p, n }, h);
}

static uint64_t mix_u32(uint64_t h, uint32_t v)
{
	return mix(h, &v, sizeof(v));
}

static uint64_t walk(const struct btf *b, uint32_t id, uint64_t h, int depth);

static uint64_t walk_members(const struct btf *b, const struct btf_type *t, uint64_t h, int depth)
{
	const struct btf_member *m = btf_members(t);

	for (int i = 0; i < btf_vlen(t); i++, m++) {
		const char *name = btf__name_by_offset(b, m->name_off);

		h = mix(h, name, strlen(name));
		h = mix_u32(h, m->offset);
		h = walk(b, m->type, h, depth + 1);
	}
	return h;
}

static uint64_t walk(const struct btf *b, uint32_t id, uint64_t h, int depth)
{
	const struct btf_type *t = btf__type_by_id(b, id);
	int r;

	/* A typedef's name does not matter, what it stands for does. */
	while (t && (btf_is_mod(t) || btf_is_typedef(t))) {
		id = t->type;
		t = btf__type_by_id(b, id);
	}
	if (!t || depth > DEPTH_MAX)
		return h;
	h = mix_u32(h, btf_kind(t));
	if (btf_is_array(t)) {
		h = mix_u32(h, btf_array(t)->nelems);
		return walk(b, btf_array(t)->type, h, depth + 1);
	}
	r = (int)btf__resolve_size(b, id);
	h = mix_u32(h, r > 0 ? (uint32_t)r : 0);
	return btf_is_composite(t) ? walk_members(b, t, h, depth) : h;
}

uint64_t layout_type(const struct btf *b, uint32_t type_id)
{
	uint64_t h = walk(b, type_id, HASH_STABLE, 0);

	return h ? h : 1;
}

int layout_of(int map_fd, struct layout *out)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(map_fd, &info, &len))
		return -errno;
	*out = (struct layout){ .type = info.type, .key_size = info.key_size, .value_size = info.value_size,
				.max_entries = info.max_entries, .flags = info.map_flags };
	struct btf *b = info.btf_id ? btf__load_from_kernel_by_id(info.btf_id) : NULL;

	if (!b)
		return 0;
	if (info.btf_key_type_id)
		out->key = layout_type(b, info.btf_key_type_id);
	if (info.btf_value_type_id)
		out->value = layout_type(b, info.btf_value_type_id);
	btf__free(b);
	return 0;
}

bool layout_same_entries(const struct layout *a, const struct layout *b)
{
	return a->type == b->type && a->key_size == b->key_size && a->value_size == b->value_size &&
	       a->flags == b->flags && (!a->key || !b->key || a->key == b->key) &&
	       (!a->value || !b->value || a->value == b->value);
}

bool layout_same(const struct layout *a, const struct layout *b)
{
	return layout_same_entries(a, b) && a->max_entries == b->max_entries;
}
