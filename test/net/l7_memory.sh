#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The machine's TCP memory is gone for a moment while the proxy answers short-circuited clients: its writes get EAGAIN, no event
# tells it when to go on, and still every answer comes.
NEEDS_TCP_MEM=1
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG, mode: required, shortCircuit: {enabled: true}}
workers: 1
workloads: [{name: client, cgroup: /client, shortCircuit: {splice: never}}]
services: [{name: web, addresses: [10.96.0.10], ports: [{port: 80}], cluster: a, routes: [all], failMode: closed}]
routes: [{name: all, hosts: ["*"], rules: [{matches: [{path: {type: Exact, value: /there}}], backends: [{cluster: a}]}]}]
clusters: [{name: a, endpoints: [{address: "127.0.0.1:9001"}]}]
YAML
cat > "$T/client.py" <<'PY'
import socket, sys, time
# The clients' requests: larger than the send buffer that the kernel leaves a socket then. The answers are small.
BIG = b"GET /nowhere HTTP/1.1\r\nhost: web\r\nx-pad: " + b"x" * 21000 + b"\r\n\r\n"

def answer(s):                           # the proxy's own 404, of less than a page
    got = b""
    while b"\r\n\r\n" not in got:
        more = s.recv(4096)
        assert more, "the connection ended"
        got += more
    head, body = got.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 404"), head
    n = [int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length")][0]
    while len(body) < n:
        body += s.recv(4096)

hogs = []
listener = socket.create_server(("127.0.0.1", 0))
for _ in range(4):                       # memory that is in use, whatever the counters of the CPUs hide
    a = socket.create_connection(listener.getsockname())
    hogs.append((a, listener.accept()[0]))
    a.setblocking(False)
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        try:
            a.send(b"x" * 65536)
            end = time.monotonic() + 0.05
        except BlockingIOError:
            time.sleep(0.01)
conns = [socket.create_connection(("10.96.0.10", 80)) for _ in range(20)]
for s in conns:
    s.settimeout(60)
    for _ in range(3):
        s.sendall(BIG)
        answer(s)
print("ready", flush=True)
sys.stdin.readline()
left = []
for s in conns:                          # a message of many pages finds room by force, but for one that begins in a small rest
    s.setblocking(False)
    try:
        left.append(BIG[s.send(BIG):])
    except BlockingIOError:
        left.append(BIG)
print("asked", flush=True)
for s, rest in zip(conns, left):         # these wait
    s.settimeout(60)
    s.sendall(rest)
for s in conns:
    answer(s)
print(sum(not rest for rest in left), "of", len(conns), "requests went whole without memory")
print("answered", flush=True)
PY
mkdir -p "$CG/client"                    # a workload is known by its cgroup
weftd_start
full() { admin /kernel | grep -q '"rung":"full"'; }
wait_for 60 full
served() { [ "$(in_cg "$CG/client" curl -s -o "$T/body" -w '%{http_code}' http://10.96.0.10/nowhere)" = 404 ]; }
wait_for 60 served
mkfifo "$T/go"
exec {GO}<> "$T/go"
in_cg "$CG/client" python3 "$T/client.py" < "$T/go" > "$T/client.log" 2>&1 &
CLIENT=$!
wait_line 60 "$T/client.log" ready
paired() { admin /connections | python3 -c '
import json, sys
assert sum(c["state"] == "open" and c["client"] == "client" for c in json.load(sys.stdin)["connections"]) >= 20'; }
ok "the clients' hops are short-circuited" paired
tcp_mem_take || skip "net.ipv4.tcp_mem belongs to a namespace outside"
tcp_mem "1 2 3"
echo go >&"$GO"
asked() { grep -q '^asked' "$T/client.log" || ! kill -0 "$CLIENT"; }
wait_for 60 asked
pause 1                                  # for the proxy to try its luck
tcp_mem_back
wait "$CLIENT" || fail "a client: $(cat "$T/client.log")"
is "$(tail -n 1 "$T/client.log")" answered "every answer comes when there is memory again"
grep whole "$T/client.log"
