/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/copy.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include "kern/each.h"

struct copying {
	int to;
	uint32_t size;
	int64_t n;
};

static bool all_zero(const char *p, size_t n)
{
	return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

static bool copy_one(void *arg, const void *key, void *value)
{
	struct copying *c = arg;

	/* An array's zero is there already. */
	if (!all_zero(value, c->size) && !bpf_map_update_elem(c->to, key, value, BPF_ANY))
		c->n++;
	return true;
}

int64_t copy_map(int from_fd, int to_fd)
{
	struct copying c = { .to = to_fd, .size = each_value_size(from_fd) };
	struct bpf_map_info a = { 0 }, b = { 0 };
	uint32_t alen = sizeof(a), blen = sizeof(b);

	if (bpf_obj_get_info_by_fd(from_fd, &a, &alen) || bpf_obj_get_info_by_fd(to_fd, &b, &blen))
		return -errno;
	if (a.type != b.type || a.key_size != b.key_size || a.value_size != b.value_size)
		return -EINVAL;
	int64_t n = each_entry(from_fd, copy_one, &c);

	return n < 0 ? n : c.n;
}
