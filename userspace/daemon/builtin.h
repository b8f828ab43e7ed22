/* SPDX-License-Identifier: Apache-2.0 */
/* Every built-in extension of weft. */
#pragma once
#include "weft/conf.h"

/* Into base/extensions.h, before those of plugins. */
void builtin_add(void);
/* By registries[].type, those of plugins too; ends with a NULL name. Lives for ever. */
const struct conf_choice *registry_choices(void);
