/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "weft/msg.h"

/* As msg_alloc(), not zeroed: for a codec that fills it. */
void *msg_room(struct msg *m, size_t n);
