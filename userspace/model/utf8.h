/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "weft/types.h"

/* Well-formed UTF-8 as in RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool utf8_valid(struct slice s);
