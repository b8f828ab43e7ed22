/* SPDX-License-Identifier: Apache-2.0 */
/* Random small models, several in one store: each has services, clusters and hosts of its own. */
#pragma once
#include "base/rand.h"
#include "model/store.h"
#include "world.h"

#define MODELS_AT_ONCE 16
#define MODEL_SERVICES 4
#define MODEL_LISTENERS 3               /* that capture a range: one of each kind of address */

/* Everything of the last call goes, nmodels new ones come. */
void models_make(struct store *s, struct rand *r, unsigned nmodels);
/* Something to dial in model m: mostly an address and port of a service, sometimes a port next to one or a host itself. */
struct dial_target model_target(struct rand *r, unsigned m);
