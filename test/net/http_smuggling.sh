#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The table of test/smuggling/http1.txt through a real listener, against what a host behind it receives. The host reads
# with a parser of its own; what is refused must not reach it as a whole request, and what is forwarded must say the same.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 1
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
routes:
- {name: all, rules: [{backends: [{cluster: app}]}]}
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
YAML
weftd_start
TABLE=$SRC/test/smuggling/http1.txt PYTHONPATH=$SRC/test/lib python3 - <<'PY'
import os
import re
import socket
import threading

from http_rig import Client, Stream, one, eventually, case, run

ADDED = {"x-request-id", "x-forwarded-for", "x-forwarded-proto", "via", "date", "server", "connection"}
# Words of what goes wrong when the head of an answer has been passed on already.
BEHIND_THE_HEAD = ("chunk", "trailer", "bytes that answer no request")


def unescape(s):
    named = {b"|": b"\r\n", b"\\r": b"\r", b"\\n": b"\n", b"\\t": b"\t", b"\\0": b"\0"}

    def one_of(m):
        t = m.group(0)
        return named.get(t) or (bytes([int(t[2:], 16)]) if t[:2] == b"\\x" else t[1:])
    return re.sub(rb"\\x..|\\.|\|", one_of, s)


class Case:
    def __init__(self, name):
        self.name, self.answers = name, False
        self.q, self.r = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.want = self.status = self.words = None

    def line(self, kind, rest):
        if kind == b"q":
            self.q = unescape(rest)
        elif kind == b"r":
            self.r, self.answers = unescape(rest), True
        elif rest.startswith(b"forward"):
            self.want = unescape(rest[8:]) if rest[7:] else self.r if self.answers else self.q
        elif rest != b"wait":
            self.status, self.words = int(rest[:3]), rest[4:].decode()


def table():
    found = []
    for line in open(os.environ["TABLE"], "rb").read().split(b"\n"):
        if not line or line[:1] == b"#":
            continue
        if line[1:2] == b" ":
            found[-1].line(line[:1], line[2:])
        else:
            found.append(Case(line.split(b":")[0].decode()))
    return found


class Message:
    """One message, read by rules of its own: exact names, digits, CRLF, and nothing else."""

    def __init__(self, s):
        lines = s.until(b"\r\n\r\n").split(b"\r\n")
        self.line, self.headers = lines[0], [tuple(x.strip(b" \t") for x in li.split(b":", 1)) for li in lines[1:]]
        self.body, self.trailers = b"", []
        if self.get(b"transfer-encoding") == b"chunked":
            body, trailers = s.chunks()
            self.body, self.trailers = body, [tuple(x.encode("latin-1") for x in t) for t in trailers]
        elif self.get(b"content-length"):
            self.body = s.exactly(int(self.get(b"content-length")))

    def get(self, name):
        found = [v for k, v in self.headers if k.lower() == name]
        assert len(found) < 2, f"{name} twice"
        return found[0] if found else None

    def same(self, want):
        own = [h for h in want.headers if h[0].lower() != b"connection"]
        got = [h for h in self.headers if h in own or h[0].lower().decode() not in ADDED]
        return (self.line, got, self.body, self.trailers) == (want.line, own, want.body, want.trailers)

    def __repr__(self):
        return repr((self.line, self.headers, self.body, self.trailers))


class Bytes(Stream):
    def __init__(self, data):
        self.buf = data

    def fill(self):
        return 0


def messages(data):
    s, found = Bytes(data), []
    while s.buf:
        found.append(Message(s))
    return found


class Recorder:
    """Whole requests by order, with the answer that the case asks for; whether a connection was ended by the proxy."""

    def __init__(self, port):
        self.requests, self.answer, self.live, self.ended = [], b"", 0, 0
        self.shut = False
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            s, _ = self.listener.accept()
            self.live += 1
            threading.Thread(target=self.serve, args=(Stream(s),), daemon=True).start()

    def serve(self, s):
        try:
            while True:
                m = Message(s)
                self.requests.append(m)
                s.send(self.answer if not m.line.startswith(b"HEAD ") or self.answers else
                       self.answer.split(b"\r\n\r\n")[0] + b"\r\n\r\n")
                if self.shut:
                    return
        except (EOFError, OSError):
            self.ended += 1
        finally:
            s.close()
            self.live -= 1


host = Recorder(9001)


def prepare(t):
    host.requests.clear()
    host.answer, host.answers, host.shut = t.r, t.answers, t.answers and t.want is None and t.status is None


