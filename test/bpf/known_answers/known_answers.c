// SPDX-License-Identifier: Apache-2.0
/*
 * Known answers of the kernel short-circuit.
 *
 *	known_answers [-x CASE,...]     the self-test, on the real programs and on broken ones; the fatal cases named must fail
 *	known_answers share [-n CONNECTIONS] [-r ROUND_TRIPS] [-d DELAY_US] [-D] [-m PERCENT]
 *	        the share of accelerated directions when clients write at once. -d 0 (default) is a veth pair, else a link
 *	        with that delay each way; -D sets TCP_DEFER_ACCEPT; fails below PERCENT, or at a wrong byte
 *	known_answers threads [BYTES]  several writers and a reader on one connection while its path switches
 *	known_answers differences      what redirected bytes do otherwise than TCP's, and nothing else
 *	known_answers cost [programs]   round trips, streams and run time of the programs; takes a minute, run time alone a second
 */
#include "known_answers.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2)
		return answers("");
	if (!strcmp(argv[1], "-x") && argc == 3)
		return answers(argv[2]);
	if (!strcmp(argv[1], "share"))
		return share(argc - 1, argv + 1);
	if (!strcmp(argv[1], "threads"))
		return threads(argc - 1, argv + 1);
	if (!strcmp(argv[1], "differences"))
		return differences();
	if (!strcmp(argv[1], "cost"))
		return cost(argc > 2 && !strcmp(argv[2], "programs"));
	fprintf(stderr, "known_answers: no part %s\n", argv[1]);
	return 2;
}
