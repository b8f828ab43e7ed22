#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is counted by host: requests, what went wrong and how, under way, time; the same in metrics, Admin API and CLI; over
# reloads and a new agent. A host that is gone leaves no series behind.
. "$(dirname "$0")/../lib/net.sh"

config() {
	cat > "$T/weft.yaml.new" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", routes: [all]}
- {name: told, address: "127.0.0.1:8082", routes: [all], netFilters: [{type: proxy-protocol}]}
- {name: relay, address: "127.0.0.1:8081", protocol: tcp, rules: [{backends: [{cluster: raw}]}]}
- {name: judged, address: "127.0.0.1:8083", protocol: tcp, rules: [{backends: [{cluster: judged}]}]}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /dead}}], backends: [{cluster: dead}]}
  - {matches: [{path: {value: /slow}}], timeouts: {backendRequest: 100ms}, backends: [{cluster: app}]}
  - {matches: [{path: {value: /again}}], retry: {attempts: 2, on: [5xx]}, backends: [{cluster: app}]}
  - {matches: [{path: {value: /six}}], backends: [{cluster: six}]}
  - {matches: [{path: {value: /anywhere}}], backends: [{cluster: anywhere}]}
  - {backends: [{cluster: app}]}
clusters:
- {name: app, connectTimeout: $1, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: dead, endpoints: [{address: "127.0.0.1:9"}]}
- {name: raw, endpoints: [{address: "127.0.0.1:9003"}]}
- {name: judged, endpoints: [{address: "127.0.0.1:9005"}, {address: "127.0.0.1:9006", priority: 1}], panicThreshold: 0, outlierDetection: {consecutive5xx: 3, maxEjectionPercent: 100, baseEjection: 300s}}
- {name: six, endpoints: [{address: "[::1]:9"}]}
- {name: anywhere, loadBalancer: original-destination}
${2:-}
YAML
	mv "$T/weft.yaml.new" "$T/weft.yaml"
}
config 1s
weftd_start
cat > "$T/rig.py" <<'PY'
import os
import re
from http_rig import *


def metrics():
    """{(cluster, host): {row: value}}"""
    out = {}
    for name, cluster, host, n in re.findall(r'^weft_host_(\w+?)(?:_total)?\{cluster="([^"]*)",host="([^"]*)"\} (\d+)$', admin("/metrics"), re.M):
        out.setdefault((cluster, host), {})[name] = int(n)
    return out


def of(cluster, host):
    return metrics().get((cluster, host), {})


def grows(cluster, host, what, **want):
    """what() lets these rows grow by so much, and of the rows that say what became of a request no other."""
    ends = ("answers_2xx answers_3xx answers_4xx answers_5xx connect_failed closed malformed late client_gone").split()
    before = of(cluster, host)
    want = {k: before.get(k, 0) + want.get(k, 0) for k in ends + ["requests"]} | {"active": 0}
    what()
    eventually(lambda: {k: of(cluster, host).get(k) for k in want} == want)
PY
cat > "$T/count.py" <<'PY'
from rig import *

host = Host(9001)
A = ("app", "127.0.0.1:9001")


@case
def answers():
    for status, row in (("200 OK", "answers_2xx"), ("302 Found", "answers_3xx"), ("404 Not Found", "answers_4xx"), ("500 Oops", "answers_5xx")):
        host.on["/s"] = reply(status=status)
        grows(*A, lambda: [get("/s") for _ in range(5)], **{row: 5, "requests": 5})


@case
def ends():
    host.on["/closed"] = lambda c, r: "close"
    grows(*A, lambda: get("/closed", "POST", body=b"x"), requests=1, closed=1)
    host.on["/cut"] = lambda c, r: c.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab") or "close"
    c = Client()
    grows(*A, lambda: c.send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n"), requests=1, closed=1, answers_2xx=1)
    host.on["/nonsense"] = lambda c, r: c.send("what?\r\n\r\n") or "close"
    grows(*A, lambda: is_(get("/nonsense").status, 502), requests=1, malformed=1)
    host.on["/slow"] = lambda c, r: c.closed() and "close"
    grows(*A, lambda: is_(get("/slow").status, 504), requests=1, late=1)

    def leave():
        c = Client()
        c.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: "/left" in host.paths())
        c.close()
    host.on["/left"] = lambda c, r: c.closed() and "close"
    grows(*A, leave, requests=1, client_gone=1)
    grows("dead", "127.0.0.1:9", lambda: is_(get("/dead").status, 503), requests=3, connect_failed=3)
    grows("six", "[::1]:9", lambda: is_(get("/six").status, 503), requests=3, connect_failed=3)


@case
def each_try_counts():
    host.on["/again"] = reply(status="503 No")
    grows(*A, lambda: is_(get("/again").status, 503), requests=3, answers_5xx=3)


@case
def under_way_and_time():
    go = threading.Event()
    host.on["/wait"] = lambda c, r: go.wait(LIMIT) and answer(c, r)
    before = of(*A)
    clients = [Client() for _ in range(4)]
    for c in clients:
        c.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    began = time.monotonic()
    eventually(lambda: of(*A)["active"] == 4)
    eventually(lambda: time.monotonic() > began + 0.05)
    go.set()
    for c in clients:
        is_(c.response().status, 200)
    eventually(lambda: of(*A)["active"] == 0)
    now = of(*A)
    is_(now["answered"] - before["answered"], 4)
    assert now["answer_us"] - before["answer_us"] >= 4 * 50000, (before, now)


