#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Hosts that are not well, over several workers: ejected by requests, unhealthy by checks, found by name; limits of the node.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 4
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /eject}}], backends: [{cluster: eject}]}
  - {matches: [{path: {value: /again}}], retry: {attempts: 1, on: [retriable-4xx], backoff: 1ms, budget: {percent: 100}}, backends: [{cluster: eject}]}
  - {matches: [{path: {value: /few}}], backends: [{cluster: few}]}
  - {matches: [{path: {value: /idle}}], timeouts: {idle: 300ms}, backends: [{cluster: eject}]}
  - {matches: [{path: {value: /try}}], timeouts: {backendRequest: 300ms}, backends: [{cluster: eject}]}
  - {matches: [{path: {value: /ws}}], timeouts: {idle: 300ms}, upgrades: [websocket], backends: [{cluster: eject}]}
  - {matches: [{path: {value: /check}}], backends: [{cluster: check}]}
  - {matches: [{path: {value: /limit}}], backends: [{cluster: limit}]}
  - {matches: [{path: {value: /wait}}], backends: [{cluster: wait}]}
  - {matches: [{path: {value: /named}}], backends: [{cluster: named}]}
clusters:
- name: eject
  loadBalancer: random
  endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}, {address: "127.0.0.1:9003"}]
  outlierDetection: {consecutive5xx: 5, baseEjection: 6s, maxEjectionPercent: 50}
- name: few
  endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}]
  connectionPool: {maxConnections: 1, maxPending: 1}
  outlierDetection: {consecutive5xx: 5, baseEjection: 6s, maxEjectionPercent: 50}
- name: check
  loadBalancer: random
  endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}]
  healthCheck: {type: http, path: /healthz, interval: 100ms, timeout: 5s, unhealthyThreshold: 2, healthyThreshold: 1}
  panicThreshold: 0
- name: limit
  endpoints: [{address: "127.0.0.1:9001"}]
  connectionPool: {maxRequests: 5, maxPending: 1}
- name: wait
  endpoints: [{address: "127.0.0.1:9001"}]
  connectionPool: {maxRequests: 2, maxPending: 50}
- name: named
  discovery: {type: dns, host: localhost, port: 9002}
YAML
bridge_up
weftd_start
echo "$WEFTD_PID" > "$T/pid"
# An agent that is killed is followed by another.
{
	wait_gone() { while kill -0 "$WEFTD_PID" 2> /dev/null; do sleep 0.05; done; }
	wait_gone
	bg weftd2.log in_cg "$CG/weftd" "$B/weftd" -c "$T/weft.yaml"
	echo "$BG_PID" > "$T/pid"
} &
PYTHONPATH=$SRC/test/lib WEFT_SOCK=$ADMIN WEFT_PIDS=$T/pid python3 - <<'PY'
from http_rig import *
import http.client
import os

hosts = [Host(9001), Host(9002), Host(9003)]


class Admin(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.environ["WEFT_SOCK"])


def cluster(name):
    end = time.monotonic() + LIMIT
    while True:
        try:
            a = Admin("localhost")
            a.request("GET", "/clusters")
            return next(c for c in json.load(a.getresponse())["clusters"] if c["name"] == name)
        except (OSError, StopIteration, http.client.HTTPException):     # between two agents
            assert time.monotonic() < end
            time.sleep(0.05)


def until(what):
    end = time.monotonic() + LIMIT
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def fresh():
    for h in hosts:
        h.on.clear()
        h.forget()


def over_many(path, n):
    """Each on a connection of its own, so that all workers take part."""
    return [get(path).status for _ in range(n)]


def left_out(path, host):
    """Of forty requests none goes there, and all are answered."""
    n = asked(path)[host]
    return set(over_many(path, 40)) == {200} and asked(path)[host] == n


def settled():
    """The proxy serves."""
    try:
        return get("/named").status == 200
    except OSError:
        return False


