/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/builtin.h"

#include "base/extensions.h"
#include "base/magic.h"

#define REGISTRIES(X) X(registry, file)
#define LBS(X)                                                                                                         \
	X(lb, round_robin) X(lb, random_host) X(lb, least_request) X(lb, ring_hash) X(lb, maglev) X(lb, peak_ewma)     \
	X(lb, original_destination)

/* In the order of their detection (docs/rpc.md). */
#define PROTOS(X) X(proto, http2) X(proto, bolt) X(proto, dubbo) X(proto, dubbo_thrift) X(proto, tars) X(proto, http1)

#define FILTERS(X) X(filter, local_rate_limit) X(filter, fault) X(filter, mirror)

#define ALL(X) REGISTRIES(X) LBS(X) PROTOS(X) FILTERS(X)

#define DECLARE(kind, name) extern const struct kind##_ops kind##_##name;
ALL(DECLARE)

#define ROW(kind, name) { EXTENSION_##kind, &kind##_##name },
static const struct {
	enum extension_kind kind;
	const void *ops;
} builtin[] = { ALL(ROW) };

void builtin_add(void)
{
	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++) {
		int err = extension_add(builtin[i].kind, builtin[i].ops);

		assert_always(!err);
	}
}

const struct conf_choice *registry_choices(void)
{
	static struct conf_choice choices[EXTENSIONS_MAX + 1];

	for (size_t i = 0; extensions.registries[i]; i++) {
		const struct registry_ops *ops = extensions.registries[i];

		choices[i] = (struct conf_choice){ .name = ops->name, .rows = ops->conf, .size = ops->conf_size, .check = ops->check, .ops = ops };
	}
	return choices;
}
