// SPDX-License-Identifier: Apache-2.0
/*
 * load serve  -a ADDR -p PORT [-c CPU]
 * load trips  -a ADDR -p PORT [-s SIZE] [-n CONNECTIONS] [-t SECONDS] [-c CPU] [-P SERVER_PID]
 *         one request in flight per connection; one connection blocks, several share an epoll set
 * load stream -a ADDR -p PORT [-s SIZE] [-t SECONDS] [-c CPU] [-P SERVER_PID]
 *         writes of SIZE bytes one way; the clock stops when the server has read the last one
 * load dials  -a ADDR -p PORT [-t SECONDS] [-c CPU] [-P SERVER_PID]
 *         connect() and close() (by RST, so that no port stays behind), one after another
 * load ready  -u SOCKET [-S SINCE] [-t SECONDS]
 *         until the Admin API answers 200 at /ready; -S: when the daemon was started (date +%s.%N)
 *
 * Each client prints one JSON object. Times are microseconds. SERVER_PID: its CPU time counts too.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "load.h"

static const struct verb {
	const char *name;
	int (*run)(const struct options *o);
} verbs[] = {
	{"serve", serve}, {"trips", trips}, {"stream", stream}, {"dials", dials}, {"ready", ready},
};

static void option(struct options *o, int c)
{
	switch (c) {
	case 'a':
		if (inet_pton(AF_INET, optarg, &o->to.sin_addr) != 1)
			die("%s is no IPv4 address", optarg);
		break;
	case 'p': o->to.sin_port = htons(atoi(optarg)); break;
	case 's': o->size = strtoul(optarg, NULL, 10); break;
	case 'n': o->conns = atoi(optarg); break;
	case 't': o->ns = strtod(optarg, NULL) * SEC; break;
	case 'c': o->cpu = atoi(optarg); break;
	case 'P': o->server = atoi(optarg); break;
	case 'u': o->path = optarg; break;
	case 'S': o->since = strtod(optarg, NULL); break;
	default: exit(2);
	}
}

int main(int argc, char **argv)
{
	struct options o = {
		.to.sin_family = AF_INET, .size = 100, .conns = 1, .cpu = -1, .ns = SEC,
	};
	const struct verb *v = verbs, *end = verbs + sizeof(verbs) / sizeof(verbs[0]);
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (v < end && (argc < 2 || strcmp(argv[1], v->name)))
		v++;
	if (v == end)
		die("want one of: serve trips stream dials ready");
	while ((c = getopt(argc - 1, argv + 1, "a:p:s:n:t:c:P:u:S:")) != -1)
		option(&o, c);
	if (!o.size || o.conns < 1 || !o.ns)
		die("-s, -n and -t must be above 0");
	pin(o.cpu);
	return v->run(&o);
}
