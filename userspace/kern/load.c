/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: which maps are taken over, which are made, and all programs loaded on them. switch.c does the rest. */
#include "kern/load.h"
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "kern/objects.h"
#include "weft/log.h"

#define VERIFIER_LOG (1u << 20)

#define ONE_(name, size, group, owner) +1
_Static_assert(LOAD_MAPS(ONE_) <= LOAD_MAPS_MAX, "");
#undef ONE_

struct load_map *load_map(struct load *l, const char *name)
{
	for (unsigned i = 0; i < l->nmaps; i++)
		if (!strcmp(l->map[i].name, name))
			return &l->map[i];
	return NULL;
}

int load_fd(struct load *l, const char *name)
{
	struct load_map *m = load_map(l, name);

	return m ? m->fd : -1;
}

const struct load_prog *load_prog(const struct load *l, const char *name)
{
	for (unsigned i = 0; i < l->nprogs; i++)
		if (!strcmp(l->prog[i].name, name))
			return &l->prog[i];
	return NULL;
}

static void rows(struct load *l, const struct kern_sizes *s)
{
	const struct {
		uint32_t none, frontends, services, backends, rows, sockets, affinity, workloads;
	} n = { 0, s->frontends, s->services, s->backends, s->slots / TABLE_ROW, s->sockets, s->affinity, s->workloads };

#define ROW_(name_, size, group_, owner_)                                                                              \
	l->map[l->nmaps++] = (struct load_map){ .name = #name_, .owner = owner_, .group = LOAD_##group_,               \
						.entries = n.size, .fd = -1, .old_fd = -1 };
	LOAD_MAPS(ROW_)
#undef ROW_
}

static int say_nothing(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[512];

	if (level == LIBBPF_DEBUG || !log_enabled(LOG_LEVEL_DEBUG))
		return 0;
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	log_debug("libbpf", "%s", line);
	return 0;
}

/* ---- objects ----------------------------------------------------------------------------------------------- */

static int open_object(struct load *l, unsigned i, char *log, struct err *e)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = objects[i].name, .kernel_log_buf = log,
		    .kernel_log_size = VERIFIER_LOG);
	size_t n;
	const void *elf = objects[i].bytes(&n);
	struct bpf_map *m;

	l->obj[i] = bpf_object__open_mem(elf, n, &opts);
	if (!l->obj[i])
		return err_errno(e, -errno, "object %s", objects[i].name);
	bpf_object__for_each_map(m, l->obj[i]) {
		struct load_map *row = load_map(l, bpf_map__name(m));

		if (bpf_map__is_internal(m))
			continue;
		if (!row)
			return err_add(e, -EINVAL, "object %s: map %s has no row in kern/load.h", objects[i].name,
				       bpf_map__name(m));
		if (row->entries)
			bpf_map__set_max_entries(m, row->entries);
	}
	return 0;
}

/* Where a variable lies in .rodata, by BTF. -1: the object has no such variable. */
static int var_offset(const struct bpf_object *o, const char *name, uint32_t size)
{
	const struct btf *b = bpf_object__btf(o);
	int id = btf__find_by_name_kind(b, ".rodata", BTF_KIND_DATASEC);
	const struct btf_type *sec = id > 0 ? btf__type_by_id(b, (uint32_t)id) : NULL;
	const struct btf_var_secinfo *v = sec ? btf_var_secinfos(sec) : NULL;

	for (int i = 0; sec && i < btf_vlen(sec); i++, v++)
		if (!strcmp(btf__name_by_offset(b, btf__type_by_id(b, v->type)->name_off), name) && v->size == size)
			return (int)v->offset;
	return -1;
}

static void set_var(struct bpf_object *o, const char *name, const void *v, uint32_t size)
{
	int off = var_offset(o, name, size);
	struct bpf_map *m;
	size_t n;

	bpf_object__for_each_map(m, o) {
		const void *old = bpf_map__is_internal(m) && strstr(bpf_map__name(m), ".rodata") ?
			bpf_map__initial_value(m, &n) : NULL;

		if (!old || off < 0 || (size_t)off + size > n)
			continue;
		char *data = mem_dup(old, n);

		memcpy(data + off, v, size);
		bpf_map__set_initial_value(m, data, n);
		free(data);
	}
}

