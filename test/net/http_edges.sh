#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What happens to a request, and to the proxy, when two things come together: a reload and a tunnel, a dead connection and a limit.
. "$(dirname "$0")/../lib/net.sh"

conf() {  # further listeners
	write_file "$T/weft.yaml" <<-YAML
	workers: 1
	kernel: {mode: off}
	telemetry: {accessLog: [{path: $T/access.json, format: json}]}
	listeners:
	- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
	${1:-}
	routes:
	- name: all
	  rules:
	  - {matches: [{path: {value: /ws}}], upgrades: [websocket], backends: [{cluster: app}]}
	  - {matches: [{path: {value: /one}}], backends: [{cluster: one}]}
	  - {matches: [{path: {value: /two}}], backends: [{cluster: two}]}
	  - {matches: [{path: {value: /idle}}], timeouts: {idle: 500ms}, backends: [{cluster: app}]}
	  - {matches: [{path: {value: /app}}], backends: [{cluster: app}]}
	clusters:
	- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
	- {name: one, endpoints: [{address: "127.0.0.1:9001"}], connectionPool: {maxConnections: 1}}
	- {name: two, loadBalancer: round-robin, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}], connectionPool: {maxConnections: 1}}
	YAML
}
conf '- {name: other, address: "127.0.0.1:8081", protocol: http, routes: [all]}'
weftd_start
export T B
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
import os, subprocess
from http_rig import *

T, B = os.environ["T"], os.environ["B"]
host, second = Host(9001), Host(9002)


def reload(change, code=0):
    text = open(T + "/weft.yaml").read()
    new = change(text)
    assert new != text
    open(T + "/weft.yaml.new", "w").write(new)
    os.rename(T + "/weft.yaml.new", T + "/weft.yaml")
    r = subprocess.run([B + "/weft", "reload"], capture_output=True, text=True)
    assert r.returncode == code, r
    return r.stderr


def websocket(c, r):
    c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    while True:
        if c.buf:
            d, c.buf = c.buf, b""
            c.send(d)
        if not c.fill():
            return "close"


def refused(port):
    try:
        Client(port).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # accepted by a socket that is being closed
        pass
    return False


@case
def a_tunnel_outlives_its_listener():
    host.on["/ws"] = websocket
    c = Client(8081)
    c.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n")
    is_(c.head()[0], 101)
    c.send("one")
    is_(c.exactly(3), b"one")
    eventually(lambda: metric("weft_listener_open") == 1)
    reload(lambda t: t.replace('- {name: other, address: "127.0.0.1:8081", protocol: http, routes: [all]}\n', ""))
    eventually(lambda: refused(8081))
    c.send("two")
    is_(c.exactly(3), b"two")
    is_(get("/app").status, 200)
    c.close()
    eventually(lambda: metric("weft_listener_open") == 0)


@case
def a_tunnel_ends_with_its_client_though_its_host_reads_nothing():
    over = threading.Event()

    def deaf(c, r):
        c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        over.wait(3 * LIMIT)
        return "close"
    host.on["/ws"] = deaf
    c = Client()
    c.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n")
    is_(c.head()[0], 101)
    c.sock.settimeout(1)
    try:
        while True:
            c.sock.send(b"x" * 65536)
    except TimeoutError:
        pass
    is_(metric("weft_http_active"), 1)
    c.reset()
    # By its reset, and by no time.
    eventually(lambda: metric("weft_http_active") == 0, 3 * LIMIT)
    eventually(lambda: '"/ws"' in open(T + "/access.json").read().split("\n")[-2])
    is_(json.loads(open(T + "/access.json").read().split("\n")[-2])["flags"], "DC")
    over.set()


@case
def a_dead_pooled_connection_gives_its_place_to_the_one_that_replaces_it():
    host.on["/one"] = reply(b"ok")
    c = Client()
    is_(c.ask("/one").status, 200)
    # The host closes on the second request without a word.
    def die(h, r):
        if r.number > 1:
            return "close"
        answer(h, r, b"again")
    host.on["/one"] = die
    r = c.ask("/one")
    is_((r.status, r.body), (200, b"again"))


@case
def idle_connections_to_other_hosts_give_their_place():
    for h in (host, second):
        h.on["/two"] = reply(b"ok")
    c = Client()
    is_([c.ask("/two").status for _ in range(6)], [200] * 6)


