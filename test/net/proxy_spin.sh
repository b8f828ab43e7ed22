#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# proxy.spin: off, no worker spins; adaptive, workers whose requests follow each other fast do, and requests are answered
# all the same. It waits for a restart.
. "$(dirname "$0")/../lib/net.sh"

config() {
	write_file "$T/weft.yaml" <<YAML
workers: 1
kernel: {mode: off}
proxy: {spin: $1}
listeners:
- {name: in, address: "127.0.0.1:8080", protocol: http, routes: [all]}
routes:
- {name: all, rules: [{filters: [{type: DirectResponse, status: 200, body: ok}]}]}
YAML
}
# 200 requests in packets of one byte each: events that come as fast as this machine makes them.
cat > "$T/busy.py" <<'PY'
import socket
s = socket.create_connection(("127.0.0.1", 8080))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for i in range(200):
    for b in b"GET / HTTP/1.1\r\nHost: a\r\n\r\n":
        s.sendall(bytes([b]))
    got = b""
    while not got.endswith(b"ok"):
        d = s.recv(4096)
        assert d, got
        got += d
PY
spins() { admin /metrics | sed -n 's/^weft_spin_spins_total{.*} //p'; }
answered() { [ "$(admin /metrics | sed -n 's/^weft_http_requests_total{.*} //p')" -ge "$1" ]; }

config off
weftd_start
python3 "$T/busy.py"
wait_for 60 answered 200
is "$(spins)" 0 "no worker spins"
config adaptive
like "$(weft reload)" "proxy.spin" "it waits for a restart"
is "$(tr '\0' ' ' < "/proc/$(pgrep -P "$WEFTD_PID" -f role=proxy)/cmdline" | grep -c -- --spin)" 0 "the proxy that runs goes on as it is"
weftd_stop
case_pass off

weftd_start
spun() { python3 "$T/busy.py" && [ "$(spins)" -gt 0 ]; }
wait_for 60 spun
like "$(admin /metrics)" '^weft_spin_hits_total\{' "hits are counted"
weftd_stop
case_pass adaptive
