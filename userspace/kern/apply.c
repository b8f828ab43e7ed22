/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/apply.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/magic.h"
#include "base/mem.h"

#define TABLE_FIRST (256u * 1024)               /* bytes of table_map to begin with */

static const struct {
	uint32_t key, value;
	const char *name;
} maps[] = {
#define MAP_(NAME, k, v, map) { sizeof(k), sizeof(v), map },
	PLAN_MAPS(MAP_)
#undef MAP_
};

static void *map_memory(int fd, size_t n, struct err *e, const char *name)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p != MAP_FAILED)
		return p;
	err_errno(e, -errno, "map %s into memory", name);
	return NULL;
}

static size_t page_up(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (n + page - 1) / page * page;
}

/* ---- the balancing table ------------------------------------------------------------------------------------ */

/* More of it, up to `to` bytes, in its place. */
static int table_extend(struct apply *a, size_t to)
{
	size_t from = a->table_mapped;

	if (to > a->table_bytes)
		to = a->table_bytes;
	if (mmap((char *)a->table + from, to - from, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, a->table_fd,
		 (off_t)from) == MAP_FAILED)
		return -errno;
	a->table_mapped = to;
	return 0;
}

/* Addresses for all of it, memory for the beginning. */
static int table_open(struct apply *a, int fd, struct err *e)
{
	struct bpf_map_info i = { 0 };
	uint32_t len = sizeof(i);
	void *p;

	if (bpf_obj_get_info_by_fd(fd, &i, &len))
		return err_errno(e, -errno, "table_map");
	a->table_fd = fd;
	a->table_bytes = page_up((size_t)i.max_entries * i.value_size);
	p = mmap(NULL, a->table_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return err_errno(e, -errno, "reserve addresses for table_map");
	a->table = p;
	int err = table_extend(a, TABLE_FIRST);

	return err ? err_errno(e, err, "map table_map into memory") : 0;
}

bool apply_table(struct apply *a, uint32_t off, uint32_t n)
{
	size_t end = ((size_t)off + n) * sizeof(*a->table), to = a->table_mapped;

	if (end > a->table_bytes)
		return false;
	while (to < end)
		to *= 2;
	if (to > a->table_mapped)
		assert_always(!table_extend(a, to)); /* the first piece could be mapped, so this is lack of memory */
	return true;
}

int apply_open(struct apply *a, struct load *l, bool verify, struct err *e)
{
	memset(a, 0, sizeof(*a));
	a->batch = true;
	a->verify = verify;
	for (unsigned m = 0; m < PLAN_MAP_MAX; m++)
		a->fd[m] = load_fd(l, maps[m].name);
	a->workload_fd = load_fd(l, "workload_map");
	a->open_fd = load_fd(l, "open_map");
	int err = table_open(a, load_fd(l, "table_map"), e);

	if (!err)
		a->ctl = map_memory(load_fd(l, "ctl_map"), page_up(sizeof(*a->ctl)), e, "ctl_map");
	if (a->ctl)
		return 0;
	apply_close(a);
	return err ? err : -EACCES;
}

void apply_close(struct apply *a)
{
	if (a->table)
		munmap(a->table, a->table_bytes);
	if (a->ctl)
		munmap(a->ctl, page_up(sizeof(*a->ctl)));
	memset(a, 0, sizeof(*a));
}

/* ---- entries ----------------------------------------------------------------------------------------------- */

static int put_one(struct apply *a, enum plan_map m, const void *key, const void *value)
{
	char back[sizeof(struct service_stat)];

	if (bpf_map_update_elem(a->fd[m], key, value, BPF_ANY))
		return -errno;
	if (!a->verify || m == PLAN_SERVICE_STAT)
		return 0;
	if (!bpf_map_lookup_elem(a->fd[m], key, back) && !memcmp(back, value, maps[m].value))
		return 0;
	a->verify_errors++;
	return -EIO;
}

static int del_one(struct apply *a, enum plan_map m, const void *key)
{
	return bpf_map_delete_elem(a->fd[m], key) && errno != ENOENT ? -errno : 0;
}

/* Entries from `from` on by one call. How many of them it dealt with; 0: it knows no batches. */
static uint32_t put_batch(struct apply *a, enum plan_map m, const char *keys, const char *values, uint32_t n, int *err)
{
	uint32_t done = n;

	if (!bpf_map_update_batch(a->fd[m], keys, values, &done, NULL))
		return n;
	int e = -errno;

	if (e == -EINVAL || e == -EOPNOTSUPP || e == -524) {
		a->batch = false;               /* an old kernel; writing an entry twice does no harm */
		return 0;
	}
	err[done] = e;
	return done + 1;
}

static void put(void *arg, enum plan_map m, const void *keys, const void *values, uint32_t n, int *err)
{
	struct apply *a = arg;
	uint32_t i = 0;

	while (i < n && a->batch && !a->verify && n - i > 1) {
		uint32_t done = put_batch(a, m, (const char *)keys + (size_t)i * maps[m].key,
					  (const char *)values + (size_t)i * maps[m].value, n - i, err + i);

		i += done;
	}
	for (; i < n; i++)
		err[i] = put_one(a, m, (const char *)keys + (size_t)i * maps[m].key,
				 (const char *)values + (size_t)i * maps[m].value);
}

static void del(void *arg, enum plan_map m, const void *keys, uint32_t n, int *err)
{
	for (uint32_t i = 0; i < n; i++)
		err[i] = del_one(arg, m, (const char *)keys + (size_t)i * maps[m].key);
}

static void table(void *arg, uint32_t off, const uint32_t *slot, uint32_t n)
{
	struct apply *a = arg;

	assert_always(apply_table(a, off, n));
	for (uint32_t i = 0; i < n; i++)
		__atomic_store_n(&a->table[off + i], slot[i], __ATOMIC_RELAXED);
	/* The system call that names this range comes later and is a barrier; this one is for the reader of the code. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

int apply_grace(void *a)
{
	struct timespec t = { .tv_nsec = GRACE_MS * 1000000l };

	(void)a;
	if (!syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		return 0;
	while (nanosleep(&t, &t) && errno == EINTR)
		;
	return 0;
}

struct plan_ops apply_ops(const struct apply *a)
{
	(void)a;
	return (struct plan_ops){ put, del, table, apply_grace, PLAN_BATCH };
}

int apply_remove(struct apply *a, enum plan_map m, const void *key)
{
	return del_one(a, m, key);
}

int apply_write(struct apply *a, enum plan_map m, const void *key, const void *value)
{
	return put_one(a, m, key, value);
}

int apply_workload(struct apply *a, uint64_t cgroup, const struct workload *w)
{
	if (w)
		return bpf_map_update_elem(a->workload_fd, &cgroup, w, BPF_ANY) ? -errno : 0;
	return bpf_map_delete_elem(a->workload_fd, &cgroup) && errno != ENOENT ? -errno : 0;
}

void apply_rest(struct apply *a, struct kern_state *st)
{
	size_t n = 0;

	for (size_t i = 0; i < st->resting.n; i++) {
		uint32_t slot = st->resting.v[i];
		int32_t open = 0;

		if (!bpf_map_lookup_elem(a->open_fd, &slot, &open) && open > 0)
			st->resting.v[n++] = slot;
		else
			cells_give(&st->backend_slots, slot);
	}
	st->resting.n = n;
}

void apply_flags(struct apply *a, uint32_t set, uint32_t clear)
{
	__atomic_store_n(&a->ctl->flags, (a->ctl->flags & ~clear) | set, __ATOMIC_RELEASE);
}
