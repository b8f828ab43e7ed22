/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shared object with extensions: include this, name them in WEFT_PLUGIN, and
 *	cc -std=c11 -shared -fPIC -fvisibility=hidden -o first.so first.c
 * Loaded by conf/plugin once at start, before any thread runs, with RTLD_NOW | RTLD_LOCAL, and
 * never unloaded: by the agent, which reads settings by the rows and runs registries, and by the
 * proxy, which runs everything else. docs/extending.md says what is refused.
 *
 * WEFT_ABI is one number for all of include/weft/, equal or refused. Every change of a header there
 * that a plugin can notice raises it and leaves a line here.
 *	1	first: five kinds
 *	2	proto.h: data() says where its bytes lie; model.h: protocols of listeners, balancers by name
 *	3	registry.h: a client of its own; client.h: ping_ms
 */
#pragma once
#include "weft/buf.h"
#include "weft/client.h"
#include "weft/conf.h"
#include "weft/err.h"
#include "weft/filter.h"
#include "weft/lb.h"
#include "weft/log.h"
#include "weft/model.h"
#include "weft/msg.h"
#include "weft/net_filter.h"
#include "weft/proto.h"
#include "weft/registry.h"
#include "weft/stat.h"
#include "weft/str.h"
#include "weft/types.h"

#define WEFT_ABI 5

struct weft_plugin {
	uint32_t abi;                           /* first: it protects the rest */
	uint32_t size;                          /* of this struct */
	const char *name, *version;             /* for logs and `weft version` */
	/*
	 * NULL-ended; NULL = none of this kind. Protocols are sniffed after the built-in ones, in
	 * this order.
	 */
	const struct net_filter_ops *const *net_filters;
	const struct proto_ops *const *protos;
	const struct filter_ops *const *filters;
	const struct lb_ops *const *lbs;
	const struct registry_ops *const *registries;
};

/* The one symbol that is looked up. */
#define WEFT_PLUGIN(...) \
	__attribute__((visibility("default"))) extern const struct weft_plugin weft_plugin; \
	const struct weft_plugin weft_plugin = { .abi = WEFT_ABI, \
						 .size = sizeof(struct weft_plugin), \
						 __VA_ARGS__ }
