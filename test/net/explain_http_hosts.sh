#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `weft explain http` names the hosts that get requests: over random clusters with priorities, subsets and fallbacks, places,
# panic thresholds and hosts that checks call unhealthy, real requests reach those that it says take some, and nobody else.
. "$(dirname "$0")/../lib/net.sh"

SEED=${SEED:-$RANDOM}
cat > "$T/models.py" <<'PY'
import json
import random
import sys

r = random.Random(int(sys.argv[1]))
HOSTS, CLUSTERS = 12, 40



def endpoint(port):
    return {"address": f"127.0.0.1:{port}", "weight": r.choice([1, 1, 1, 2, 3, 0]), "priority": r.choice([0, 0, 0, 1, 1, 2, 7]),
            "state": r.choice(["ready"] * 6 + ["draining"]), "metadata": {"v": r.choice("12"), "w": r.choice("ab")},
            "locality": r.choice([{"region": "r1", "zone": "z1"}, {"region": "r1", "zone": "z2"}, {"region": "r2", "zone": "z1"}, {}])}


def cluster(i):
    c = {"name": f"c{i}", "loadBalancer": "round-robin", "panicThreshold": r.choice([0, 20, 50, 50, 100]),
         "endpoints": [endpoint(p) for p in r.sample(range(9001, 9001 + HOSTS), r.randint(1, 8))],
         "locality": {"prefer": r.choice(["any", "any", "region", "zone"])},
         "healthCheck": {"type": "http", "path": "/healthz", "interval": "1s", "timeout": "30s"}}
    if r.random() < 0.6:
        c["subsets"] = {"keys": r.choice([[["v"]], [["w"]], [["v"], ["v", "w"]]]), "fallback": r.choice(["none", "any", "default"])}
        if c["subsets"]["fallback"] == "default":
            c["subsets"]["default"] = {"v": r.choice("12")}
    return c


def backend(i):
    return {"cluster": f"c{i}", "subset": r.choice([{}, {}, {"v": "1"}, {"v": "2", "w": "a"}, {"w": "b"}, {"v": "9"}, {"x": "1"}])}


print(json.dumps({
    "workers": 1, "kernel": {"mode": "off"}, "node": {"locality": {"region": "r1", "zone": "z1"}},
    "listeners": [{"name": "web", "address": "127.0.0.1:8080", "routes": ["all"]}],
    "routes": [{"name": "all", "rules": [{"matches": [{"path": {"value": f"/{i}"}}], "backends": [backend(i)]} for i in range(CLUSTERS)]}],
    "clusters": [cluster(i) for i in range(CLUSTERS)]}))
PY
python3 "$T/models.py" "$SEED" > "$T/weft.yaml"
cat > "$T/ask.py" <<'PY'
import collections
import os
import random
import subprocess
from http_rig import *

REQUESTS = 120
r = random.Random(int(os.environ["SEED"]) + 1)
hosts = [Host(9001 + i) for i in range(12)]
for h in hosts:
    if r.random() < 0.4:
        h.on["/healthz"] = reply(status="500 No")


def asked(path):
    return json.loads(admin(path))


def checked():
    return all("health" in h for c in asked("/clusters")["clusters"] for h in c["hosts"] if h["state"] == "ready" and h["weight"])


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
        said = json.loads(subprocess.run([os.environ["WEFT"], "explain", "http", "GET", f"http://a/{i}", "-o", "json"],
                                         capture_output=True, check=True).stdout)["backends"][0]
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
