/* SPDX-License-Identifier: Apache-2.0 */
/* Every built-in extension of weft. */
#pragma once
#include "weft/conf.h"
#include "weft/lb.h"

/* By registries[].type; ends with a NULL name. Lives for ever. */
const struct conf_choice *builtin_registries(void);
extern const struct lb_ops *const builtin_lbs[]; /* by clusters[].loadBalancer; ends with NULL */
