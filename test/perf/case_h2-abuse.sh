#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What one client that floods does to the others: abuse.py does the rest.
. "$(dirname "$0")/peers.sh"
. "$(dirname "$0")/../lib/net.sh"

python3 "$SRC/test/perf/abuse.py" --build "$B" --scratch "$T" --cgroup "$CG"
