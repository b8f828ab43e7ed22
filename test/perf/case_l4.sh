#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two pods on a bridge, and everything of weft in namespaces of its own: l4.py does the rest.
. "$(dirname "$0")/../lib/net.sh"

pod_add client
pod_add server
python3 "$SRC/test/perf/l4.py" --build "$B" --scratch "$T" --cgroup "$CG" ${BENCH_NULL:+--null}
