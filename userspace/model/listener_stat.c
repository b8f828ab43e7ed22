/* SPDX-License-Identifier: Apache-2.0 */
#include "model/listener_stat.h"

STAT_DEFINE(listener_stat, "listener", LISTENER_STATS);
