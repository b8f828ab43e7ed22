#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The captured cgroup is removed and made again, as a restarted kubelet may do: weftd says so, and is there again.
. "$(dirname "$0")/../lib/net.sh"

mkdir -p "$CG/pods"
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG/pods}
services: [{name: a.default, addresses: [10.96.0.1], cluster: a, ports: [{port: 80, target: 8080}]}]
clusters: [{name: a, endpoints: [{address: 127.0.0.1}]}]
YAML
bg one.log python3 "$SRC/test/lib/serve.py" --name one --tcp 8080
wait_line 20 "$T/one.log" ready
weftd_start
ask() { in_cg "$CG/pods/client" curl -s --max-time 60 http://10.96.0.1/; }
is "$(ask)" one "a service is balanced"
wait_for 10 rmdir "$CG/pods/client"
wait_for 20 rmdir "$CG/pods"       # once the self-test has left it
unready() { [ "$(admin_status /ready)" = 503 ]; }
wait_for 10 unready
like "$(admin /ready)" 'nothing is attached' "readiness says what is wrong"
like "$(cat "$T/weftd.log")" "cgroup $CG/pods was removed or replaced" "so does the log"
mkdir "$CG/pods"
wait_for 10 weftd_ready
is "$(ask)" one "and a cgroup of the same name is captured again"
weftd_stop
weft kernel detach > "$T/detach.out"
