#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `weft explain http` names the host that a request with a hash is sent to: over random ring-hash and Maglev clusters with
# priorities, subsets, places, panic thresholds and hosts that checks call unhealthy, and random policies (header, cookie,
# parameter, client's address), real requests reach the very host that it says, by two workers.
. "$(dirname "$0")/../lib/net.sh"

SEED=${SEED:-$RANDOM}
python3 "$SRC/test/lib/cluster_models.py" "$SEED" 2 ring-hash maglev > "$T/weft.yaml"
cat > "$T/ask.py" <<'PY'
import collections
import os
import random

from cluster_models import checked, explain, hosts as open_hosts
from http_rig import *

r = random.Random(int(os.environ["SEED"]) + 1)
hosts = open_hosts(r)
seen = collections.Counter()
print("ready", flush=True)
eventually(lambda: os.path.exists(os.environ["GO"]))


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
            said = explain(target, headers, ["--client", "127.0.0.1"])
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
like "$(weft explain http GET http://a/0 -H 'x-user: b' -H 'cookie: sid=1' --client 127.0.0.1)" 'hash +([0-9a-f]{16}|-)($|[^0-9a-z])' "in words: a hash, or that there is none"
fails "a client is an address" weft explain http GET http://a/0 --client bob
weftd_stop