static void set_vars(struct bpf_object *o, const struct load_vars *v)
{
	set_var(o, "has_set_retval", &v->has_set_retval, sizeof(v->has_set_retval));
	set_var(o, "has_mptcp_sock", &v->has_mptcp_sock, sizeof(v->has_mptcp_sock));
	set_var(o, "host_netns", &v->host_netns, sizeof(v->host_netns));
}

/* ---- maps -------------------------------------------------------------------------------------------------- */

static bool wanted(const struct load *l, const char *name, struct layout *out)
{
	for (unsigned i = 0; i < nobjects; i++) {
		struct bpf_map *m = l->obj[i] ? bpf_object__find_map_by_name(l->obj[i], name) : NULL;

		if (!m)
			continue;
		const struct btf *b = bpf_object__btf(l->obj[i]);
		uint32_t k = bpf_map__btf_key_type_id(m), v = bpf_map__btf_value_type_id(m);

		*out = (struct layout){ .type = bpf_map__type(m), .key_size = bpf_map__key_size(m),
					.value_size = bpf_map__value_size(m), .max_entries = bpf_map__max_entries(m),
					.flags = bpf_map__map_flags(m), .key = k ? layout_type(b, k) : 0,
					.value = v ? layout_type(b, v) : 0 };
		return true;
	}
	return false;
}

static int adopt_frozen(struct load *l, struct load_map *m, const struct layout *want, const struct layout *have,
			struct err *e)
{
	if (!layout_same_entries(want, have))
		return err_add(e, -EPROTO, "%s: the pinned %s belongs to another major version; "
			       "`weft kernel detach` removes it", l->old_dir[0] ? l->old_dir : l->pins->dir, m->name);
	if (want->max_entries != have->max_entries) {
		m->kept_size = true;
		log_warn("kernel", "%s keeps room for %u entries, not %u: it holds live connections "
			 "(the new size holds after `weft kernel detach`)", m->name, have->max_entries, want->max_entries);
	}
	m->fd = m->old_fd;
	m->old_fd = -1;
	m->adopted = true;
	return 0;
}

/* Looks at what is pinned under each name: taken over, or kept beside as the old one. */
static int find_pinned(struct load *l, struct err *e)
{
	const char *from = l->old_dir[0] ? l->old_dir : l->pins->dir;
	int err = 0;

	for (unsigned i = 0; i < l->nmaps && !err; i++) {
		struct load_map *m = &l->map[i];
		struct layout want, have;

		m->old_fd = pins_get(from, "maps", m->name);
		if (m->old_fd < 0 || !wanted(l, m->name, &want) || layout_of(m->old_fd, &have))
			continue;
		if (m->group == LOAD_FROZEN) {
			err = adopt_frozen(l, m, &want, &have, e);
		} else if (!l->old_dir[0] && layout_same(&want, &have)) {
			m->fd = m->old_fd;
			m->old_fd = -1;
			m->adopted = true;
		}
	}
	return err;
}

/* One CONFIG map that cannot be taken over is reason to make them all anew. */
static void group_config(struct load *l)
{
	unsigned n = 0, adopted = 0, old = 0;

	for (unsigned i = 0; i < l->nmaps; i++) {
		if (l->map[i].group != LOAD_CONFIG)
			continue;
		n++;
		adopted += l->map[i].adopted;
		old += l->map[i].old_fd >= 0;
	}
	l->adopting = adopted == n;
	l->replacing = !l->adopting && adopted + old;
	for (unsigned i = 0; i < l->nmaps && l->replacing; i++) {
		struct load_map *m = &l->map[i];

		if (m->group != LOAD_CONFIG || !m->adopted)
			continue;
		m->old_fd = m->fd;
		m->fd = -1;
		m->adopted = false;
	}
}

static int load_object(struct load *l, unsigned i, struct err *e)
{
	struct bpf_map *m;
	int err;

	bpf_object__for_each_map(m, l->obj[i]) {
		struct load_map *row = load_map(l, bpf_map__name(m));

		if (row && row->fd >= 0 && (err = bpf_map__reuse_fd(m, row->fd)))
			return err_errno(e, err, "map %s", row->name);
	}
	err = bpf_object__load(l->obj[i]);
	if (err)
		return err_errno(e, err, "object %s", objects[i].name);
	bpf_object__for_each_map(m, l->obj[i]) {
		struct load_map *row = load_map(l, bpf_map__name(m));

		if (row && row->fd < 0)
			row->fd = fcntl(bpf_map__fd(m), F_DUPFD_CLOEXEC, 3);
	}
	return 0;
}

