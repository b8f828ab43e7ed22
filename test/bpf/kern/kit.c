/* SPDX-License-Identifier: Apache-2.0 */
/* The unit tests' store, here too. */
#include "unit/kern/kit.c"
