# SPDX-License-Identifier: Apache-2.0
"""Both ends of a proxy in one process: a host that does what the case says and counts what it got, and a raw client.

	host = Host(9001)                       # answers 200 with what it saw, unless host.on[path] = fn(conn, request)
	c = Client(8080); c.send("GET / HTTP/1.1\\r\\n...\\r\\n\\r\\n"); r = c.response()   # r.interim: the 1xx before it
	@case
	def name_of_the_behaviour(): ...        # run(): each prints "case pass|fail NAME"
"""
import json
import os
import socket
import struct
import sys
import threading
import time
import traceback

from daemon import admin, metric, proxy, rss

LIMIT = 60  # seconds for anything; a machine that stands still is no failure
changed = threading.Condition()     # told whenever a Host's requests, conns or open change


class Request:
    def __init__(self, method, path, headers, body, trailers, number, conn):
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.trailers, self.number, self.conn = trailers, number, conn

    def get(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]


class Stream:
    """A socket with what was read and not used."""

    def __init__(self, sock):
        self.sock, self.buf = sock, b""
        sock.settimeout(LIMIT)

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def fill(self):
        d = self.sock.recv(65536)
        self.buf += d
        return len(d)

    def until(self, mark):
        while mark not in self.buf:
            if not self.fill():
                raise EOFError(f"closed before {mark!r}; had {self.buf[:200]!r}")
        head, self.buf = self.buf.split(mark, 1)
        return head

    def gather(self, n):
        """Until n bytes are here, or nothing more comes; joined once."""
        parts, have, d = [self.buf], len(self.buf), True
        try:
            while have < n and d:
                d = self.sock.recv(65536)
                parts.append(d)
                have += len(d)
        finally:
            self.buf = b"".join(parts)
        return have

    def exactly(self, n):
        have = self.gather(n)
        if have < n:
            raise EOFError(f"closed at {have} of {n}")
        d, self.buf = self.buf[:n], self.buf[n:]
        return d

    def rest(self):
        self.gather(float("inf"))
        d, self.buf = self.buf, b""
        return d

    def left(self):
        """All that comes until the peer closes, be it by FIN or by RST."""
        try:
            return self.rest()
        except ConnectionResetError:
            d, self.buf = self.buf, b""
            return d

    def closed(self, seconds=LIMIT):
        """True: the peer closes, and says nothing before."""
        self.sock.settimeout(seconds)
        try:
            return not self.buf and not self.fill()
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        finally:
            self.sock.settimeout(LIMIT)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()

    def headers(self):
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        return lines[0], [tuple(p.strip() for p in line.split(":", 1)) for line in lines[1:]]

    def chunks(self):
        body, sizes = b"", []
        while True:
            n = int(self.until(b"\r\n").split(b";")[0], 16)
            if not n:
                break
            sizes.append(n)
            body += self.exactly(n)
            assert self.exactly(2) == b"\r\n"
        trailers = []
        while True:
            line = self.until(b"\r\n").decode("latin-1")
            if not line:
                return body, trailers
            trailers.append(tuple(p.strip() for p in line.split(":", 1)))


def one(headers, name):
    return next((v for k, v in headers if k.lower() == name), None)


class Host:
    """A server. requests: all that came whole, in order; conns: connections so far; open: live ones."""

    def __init__(self, port, address="127.0.0.1"):
        self.port, self.on, self.requests, self.conns, self.open = port, {}, [], 0, 0
        self.lock = changed
        self.listener = socket.create_server((address, port), backlog=512)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.conns += 1
                self.open += 1
                changed.notify_all()
            threading.Thread(target=self.serve, args=(Stream(s), self.conns), daemon=True).start()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def serve(self, c, number):
        n = 0
        try:
            while True:
                n += 1
                line, headers = c.headers()
                method, path, _ = line.split(" ")
                r = Request(method, path, headers, b"", [], n, number)
                early = self.on.get("early " + path)
                if early:
                    self.came(r)
                    if early(c, r) == "close":
                        return
                    continue
                if "chunked" in (one(headers, "transfer-encoding") or ""):
                    r.body, r.trailers = c.chunks()
                else:
                    r.body = c.exactly(int(one(headers, "content-length") or 0))
                self.came(r)
                if self.on.get(path, answer)(c, r) == "close":
                    return
        except (EOFError, OSError):
            pass
        finally:
            c.close()
            with self.lock:
                self.open -= 1
                changed.notify_all()

    def came(self, r):
        with self.lock:
            self.requests.append(r)
            changed.notify_all()

    def paths(self):
        return [r.path for r in self.requests]

    def forget(self):
        with self.lock:
            self.requests.clear()