static void take_programs(struct load *l, unsigned i)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, l->obj[i]) {
		if (l->nprogs == LOAD_PROGS_MAX)
			break;
		struct load_prog *r = &l->prog[l->nprogs++];

		*r = (struct load_prog){ .object = objects[i].name, .part = objects[i].part, .link_fd = -1, .type = bpf_program__type(p),
					 .attach_type = bpf_program__expected_attach_type(p),
					 .fd = fcntl(bpf_program__fd(p), F_DUPFD_CLOEXEC, 3) };
		snprintf(r->name, sizeof(r->name), "%s", bpf_program__name(p));
	}
}

/* The last words of the verifier: the line before "processed N insns", which is the reason. */
static void verifier_words(const char *log, char *out, size_t size)
{
	const char *last = "", *p = log;

	while (*p) {
		size_t n = strcspn(p, "\n");

		if (n && strncmp(p, "processed ", 10) && *p != '-')
			last = p;
		p += n + (p[n] != 0);
	}
	snprintf(out, size, "%.*s", (int)strcspn(last, "\n"), last);
}

static int load_objects(struct load *l, const struct load_vars *v, char *log, struct err *e)
{
	char words[160];

	for (unsigned i = 0; i < nobjects; i++) {
		struct err own = { 0 };

		if (!l->obj[i])
			continue;
		set_vars(l->obj[i], v);
		log[0] = '\0';
		int err = load_object(l, i, &own);

		verifier_words(log, words, sizeof(words));
		if (err && objects[i].part == OBJECT_BALANCE)
			return err_add(e, err, "%s%s%s", err_text(&own), words[0] ? ": " : "", words);
		if (err && l->part[objects[i].part].on) {
			struct load_part *p = &l->part[objects[i].part];

			p->on = false;
			snprintf(p->why, sizeof(p->why), "%.80s%s%.100s", err_text(&own), words[0] ? ": " : "", words);
		}
		if (!err)
			take_programs(l, i);
	}
	return 0;
}

/* A half-loaded part is none: a sockops program without its verdicts would only fill maps. */
static void drop_parts(struct load *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->nprogs; i++) {
		if (!l->part[l->prog[i].part].on)
			close(l->prog[i].fd);
		else
			l->prog[n++] = l->prog[i];
	}
	l->nprogs = n;
}

static void close_objects(struct load *l)
{
	for (unsigned i = 0; i < nobjects; i++) {
		bpf_object__close(l->obj[i]);
		l->obj[i] = NULL;
	}
}

static int open_all(struct load *l, const struct load_vars *v, char *log, struct err *e)
{
	uint32_t abi;
	int err = 0, fd;

	for (unsigned i = 0; i < nobjects && !err; i++)
		if (l->part[objects[i].part].on)
			err = open_object(l, i, log, e);
	if (err)
		return err;
	fd = pins_get(l->pins->dir, "maps", "ctl_map");
	if (fd >= 0)
		close(fd);
	else
		pins_other(l->pins, l->old_dir, &abi);
	err = find_pinned(l, e);
	if (err)
		return err;
	group_config(l);
	err = load_objects(l, v, log, e);
	if (!err)
		drop_parts(l);
	return err;
}

int load_open(struct load *l, const struct pins *pins, const struct kern_sizes *sizes, const struct load_vars *v,
	      const bool want[OBJECT_PARTS], struct err *e)
{
	char *log = mem_alloc(VERIFIER_LOG);

	memset(l, 0, sizeof(*l));
	l->pins = pins;
	for (unsigned i = 0; i < OBJECT_PARTS; i++)
		l->part[i].on = want[i];
	libbpf_set_print(say_nothing);
	rows(l, sizes);
	int err = open_all(l, v, log, e);

	free(log);
	close_objects(l);
	if (err) {
		load_close(l);
		return err;
	}
	for (unsigned i = 0; i < l->nmaps; i++) {
		l->result.adopted += l->map[i].adopted;
		l->result.created += !l->map[i].adopted && l->map[i].fd >= 0;
	}
	return 0;
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void load_close(struct load *l)
{
	for (unsigned i = 0; i < l->nprogs; i++) {
		shut(&l->prog[i].fd);
		shut(&l->prog[i].link_fd);
	}
	for (unsigned i = 0; i < l->nmaps; i++) {
		shut(&l->map[i].fd);
		shut(&l->map[i].old_fd);
	}
	l->nprogs = l->nmaps = 0;
}
