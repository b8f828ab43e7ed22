# SPDX-License-Identifier: Apache-2.0
"""Many HTTP clients and the hosts behind the proxy, with an account of every request.

The path of a request says what its host does with it, so that the client knows what must come of it:

	/ACT/ID?N     ok: 200 and N bytes      chunk: the same in chunks     slow: in ten pieces      late: after 0.3 s
	              echo: 200, the length of the body                      e503: a 503 with a body
	              close, reset: no answer  cut: half of the N bytes      garbage: no HTTP         stall: nothing
	              early: 413 before the body is read

Each answer carries its ID, so an answer to somebody else's request is seen. A Crowd counts (act, outcome): a status, "cut"
when the answer ended too soon, "closed" when nothing came. `crowd.py host PORT` is a host; GET /counts shows its numbers.
"""
import asyncio
import collections
import json
import logging
import os
import resource
import socket
import struct
import subprocess
import sys
import time
import urllib.request

from daemon import proxy, rss

BLOCK = bytes(range(256)) * 256
LIMIT = 60


def blob(n):
    return (BLOCK * (n // len(BLOCK) + 1))[:n]


def many_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


# ---- hosts ----------------------------------------------------------------------------------------------------------

counts = collections.Counter()
logging.getLogger("asyncio").setLevel(logging.ERROR)       # each byte for a connection that broke is a warning


class HostConn(asyncio.Protocol):
    def connection_made(self, transport):
        self.t, self.buf, self.need, self.act = transport, b"", None, None
        counts["open"] += 1

    def connection_lost(self, exc):
        counts["open"] -= 1
        if self.act == "stall":
            counts["stalled"] -= 1

    def data_received(self, data):
        self.buf += data
        while not self.t.is_closing() and self.one():
            pass

    def one(self):
        """One request, when all of it is here."""
        if self.need is None:
            head, mark, rest = self.buf.partition(b"\r\n\r\n")
            if not mark:
                return False
            lines = head.decode("latin-1").split("\r\n")
            path = lines[0].split(" ")[1]
            self.need = next((int(l[15:]) for l in lines[1:] if l.lower().startswith("content-length:")), 0)
            self.path, self.body, self.buf = path, self.need, rest
            if path.startswith("/early/"):
                self.act = "early"
                self.say(self.name(), b"no", "413 Too Large", "Connection: close\r\n")
                self.t.close()
                return False
        if len(self.buf) < self.need:
            self.need -= len(self.buf)
            self.buf = b""
            return False
        self.buf, self.need = self.buf[self.need:], None
        self.answer()
        return True

    def name(self):
        return self.path.split("/")[2].split("?")[0]

    def say(self, ident, body, status="200 OK", more=""):
        self.t.write(f"HTTP/1.1 {status}\r\nX-Id: {ident}\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def answer(self):
        if self.path == "/counts":
            self.say("counts", json.dumps(counts).encode())
            return
        act, n = self.path.split("/")[1], int(self.path.partition("?")[2] or 0)
        counts[act] += 1
        self.act = act
        getattr(self, "do_" + act)(self.name(), n)

    def do_ok(self, ident, n):
        self.say(ident, blob(n))

    def do_echo(self, ident, n):
        self.say(ident, b"%d" % self.body)

    def do_chunk(self, ident, n):
        self.t.write(f"HTTP/1.1 200 OK\r\nX-Id: {ident}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        body = blob(n)
        for i in range(0, n, 5000):
            piece = body[i:i + 5000]
            self.t.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.t.write(b"0\r\n\r\n")

    def do_slow(self, ident, n, at=0):
        body = blob(n)
        if not at:
            self.t.write(f"HTTP/1.1 200 OK\r\nX-Id: {ident}\r\nContent-Length: {n}\r\n\r\n".encode())
        self.t.write(body[n * at // 10:n * (at + 1) // 10])
        if at < 9 and not self.t.is_closing():
            asyncio.get_running_loop().call_later(0.02, self.do_slow, ident, n, at + 1)

    def do_late(self, ident, n):
        asyncio.get_running_loop().call_later(0.3, self.do_ok, ident, n)

    def do_e503(self, ident, n):
        self.say(ident, b"not now", "503 No")

    def do_close(self, ident, n):
        self.t.close()

    def do_reset(self, ident, n):
        self.t.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.t.abort()

    def do_cut(self, ident, n):
        self.t.write(f"HTTP/1.1 200 OK\r\nX-Id: {ident}\r\nContent-Length: {n}\r\n\r\n".encode() + blob(n // 2))
        self.t.close()

    def do_garbage(self, ident, n):
        self.t.write(b"HELO smtp.example\r\n\r\n")
        self.t.close()

    def do_stall(self, ident, n):
        counts["stalled"] += 1


async def host(port):
    many_descriptors()
    server = await asyncio.get_running_loop().create_server(HostConn, "127.0.0.1", port, backlog=4096, reuse_address=True)
    print("ready", flush=True)
    await server.serve_forever()


class HostProcess:
    def __init__(self, port):
        self.port = port
        self.start()

    def start(self):
        self.p = subprocess.Popen([sys.executable, os.path.abspath(__file__), "host", str(self.port)], stdout=subprocess.PIPE)
        assert self.p.stdout.readline() == b"ready\n"

    def kill(self):
        self.p.kill()
        self.p.wait()

    def counts(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/counts", timeout=LIMIT) as r:
            return json.load(r)


# ---- clients --------------------------------------------------------------------------------------------------------

class Wrong(Exception):
    """An answer that no host gave to this request."""


class Conn:
    def __init__(self, reader, writer):
        self.r, self.w = reader, writer

    async def head(self):
        while True:
            lines = (await self.r.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = int(lines[0].split(" ")[1])
            if status >= 200:
                return status, {l.split(":", 1)[0].lower(): l.split(":", 1)[1].strip() for l in lines[1:] if l}

    async def chunks(self):
        body = b""
        while n := int(await self.r.readuntil(b"\r\n"), 16):
            body += await self.r.readexactly(n)
            await self.r.readexactly(2)
        await self.r.readuntil(b"\r\n")
        return body

    async def ask(self, act, ident, n=0, body=0):
        """The status; raises EOFError or OSError with .begun when the answer's head was there."""
        method = "POST" if body or act == "early" else "GET"
        length = f"Content-Length: {body}\r\n" if method == "POST" else ""
        self.w.write(f"{method} /{act}/{ident}?{n} HTTP/1.1\r\nHost: a\r\n{length}\r\n".encode() + blob(body))
        self.begun = False
        status, headers = await self.head()
        self.begun = True
        if headers.get("transfer-encoding") == "chunked":
            got = await self.chunks()
        else:
            got = await self.r.readexactly(int(headers["content-length"]))
        mine = headers.get("x-id")
        if mine != ident and (mine or headers.get("server") != "weft"):
            raise Wrong(f"asked {act}/{ident}, answered {status} {headers} {got[:100]}")
        if status == 200 and got != (b"%d" % body if act == "echo" else blob(n)):
            raise Wrong(f"asked {act}/{ident}, answered {len(got)} bytes of {n}, or others")
        self.last = headers.get("connection") == "close"
        self.said = got.decode().strip() if headers.get("server") == "weft" else ""
        return status

    def close(self):
        self.w.close()

    def abort(self):
        self.w.transport.abort()


class Crowd:
    def __init__(self, port=8080, ssl=None):
        self.port, self.ssl = port, ssl
        self.seen, self.said = collections.Counter(), collections.Counter()
        self.worst, self.sent, self.refused = 0.0, 0, 0

    async def dial(self):
        return Conn(*await asyncio.open_connection("127.0.0.1", self.port, ssl=self.ssl, limit=1 << 20))

    async def one(self, conn, act, n=0, body=0):
        """Sends, counts what came; returns whether the connection can be used again."""
        self.sent += 1
        ident, begin = f"{self.port}-{os.getpid()}-{self.sent}", time.monotonic()
        try:
            outcome = await conn.ask(act, ident, n, body)
            if conn.said:
                self.said[outcome, conn.said] += 1
        except (EOFError, OSError):
            outcome = "cut" if conn.begun else "closed"
        self.seen[act, outcome] += 1
        self.worst = max(self.worst, time.monotonic() - begin)
        return isinstance(outcome, int) and not conn.last

    async def client(self, choose, go_on):
        """One request after the other as choose() says (act, n, body), on a connection as long as it lives."""
        conn = None
        while go_on():
            try:
                conn = conn or await self.dial()
            except OSError:
                self.refused += 1
                await asyncio.sleep(0.05)  # nothing listens: until it does, not as fast as one can dial
                continue
            if not await self.one(conn, *choose()):
                conn.close()
                conn = None
        if conn:
            conn.close()

    def outcomes(self, act):
        return {o: c for (a, o), c in self.seen.items() if a == act}

    def account(self):
        assert sum(self.seen.values()) == self.sent, f"{self.sent} were sent, {sum(self.seen.values())} came to an end"
        assert self.worst < LIMIT, f"one of them took {self.worst:.1f} s"
        table = ", ".join(f"{a} {o}: {c}" for (a, o), c in sorted(self.seen.items(), key=str))
        print(f"  {self.sent} requests, the slowest {self.worst:.1f} s: {table}", flush=True)
        print("  by the proxy:", ", ".join(f"{o} {text}: {c}" for (o, text), c in sorted(self.said.items())), flush=True)


async def in_batches(fn, n, size=200):
    got = []
    for i in range(0, n, size):
        got += await asyncio.gather(*[fn() for _ in range(min(size, n - i))])
    return got


if __name__ == "__main__":
    asyncio.run(host(int(sys.argv[2])))
