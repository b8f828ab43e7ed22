/* SPDX-License-Identifier: Apache-2.0 */
#include "web.h"
#include <bpf/bpf.h>
#include <unistd.h>
#include "kern/pins.h"
#include "kern/read.h"

void web(void)
{
	struct kit *k = &env()->kit;

	kit_cluster(k, "web", LB_POLICY_ROUND_ROBIN, LOCALITY_ANY);
	kit_host(k, "web", &(struct kit_host)HOST("127.0.1.1", 8080, 1));
	kit_host(k, "web", &(struct kit_host)HOST("127.0.1.2", 8080, 1));
	kit_service(k, &(struct kit_service){ .name = "web", .cluster = "web", .addrs = { VIP }, .port = 80 });
}

static pid_t servers[2];

void serve_web(void)
{
	servers[0] = env_serve("127.0.1.1", 8080, 'a');
	servers[1] = env_serve("127.0.1.2", 8080, 'b');
}

int clean(void **state)
{
	for (int i = 0; i < 2; i++) {
		if (servers[i] > 0)
			env_reap(servers[i]);
		servers[i] = 0;
	}
	return env_clean(state);
}

bool both_answer(void)
{
	bool a = false, b = false;

	for (int i = 0; i < 20; i++) {
		int c = env_ask(VIP, 80);

		a |= c == 'a';
		b |= c == 'b';
		if (c < 0)
			return false;
	}
	return a && b;
}

struct kern_status status(void)
{
	struct kern_status s;

	kern_status(env()->kern, &s);
	return s;
}

bool pinned(const char *kind, const char *name)
{
	char path[PINS_PATH], dir[PINS_PATH];

	snprintf(dir, sizeof(dir), "%s/weft/abi%u", env()->dir, env()->conf.abi ? env()->conf.abi : MAPS_ABI);
	return !access(pins_path(path, dir, kind, name), F_OK);
}

uint32_t map_id(const char *name)
{
	char dir[PINS_PATH];
	struct bpf_map_info i = { 0 };
	uint32_t len = sizeof(i);

	snprintf(dir, sizeof(dir), "%s/weft/abi%u", env()->dir, env()->conf.abi ? env()->conf.abi : MAPS_ABI);
	int fd = pins_get(dir, "maps", name);

	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &i, &len), 0);
	close(fd);
	return i.id;
}

static bool id_of_service(void *arg, const struct read_service *s)
{
	((struct ids *)arg)->service = s->id;
	return true;
}

static bool id_of_backend(void *arg, const struct read_backend *b)
{
	struct ids *x = arg;

	if (x->n < 2)
		x->backend[x->n++] = b->id;
	return true;
}

struct ids ids(void)
{
	struct ids x = { 0 };

	assert_int_equal(read_services(env()->kern, id_of_service, &x), 1);
	assert_int_equal(read_backends(env()->kern, x.service, id_of_backend, &x), 2);
	return x;
}

static bool add_pair(void *arg, const struct read_pair *p)
{
	struct accelerated *a = arg;

	a->pairs++;
	a->bytes += p->pair.end[0].bytes + p->pair.end[1].bytes;
	return true;
}

struct accelerated accelerated(void)
{
	struct accelerated a = { 0 };

	read_pairs(env()->kern, add_pair, &a);
	return a;
}
