// SPDX-License-Identifier: Apache-2.0
#include "books.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>

#define CPUS_MAX 1024

int books_open(struct books *b, const char *dir)
{
	const struct {
		const char *name;
		int *fd;
	} want[] = {{"ctl_map", &b->ctl},
		    {"sock_map", &b->sock},
		    {"wait_map", &b->wait},
		    {"pair_map", &b->pair},
		    {"reason_map", &b->reason}};
	char path[256];

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, want[i].name);
		if ((*want[i].fd = bpf_obj_get(path)) < 0) {
			int err = -errno;

			fprintf(stderr, "%s: cannot be opened\n", path);
			return err;
		}
	}
	return 0;
}

void books_ctl(const struct books *b, struct ctl *ctl)
{
	__u32 zero = 0;

	*ctl = (struct ctl){0};
	bpf_map_lookup_elem(b->ctl, &zero, ctl);
}

void books_flags(const struct books *b, uint32_t set, uint32_t clear)
{
	struct ctl ctl;
	__u32 zero = 0;

	books_ctl(b, &ctl);
	ctl.flags = (ctl.flags | set) & ~clear;
	bpf_map_update_elem(b->ctl, &zero, &ctl, BPF_ANY);
}

uint64_t books_reason(const struct books *b, enum reason r)
{
	uint64_t per_cpu[CPUS_MAX], sum = 0;
	int ncpus = libbpf_num_possible_cpus();
	__u32 key = r;

	if (ncpus > 0 && ncpus <= CPUS_MAX && !bpf_map_lookup_elem(b->reason, &key, per_cpu))
		for (int i = 0; i < ncpus; i++)
			sum += per_cpu[i];
	return sum;
}

int books_pair(const struct books *b, uint64_t cookie, struct pair *p)
{
	return bpf_map_lookup_elem(b->pair, &cookie, p) ? -ENOENT : 0;
}

unsigned books_count(int map)
{
	uint64_t key, next; /* all keys are 8 bytes */
	unsigned n = 0;
	void *from = NULL;

	while (n < (1u << 20) && !bpf_map_get_next_key(map, from, &next)) {
		key = next;
		from = &key;
		n++;
	}
	return n;
}

const char *reason_label(enum reason r)
{
#define REASON_LABEL(name, class, label, text) [REASON_##name] = label,
	static const char *const labels[] = {REASONS(REASON_LABEL)};
#undef REASON_LABEL

	return r < REASON_MAX ? labels[r] : "?";
}
