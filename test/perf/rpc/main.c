// SPDX-License-Identifier: Apache-2.0
/*
 * rpc serve PROTOCOL [-a ADDRESS] -p PORT [-r BYTES]
 * rpc load  PROTOCOL [-a ADDRESS] -p PORT [-n CONNECTIONS] [-m UNDER_WAY] [-s BYTES] [-t SECONDS]
 * PROTOCOL: bolt, dubbo or http1. -r: of an answer's body, -s: of a request's, 1024 both.
 * load prints one JSON object: times in microseconds; status 1 when an answer was none that says success.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc.h"

#define BODY_MAX 60000u                         /* of one string of hessian2 */

static void option(struct options *o, int c)
{
	switch (c) {
	case 'a': o->address = optarg; break;
	case 'p': o->port = atoi(optarg); break;
	case 'n': o->conns = atoi(optarg); break;
	case 'm': o->flight = atoi(optarg); break;
	case 's': o->ask = strtoul(optarg, NULL, 10); break;
	case 'r': o->answer = strtoul(optarg, NULL, 10); break;
	case 't': o->seconds = strtod(optarg, NULL); break;
	default: exit(2);
	}
}

int main(int argc, char **argv)
{
	struct options o = { .address = "127.0.0.1", .conns = 1, .flight = 1, .ask = 1024, .answer = 1024, .seconds = 1 };
	int c;

	if (argc < 3 || (strcmp(argv[1], "serve") && strcmp(argv[1], "load")))
		die("want serve or load, and a protocol");
	o.framing = framing_of(argv[2]);
	while ((c = getopt(argc - 2, argv + 2, "a:p:n:m:s:r:t:")) != -1)
		option(&o, c);
	if (o.port < 1 || o.conns < 1 || o.flight < 1 || o.seconds <= 0 || o.ask > BODY_MAX || o.answer > BODY_MAX)
		die("-p, -n, -m and -t must be above 0, bodies at most %u bytes", BODY_MAX);
	if (o.flight > 1 && !o.framing->many)
		die("%s takes one request at a time", o.framing->name);
	return strcmp(argv[1], "serve") ? load(&o) : serve(&o);
}
