/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rows know, written out: the effective settings of a struct, and the reference of all
 * settings.
 */
#pragma once
#include <jansson.h>
#include "conf/config.h"
#include "weft/buf.h"

/*
 * The struct behind base as an object, every field with its value in force. The caller's reference.
 */
json_t *conf_dump(const struct conf_item *rows, const void *base);
/* The whole configuration, facts excepted: those are in the snapshot. The caller's reference. */
json_t *config_dump(const struct config *c);

/* docs/configuration.md, from config_rows and the registry types (docs.c). */
void config_docs(struct buf *out, const struct conf_choice *choices);