def asked(path):
    return [sum(r.path == path for r in h.requests) for h in hosts]


@case
def errors_in_a_row_eject_for_all_workers():
    fresh()
    hosts[1].on["/eject"] = reply(status="500 No")
    is_(set(over_many("/eject", 60)), {200, 500})
    # Five in a row over all workers, and few that came before all workers knew.
    assert 5 <= asked("/eject")[1] <= 15, asked("/eject")
    until(lambda: cluster("eject")["hosts"][1].get("ejected"))
    is_([h.get("ejected") for h in cluster("eject")["hosts"]], [None, True, None])
    hosts[1].on.clear()
    until(lambda: not cluster("eject")["hosts"][1].get("ejected"))
    over_many("/eject", 60)
    assert asked("/eject")[1] > 5


@case
def an_answer_that_is_asked_for_again_says_no_more_of_its_host_than_one_that_is_not():
    fresh()
    until(lambda: not any(h.get("ejected") for h in cluster("eject")["hosts"]))
    hosts[1].on["/again"] = reply(status="409 Conflict")
    is_(set(over_many("/again", 60)), {200})
    assert asked("/again")[1] > 10, asked("/again")
    is_([h.get("ejected") for h in cluster("eject")["hosts"]], [None, None, None])


def stalls(request, status, n=40):
    """As many clients of the kind, at the same time; the last word to each."""
    clients = [Client() for _ in range(n)]
    for c in clients:
        c.send(request)
    for c in clients:
        is_(c.head()[0], status)
    for c in clients:
        c.close()


@case
def clients_that_stall_have_no_host_ejected():
    fresh()
    until(lambda: not any(h.get("ejected") for h in cluster("eject")["hosts"]))
    hung = threading.Event()
    for h in hosts:
        h.on["/ws"] = lambda c, r: (c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), c.rest(), "close")[2]
        h.on["/eject/call"] = lambda c, r: (hung.wait(LIMIT), "close")[1]
    part = "Host: a\r\nContent-Length: 10\r\n\r\nabc"
    stalls("POST /idle HTTP/1.1\r\n" + part, 504)
    stalls("POST /try HTTP/1.1\r\n" + part, 504)
    stalls("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n", 101)
    stalls("POST /eject/call HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nTE: trailers\r\ngrpc-timeout: 300m\r\n"
           "Content-Length: 5\r\n\r\nabcde", 200)
    hung.set()
    # What they would have caused comes before this.
    hosts[1].on["/eject"] = reply(status="500 No")
    until(lambda: (get("/eject"), any(h.get("ejected") for h in cluster("eject")["hosts"]))[1])
    is_([h.get("ejected") for h in cluster("eject")["hosts"]], [None, True, None])


@case
def a_limit_of_ours_is_no_error_of_a_host():
    fresh()
    gate = threading.Event()
    for h in hosts[:2]:
        h.on["/few"] = lambda c, r: (gate.wait(LIMIT), answer(c, r, b"done"))[1]
    clients = [Client() for _ in range(40)]
    for c in clients:
        c.send("GET /few HTTP/1.1\r\nHost: a\r\n\r\n")
    # One goes on, and a second one waits for its connection, for a second at most.
    got, lock = [], threading.Lock()

    def end(c):
        status = c.response().status
        with lock:
            got.append(status)
    threads = [threading.Thread(target=end, args=(c,)) for c in clients]
    for t in threads:
        t.start()
    until(lambda: len(got) == 39)
    gate.set()
    for t in threads:
        t.join(LIMIT)
    is_(sorted(got), [200] + [503] * 39)
    # What they would have caused comes before this.
    hosts[1].on["/few"] = reply(status="500 No")
    until(lambda: (get("/few"), any(h.get("ejected") for h in cluster("few")["hosts"]))[1])
    is_([h.get("ejected") for h in cluster("few")["hosts"]], [None, True])


