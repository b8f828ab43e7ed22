#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Call-outs while anything happens, by a seed: clients that go at any time, services that answer well, late, cut, too much or
# nonsense, reloads in between. Nobody is let in whom nobody allowed; each call ends once; nothing is left. Then weftd is stopped
# while calls of requests, connections and workers are out. SEED= repeats a run.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"
plugin_build "$SRC/test/plugins/ext_authz.c"
: "${SEED:=$RANDOM}"
conf() {  # path of keys
	cat > "$T/next.yaml" <<-YAML
	workers: 3
	kernel: {mode: off}
	proxy: {drain: 200ms}
	plugins: [{path: $PLUGINS/ext_authz.so}]
	listeners:
	- {name: web, address: "127.0.0.1:8080", filters: [{type: ext-authz, cluster: auth, keys: $1, maxAnswer: 1000, timeout: 60s}], routes: [all]}
	- {name: net, address: "127.0.0.1:8081", netFilters: [{type: ext-admit, cluster: auth, path: /admit, timeout: 60s}], routes: [all]}
	clusters:
	- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
	- {name: auth, connectionPool: {maxRequests: 40, maxPending: 5}, endpoints: [{address: "127.0.0.1:9002"}]}
	routes:
	- name: all
	  rules:
	  - {matches: [{path: {value: /body}}], filters: [{type: ext-authz, cluster: auth, body: 64KiB, maxAnswer: 1000, timeout: 60s}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /grpc}}], filters: [{type: ext-authz, cluster: auth, protocol: grpc, path: /grpc, maxAnswer: 1000, timeout: 60s}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /stream}}], filters: [{type: ext-authz, cluster: auth, protocol: stream, path: /stream, timeout: 60s}], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /late}}], filters: [{type: ext-authz, cluster: auth, path: /late, maxAnswer: 1000, timeout: 20ms}], backends: [{cluster: app}]}
	  - backends: [{cluster: app}]
	YAML
	mv "$T/next.yaml" "$T/weft.yaml"
}
conf /keys
weftd_start
export T B PLUGINS SEED
export -f conf
cat > "$T/chaos.py" <<'PY'
import collections
import random
import subprocess
from http_rig import *

app, auth = Host(9001), Host(9002)
GRPC = b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n"
dice, lock = random.Random(f"auth {os.environ['SEED']}"), threading.Lock()


def roll(n):
    with lock:
        return dice.randrange(n)


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def message(text):
    return b"\0" + struct.pack(">I", len(text)) + text


def spoil(c, k):
    """What no service should do."""
    if k == 0:
        return "close"
    if k == 1:
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        return "close"
    if k == 2:
        c.send(os.urandom(50) + b"\r\n\r\n")
        return "close"
    if k == 3:
        c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(bytes(5000)) * 20 + b"0\r\n\r\n")
        return None
    c.reset()
    return "close"


def lets_in(r):
    """A request says so itself; of connections those from even ports are let in."""
    said = r.get("x-original")[0] if r.path != "/grpc" else r.body.decode("latin-1")
    return int(said) % 2 == 0 if r.path == "/admit" else "ok=1" in said


def decide(c, r):
    k = roll(10)
    if k < 5:
        return spoil(c, k)
    if r.path == "/grpc":
        c.send(GRPC + chunk(message(b"u")) + f"0\r\ngrpc-status: {0 if lets_in(r) else 7}\r\n\r\n".encode())
    else:
        answer(c, r, b"because", "200 OK" if lets_in(r) else "403 No", "x-auth-user: u\r\n")


def stream(c, r):
    k = roll(10)
    if k < 5:
        return spoil(c, k)
    c.send(GRPC)
    ok = b"ok=1" in c.exactly(int(c.until(b"\r\n"), 16))
    for i in range(roll(4)):
        c.send(chunk(message(b"w" * roll(70000))))
    c.send(chunk(message(b"yes")) if ok else chunk(message(b"no")) + b"0\r\ngrpc-status: 7\r\n\r\n")
    c.left()
    return "close"


for path in "/check", "/grpc", "/late", "/admit":
    auth.on[path] = decide
auth.on["early /stream"] = stream
got, wrong = collections.Counter(), []


def ask(r):
    port, ok = r.choice([8080, 8080, 8080, 8081]), r.randrange(2)
    path = r.choice(["/", "/body", "/grpc", "/stream", "/late"]) + f"?ok={ok}"
    body = os.urandom(r.choice([0, 10, 5000, 60000])) if path.startswith("/body") else b""
    whole = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    c = Client(port)
    try:
        if r.random() < 0.3:
            c.send(whole[:r.randrange(len(whole) + 1)])
            return c.reset() if r.random() < 0.5 else None
        c.send(whole)
        status = c.response().status
        got[status] += 1
        if status == 200 and not (ok if port == 8080 else c.sock.getsockname()[1] % 2 == 0):
            wrong.append((port, path))
    finally:
        c.close()


def one_client(k):
    r = random.Random(f"client {k} {os.environ['SEED']}")
    for _ in range(60):
        try:
            ask(r)
        except (OSError, EOFError):
            got["closed"] += 1


def reload(keys):
    subprocess.run(["bash", "-euc", 'conf "$1"; "$B/weft" reload > "$T/reload.out"', "bash", keys], check=True)


def count(row, filter):
    name = f'weft_callout_{row}{"" if row == "active" else "_total"}{{filter="{filter}"}} '
    return sum(int(float(l[len(name):])) for l in admin("/metrics").splitlines() if l.startswith(name))


@case
def anything_at_any_time():
    threads = [threading.Thread(target=one_client, args=(k,)) for k in range(12)]
    for t in threads:
        t.start()
    for i in range(6):
        go = threading.Event()
        auth.on[f"/keys{i}"] = lambda c, r, go=go, i=i: go.wait(LIMIT) and (spoil(c, 1) if i % 3 == 2 else answer(c, r, b"k"))
        reload(f"/keys{i}")
        eventually(lambda: auth.paths().count(f"/keys{i}") == 3)
        go.set()
    for t in threads:
        t.join()
    is_(wrong, [])
    assert got[200] > 10 and got[403] > 10 and got[503] > 10, got
    reload("/keys0")
    ends = ["answered", "cancelled", "timeouts", "unreachable", "broken", "too_large", "overflows"]
    for f in "ext-authz", "ext-admit":
        eventually(lambda: count("active", f) == 0 and sum(count(e, f) for e in ends) == count("calls", f) > 20)
    eventually(lambda: metric("weft_filter_active") == 0)


@case
def weftd_stops_while_calls_are_out():
    for path in "/check", "/grpc", "/late", "/admit", "/keys":
        auth.on[path] = stall
    auth.on["early /stream"] = stall
    auth.forget()
    reload("/keys")
    eventually(lambda: auth.paths().count("/keys") == 3)
    reload("/keys0")        # those stay out as long as requests with their filter do
    clients = [Client(8080 + i % 2) for i in range(12)]
    for i, c in enumerate(clients):
        c.send(f"GET {['/', '/grpc', '/stream'][i % 3]} HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: len(auth.requests) >= 12)
    print("held", flush=True)
    for c in clients:
        c.left()


run()
PY
bg chaos.log env PYTHONPATH="$SRC/test/lib" python3 "$T/chaos.py"
CHAOS=$BG_PID
wait_line 120 "$T/chaos.log" '^held$|^case fail'
weftd_stop
rc=0
wait "$CHAOS" || rc=$?
cat "$T/chaos.log"
is $rc 0 "seed $SEED"
