/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a type as JSON, by BTF: structures as objects, addresses as text, the rest as numbers. */
#pragma once
#include <jansson.h>
#include "weft/types.h"

struct btf;

json_t *render_type(const struct btf *b, uint32_t type_id, const void *data); /* the caller's reference */
