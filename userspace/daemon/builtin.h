/* SPDX-License-Identifier: Apache-2.0 */
/* Every built-in extension of weft. */
#pragma once
#include "weft/conf.h"
#include "weft/lb.h"
#include "weft/proto.h"

/* By registries[].type; ends with a NULL name. Lives for ever. */
const struct conf_choice *builtin_registries(void);
extern const struct lb_ops *const builtin_lbs[]; /* by clusters[].loadBalancer; ends with NULL */
extern const struct proto_ops *const builtin_protos[]; /* by listeners[].protocol and clusters[].protocol; ends with NULL */
