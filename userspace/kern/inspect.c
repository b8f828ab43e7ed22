/* SPDX-License-Identifier: Apache-2.0 */
/* Maps and programs themselves, for /kernel: sizes, memory, pins, entries as JSON. */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kern/each.h"
#include "kern/kern_priv.h"
#include "kern/read.h"
#include "kern/render.h"

/* memlock of /proc/self/fdinfo: what the kernel says this map takes. */
static uint64_t memory_of(int fd)
{
	unsigned long long n = 0;
	char path[64], line[128];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock: %llu", &n) == 1)
			break;
	if (f)
		fclose(f);
	return n;
}

static bool count_one(void *arg, const void *key, void *value)
{
	(void)key;
	(void)value;
	++*(uint32_t *)arg;
	return true;
}

static uint32_t used_of(int fd, const struct bpf_map_info *i)
{
	uint32_t n = 0;

	switch (i->type) {
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return i->max_entries;
	case BPF_MAP_TYPE_SK_STORAGE:
	case BPF_MAP_TYPE_RINGBUF:
		return UINT32_MAX;
	default:
		return each_entry(fd, count_one, &n) < 0 ? UINT32_MAX : n;
	}
}

static bool one_map(struct kern *k, const struct load_map *m, read_map_fn *fn, void *arg)
{
	struct bpf_map_info i = { 0 };
	uint32_t len = sizeof(i);
	char path[PINS_PATH];
	struct read_map r = { .name = m->name, .owner = m->owner, .frozen_layout = m->group == LOAD_FROZEN };

	if (bpf_obj_get_info_by_fd(m->fd, &i, &len))
		return true;
	r.type = libbpf_bpf_map_type_str(i.type);
	r.type = r.type ? r.type : "?";
	r.id = i.id;
	r.key_size = i.key_size;
	r.value_size = i.value_size;
	r.max_entries = i.max_entries;
	r.used = used_of(m->fd, &i);
	r.bytes = memory_of(m->fd);
	if (!access(pins_path(path, k->pins.dir, "maps", m->name), F_OK))
		snprintf(r.pin, sizeof(r.pin), "%s", path);
	return fn(arg, &r);
}

int read_maps(struct kern *k, read_map_fn *fn, void *arg)
{
	int n = 0;

	for (unsigned i = 0; k->loaded && i < k->load.nmaps; i++) {
		if (k->load.map[i].fd < 0)
			continue;
		n++;
		if (!one_map(k, &k->load.map[i], fn, arg))
			break;
	}
	return n;
}

/* ---- entries ----------------------------------------------------------------------------------------------- */

struct entries {
	const struct btf *btf;
	struct bpf_map_info info;
	uint32_t left, cpus;
	read_entry_fn *fn;
	void *arg;
	int n;
};

static json_t *value_json(const struct entries *x, const char *value)
{
	uint32_t type = x->info.btf_value_type_id, size = (x->info.value_size + 7) & ~7u;

	if (!x->cpus)
		return render_type(x->btf, type, value);
	json_t *all = json_array();

	for (uint32_t i = 0; i < x->cpus; i++)
		json_array_append_new(all, render_type(x->btf, type, value + (size_t)i * size));
	return all;
}

static bool one_entry(void *arg, const void *key, void *value)
{
	struct entries *x = arg;

	if (!x->left)
		return false;
	x->left--;
	x->n++;
	json_t *j = json_object();

	json_object_set_new(j, "key", render_type(x->btf, x->info.btf_key_type_id, key));
	json_object_set_new(j, "value", value_json(x, value));
	char *text = json_dumps(j, JSON_COMPACT);

	json_decref(j);
	bool more = text && x->fn(x->arg, text);

	free(text);
	return more;
}

int read_entries(struct kern *k, const char *map, uint32_t limit, read_entry_fn *fn, void *arg)
{
	struct load_map *m = k->loaded ? load_map(&k->load, map) : NULL;
	struct entries x = { .left = limit ? limit : UINT32_MAX, .fn = fn, .arg = arg };
	uint32_t len = sizeof(x.info);

	if (!m || m->fd < 0 || bpf_obj_get_info_by_fd(m->fd, &x.info, &len))
		return -ENOENT;
	if (x.info.type == BPF_MAP_TYPE_SK_STORAGE || x.info.type == BPF_MAP_TYPE_RINGBUF)
		return -EOPNOTSUPP;
	if (!x.info.btf_id || !x.info.btf_key_type_id)
		return 0;
	if (x.info.type == BPF_MAP_TYPE_PERCPU_ARRAY)
		x.cpus = (uint32_t)libbpf_num_possible_cpus();
	struct btf *b = btf__load_from_kernel_by_id(x.info.btf_id);

	if (!b)
		return -errno;
	x.btf = b;
	each_entry(m->fd, one_entry, &x);
	btf__free(b);
	return x.n;
}

/* ---- programs ---------------------------------------------------------------------------------------------- */

static bool one_prog(struct kern *k, const struct load_prog *p, read_prog_fn *fn, void *arg)
{
	struct bpf_prog_info i = { 0 };
	struct bpf_link_info l = { 0 };
	uint32_t len = sizeof(i);
	char path[PINS_PATH];
	struct read_prog r = { .object = p->object, .attached = p->attached };
	const char *attach = libbpf_bpf_attach_type_str(p->attach_type);

	if (bpf_obj_get_info_by_fd(p->fd, &i, &len))
		return true;
	snprintf(r.name, sizeof(r.name), "%s", p->name);
	snprintf(r.attach, sizeof(r.attach), "%s", p->type == BPF_PROG_TYPE_SYSCALL ? "on demand" : attach ? attach : "?");
	for (unsigned b = 0; b < BPF_TAG_SIZE; b++)
		snprintf(r.tag + 2 * b, 3, "%02x", i.tag[b]);
	r.id = i.id;
	r.run_cnt = i.run_cnt;
	r.run_time_ns = i.run_time_ns;
	r.insns = i.xlated_prog_len / 8;
	len = sizeof(l);
	if (p->link_fd >= 0 && !bpf_obj_get_info_by_fd(p->link_fd, &l, &len))
		r.link_id = l.id;
	if (!access(pins_path(path, k->pins.dir, "progs", p->name), F_OK))
		snprintf(r.pin, sizeof(r.pin), "%s", path);
	return fn(arg, &r);
}

int read_progs(struct kern *k, read_prog_fn *fn, void *arg)
{
	int n = 0;

	for (unsigned i = 0; k->loaded && i < k->load.nprogs; i++, n++)
		if (!one_prog(k, &k->load.prog[i], fn, arg))
			return n + 1;
	return n;
}
