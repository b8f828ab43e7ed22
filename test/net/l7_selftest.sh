#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A kernel on which the proxy cannot ask what was dialled, here because another tool's program forbids it: the self-test finds
# it, and services with routes are left to their fail mode.
. "$(dirname "$0")/../lib/net.sh"

OBJECT=$B/test/net/foreign_getsockopt.bpf.o
command -v bpftool > /dev/null || skip "no bpftool"
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
workers: 1
services:
- {name: open, addresses: [10.96.0.10], ports: [{port: 80}], cluster: a, routes: [all]}
- {name: closed, addresses: [10.96.0.11], ports: [{port: 80}], cluster: a, routes: [all], failMode: closed}
routes: [{name: all, hosts: ["*"], rules: [{backends: [{cluster: a}]}]}]
clusters: [{name: a, endpoints: [{address: "127.0.0.1:9001"}]}]
YAML
bg host.log python3 -c '
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"proxied\n" if self.headers["x-request-id"] else b"direct\n")
s = http.server.ThreadingHTTPServer(("127.0.0.1", 9001), Handler)
print("ready", flush=True)
s.serve_forever()'
wait_line 60 "$T/host.log" ready
ask() { in_cg "$CG/client" curl -s -m 60 "http://$1/" || echo "curl $?"; }
case_is() { admin /kernel | python3 -c '
import json, sys
print([c["verdict"] for c in json.load(sys.stdin)["selfTest"] if c["case"] == "original-destination"])'; }
answers() { [ "$(ask "$1")" = "$2" ]; }
mkdir -p "$CG/client"

bpftool prog load "$OBJECT" /sys/fs/bpf/foreign type cgroup/getsockopt
bpftool cgroup attach "$CG" getsockopt pinned /sys/fs/bpf/foreign multi
weftd_start
wait_line 60 "$T/weftd.log" 'services with routes and captured ranges are left to their fail mode: self-test original-destination: SO_ORIGINAL_DST says'
is "$(case_is)" "['fail']" "/kernel shows the case"
wait_for 60 answers 10.96.0.10 direct
echo "  ok: failMode open: balanced in the kernel"
wait_for 60 answers 10.96.0.11 "curl 7"
echo "  ok: failMode closed: refused"
fails "nobody listens for them any more" grep -q outbound <<< "$(weft listeners)"
weftd_stop

bpftool cgroup detach "$CG" getsockopt pinned /sys/fs/bpf/foreign
weftd_start
wait_line 60 "$T/weftd.log" 'self-test passed'
is "$(case_is)" "['pass']" "without the other program"
wait_for 60 answers 10.96.0.10 proxied
wait_for 60 answers 10.96.0.11 proxied
echo "  ok: both are routed by the proxy"
