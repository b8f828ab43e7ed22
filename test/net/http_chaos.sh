#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clients that leave, hosts that die, stall and lie, all at once: nothing hangs, nothing is left, the next request is good.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
telemetry: {accessLog: [{path: $T/access.json, format: json}]}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all], timeouts: {head: 5s}}
routes:
- name: all
  rules:
  - matches: [{path: {value: /retry}}]
    timeouts: {request: 3s, backendRequest: 500ms}
    retry: {attempts: 2, on: [5xx, reset], backoff: 1ms}
    backends: [{cluster: app}]
  - {timeouts: {request: 2s, idle: 2s}, backends: [{cluster: app}]}
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}, {address: "127.0.0.1:9"}]}
YAML
weftd_start
SECONDS_OF_CHAOS=${CHAOS:-6} PYTHONPATH=$SRC/test/lib python3 - <<'PY'
import os
import random
from http_rig import *

until = time.monotonic() + float(os.environ["SECONDS_OF_CHAOS"])
rand = random.Random(7)


def host_acts(c, r):
    k = rand.random()
    if k < 0.5:
        return answer(c, r, r.body or b"x" * rand.choice((0, 10, 5000, 200000)))
    if k < 0.6:
        return "close"
    if k < 0.65:
        return c.reset() or "close"
    if k < 0.75:
        return c.send("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + "x" * rand.randrange(1000, 200000)) or "close"
    if k < 0.8:
        return c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n") or "close"
    if k < 0.85:
        return answer(c, r, b"", "503 No")
    if k < 0.9:
        return c.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n") or answer(c, r, b"ok")
    if k < 0.95:
        time.sleep(rand.random())
        return answer(c, r, b"late")
    return c.send("nonsense\r\n\r\n") or "close"


def early(c, r):
    answer(c, r, b"no", "413 No")
    return "close"


hosts = [Host(9001), Host(9002)]
for h in hosts:
    for path in ("/", "/retry", "/post"):
        h.on[path] = host_acts
    h.on["early /early"] = early
    h.on["/ok"] = reply(b"ok")


def client_acts():
    while time.monotonic() < until:
        try:
            c = Client()
            for _ in range(rand.randrange(1, 6)):
                k, path = rand.random(), rand.choice(("/", "/retry", "/post", "/early"))
                if k < 0.5:
                    c.ask(path, rand.choice(("GET", "HEAD", "PUT")))
                elif k < 0.7:
                    c.ask(path, "POST", body=b"y" * rand.choice((1, 3000, 70000, 300000)))
                elif k < 0.8:
                    c.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
                    c.reset()
                    break
                elif k < 0.9:
                    c.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + "z" * rand.randrange(1, 90000))
                    c.close()
                    break
                else:
                    c.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
                    c.sock.recv(100)
                    c.close()
                    break
            c.close()
        except (OSError, EOFError, ValueError, AssertionError):
            pass


@case
def chaos():
    ts = [threading.Thread(target=client_acts) for _ in range(24)]
    for t in ts:
        t.start()
    for t in ts:
        t.join(LIMIT)
        assert not t.is_alive(), "a client hangs"
    print("  requests:", sum(len(h.requests) for h in hosts), flush=True)
    for _ in range(50):
        is_(get("/ok").body, b"ok")


run()
PY
none_left() { [ "$(metric weft_http_active)" = 0 ] && [ "$(metric weft_http_upstreams)" = "$(metric weft_http_idle_upstreams)" ]; }
wait_for 20 none_left
is "$(metric weft_proxy_exits_total)" 0 "the proxy lives"
python3 - "$T/access.json" <<'PY' || fail "lines that are no JSON"
import json, sys
n = len([json.loads(x) for x in open(sys.argv[1])])
print("  lines of the access log:", n)
PY
weftd_stop
