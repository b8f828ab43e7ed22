#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# HTTP/2 through weft, nginx, HAProxy and Envoy, to servers of HTTP/1.1 and of HTTP/2: l7.py does the rest.
. "$(dirname "$0")/peers.sh"
. "$(dirname "$0")/../lib/net.sh"

python3 "$SRC/test/perf/l7.py" --case h2 --build "$B" --scratch "$T" --cgroup "$CG" --envoy "$ENVOY" ${BENCH_NULL:+--null}
