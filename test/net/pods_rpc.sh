#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A service whose port says an RPC protocol, with routes: clients in pods dial its address, and their calls are routed one by one.
. "$(dirname "$0")/../lib/net.sh"

D=$T/services.d
mkdir "$D"
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
workers: 2
registries: [{name: files, type: file, path: $D}]
workloads: [{name: client, cgroup: /client}]
routes:
- name: calls
  rules:
  - {matches: [{rpcMethod: {value: special}}], backends: [{cluster: b}]}
  - {filters: [{type: RequestHeaderModifier, set: [{name: x-mesh, value: weft}]}], backends: [{cluster: a}]}
clusters:
- {name: a, endpoints: [{address: "10.244.0.2:9001"}]}
- {name: b, endpoints: [{address: "10.244.0.2:9002"}]}
YAML
cat > "$D/services.yaml" <<YAML
services:
- {name: shop, addresses: [10.96.0.10], ports: [{port: 12200, appProtocol: bolt}], cluster: a, routes: [calls], failMode: closed}
YAML
cat > "$T/host.py" <<'PY'
from rpc_rig import *
def told(call):
    call.answer(fields={"host": call.host.name, "peer": call.conn.sock.getpeername()[0], "mesh": call.fields.get("x-mesh", "")})
for port, name in (9001, "a"), (9002, "b"):
    BoltHost(port, name, address="0.0.0.0").on[""] = told
print("ready", flush=True)
threading.Event().wait()
PY
cat > "$T/client.py" <<'PY'
from rpc_rig import *
def call(c, method):
    a = c.ask("shop:1.0", method, b"x" * 1000)
    assert a.status == SUCCESS and a.body == b"x" * 1000, a.status
    return a.fields["host"], a.fields["peer"], a.fields["mesh"]
c = BoltClient(12200, address="10.96.0.10")
is_(call(c, "buy"), ("a", "10.244.0.1", "weft"), "by its route, from the pod's own address")
is_(call(c, "special"), ("b", "10.244.0.1", ""), "call by call on one connection")
for i in range(100):
    call(c, "buy" if i % 2 else "special")
print("good")
PY
export PYTHONPATH=$SRC/test/lib
pod_add client
pod_add host
bg host.log in_pod host python3 "$T/host.py"
wait_line 60 "$T/host.log" ready
bg client.log in_pod client sleep infinity
weftd_start
shown() { weft listeners -o wide | grep -qE '10\.244\.0\.1:15001 .* listening'; }
wait_for 60 shown
is "$(in_pod client python3 "$T/client.py")" good "calls of a pod are routed by method, with what the route adds"
like "$(weft listeners -o json)" '"protocol": *"bolt"' "the service's listener speaks what its port says"
