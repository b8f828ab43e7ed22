/* SPDX-License-Identifier: Apache-2.0 */
/* What a fact must say by itself, by kind. Each refuses what is wrong (tx_refuse) and says nothing else. */
#pragma once
#include "model/store_priv.h"

typedef void check_fn(struct store_tx *tx, const struct op *op);
extern check_fn *const check_kinds[FACT_KINDS]; /* NULL: no rules beyond the rows of field.c */

void check_route(struct store_tx *tx, const struct op *op);
/* path: of what holds the list, with its dot: "rules[1]." */
void check_backends(struct store_tx *tx, const struct op *op, const char *path, const struct route_backend *v, size_t n);
/* Of lists that are looked up by name: in order, none twice. */
void check_sorted(struct store_tx *tx, const struct op *op, const char *path, const struct name_value *v, size_t n);
void check_statuses(struct store_tx *tx, const struct op *op, const char *path, const struct status_range *v, size_t n);
