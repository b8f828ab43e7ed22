#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bodies beyond all buffers both ways, plain, in TLS and over the TCP proxy, and a thousand slow readers and slow hosts: all
# bytes in their places, in bounded memory. BODY_MB is the size of a body: 10240 makes it 10 GB each way.
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"
# Two thousand full sockets must not bring the whole machine to its limit of TCP memory: there the others suffer.
sysctl -qw net.ipv4.tcp_rmem="4096 131072 524288" net.ipv4.tcp_wmem="4096 16384 262144"
self_signed "$T/web" DNS:web.test

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
- {name: secure, address: "127.0.0.1:8443", protocol: http, routes: [all], tls: {certificates: [{cert: $T/web.crt, key: $T/web.key}]}}
- {name: relay, address: "127.0.0.1:8090", protocol: tcp, rules: [{backends: [{cluster: bulk}]}]}
routes:
- {name: all, rules: [{backends: [{cluster: bulk}]}]}
clusters:
- {name: bulk, endpoints: [{address: "127.0.0.1:9010"}]}
YAML
weftd_start
PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1 WEFT_CERT=$T/web.crt python3 - <<'PY'
import os
import socket
import ssl
import threading
import time

import crowd
from http_rig import case, run

crowd.many_descriptors()
MB = 1 << 20


def rss():
    return crowd.rss(crowd.proxy())


# ---- large bodies: sent and compared in blocks, so that Python is not what is measured -----------------------------------

BLOCK = os.urandom(4 * MB)
TOTAL = int(os.environ.get("BODY_MB", 256)) * MB // len(BLOCK) * len(BLOCK)


def send_all(s, n):
    for _ in range(n // len(BLOCK)):
        s.sendall(BLOCK)


def take_all(s, n, rest=b""):
    buf, got = memoryview(bytearray(len(BLOCK))), len(rest)
    buf[:got] = rest
    for _ in range(n // len(BLOCK)):
        while got < len(BLOCK):
            k = s.recv_into(buf[got:])
            assert k, "ended early"
            got += k
        assert buf == BLOCK, "other bytes"
        got = 0


def head(s):
    got = b""
    while b"\r\n\r\n" not in got:
        piece = s.recv(65536)
        assert piece, got
        got += piece
    return got.split(b"\r\n\r\n", 1)


def bulk_host(s):
    try:
        first = s.recv(4, socket.MSG_PEEK)
        if first == b"POST":
            line, rest = head(s)
            take_all(s, TOTAL, rest)
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % TOTAL)
            send_all(s, TOTAL)
        elif first == b"TAKE":                  # over the relay: there, and back
            s.recv(4)
            take_all(s, TOTAL)
            send_all(s, TOTAL)
        elif first == b"GET ":
            head(s)
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
            while True:
                s.sendall(BLOCK)
        elif first == b"PUT ":                  # never read on
            head(s)
            threading.Event().wait(crowd.LIMIT * 5)
    except OSError:
        pass
    s.close()


def serve_bulk():
    listener = socket.create_server(("127.0.0.1", 9010), backlog=4096)
    while True:
        threading.Thread(target=bulk_host, args=(listener.accept()[0],), daemon=True).start()


threading.stack_size(256 << 10)
threading.Thread(target=serve_bulk, daemon=True).start()


def dial(port, tls=False, rcvbuf=0):
    s = socket.socket()
    s.settimeout(crowd.LIMIT)
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    s.connect(("127.0.0.1", port))
    return ssl.create_default_context(cafile=os.environ["WEFT_CERT"]).wrap_socket(s, server_hostname="web.test") if tls else s


def there_and_back(port, tls, http):
    before, top, over = rss(), 0, threading.Event()

    def watch():
        nonlocal top
        while not over.wait(0.1):
            top = max(top, rss())
    watcher = threading.Thread(target=watch)
    watcher.start()
    begin = time.monotonic()
    with dial(port, tls) as s:
        s.sendall(b"POST /bulk HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % TOTAL if http else b"TAKE")
        send_all(s, TOTAL)
        line, rest = head(s) if http else (b"HTTP/1.1 200", b"")
        assert line.startswith(b"HTTP/1.1 200"), line
        take_all(s, TOTAL, rest)
    took = time.monotonic() - begin
    over.set()
    watcher.join()
    print(f"  {TOTAL // MB} MB there and back in {took:.1f} s, RSS grew by {max(0, top - before) // 1024} KiB", flush=True)
    assert top - before < 8 * MB, f"RSS grew by {top - before}"


@case
def a_body_there_and_back():
    there_and_back(8080, False, True)


@case
def a_body_in_tls():
    there_and_back(8443, True, True)


@case
def bytes_of_a_relay():
    there_and_back(8090, False, False)


# ---- a thousand that do not read, a thousand that are not read ---------------------------------------------------------------

SLOW = 1000


def quiet(what, value):
    """Until a number has not changed for a second."""
    end, last, since = time.monotonic() + crowd.LIMIT, None, time.monotonic()
    while time.monotonic() - since < 1:
        assert time.monotonic() < end, f"{what} goes on: {last}"
        now = value()
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.05)


@case
def a_thousand_slow_readers():
    before = rss()
    socks = [dial(8080, rcvbuf=4096) for _ in range(SLOW)]
    for s in socks:
        s.sendall(b"GET /bulk HTTP/1.1\r\nHost: a\r\n\r\n")
    heads = [head(s) for s in socks]
    assert all(h[0].startswith(b"HTTP/1.1 200") for h in heads)
    quiet("memory", rss)
    grown = rss() - before
    print(f"  {grown // SLOW} bytes each", flush=True)
    assert grown < SLOW * 160 * 1024 + 2 * MB, grown
    # One that reads on gets the right bytes.
    got = heads[0][1]
    while len(got) < len(BLOCK):
        got += socks[0].recv(MB)
    assert got[:len(BLOCK)] == BLOCK
    for s in socks:
        s.close()


@case
def a_thousand_slow_hosts():
    before = rss()
    socks = [dial(8080) for _ in range(SLOW)]
    for s in socks:
        s.sendall(b"PUT /bulk HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
        s.setblocking(False)
    sent, end = 0, time.monotonic() + crowd.LIMIT * 3

    def feed():
        nonlocal sent
        for s in socks:
            try:
                sent += s.send(BLOCK[:MB])
            except BlockingIOError:
                pass
        return sent
    quiet("sending", feed)
    quiet("memory", rss)
    grown = rss() - before
    print(f"  {grown // SLOW} bytes each, {sent // SLOW} were sent", flush=True)
    assert grown < SLOW * 260 * 1024 + 2 * MB, grown
    assert sent < SLOW * 10000000, sent
    for s in socks:
        s.close()


run()
PY
none_left() {
	[ "$(metric weft_http_active)" = 0 ] && [ "$(metric weft_listener_open)" = 0 ] &&
		[ "$(metric weft_http_upstreams)" = "$(metric weft_http_idle_upstreams)" ]
}
wait_for 60 none_left
is "$(metric weft_proxy_exits_total)" 0 "the proxy lives, and nothing is left in it"
weftd_stop