@case
def a_cluster_that_refused_a_connection_goes_when_it_is_removed():
    go = threading.Event()
    for h in (host, second):
        h.on["/two"] = lambda c, r: (go.wait(LIMIT), answer(c, r, b"ok"))[1]
    first, other = Client(), Client()
    first.send("GET /two HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: metric("weft_http_active") == 1)
    is_(other.ask("/two").status, 503)
    go.set()
    is_(first.response().status, 200)
    eventually(lambda: metric("weft_cluster_uses") == 3)
    reload(lambda t: "\n".join(l for l in t.split("\n") if " two" not in l and "/two" not in l))
    eventually(lambda: metric("weft_cluster_uses") == 2)


@case
def a_line_of_the_json_log_is_json_whatever_a_client_sends():
    long = "\x80\x81" * 3000
    c = Client()
    c.send((f"GET /app?x HTTP/1.1\r\nHost: a\r\nUser-Agent: {long}\r\nX-Forwarded-For: {long}\r\nX-Request-Id: {long}\r\nTraceparent: {long}\r\n\r\n").encode("latin-1"))
    is_(c.response().status, 200)
    eventually(lambda: "/app?x" in open(T + "/access.json").read())
    eventually(lambda: open(T + "/access.json").read().endswith("\n"))
    for l in open(T + "/access.json"):
        json.loads(l)


@case
def an_empty_request_id_is_none():
    host.on.pop("/app", None)
    c = Client()
    r = c.ask("/app", headers="X-Request-Id: \t\r\n")
    ids = [v for k, v in r.json()["headers"] if k.lower() == "x-request-id"]
    is_([len(v) for v in ids], [36])
    c.close()


@case
def a_client_that_talks_nonsense_and_does_not_read_is_let_go():
    def flood(h, r):
        h.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                h.send(b"4000\r\n" + b"x" * 16384 + b"\r\n")
        except OSError:
            return "close"
    host.on["early /app"] = flood
    eventually(lambda: metric("weft_listener_open") == 0)
    c = Client(rcvbuf=4096)
    c.send("POST /app HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
    is_(c.head()[0], 200)
    eventually(lambda: metric("weft_http_active") == 1)
    c.send("no chunk\r\n")
    eventually(lambda: metric("weft_http_active") == 0)
    eventually(lambda: metric("weft_listener_open") == 0)
    del host.on["early /app"]
    c.close()


@case
def a_client_that_does_not_read_the_last_bytes_of_its_answer_is_let_go():
    host.on["/idle"] = reply(b"x" * 60000)
    eventually(lambda: metric("weft_listener_open") == 0)
    cut = metric("weft_http_cut_total")
    c = Client(rcvbuf=4096)
    c.send("GET /idle HTTP/1.1\r\nHost: a\r\n\r\n" * 400)
    eventually(lambda: metric("weft_http_cut_total") > cut)
    eventually(lambda: metric("weft_listener_open") == 0)
    c.close()


def slow_request(more):
    """A client whose request is with the host, and who has sent `more` bytes of others behind it, or all that its socket takes."""
    host.forget()
    c = Client()
    c.send("GET /app/slow HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: host.paths() == ["/app/slow"])
    c.sock.setblocking(False)
    try:
        while more > 0:
            more -= c.sock.send(b"GET /app/next HTTP/1.1\r\nHost: a\r\nX-Fill: " + b"x" * 940 + b"\r\n\r\n")
    except BlockingIOError:
        pass
    return c


@case
def a_client_that_leaves_behind_requests_that_nobody_reads():
    """Its FIN is seen where it could be sent, its RST always. A FIN that waits for a window is nobody's to see: the first
    answer brings the RST, and few of the other requests begin."""
    gone, go = threading.Event(), threading.Event()
    host.on["/app/slow"] = lambda h, r: (h.rest(), gone.set(), "close")[2]
    eventually(lambda: metric("weft_listener_open") == 0)
    for more, leave in ((10 << 10, Client.close), (40 << 10, Client.close), (40 << 10, lambda c: c.sock.shutdown(socket.SHUT_WR)),
                        (1 << 30, Client.reset)):
        gone.clear()
        c = slow_request(more)
        leave(c)
        assert gone.wait(LIMIT), more
        is_(host.paths(), ["/app/slow"])
        eventually(lambda: metric("weft_listener_open") == 0)
        c.close()
    host.on["/app/slow"] = lambda h, r: (go.wait(LIMIT), answer(h, r, b"late"))[1]
    c = slow_request(1 << 30)
    c.close()
    go.set()
    eventually(lambda: metric("weft_listener_open") == 0)
    assert host.paths().count("/app/next") < 50, host.paths().count("/app/next")
    del host.on["/app/slow"]


def kind(old, new, code=0):
    how = {"http": "protocol: http, routes: [all]", "tcp": "protocol: tcp, rules: [{backends: [{cluster: app}]}]",
           "udp": "protocol: udp, rules: [{backends: [{cluster: app}]}]"}
    return reload(lambda t: t.replace(how[old], how[new]), code)


def answers(path="/app"):
    try:
        return get(path).status == 200
    except (OSError, EOFError):
        return False


@case
def a_listener_becomes_one_of_another_protocol():
    host.on["/app"] = reply(b"ok")
    kind("http", "tcp")
    eventually(answers)
    there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    there.bind(("127.0.0.1", 9001))
    there.settimeout(0.2)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def arrives():
        client.sendto(b"hello", ("127.0.0.1", 8080))
        try:
            return there.recv(100) == b"hello"
        except TimeoutError:
            return False
    kind("tcp", "udp")
    eventually(arrives)
    eventually(lambda: refused(8080))
    kind("udp", "http")
    eventually(answers)
    client.close()
    there.close()


@case
def a_listener_whose_new_protocol_cannot_be_opened_stays():
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind(("127.0.0.1", 8080))
    assert "cannot listen on udp 127.0.0.1:8080" in kind("http", "udp", 2)
    assert answers()
    kind("udp", "http")
    other.close()
    kind("http", "udp")
    eventually(lambda: refused(8080))
    kind("udp", "http")
    eventually(answers)
    assert "was ended by signal" not in open(T + "/weftd.log").read()


run()
PY
