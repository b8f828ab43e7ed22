# SPDX-License-Identifier: Apache-2.0
"""100,000 streams of HTTP/2 that are open and idle, both ways: the client's head went to the host, the host's to the client, and
neither has ended, as of calls of gRPC that stream and have nothing to say. 100 on each of 1,000 clients' connections; the host
takes as many on one."""
import os
import selectors
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import l7  # noqa: E402
from bench import QUICK, Failed, say  # noqa: E402
from http2_raw import ACK, END_HEADERS, HEADERS, OK, PING, SETTINGS, Frames, ask, frame  # noqa: E402
from proxies import H2, Weft  # noqa: E402

CONNECTIONS, EACH = (100, 100) if QUICK else (1000, 100)


class Streams(Weft):
    """Nothing but a way from HTTP/2 to HTTP/2 without limits in it."""

    def config(self, generation):
        return f"""
listeners:
- {{name: h1, address: "127.0.0.1:{self.port["h1"]}", protocol: http, routes: [h1]}}
routes:
- {{name: h1, rules: [{{backends: [{{cluster: host}}]}}]}}
clusters:
- name: host
  protocol: http2
  endpoints: [{{address: "127.0.0.1:{H2}"}}]
  connectionPool: {{maxConnections: 0, maxPending: 0, maxRequests: 0, pingInterval: 0s}}
"""


class Peer:
    """The host's end of a connection: every head is answered by one."""

    def __init__(self, sock):
        self.sock, self.buf, self.preface = sock, b"", 24
        sock.sendall(frame(SETTINGS, 0, 0))

    def readable(self):
        got = self.sock.recv(1 << 18)
        if not got:
            return False
        self.buf += got
        if self.preface:
            if len(self.buf) < self.preface:
                return True
            self.buf, self.preface = self.buf[self.preface:], 0
        at, out = 0, b""
        while len(self.buf) - at >= 9 and len(self.buf) - at - 9 >= int.from_bytes(self.buf[at:at + 3], "big"):
            n, kind, flags = int.from_bytes(self.buf[at:at + 3], "big"), self.buf[at + 3], self.buf[at + 4]
            stream = int.from_bytes(self.buf[at + 5:at + 9], "big")
            if kind == HEADERS:
                out += frame(HEADERS, END_HEADERS, stream, OK)
            elif kind in (SETTINGS, PING) and not flags & ACK:
                out += frame(kind, ACK, 0, self.buf[at + 9:at + 9 + n] if kind == PING else b"")
            at += 9 + n
        self.buf = self.buf[at:]
        self.sock.sendall(out)
        return True


def serve(listener):
    """Until it is killed."""
    ready = selectors.DefaultSelector()
    ready.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if not key.data:
                s = listener.accept()[0]
                ready.register(s, selectors.EVENT_READ, Peer(s))
            elif not key.data.readable():
                ready.unregister(key.fileobj)
                key.fileobj.close()


def opened(client):
    """EACH streams of it; back when each has its answer's head."""
    client.send(b"".join(ask(2 * i + 1, "/shop.Orders/Watch", END_HEADERS, **{":method": "POST"}) for i in range(EACH)))
    left = {2 * i + 1 for i in range(EACH)}
    while left:
        kind, _, stream, payload = client.frame()
        if kind == HEADERS:
            if payload[:1] != OK:
                raise Failed(f"stream {stream} was refused: {payload[:60]!r}")
            left.discard(stream)


def measure(proxy, report):
    clients = []
    start = proxy.resident()
    for _ in range(CONNECTIONS):
        clients.append(Frames(proxy.port["h1"]))
        clients[-1].until_frame(SETTINGS, ACK)
    time.sleep(0.5)
    alone = proxy.resident()
    for i, c in enumerate(clients):
        opened(c)
        if i % 100 == 99:
            say(f"{(i + 1) * EACH} streams: {proxy.resident():.1f} MiB")
    time.sleep(0.5)
    full = proxy.resident()
    n = CONNECTIONS * EACH
    for c in clients:
        c.close()
    report.put(f"streams-{n}", f"{CONNECTIONS} connections", "MiB resident", full, alone, at_start=start)
    report.put("streams-each", "a connection", "KiB", (full - alone) * 1024 / n, (alone - start) * 1024 / CONNECTIONS)


def work(rig, _, report):
    listener = socket.create_server(("127.0.0.1", H2), backlog=1024)
    host = os.fork()
    if not host:
        serve(listener)
    proxy = Streams(rig)
    proxy.start()
    try:
        measure(proxy, report)
    finally:
        proxy.stop()
        os.kill(host, 9)
        os.waitpid(host, 0)


if __name__ == "__main__":
    l7.script(work, case="streams")
