/* SPDX-License-Identifier: Apache-2.0 */
/* The service that most tests use: web at VIP:80, with two backends on loopback that greet with 'a' and 'b'. */
#pragma once
#include "env.h"

#define VIP "10.96.0.1"

struct ids {
	uint32_t service, backend[2], n;
};

void web(void);                                 /* into the kit; env_sync() makes it so */
void serve_web(void);                           /* starts the two servers */
int clean(void **state);                        /* test teardown: ends them, and env_clean() */
bool both_answer(void);                         /* twenty connections, all answered, both backends among them */
struct kern_status status(void);
bool pinned(const char *kind, const char *name);
uint32_t map_id(const char *name);              /* kernel's id of a pinned map */
struct ids ids(void);                           /* of the service and its backends */

struct accelerated {
	uint32_t pairs;
	uint64_t bytes;
};
struct accelerated accelerated(void);           /* live pairs, and what they have redirected */
