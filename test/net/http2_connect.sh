#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# CONNECT, and WebSocket as extended CONNECT (RFC 8441), by frames written by hand: clients of HTTP/2 to hosts of HTTP/1.1 and
# HTTP/2, and back; half close, much data both ways, ends of all kinds, and those that are not allowed.
. "$(dirname "$0")/../lib/net.sh"
PY=/usr/bin/python3                             # Debian's, whose package it is
$PY -c 'import hpack' 2> /dev/null || skip "python3-h2 is not installed"

cat > "$T/weft.yaml" <<YAML
workers: 1
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
- {name: none, address: "127.0.0.1:8081", protocol: http, routes: [none]}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /two}}, {headers: [{name: x-to, value: two}]}], upgrades: [websocket, connect], backends: [{cluster: two}]}
  - {matches: [{path: {value: /no}}], upgrades: [], backends: [{cluster: one}]}
  - {upgrades: [websocket, connect], backends: [{cluster: one}]}
- name: none
  rules: [{upgrades: [], backends: [{cluster: one}]}]
clusters:
- {name: one, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: two, protocol: http2, endpoints: [{address: "127.0.0.1:9002"}]}
YAML
weftd_start
cat > "$T/cases.py" <<'PY'
import base64
import hashlib
import os
from http2_rig import *

one_host, two_host = Host(9001), Host2(9002)
WS = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
BIG = os.urandom(5 << 20)


def allows(c):
    c.send(settings(connect=1))


two_host.hello = allows


def accept(key):
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def grant(c, r):
    """HTTP/1.1's 101, or 200 to CONNECT."""
    if r.method == "CONNECT":
        c.send("HTTP/1.1 200 OK\r\n\r\n")
    else:
        c.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               f"Sec-WebSocket-Accept: {accept(one(r.headers, 'sec-websocket-key'))}\r\n\r\n")


def open_two(path="/ws", connect=False, headers=(), port=8080):
    """A client's stream that asks for a tunnel."""
    c = Client2(port)
    eventually(lambda: c.theirs)
    with c.lock:
        s, c.next = c.next, c.next + 2
        c.answers[s] = Answer()
        fields = [(":method", "CONNECT"), (":authority", "a.example:80")]
        if not connect:
            fields[1:1] = [(":protocol", "websocket"), (":scheme", "http"), (":path", path)]
            headers = [("sec-websocket-version", "13"), *headers]
        c.head(s, fields + list(headers), 0)
    return c, s


def open_one(path="/ws", headers="", method="GET"):
    c = Client()
    c.send(f"{method} {path} HTTP/1.1\r\nHost: a.example\r\n{headers}\r\n")
    return c


def status(c, s):
    eventually(lambda: c.answers[s].fields or c.answers[s].reset is not None or c.over)
    return c.answers[s].status


def echo_one(c, r):
    """All that comes goes back, and the end behind it."""
    grant(c, r)
    while c.buf or c.fill():
        d, c.buf = c.buf, b""
        c.send(d)
    return "close"


def echo_two(c, r):
    c.head(r.stream, [(":status", "200")])

    def back():
        at = 0
        while True:
            eventually(lambda: len(r.body) > at or r.ended)
            last = r.ended
            d = r.body[at:]
            c.data(r.stream, d, last)
            at += len(d)
            if last:
                return
    threading.Thread(target=back, daemon=True).start()


def there_and_back_two(c, s, data):
    is_(status(c, s), 200)
    t = threading.Thread(target=lambda: c.data(s, data), daemon=True)
    t.start()
    a = c.answer(s)
    t.join(LIMIT)
    assert a.body == data and a.ended and a.reset is None, (len(a.body), a.ended, a.reset)


def there_and_back_one(c, data):
    t = threading.Thread(target=lambda: (c.send(data), c.sock.shutdown(socket.SHUT_WR)), daemon=True)
    t.start()
    got = c.rest()
    t.join(LIMIT)
    assert got == data, (len(got), len(data))


@case
def a_websocket_of_http2_to_a_host_of_http1():
    one_host.on["/ws"] = echo_one
    c, s = open_two()
    is_(c.theirs[CONNECT_PROTOCOL], 1)
    there_and_back_two(c, s, BIG)
    r = one_host.requests[-1]
    is_((r.method, r.get("upgrade"), r.get("sec-websocket-version"), r.get("host")), ("GET", ["websocket"], ["13"], ["a.example:80"]))
    is_(len(base64.b64decode(r.get("sec-websocket-key")[0])), 16)
    assert c.answers[s].get("sec-websocket-accept") is None
    is_(c.get("/plain").status, 200)


