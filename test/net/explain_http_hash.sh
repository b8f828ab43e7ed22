#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `weft explain http` names the host that a request with a hash is sent to: over random ring-hash and Maglev clusters with
# priorities, subsets, places, panic thresholds and hosts that checks call unhealthy, and random policies (header, cookie,
# parameter, client's address), real requests reach the very host that it says, by two workers.
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
    c = {"name": f"c{i}", "loadBalancer": r.choice(["ring-hash", "maglev"]),  "panicThreshold": r.choice([0, 20, 50, 50, 100]),
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


def policies():
    some = [{"header": "x-user", "terminal": r.random() < 0.5}, {"cookie": {"name": "sid"}}, {"queryParam": "k"}, {"sourceIP": True}]
    return r.sample(some, r.randint(1, 3))


print(json.dumps({
    "workers": 2, "kernel": {"mode": "off"}, "node": {"locality": {"region": "r1", "zone": "z1"}},
    "listeners": [{"name": "web", "address": "127.0.0.1:8080", "routes": ["all"]}],
    "routes": [{"name": "all", "rules": [{"matches": [{"path": {"value": f"/{i}"}}], "backends": [backend(i)], "hash": policies()} for i in range(CLUSTERS)]}],
    "clusters": [cluster(i) for i in range(CLUSTERS)]}))
PY
python3 "$T/models.py" "$SEED" > "$T/weft.yaml"
cat > "$T/ask.py" <<'PY'
import collections
import os
import random
import subprocess
from http_rig import *

r = random.Random(int(os.environ["SEED"]) + 1)
hosts = [Host(9001 + i) for i in range(12)]
for h in hosts:
    if r.random() < 0.4:
        h.on["/healthz"] = reply(status="500 No")


def admin(path):
    return json.loads(subprocess.run(["curl", "-sS", "--unix-socket", "/run/weft/admin.sock", "http://weft" + path],
                                     capture_output=True, check=True).stdout)


def checked():
    return all("health" in h for c in admin("/clusters")["clusters"] for h in c["hosts"] if h["state"] == "ready" and h["weight"])


seen = collections.Counter()
print("ready", flush=True)
eventually(lambda: os.path.exists(os.environ["GO"]))


def explain(target, headers):
    words = [w for name, value in headers for w in ("-H", f"{name}: {value}")]
    return json.loads(subprocess.run([os.environ["WEFT"], "explain", "http", "GET", f"http://a{target}", "--client", "127.0.0.1",
                                      "-o", "json"] + words, capture_output=True, check=True).stdout)


@case
def a_request_reaches_the_host_that_explain_names():
    eventually(checked)
    get("/0")
    clients = [Client() for _ in range(4)]
    for i in range(40):
        for _ in range(3):
            user = r.choice("abcdefgh") * r.randint(1, 5)
            headers = [h for h in [("x-user", user), ("cookie", f"a=1; sid={user}{r.randint(0, 9)}")] if r.random() < 0.6]
            target = f"/{i}" + (f"?k={r.randint(0, 99)}" if r.random() < 0.5 else "")
            said = explain(target, headers)
            to = said["backends"][0].get("sentTo")
            for h in hosts:
                h.forget()
            status = {c.ask(target, headers="".join(f"{n}: {v}\r\n" for n, v in headers)).status for c in clients}
            reached = {f"127.0.0.1:{h.port}" for h in hosts if any(p.split("?")[0] == f"/{i}" for p in h.paths())}
            if not said["hash"]:
                seen["no hash"] += 1
                continue
            seen[f"{said['backends'][0]['algorithm']} {'sent' if to else 'nobody'}"] += 1
            assert reached == ({to} if to else set()), f"{target} {headers}: {reached} reached, explain says {to}: {said['backends']}"
            is_(status, {200} if to else {503}, f"{target} {headers}")
    print(dict(seen))
    assert seen["ring-hash sent"] and seen["maglev sent"]


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
is $rc 0 "explain and the proxy agree about hashes"
like "$(weft explain http GET http://a/0 -H 'x-user: b' -H 'cookie: sid=1' --client 127.0.0.1)" 'hash +[0-9a-f]{16}|hash +$' "in words"
fails "a client is an address" weft explain http GET http://a/0 --client bob
weftd_stop