def check_refused(t, c):
    c.send(t.q)
    got = c.left()
    statuses = re.findall(rb"HTTP/1\.1 (\d\d\d) ", got)
    assert statuses and int(statuses[-1]) == t.status, f"client got {got!r}"
    assert t.words.encode() in got, f"client got {got!r}"
    assert len(host.requests) == statuses.count(b"200"), f"host got {host.requests}"


def check_forwarded(t, c):
    c.send(t.q)
    want = messages(t.want)
    for i, w in enumerate(want):
        assert c.response(w.line.split(b" ")[0].decode()).status == 200
        assert host.requests[i].same(w), f"host got {host.requests[i]}, wanted {w}"
    c.sock.shutdown(socket.SHUT_WR)
    assert not c.left() and len(host.requests) == len(want), host.requests


def check_unfinished(t, c):
    c.send(t.q)
    c.sock.shutdown(socket.SHUT_WR)
    assert not c.left() and not host.requests, host.requests


def answered(t, c):
    """Of the final answer: status, headers, body; status 0: cut off."""
    method = t.q.split(b" ")[0].decode()
    try:
        return c.response(method)
    except (EOFError, ConnectionResetError):
        return None


def check_bad_answer(t, c):
    ended = host.ended
    c.send(t.q)
    r = answered(t, c)
    if not any(w in t.words for w in BEHIND_THE_HEAD):
        assert r and r.status == 502, f"client got {r and r.line}"
    elif "answer no request" not in t.words:
        assert r is None or r.status == 502, f"client got all of {r.line}"
    else:
        assert b"evil" not in r.body + c.buf
    eventually(lambda: host.ended > ended and not host.live)


def check_answer(t, c):
    c.send(t.q)
    r, want = answered(t, c), t.want
    while want.startswith(b"HTTP/1.1 1"):
        want = want.split(b"\r\n\r\n", 1)[1]
    head, body = want.split(b"\r\n\r\n", 1)
    assert r and r.line.encode("latin-1") == head.split(b"\r\n")[0], f"client got {r and r.line}"
    w = Stream.headers(Bytes(head + b"\r\n\r\n"))[1]
    got = [h for h in r.headers if h in w or h[0].lower() not in ADDED]
    assert got == w, f"client got {r.headers}"
    assert "chunked" in (one(w, "transfer-encoding") or "") or r.body == body


def check_cut_answer(t, c):
    c.send(t.q)
    r = answered(t, c)
    assert r is None or r.status >= 500, r.line


def check(t):
    tunnel = t.q.startswith(b"CONNECT") or b" 101 " in t.r
    if t.answers and tunnel and t.want:
        return
    prepare(t)
    c = Client()
    if t.answers:
        (check_bad_answer if t.status else check_answer if t.want else check_cut_answer)(t, c)
    else:
        (check_refused if t.status else check_forwarded if t.want else check_unfinished)(t, c)
    c.close()


def check_all(found):
    bad = []
    for t in found:
        try:
            check(t)
        except Exception as e:
            bad.append(f"{t.name}: {type(e).__name__} {e}")
    print(*bad, sep="\n")
    assert not bad, f"{len(bad)} of {len(found)}: " + ", ".join(b.split(":")[0] for b in bad)


# A listener speaks HTTP/2 to its preface: that is for the codec alone to refuse.
ALL = [t for t in table() if t.name != "line-preface"]


@case
def requests_that_are_refused():
    check_all([t for t in ALL if not t.answers and t.status])


@case
def requests_that_are_forwarded():
    check_all([t for t in ALL if not t.answers and not t.status])


@case
def paths_reach_the_host_in_one_form():
    for path, want in (("/a/../b", "/b"), ("/a/%2e%2e/%62?x=/../y", "/b?x=/../y"), ("/a//./b%2f", "/a//b%2F"), ("/x/..", "/")):
        prepare(Case(path))
        c = Client()
        c.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
        assert c.response().status == 200
        assert host.requests[0].line == f"GET {want} HTTP/1.1".encode(), host.requests
        c.close()
    for path in ("/a%00", "/a\\b", "/a%", "/a%zz"):
        prepare(Case(path))
        c = Client()
        c.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
        assert c.response().status == 400 and not host.requests, (path, host.requests)
        c.close()


@case
def answers_that_are_refused():
    check_all([t for t in ALL if t.answers and t.status])


@case
def answers_that_are_forwarded():
    check_all([t for t in ALL if t.answers and not t.status])


run()
PY
weftd_stop
