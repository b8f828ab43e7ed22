// SPDX-License-Identifier: Apache-2.0
/*
 * watch MAPS FROM TO VIP:PORT ADDR:PORT
 *
 * Renames FROM to TO and waits until a slot of VIP:PORT's balancing table names ADDR:PORT. Prints
 * {"ms":..} from rename() on. Asks every 50 us: with two processors the daemon wants the other one.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/types.h>
#include "base/clock.h"
#include "kern/limits.h"
#include "kern/maps.h"

#define PATIENCE_NS (10 * SEC)

struct maps {
	int frontend, service, backend, table;
};

struct target {
	struct frontend_key front;
	struct addr16 addr;
	__u16 port;                             /* network order */
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "watch: %s: %s\n", what, why);
	exit(1);
}

static int map_open(const char *folder, const char *name)
{
	char path[4200];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		die(path, strerror(errno));
	return fd;
}

static void address_read(const char *text, struct addr16 *addr, __u16 *port)
{
	const char *colon = strrchr(text, ':');
	char ip[64];

	*addr = (struct addr16){.w = {0, 0, htonl(0xffff), 0}};
	if (!colon || colon - text >= (long)sizeof(ip))
		die(text, "want ADDR:PORT");
	snprintf(ip, sizeof(ip), "%.*s", (int)(colon - text), text);
	if (inet_pton(AF_INET, ip, &addr->w[3]) != 1)
		die(text, "want an IPv4 address");
	*port = htons(atoi(colon + 1));
}

/* Does slot i of the balancing table name a backend with the target's address? */
static bool slot_is(const struct maps *m, const struct target *t, __u32 i)
{
	__u32 at = i / TABLE_ROW;
	struct table_row row;
	struct backend be;

	return !bpf_map_lookup_elem(m->table, &at, &row) &&
	       !bpf_map_lookup_elem(m->backend, &row.slot[i % TABLE_ROW], &be) &&
	       be.port == t->port && !memcmp(&be.addr, &t->addr, sizeof(be.addr));
}

static bool shown(const struct maps *m, const struct target *t)
{
	struct frontend f;
	struct service s;

	if (bpf_map_lookup_elem(m->frontend, &t->front, &f) ||
	    bpf_map_lookup_elem(m->service, &f.service, &s))
		return false;
	for (__u32 i = 0; i < s.n; i++)
		if (slot_is(m, t, s.off + i))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	static const struct timespec pause = {.tv_nsec = 50000};
	struct target t = {.front.proto = IPPROTO_TCP};
	struct maps m;
	uint64_t start;

	if (argc != 6)
		die("usage", "watch MAPS FROM TO VIP:PORT ADDR:PORT");
	m.frontend = map_open(argv[1], "frontend_map");
	m.service = map_open(argv[1], "service_map");
	m.backend = map_open(argv[1], "backend_map");
	m.table = map_open(argv[1], "table_map");
	address_read(argv[4], &t.front.addr, &t.front.port);
	address_read(argv[5], &t.addr, &t.port);
	if (shown(&m, &t))
		die(argv[5], "is in the maps already");
	start = clock_ns();
	if (rename(argv[2], argv[3]))
		die(argv[2], strerror(errno));
	while (!shown(&m, &t)) {
		if (clock_ns() - start > PATIENCE_NS)
			die(argv[5], "does not show up");
		nanosleep(&pause, NULL);
	}
	printf("{\"ms\":%.3f}\n", (clock_ns() - start) / 1e6);
	return 0;
}
