/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/builtin.h"

#include "weft/proto.h"
#include "weft/registry.h"

#define REGISTRIES(X) X(file)
#define LBS(X)                                                                                                         \
	X(round_robin) X(random_host) X(least_request) X(ring_hash) X(maglev) X(peak_ewma) X(original_destination)

/* In the order of their detection (docs/rpc.md). */
#define PROTOS(X) X(http2) X(bolt) X(dubbo) X(http1)

#define DECLARE(name) extern const struct registry_ops registry_##name;
#define LIST(name) &registry_##name,
REGISTRIES(DECLARE)
static const struct registry_ops *const registries[] = { REGISTRIES(LIST) };

#define DECLARE_LB(name) extern const struct lb_ops lb_##name;
#define LIST_LB(name) &lb_##name,
LBS(DECLARE_LB)
const struct lb_ops *const builtin_lbs[] = { LBS(LIST_LB) NULL };

#define DECLARE_PROTO(name) extern const struct proto_ops proto_##name;
#define LIST_PROTO(name) &proto_##name,
PROTOS(DECLARE_PROTO)
const struct proto_ops *const builtin_protos[] = { PROTOS(LIST_PROTO) NULL };

#define NREGISTRIES (sizeof(registries) / sizeof(registries[0]))

const struct conf_choice *builtin_registries(void)
{
	static struct conf_choice choices[NREGISTRIES + 1];

	for (size_t i = 0; i < NREGISTRIES; i++) {
		const struct registry_ops *ops = registries[i];

		choices[i] = (struct conf_choice){ .name = ops->name, .rows = ops->conf, .size = ops->conf_size, .check = ops->check, .ops = ops };
	}
	return choices;
}
