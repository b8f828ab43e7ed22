#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The TCP proxy: bytes both ways, half-close, idle time, hosts that refuse, slow readers, bulk; with two workers.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

cat > "$T/weft.yaml" <<YAML
kernel: {mode: "off"}
workers: 2
listeners:
- {name: echo, address: "127.0.0.1:7001", protocol: tcp, rules: [{backends: [{cluster: echo}]}]}
- {name: idle, address: "127.0.0.1:7002", protocol: tcp, timeouts: {idle: 1s}, rules: [{backends: [{cluster: echo}]}]}
- {name: next, address: "127.0.0.1:7003", protocol: tcp, rules: [{backends: [{cluster: half-dead}]}]}
- {name: dead, address: "127.0.0.1:7004", protocol: tcp, rules: [{backends: [{cluster: dead}]}]}
- {name: pick, address: "127.0.0.1:7005", protocol: tcp, rules: [{sources: [192.0.2.0/24], backends: [{cluster: dead}]}, {port: 7005, backends: [{cluster: echo}]}]}
- {name: none, address: "127.0.0.1:7006", protocol: tcp, rules: [{sources: [192.0.2.0/24], backends: [{cluster: echo}]}]}
- {name: six, address: "[::1]:7001", protocol: tcp, rules: [{backends: [{cluster: echo}]}]}
- {name: few, address: "127.0.0.1:7007", protocol: tcp, limits: {connections: 2}, rules: [{backends: [{cluster: echo}]}]}
clusters:
- {name: echo, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: half-dead, loadBalancer: round-robin, endpoints: [{address: "127.0.0.1:9009"}, {address: "127.0.0.1:9008"}, {address: "127.0.0.1:9001"}]}
- {name: dead, endpoints: [{address: "127.0.0.1:9009"}]}
YAML

bg echo.log python3 "$SRC/test/lib/relay_peers.py" serve 9001
wait_line 20 "$T/echo.log" ready
weftd_start
ok "round trips" python3 "$SRC/test/lib/relay_peers.py" trips
cat "$T/ok.out"
at_least() { [ "$(metric "$1")" -ge "$2" ]; }
wait_for 20 at_least weft_listener_received_total 1024000
is "$(metric weft_listener_spliced_total)" 0 "what comes little by little goes through no pipe"
ok "every case of the relay" python3 "$SRC/test/lib/relay_peers.py" cases
cat "$T/ok.out"
wait_for 20 at_least weft_listener_spliced_total $((400 << 20))
# Also those whose hosts never read what they had sent.
none_open() { [ "$(metric weft_listener_open)" = 0 ]; }
wait_for 60 none_open
echo "  ok: clients that reset are gone, whatever waits for their hosts"
