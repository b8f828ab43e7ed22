/* SPDX-License-Identifier: Apache-2.0 */
#include "model/http_stat.h"

STAT_DEFINE(http_stat, "http", HTTP_STATS);
STAT_DEFINE(route_stat, "route", TRAFFIC_STATS);
STAT_DEFINE(call_stat, "grpc", CALL_STATS);
STAT_DEFINE(rpc_stat, "rpc", RPC_STATS);
STAT_DEFINE(host_stat, "host", HOST_STATS);
STAT_DEFINE(cluster_http_stat, "cluster_http", CLUSTER_HTTP_STATS);
