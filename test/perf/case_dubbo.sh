#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Dubbo 2 through weft, beside weft's HTTP/1.1, MOSN where it is on the path, and a relay: rpc.py does the rest.
. "$(dirname "$0")/../lib/net.sh"

python3 "$SRC/test/perf/rpc.py" --case dubbo --build "$B" --scratch "$T" --cgroup "$CG"