@case
def a_failing_check_takes_a_host_out_and_a_good_one_brings_it_back():
    fresh()
    until(lambda: all(h["health"] == "healthy" for h in cluster("check")["hosts"]))
    hosts[0].on["/healthz"] = reply(status="503 No")
    until(lambda: cluster("check")["hosts"][0]["health"] == "unhealthy: HTTP status 503")
    until(lambda: left_out("/check", 0))
    hosts[1].on["/healthz"] = reply(status="503 No")
    until(lambda: cluster("check")["hosts"][1]["health"].startswith("unhealthy"))
    until(lambda: get("/check").status == 503)
    fresh()
    until(lambda: all(h["health"] == "healthy" for h in cluster("check")["hosts"]))
    until(lambda: get("/check").status == 200)
    until(lambda: (over_many("/check", 5), all(asked("/check")[:2]))[1])


@case
def a_new_proxy_is_told_who_is_not_well():
    fresh()
    until(lambda: all(h["health"] == "healthy" for h in cluster("check")["hosts"]))
    hosts[0].on["/healthz"] = reply(status="503 No")
    until(lambda: cluster("check")["hosts"][0]["health"].startswith("unhealthy"))
    old = proxy()
    os.kill(old, 9)
    until(lambda: proxy() not in (None, old) and settled())
    until(lambda: left_out("/check", 0))


@case
def a_new_agent_learns_who_is_ejected():
    fresh()
    hosts[2].on["/eject"] = reply(status="500 No")
    until(lambda: (get("/eject"), cluster("eject")["hosts"][2].get("ejected"))[1])
    agent = int(open(os.environ["WEFT_PIDS"]).read())
    os.kill(agent, 9)
    until(lambda: int(open(os.environ["WEFT_PIDS"]).read() or agent) != agent)
    until(settled)
    until(lambda: cluster("eject")["hosts"][2].get("ejected"))
    until(lambda: not cluster("eject")["hosts"][2].get("ejected"))


@case
def a_limit_of_requests_is_exact_over_workers():
    fresh()
    gate, inside, peak, lock = threading.Event(), [0], [0], threading.Lock()

    def slow(c, r):
        with lock:
            inside[0] += 1
            peak[0] = max(peak[0], inside[0])
        gate.wait(LIMIT)
        with lock:
            inside[0] -= 1
        answer(c, r, b"done")
    hosts[0].on["/limit"] = slow
    got = []
    threads = [threading.Thread(target=lambda: got.append(get("/limit").status)) for _ in range(40)]
    for t in threads:
        t.start()
    # One may wait for a second; the others are refused at once.
    until(lambda: len(got) == 35)
    gate.set()
    for t in threads:
        t.join(LIMIT)
    is_(peak[0], 5)
    is_(sorted(got), [200] * 5 + [503] * 35)
    is_(get("/limit").status, 200)


@case
def who_waits_for_a_place_gets_it():
    fresh()
    # A host that takes a while, so that most of them wait, but not for as long as they may.
    hosts[0].on["/wait"] = lambda c, r: (time.sleep(0.03), answer(c, r, b"done"))[1]
    got = []
    threads = [threading.Thread(target=lambda: got.append(get("/wait").status)) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(LIMIT)
    is_(got, [200] * 20)


@case
def a_cluster_is_found_by_name():
    fresh()
    until(lambda: cluster("named")["hosts"])
    c = cluster("named")
    is_([h["address"] for h in c["hosts"]], ["127.0.0.1:9002"])
    is_(c["dns"], {"host": "localhost", "state": "1 addresses"})
    until(lambda: get("/named").status == 200)


run()
PY
counted() { admin /metrics | grep -Eq "$1"; }
wait_for 20 counted '^weft_cluster_picks_total\{clusters="all"\} [1-9]'
wait_for 20 counted '^weft_outlier_ejections_in_a_row_total\{clusters="all"\} [1-9]'
echo "  ok: the proxy's counters are shown"
