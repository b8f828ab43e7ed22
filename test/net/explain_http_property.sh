#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What weft explain says of a request is what then happens to it: random routes in the daemon, random requests, each asked
# about first and then sent, and what its host saw compared with what was foretold. SEED= repeats a run.
. "$(dirname "$0")/../lib/net.sh"

: "${SEED:=$RANDOM}"
PYTHONPATH=$SRC/test/lib python3 "$SRC/test/lib/route_models.py" model "$SEED" > "$T/weft.yaml"
weftd_start
PYTHONPATH=$SRC/test/lib python3 "$SRC/test/lib/route_models.py" ask "$SEED" "$ADMIN"
weftd_stop