@case
def relayed_connections():
    raw = socket.create_server(("127.0.0.1", 9003))

    def relay(how):
        s = socket.create_connection(("127.0.0.1", 8081))
        s.settimeout(LIMIT)
        peer, _ = raw.accept()
        s.sendall(b"hello")
        is_(peer.recv(5), b"hello")
        how(s, peer)
        s.close()
        peer.close()
    R = ("raw", "127.0.0.1:9003")
    grows(*R, lambda: relay(lambda s, peer: None), requests=1)
    is_(of(*R)["answered"], 1)
    grows(*R, lambda: relay(lambda s, peer: Stream(peer).reset()), requests=1, closed=1)
    grows(*R, lambda: relay(lambda s, peer: Stream(s).reset()), requests=1, client_gone=1)
    raw.close()
    grows(*R, lambda: is_(Stream(socket.create_connection(("127.0.0.1", 8081))).closed(), True), requests=1, connect_failed=1)


@case
def relayed_ones_that_clients_break_say_nothing_of_the_host():
    raw = socket.create_server(("127.0.0.1", 9005))

    def broken_by(who):
        s = Stream(socket.create_connection(("127.0.0.1", 8083)))
        peer = Stream(raw.accept()[0])
        s.send("x")
        is_(peer.exactly(1), b"x")
        before = metric("weft_listener_client_broke_total") + metric("weft_listener_host_broke_total")
        (s if who == "client" else peer).reset()
        eventually(lambda: metric("weft_listener_client_broke_total") + metric("weft_listener_host_broke_total") == before + 1)
    for who in ("host", "host", "client", "host"):
        broken_by(who)
    judged = lambda: next(c for c in json.loads(admin("/clusters"))["clusters"] if c["name"] == "judged")["hosts"][0]
    eventually(lambda: judged().get("ejected"))
    raw.close()


@case
def hosts_that_clients_make_have_no_series():
    c = Client(8082)
    c.send("PROXY TCP4 127.0.0.1 127.0.0.1 1 9001\r\n")
    is_(c.ask("/anywhere").status, 200)
    get()
    is_([c for c, _ in metrics() if c == "anywhere"], [])
    eventually(lambda: of(*A) == still())


def still():
    """The host's counters, once a second has brought no news."""
    before = of(*A)
    until = time.monotonic() + 2
    eventually(lambda: time.monotonic() > until)
    return before


@case
def api_and_cli_say_the_same():
    m = of(*A)
    api = json.loads(admin("/clusters"))
    app = next(c for c in api["clusters"] if c["name"] == "app")
    counts = app["hosts"][0]["counts"]
    for k, v in m.items():
        is_(counts[k], v, k)
    is_(counts["errors"], sum(m[k] for k in ("answers_5xx", "connect_failed", "closed", "malformed", "late")))
    assert app["counts"]["requests"] > 0
    rows = [x.split() for x in os.popen(os.environ["WEFT"] + " clusters app").read().splitlines()]
    row = dict(zip(rows[0], rows[1]))
    is_((row["HOST"], row["REQUESTS"], row["ACTIVE"], row["ERRORS"]),
        ("127.0.0.1:9001", str(m["requests"]), "0", str(counts["errors"])))
    routes = json.loads(admin("/routes"))["routes"]
    assert routes[0]["counts"]["requests"] > 0 and "took_us" in routes[0]["counts"]


run()
PY
export PYTHONPATH=$SRC/test/lib:$T WEFT=$B/weft
python3 "$T/count.py"

of() { python3 -c "import sys; sys.argv = ['x']; from rig import *; print(of('app', '127.0.0.1:9001').get('requests'))"; }
before=$(of)
[ "$before" -gt 20 ] || fail "too little was counted: $before"
config 2s '- {name: more, endpoints: [{address: "127.0.0.1:9004"}]}'
ok "a reload" weft reload
curl -s -o /dev/null http://127.0.0.1:8080/x
wait_for 10 eval "[ \$(of) -gt $before ]"
is "$(of)" $((before + 3)) "a reload of the cluster's settings lets the counters go on (one request, no host: three tries)"
weftd_kill
bg weftd.log in_cg "$CG/weftd" "$B/weftd" -c "$T/weft.yaml"
WEFTD_PID=$BG_PID
wait_for 60 weftd_ready
wait_for 60 eval "[ \$(of) = $((before + 3)) ]"
echo "  ok: the next agent learns of the counters of the proxy that it took over"
sed -i 's/127.0.0.1:9001/127.0.0.1:9002/' "$T/weft.yaml"
ok "another host" weft reload
wait_for 60 eval "[ \$(of) = None ]"
echo "  ok: a host that is gone has no series"
weftd_stop

# The page's example.
block() { awk -v lang="\`\`\`$1" '$0 == lang && !done { on = 1; next } /^```$/ && on { on = 0; done = 1 } on' "$SRC/docs/counters.md"; }
block yaml > "$T/weft.yaml"
echo 'workers: 1' >> "$T/weft.yaml"
weftd_start
cat > "$T/ten.py" <<'PY'
from rig import *
hosts = Host(9001), Host(9002)
hosts[1].on["/"] = reply(status="503 No")
is_(sorted(get().status for _ in range(10)), [200] * 5 + [503] * 5)
PY
python3 "$T/ten.py"
block console | sed 1d > "$T/want"
same() { weft clusters orders | sed 's/ *$//' > "$T/got"; diff -u "$T/want" "$T/got"; }
wait_for 60 same
echo "  ok: docs/counters.md: its example"
weftd_stop
