#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whatever peers do, a stream holds little memory: slow readers, slow hosts, large bodies, idle connections; and upgrades.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /ws}}], upgrades: [websocket, connect], backends: [{cluster: app}]}
  - {matches: [{method: CONNECT}], upgrades: [connect], backends: [{cluster: app}]}
  - {matches: [{path: {value: /plain}}], upgrades: [], backends: [{cluster: app}]}
  - backends: [{cluster: app}]
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
YAML
weftd_start
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
import hashlib
import os
from http_rig import *

host = Host(9001)
MB = 1 << 20


def proxy_rss():
    return rss(proxy())


def blob(n):
    return (b"0123456789abcde\n" * 4096)[:65536] * (n // 65536)


@case
def a_large_body_arrives_whole_both_ways():
    n, want = 200 * MB, hashlib.sha256()
    piece = blob(MB)
    for _ in range(n // MB):
        want.update(piece)

    def echo(c, r):
        got, left = hashlib.sha256(), n
        while left:
            d = c.exactly(min(MB, left))
            got.update(d)
            left -= len(d)
        c.send(f"HTTP/1.1 200 OK\r\nX-Sum: {got.hexdigest()}\r\nContent-Length: {n}\r\n\r\n")
        for _ in range(n // MB):
            c.send(piece)
    host.on["early /big"] = echo
    before, c = proxy_rss(), Client()

    def feed():
        c.send(f"POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n")
        for _ in range(n // MB):
            c.send(piece)
    t = threading.Thread(target=feed)
    t.start()
    status, headers, _ = c.head()
    t.join()
    is_((status, one(headers, "x-sum")), (200, want.hexdigest()))
    got, left = hashlib.sha256(), n
    while left:
        d = c.exactly(min(MB, left))
        got.update(d)
        left -= len(d)
    is_(got.hexdigest(), want.hexdigest())
    grown = proxy_rss() - before
    assert grown < 8 * MB, grown
    is_(c.ask("/after").status, 200)


@case
def slow_readers_stop_the_host_not_the_memory():
    sent, lock = [0], threading.Lock()

    def flood(c, r):
        c.send(f"HTTP/1.1 200 OK\r\nContent-Length: {1 << 40}\r\n\r\n")
        while True:
            c.send(b"x" * 65536)
            with lock:
                sent[0] += 65536
    host.on["/flood"] = flood
    before, cs = proxy_rss(), []
    for _ in range(40):
        c = Client(rcvbuf=4096)
        c.send("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
        cs.append(c)
    last = -1
    while sent[0] != last:
        last = sent[0]
        time.sleep(0.5)  # as long as nothing has moved for this, nothing will
    grown = proxy_rss() - before
    for c in cs:
        c.close()
    eventually(lambda: host.open <= 2)
    assert grown < 40 * 160 * 1024 + 2 * MB, grown


@case
def slow_hosts_stop_the_client_not_the_memory():
    go = threading.Event()

    def stall(c, r):
        go.wait(LIMIT)
        return "close"
    host.on["early /stall"] = stall
    before, ts, cs, sent = proxy_rss(), [], [], [0] * 40

    def feed(i):
        c = Client()
        cs.append(c)
        c.sock.settimeout(1)
        c.send(f"POST /stall HTTP/1.1\r\nHost: a\r\nContent-Length: {1 << 40}\r\n\r\n")
        try:
            while True:
                sent[i] += c.sock.send(b"x" * 65536)
        except OSError:
            pass
    for i in range(40):
        ts.append(threading.Thread(target=feed, args=(i,)))
        ts[-1].start()
    for t in ts:
        t.join()
    grown = proxy_rss() - before
    go.set()
    for c in cs:
        c.close()
    # As much as is sent and not read, and of each the first 64 KiB to send again.
    assert grown < 40 * 260 * 1024 + 2 * MB, grown
    assert max(sent) < 64 * MB, sent


@case
def idle_connections_cost_little():
    def batch(n):
        cs = [Client() for _ in range(n)]
        for c in cs:
            is_(c.ask("/i").status, 200)
        return cs
    first = batch(200)
    a = proxy_rss()
    more = batch(1000)
    b = proxy_rss()
    for c in first + more:
        c.close()
    # A sanitizer's stacks and freed memory are not the proxy's.
    sanitized = "address" in os.environ.get("WEFT_BUILD", "") or "thread" in os.environ.get("WEFT_BUILD", "")
    assert sanitized or (b - a) / 1000 < 1000, (b - a) / 1000


def accept_ws(c, r):
    c.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nhello")
    try:
        while True:
            d = c.sock.recv(65536)
            if not d:
                c.send("bye")
                c.sock.shutdown(socket.SHUT_WR)
                return "close"
            c.send(d.upper())
    except OSError:
        return "close"


WS = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n"


@case
def websocket_bytes_both_ways_and_half_closed():
    host.on["/ws"] = accept_ws
    c = Client()
    c.send(f"GET /ws HTTP/1.1\r\nHost: a\r\n{WS}\r\n")
    status, headers, _ = c.head()
    is_((status, one(headers, "upgrade"), one(headers, "sec-websocket-accept")), (101, "websocket", "x"))
    is_(c.exactly(5), b"hello")
    for i in range(100):
        c.send(f"message {i} ")
        is_(c.exactly(len(f"message {i} ")), f"MESSAGE {i} ".encode())
    c.sock.shutdown(socket.SHUT_WR)
    is_(c.rest(), b"bye")
    is_(host.requests[-1].get("upgrade"), ["websocket"])


@case
def websocket_large_data_both_ways():
    host.on["/ws"] = accept_ws
    c = Client()
    c.send(f"GET /ws HTTP/1.1\r\nHost: a\r\n{WS}\r\n")
    is_(c.head()[0], 101)
    is_(c.exactly(5), b"hello")
    data = b"abcdefgh" * (4 * MB // 8)
    t = threading.Thread(target=lambda: c.send(data))
    t.start()
    assert c.exactly(len(data)) == data.upper()
    t.join()


@case
def a_refused_upgrade_is_an_ordinary_answer():
    host.on["/ws"] = reply(b"no", "403 No")
    c = Client()
    c.send(f"GET /ws HTTP/1.1\r\nHost: a\r\n{WS}\r\n")
    is_(c.response().status, 403)
    is_(c.ask("/after").status, 200)


@case
def an_upgrade_that_the_route_does_not_allow_is_not_offered():
    c = Client()
    c.send(f"GET /plain HTTP/1.1\r\nHost: a\r\n{WS}\r\n")
    is_(c.response().status, 200)
    is_(host.requests[-1].get("upgrade"), [])
    is_(c.ask("/after").status, 200)


@case
def connect_where_it_is_allowed():
    def tunnel(c, r):
        c.send("HTTP/1.1 200 Fine\r\n\r\n")
        c.send(c.exactly(4)[::-1])
        return "close"
    host.on["db.example:5432"] = tunnel
    c = Client()
    c.send("CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\n\r\n")
    is_(c.head()[0], 200)
    c.send("abcd")
    is_(c.rest(), b"dcba")


@case
def a_tunnel_whose_host_dies_ends():
    host.on["/ws"] = lambda c, r: c.send("HTTP/1.1 101 Ok\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n") or c.reset()
    c = Client()
    c.send(f"GET /ws HTTP/1.1\r\nHost: a\r\n{WS}\r\n")
    c.left()


run()
PY
weftd_stop
