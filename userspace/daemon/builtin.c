/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/builtin.h"

#include "weft/registry.h"

#define REGISTRIES(X) X(file)

#define DECLARE(name) extern const struct registry_ops registry_##name;
#define LIST(name) &registry_##name,
REGISTRIES(DECLARE)

static const struct registry_ops *const registries[] = { REGISTRIES(LIST) };

#define NREGISTRIES (sizeof(registries) / sizeof(registries[0]))

const struct conf_choice *builtin_registries(void)
{
	static struct conf_choice choices[NREGISTRIES + 1];

	for (size_t i = 0; i < NREGISTRIES; i++) {
		const struct registry_ops *ops = registries[i];

		choices[i] = (struct conf_choice){ ops->name, ops->conf, ops->conf_size, ops->check, ops };
	}
	return choices;
}
