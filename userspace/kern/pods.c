/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/pods.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/vec.h"
#include "kern/each.h"
#include "kern/kern_priv.h"
#include "weft/log.h"

static int map_fd(struct kern *k)
{
	return k->loaded && k->load.part[OBJECT_CAPTURE].on ? load_fd(&k->load, "pod_map") : -1;
}

static bool count_one(void *arg, const void *key, void *value)
{
	(void)key;
	(void)value;
	++*(uint64_t *)arg;
	return true;
}

static void count(struct kern *k, int fd)
{
	uint64_t n = 0;

	each_entry(fd, count_one, &n);
	stat_set(&k->stat.pods, n);
}

int kern_pod(struct kern *k, uint64_t netns, const struct pod_place *p)
{
	int fd = map_fd(k), err;

	if (fd < 0)
		return 0;
	err = p ? bpf_map_update_elem(fd, &netns, p, BPF_ANY) : bpf_map_delete_elem(fd, &netns);
	err = err && (p || errno != ENOENT) ? -errno : 0;
	stat_add(&k->stat.writes, 1);
	if (err) {
		stat_add(&k->stat.write_errors, 1);
		log_error("kernel", "pod_map: %s", strerror(-err));
	}
	count(k, fd);
	return err;
}

struct keeping {
	bool (*keep)(void *arg, uint64_t netns);
	void *arg;
	VEC(uint64_t) gone;
};

static bool look(void *arg, const void *key, void *value)
{
	struct keeping *g = arg;
	uint64_t netns = *(const uint64_t *)key;

	(void)value;
	if (!g->keep(g->arg, netns))
		vec_push(&g->gone, netns);
	return true;
}

void kern_pods_keep(struct kern *k, bool (*keep)(void *arg, uint64_t netns), void *arg)
{
	struct keeping g = { .keep = keep, .arg = arg };
	int fd = map_fd(k);

	if (fd < 0)
		return;
	each_entry(fd, look, &g);
	for (size_t i = 0; i < g.gone.n; i++)
		kern_pod(k, g.gone.v[i], NULL);
	vec_fini(&g.gone);
	count(k, fd);
}
