#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Dubbo 3 through the daemon, both sides in one program: its dubbo protocol, and Triple over the HTTP/2 path.
. "$(dirname "$0")/../lib/java_tool.sh"
PEERS=$(java_tool peers3) || exit 1
export PEERS
. "$(dirname "$0")/../lib/net.sh"
export T
cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
telemetry: {accessLog: [{path: $T/access.json, format: json}]}
listeners:
- {name: dubbo, address: "127.0.0.1:8080", protocol: dubbo, routes: [calls]}
- {name: triple, address: "127.0.0.1:8081", protocol: http, routes: [paths]}
routes:
- name: calls
  rules:
  - {matches: [{service: {value: "g/weft.peers3.Shop:1.0"}, headers: [{name: color, value: blue}]}], backends: [{cluster: dubbo}]}
- name: paths
  rules:
  - {matches: [{path: {value: /weft.peers3.Shop}, headers: [{name: color, value: blue}]}], backends: [{cluster: triple}]}
clusters:
- {name: dubbo, protocol: dubbo, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: triple, protocol: http2, endpoints: [{address: "127.0.0.1:9002"}]}
YAML
weftd_start
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
from http_rig import *
from java_peers import *

three = Jvm("three.log", "weft.peers3.Main")
SERVICE = {"group": "g", "version": "1.0"}
three.ask("listen", protocol="dubbo", port=9001, name="old", **SERVICE)
three.ask("listen", protocol="tri", port=9002, name="new", **SERVICE)
BY = {"old": {"protocol": "dubbo", "port": 8080, **SERVICE}, "new": {"protocol": "tri", "port": 8081, **SERVICE}}


def call(by, kind="sync", **what):
    return three.ask("call", kind=kind, **BY[by], **what)


def calls(by):
    was = three.ask("fired")["fired"]
    for kind in "sync", "async":
        is_(call(by, kind, n=50, what="tea"), {"got": {by + " blue tea": 50}}, kind)
    is_(call(by, size=500000), {"got": {by + " blue " + "x" * 500000: 1}})
    is_(call(by, "oneway", n=10, what="tea"), {"got": {}})
    eventually(lambda: three.ask("fired")["fired"] == was + 10)
    r = call(by, what="throw")
    assert r["failed"].endswith("thrown by " + by), r


@case
def dubbo_protocol():
    calls("old")
    eventually(lambda: any(r["service"] == "g/weft.peers3.Shop:1.0" and r["rpc_method"] == "buy" for r in log_lines()))


@case
def triple():
    calls("new")
    is_(call("new", "stream", answers=20)["got"], {f"new{i}": 1 for i in range(20)})


run()
PY
weftd_stop
