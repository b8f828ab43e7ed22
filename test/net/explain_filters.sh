#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `weft explain http` and `weft explain rpc` name the filters that a request passes: random listeners and rules with filters of a
# plugin, each asked about first and then sent; what the filters noted in the access log is what was foretold. SEED= repeats a run.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"
plugin_build "$SRC/test/plugins/filter_probe.c"
: "${SEED:=$RANDOM}"
export SEED T PLUGINS
cat > "$T/explained.py" <<'PY'
import random
import sys
from http_rig import *
from rpc_rig import *

r = random.Random(f"filters {os.environ['SEED']}")
TYPES = "probe", "probe-two", "probe-needs"


def filters(where):
    types = r.sample(TYPES, r.randint(0, 3))
    return [{"type": t, "tag": f"{where}.{len(t)}"} for t in types]


def model():
    listeners = [{"name": f"l{i}", "address": f"127.0.0.1:{8080 + i}", "protocol": p, "filters": filters(f"l{i}"), "routes": ["all"]}
                 for i, p in enumerate(["http", "http", "bolt", "dubbo"])]
    rules = [{"matches": [{"path": {"type": "Exact", "value": f"/{i}"}}, {"service": {"value": f"s.S{i}"}}],
              "filters": filters(f"r{i}"), "backends": [{"cluster": "app"}]} for i in range(8)]
    # What a rule names alone lacks what a listener has to give.
    for rule in rules:
        rule["filters"] = [f for f in rule["filters"] if f["type"] != "probe-needs"]
    return {"workers": 2, "kernel": {"mode": "off"}, "plugins": [{"path": os.environ["PLUGINS"] + "/filter_probe.so"}],
            "telemetry": {"accessLog": [{"path": os.environ["T"] + "/access.json", "format": "json"}]},
            "listeners": listeners, "routes": [{"name": "all", "rules": rules}], "clusters": [{"name": "app", "endpoints": []}]}


def told(query):
    return json.loads(admin("/explain?" + query))["filters"]


def tags(foretold):
    return "+".join((f.get("ruleSettings") or f["settings"])["tag"] for f in foretold)


def noted(line):
    return (line["notes"] or {}).get("tags", "") if "notes" in line else ""


def of(foretold, m, i, k):
    mine = lambda fs, t: any(f["type"] == t for f in fs)
    for f in foretold:
        ours, theirs = mine(m["listeners"][i]["filters"], f["type"]), mine(m["routes"][0]["rules"][k]["filters"], f["type"])
        is_(f["of"], "listener and rule" if ours and theirs else "rule" if theirs else "listener")


if sys.argv[1:] == ["model"]:
    print(json.dumps(model()))
    sys.exit()


def record(listener, field, value):
    """Its line of the access log, when it is there."""
    found = []

    def there():
        text = open(os.environ["T"] + "/access.json").read()
        lines = map(json.loads, text[:text.rfind("\n") + 1].splitlines())
        found[:] = [l for l in lines if l["listener"] == listener and l[field] == value]
        return found
    eventually(there)
    return found[-1]


def each(listeners, ask, send, field, word):
    m = json.load(open(os.environ["T"] + "/weft.yaml"))
    for i in listeners:
        for k in range(8):
            foretold = told(ask.format(i=i, k=k))
            of(foretold, m, i, k)
            send(i, k)
            is_(noted(record(f"l{i}", field, word.format(k))), tags(foretold))


@case
def of_requests():
    each((0, 1), "http=GET&url=http://a/{k}&listener=l{i}", lambda i, k: is_(get(f"/{k}", port=8080 + i).status, 503), "path", "/{}")


@case
def of_calls():
    def call(i, k):
        c = PEERS["bolt" if i == 2 else "dubbo"][1](8080 + i)
        c.ask(f"s.S{k}", "m")
        c.close()
    each((2, 3), "rpc=s.S{k}&method=m&listener=l{i}", call, "service", "s.S{}")


run()
PY
PYTHONPATH=$SRC/test/lib python3 "$T/explained.py" model > "$T/weft.yaml"
weftd_start
PYTHONPATH=$SRC/test/lib python3 "$T/explained.py"
