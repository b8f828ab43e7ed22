#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `weft explain http` names the hosts that get requests: over random clusters with priorities, subsets and fallbacks, places,
# panic thresholds and hosts that checks call unhealthy, real requests reach those that it says take some, and nobody else.
. "$(dirname "$0")/../lib/net.sh"

SEED=${SEED:-$RANDOM}
python3 "$SRC/test/lib/cluster_models.py" "$SEED" 1 round-robin > "$T/weft.yaml"
cat > "$T/ask.py" <<'PY'
import collections
import os
import random

from cluster_models import checked, explain, hosts as open_hosts
from http_rig import *

REQUESTS = 120
r = random.Random(int(os.environ["SEED"]) + 1)
hosts = open_hosts(r)
seen = collections.Counter()
print("ready", flush=True)
eventually(lambda: os.path.exists(os.environ["GO"]))


@case
def requests_reach_those_that_explain_names():
    eventually(checked)
    # The workers look at states with their next pick; what was told before is with them once a request was answered.
    get("/0")
    c = Client()
    for i in range(40):
        said = explain(f"/{i}")["backends"][0]
        takes = {h["address"]: h["takes"] for h in said["hosts"]}
        for word in takes.values():
            seen["panic" if "panic" in word else "share" if "%" in word else word] += 1
        seen[f"fallback {said.get('fallback')}"] += 1
        share = {a: int(w.split("%")[0]) for a, w in takes.items() if "%" in w}
        for h in hosts:
            h.forget()
        status = {c.ask(f"/{i}").status for _ in range(REQUESTS)}
        reached = {f"127.0.0.1:{h.port}" for h in hosts if f"/{i}" in h.paths()}
        assert reached <= set(share), f"cluster c{i}: {reached} reached, explain says {takes}"
        missed = {a for a in share if share[a] >= 20} - reached
        assert not missed, f"cluster c{i}: {missed} not reached, explain says {takes}"
        is_(status, {200} if share else {503}, f"cluster c{i}: {takes}")
    print(dict(seen))


run()
PY
# The hosts first: a host's first check decides at once.
export SEED WEFT=$B/weft PYTHONPATH=$SRC/test/lib GO=$T/go
bg ask.log python3 "$T/ask.py"
ASK=$BG_PID
wait_line 60 "$T/ask.log" '^ready$'
weftd_start
echo "SEED=$SEED"
touch "$T/go"
rc=0
wait "$ASK" || rc=$?
cat "$T/ask.log"
is $rc 0 "explain and the proxy agree"
weftd_stop