def answer(c, r, body=None, status="200 OK", headers=""):
    body = json.dumps({"method": r.method, "path": r.path, "headers": r.headers, "body": len(r.body),
                       "number": r.number, "conn": r.conn}).encode() if body is None else body
    none = r.method == "HEAD"
    c.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + (b"" if none else body))


def reply(body=b"ok", status="200 OK", headers="", then=None):
    def fn(c, r):
        answer(c, r, body, status, headers)
        return then
    return fn


def stall(c, r):
    """Says nothing until the proxy gives up."""
    c.rest()
    return "close"


class Response:
    def __init__(self, status, headers, body, trailers, line, interim=()):
        self.status, self.headers, self.body, self.trailers, self.line = status, headers, body, trailers, line
        self.interim = interim

    def get(self, name):
        return one(self.headers, name.lower())

    def json(self):
        return json.loads(self.body)


class Client(Stream):
    def __init__(self, port=8080, rcvbuf=0):
        s = socket.socket()
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        s.settimeout(LIMIT)
        s.connect(("127.0.0.1", port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(s)

    def head(self):
        line, headers = self.headers()
        return int(line.split(" ")[1]), headers, line

    def response(self, method="GET"):
        """The final answer; the 1xx before it are its interim. 101 is final: what follows it is no HTTP."""
        interim = []
        status, headers, line = self.head()
        while status < 200 and status != 101:
            interim.append(status)
            status, headers, line = self.head()
        body, trailers = b"", []
        if method == "HEAD" or status in (101, 204, 304):
            pass
        elif "chunked" in (one(headers, "transfer-encoding") or ""):
            body, trailers = self.chunks()
        elif one(headers, "content-length") is not None:
            body = self.exactly(int(one(headers, "content-length")))
        else:
            body = self.rest()
        return Response(status, headers, body, trailers, line, interim)

    def ask(self, path="/", method="GET", headers="", body=b"", host="a.example"):
        if isinstance(body, str):
            body = body.encode()
        length = f"Content-Length: {len(body)}\r\n" if body or method in ("POST", "PUT") else ""
        self.send(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{length}{headers}\r\n".encode() + body)
        return self.response(method)


def get(path="/", method="GET", headers="", body=b"", port=8080):
    c = Client(port)
    try:
        return c.ask(path, method, headers, body)
    finally:
        c.close()


def eventually(what, seconds=LIMIT):
    """Looks whenever a host has news, and now and then for what only the proxy knows."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "did not come true in time"
        with changed:
            changed.wait(0.05)


def log_lines():
    """Those of $T/access.json that are whole by now."""
    text = open(os.environ["T"] + "/access.json").read()
    return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]


def logged(path):
    """The last line of $T/access.json about a path, when it is there."""
    lines = []

    def there():
        lines[:] = [l for l in log_lines() if l["path"] == path]
        return lines
    eventually(there)
    return lines[-1]


def is_(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, wanted {want!r}"


cases = []


def case(fn):
    cases.append(fn)
    return fn


def run(wanted=None):
    failed = 0
    for fn in cases:
        if wanted and fn.__name__ not in wanted:
            continue
        try:
            fn()
            print(f"case pass {fn.__name__}", flush=True)
        except Exception as e:
            failed += 1
            traceback.print_exc()
            print(f"case fail {fn.__name__}: {type(e).__name__}: {e}".replace("\n", " "), flush=True)
    sys.exit(failed > 0)
