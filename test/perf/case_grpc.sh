#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gRPC, unary, 100 bytes, through weft, nginx, HAProxy and Envoy: l7.py does the rest.
. "$(dirname "$0")/peers.sh"
. "$(dirname "$0")/../lib/net.sh"

python3 "$SRC/test/perf/l7.py" --case grpc --build "$B" --scratch "$T" --cgroup "$CG" --envoy "$ENVOY" ${BENCH_NULL:+--null}
