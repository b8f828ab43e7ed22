#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SOFARPC through the daemon, both sides in one program: every kind of call, routed by service, method and header.
. "$(dirname "$0")/../lib/java_tool.sh"
PEERS=$(java_tool sofa) || exit 1
export PEERS
. "$(dirname "$0")/../lib/net.sh"
export T
cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
telemetry: {accessLog: [{path: $T/access.json, format: json}]}
listeners:
- {name: sofa, address: "127.0.0.1:8080", protocol: bolt, routes: [shop]}
routes:
- name: shop
  rules:
  - {matches: [{service: {value: "weft.sofa.Shop:1.0"}, rpcMethod: {value: buy}, headers: [{name: type, value: future}]}], backends: [{cluster: b}]}
  - {matches: [{service: {value: "weft.sofa.Shop:1.0"}, rpcMethod: {value: buy}}], backends: [{cluster: a}]}
  - {matches: [{service: {value: "weft.sofa.Shop:1.0"}, rpcMethod: {value: fire}}], backends: [{cluster: b}]}
clusters:
- {name: a, protocol: bolt, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: b, protocol: bolt, endpoints: [{address: "127.0.0.1:9002"}]}
YAML
weftd_start
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
from http_rig import *
from java_peers import *

sofa = Jvm("sofa.log", "weft.sofa.Main")
is_(sofa.ask("listen", port=9001, name="a"), {})
is_(sofa.ask("listen", port=9002, name="b"), {})


def call(kind, n=20, what="tea"):
    return sofa.ask("call", port=8080, kind=kind, n=n, what=what)


@case
def calls_of_every_kind():
    for kind in "sync", "callback", "generic":
        is_(call(kind), {"got": {"a tea": 20}}, kind)
    is_(call("future"), {"got": {"b tea": 20}}, "by header type")
    is_(call("oneway"), {"got": {"sent": 20}})
    eventually(lambda: sofa.ask("fired")["fired"] == 20)


@case
def bodies_and_exceptions():
    for size in 1000, 100000, 3 << 20:
        is_(call("sync", 1, "x" * size), {"got": {"a " + "x" * size: 1}})
    is_(call("sync", 1, "throw"), {"failed": "IllegalStateException"})


@case
def logged_by_service_and_method():
    def names():
        return {(r["service"], r["rpc_method"], r["status"]) for r in log_lines()}
    eventually(lambda: names() == {("weft.sofa.Shop:1.0", "buy", 200), ("weft.sofa.Shop:1.0", "fire", 200)})


run()
PY
weftd_stop
