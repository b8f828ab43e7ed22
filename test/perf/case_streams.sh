#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What idle streams of HTTP/2 hold of the proxy's memory: streams.py does the rest.
. "$(dirname "$0")/peers.sh"
. "$(dirname "$0")/../lib/net.sh"

python3 "$SRC/test/perf/streams.py" --build "$B" --scratch "$T" --cgroup "$CG"