@case
def a_websocket_of_http1_to_a_host_of_http2():
    two_host.on["early /two"] = echo_two
    c = open_one("/two", WS)
    line, headers = c.headers()
    is_(line, "HTTP/1.1 101 Switching Protocols")
    is_(one(headers, "sec-websocket-accept"), accept("dGhlIHNhbXBsZSBub25jZQ=="))
    there_and_back_one(c, BIG)
    r = two_host.requests[-1]
    is_([one(r.fields, k) for k in (":method", ":protocol", ":scheme", ":path", ":authority")],
        ["CONNECT", "websocket", "http", "/two", "a.example"])
    is_((r.get("sec-websocket-version"), r.get("sec-websocket-key"), r.get("upgrade"), r.reset), (["13"], [], [], None))


@case
def both_are_http2():
    c, s = open_two("/two")
    there_and_back_two(c, s, BIG)
    is_(two_host.conns, 1)


@case
def connect():
    one_host.on["a.example:80"] = echo_one
    two_host.on["early "] = echo_two
    c, s = open_two(connect=True)
    there_and_back_two(c, s, BIG)
    c, s = open_two(connect=True, headers=[("x-to", "two")])
    there_and_back_two(c, s, BIG)
    is_([k for k, _ in two_host.requests[-1].fields if k[0] == ":"], [":method", ":authority"])
    c = open_one("a.example:80", "X-To: two\r\n", "CONNECT")
    is_(c.headers()[0], "HTTP/1.1 200 OK")
    there_and_back_one(c, BIG)


@case
def the_host_ends_first():
    def early_end(c, r):
        grant(c, r)
        c.send(b"bye")
        c.sock.shutdown(socket.SHUT_WR)
        is_(c.rest(), b"and more")
        return "close"
    one_host.on["/ws"] = early_end
    c, s = open_two()
    eventually(lambda: c.answers[s].ended)
    is_(c.answers[s].body, b"bye")
    c.data(s, b"and more")
    is_(c.get("/plain").status, 200)
    eventually(lambda: one_host.open == 1)


@case
def ends_that_are_none():
    gone = threading.Event()

    def until_gone(c, r):
        grant(c, r)
        try:
            c.rest()
        except OSError:
            pass
        gone.set()
        return "close"
    one_host.on["/ws"] = until_gone
    c, s = open_two()
    is_(status(c, s), 200)
    c.send(rst(s, CANCEL))
    assert gone.wait(LIMIT)
    one_host.on["/ws"] = lambda c, r: grant(c, r) or c.reset() or "close"
    c, s = open_two()
    eventually(lambda: c.answers[s].reset is not None)
    is_(c.get("/plain").status, 200)
    two_host.on["early /two"] = lambda c, r: c.head(r.stream, [(":status", "200")])
    c = open_one("/two", WS)
    is_(c.headers()[0].split()[1], "101")
    two_host.all[-1].send(rst(two_host.requests[-1].stream, INTERNAL))
    is_(c.left(), b"")
    c = open_one("/two", WS)
    is_(c.headers()[0].split()[1], "101")
    c.reset()
    eventually(lambda: two_host.requests[-1].reset == CANCEL)
    is_(two_host.conns, 1)


@case
def a_client_that_does_not_read_stops_its_host():
    sent = [0]

    def much(c, r):
        grant(c, r)
        c.sock.settimeout(LIMIT)
        try:
            for _ in range(512):
                c.send(b"x" * 65536)
                sent[0] += 65536
        except OSError:
            pass
        return "close"
    one_host.on["/ws"] = much
    c, s = open_two()
    c.credit = False
    eventually(lambda: len(c.answers[s].body) == 65535)
    is_(Client2().get("/plain").status, 200)
    assert sent[0] < 24 << 20, sent
    c.close()


@case
def upgrades_that_the_host_refuses():
    one_host.on["/ws"] = reply(b"no", "403 No")
    c, s = open_two()
    is_((c.answer(s).status, c.answers[s].body), (403, b"no"))
    two_host.on["early /two"] = lambda c, r: c.reply(r, b"no", 403)
    c = open_one("/two", WS)
    r = c.response()
    is_((r.status, r.body), (403, b"no"))
    eventually(lambda: two_host.requests[-1].reset == CANCEL)
    two_host.on["/plain"] = seen
    is_(two_host.conns, 1)


@case
def those_that_are_not_allowed():
    c, s = open_two("/no")
    is_(c.answer(s).status, 501)
    c = Client2(8081)
    eventually(lambda: c.theirs)
    is_(c.theirs[CONNECT_PROTOCOL], 0)
    c, s = open_two(connect=True, port=8081)
    is_(c.answer(s).status, 405)


@case
def a_host_that_takes_no_websockets():
    two_host.hello = lambda c: c.send(settings())
    two_host.all[-1].sock.shutdown(socket.SHUT_WR)
    eventually(lambda: two_host.open == 0)
    n = len(two_host.requests)
    c = open_one("/two", WS)
    r = c.response()
    is_(r.status, 502)
    is_(len(two_host.requests), n)


run(sys.argv[1:])
PY
PYTHONPATH=$SRC/test/lib $PY "$T/cases.py" "$@"

none_left() { [ "$(metric weft_http_active)" = 0 ]; }
wait_for 60 none_left
weftd_stop
