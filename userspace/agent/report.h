/* SPDX-License-Identifier: Apache-2.0 */
/* What was found by trying, as JSON: the same for /kernel and for weft doctor. New references. */
#pragma once
#include <jansson.h>
#include "agent/judge.h"
#include "kern/features.h"

json_t *report_features(const struct features *f);
json_t *report_selftest(const struct judge_answer *a);
