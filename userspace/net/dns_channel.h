/* SPDX-License-Identifier: Apache-2.0 */
/* c-ares on a loop: its sockets and its time. */
#pragma once
#include "event/timer.h"
#include "weft/err.h"

struct dns_channel;
struct ares_addrinfo;
/* status is c-ares': ARES_SUCCESS and an answer that is freed when fn returns, or NULL. */
typedef void dns_answer_fn(void *arg, int status, const struct ares_addrinfo *answer);

struct dns_channel *dns_channel_new(struct loop *l, const char *servers, struct err *e); /* NULL with words */
void dns_channel_free(struct dns_channel *c);   /* NULL is allowed; what is under way is answered ARES_EDESTRUCTION now */
/* May answer at once. */
void dns_channel_ask(struct dns_channel *c, const char *name, int family, dns_answer_fn *fn, void *arg);
unsigned dns_channel_busy(const struct dns_channel *c); /* questions under way */
