/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/each.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define BATCH 1024

struct shape {
	int fd;
	uint32_t type, key, value;
	each_fn *fn;
	void *arg;
};

static int shape_of(int fd, struct shape *s)
{
	struct bpf_map_info i = { 0 };
	uint32_t len = sizeof(i);

	if (bpf_obj_get_info_by_fd(fd, &i, &len))
		return -errno;
	s->fd = fd;
	s->type = i.type;
	s->key = i.key_size;
	s->value = i.value_size;
	if (i.type == BPF_MAP_TYPE_PERCPU_ARRAY || i.type == BPF_MAP_TYPE_PERCPU_HASH ||
	    i.type == BPF_MAP_TYPE_LRU_PERCPU_HASH)
		s->value = ((i.value_size + 7) & ~7u) * (uint32_t)libbpf_num_possible_cpus();
	return 0;
}

uint32_t each_value_size(int fd)
{
	struct shape s;

	return shape_of(fd, &s) ? 0 : s.value;
}

/* -ENOTSUP when the kernel or this type knows no batches; nothing was given to fn then. */
static int64_t by_batch(const struct shape *s)
{
	char *keys = mem_alloc((size_t)BATCH * s->key), *values = mem_alloc((size_t)BATCH * s->value);
	uint64_t in[8] = { 0 }, out[8] = { 0 };
	int64_t seen = 0;
	bool more = true;
	int err = 0;

	for (bool first = true; more && !err; first = false) {
		uint32_t n = BATCH;

		if (bpf_map_lookup_batch(s->fd, first ? NULL : in, out, keys, values, &n, NULL)) {
			err = errno == ENOENT ? 0 : first ? -ENOTSUP : -errno;
			more = false;
		}
		for (uint32_t i = 0; !err && i < n; i++, seen++) {
			if (!s->fn(s->arg, keys + (size_t)i * s->key, values + (size_t)i * s->value)) {
				more = false;
				break;
			}
		}
		memcpy(in, out, sizeof(in));
	}
	free(keys);
	free(values);
	return err ? err : seen;
}

static int64_t one_by_one(const struct shape *s)
{
	char *key = mem_alloc(2ul * s->key), *next = key + s->key, *value = mem_alloc(s->value);
	int64_t seen = 0;

	for (bool any = false; !bpf_map_get_next_key(s->fd, any ? key : NULL, next); any = true) {
		memcpy(key, next, s->key);
		if (bpf_map_lookup_elem(s->fd, key, value))
			continue;
		seen++;
		if (!s->fn(s->arg, key, value))
			break;
	}
	free(key);
	free(value);
	return seen;
}

int64_t each_entry(int fd, each_fn *fn, void *arg)
{
	struct shape s = { .fn = fn, .arg = arg };
	int err = shape_of(fd, &s);

	if (err)
		return err;
	int64_t n = s.key <= 56 ? by_batch(&s) : -ENOTSUP;

	return n == -ENOTSUP ? one_by_one(&s) : n;
}
