#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Large bodies of known length go past the process, both ways, and nothing about them is different.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 1
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
routes:
- name: all
  rules:
  - matches: [{path: {value: /again}}]
    backends: [{cluster: app}]
    retry: {attempts: 2, on: [5xx], backoff: 1ms}
  - backends: [{cluster: app}]
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
YAML
weftd_start
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
import hashlib
import os
import random
from http_rig import *

host = Host(9001)
MB = 1 << 20


def spliced():
    return metric("weft_http_spliced_bytes_total")


def settled():
    """What is told from now on counts all that was before: two times it tells of something newer."""
    for _ in range(2):
        n = metric("weft_http_requests_total")
        get("/settled")
        eventually(lambda: metric("weft_http_requests_total") > n)


def piece(i):
    return random.Random(i).randbytes(MB)


PIECES = [piece(i) for i in range(7)]


def upload(c, n, path="/up", method="POST"):
    """Sends n bytes and gives the hash of them."""
    sum_, left, i = hashlib.sha256(), n, 0
    c.send(f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n")
    while left:
        p = PIECES[i % 7][:left]
        c.send(p)
        sum_.update(p)
        left -= len(p)
        i += 1
    return sum_.hexdigest()


def hashed(c, left):
    sum_ = hashlib.sha256(c.buf)
    left -= len(c.buf)
    c.buf = b""
    while left:
        d = c.sock.recv(min(MB, left))
        if not d:
            raise EOFError(f"{left} bytes are missing")
        sum_.update(d)
        left -= len(d)
    return sum_.hexdigest()


def take(c, r):
    answer(c, r, hashed(c, int(one(r.headers, "content-length"))).encode())


def idle():
    return metric("weft_http_active") == 0


@case
def a_hundred_megabytes_and_the_connections_live_on():
    host.on["early /up"] = take
    before, c = spliced(), Client()
    for n in (100 * MB, 65536, 65537, 3 * 65536 + 1, 5 * MB + 1):
        is_(upload(c, n), c.response().body.decode(), n)
        is_(c.ask("/after").json()["conn"], 1)
    settled()
    assert spliced() - before > 98 * MB, spliced() - before


@case
def what_may_be_sent_again_passes_later():
    host.on["early /up"] = take
    settled()
    before, c = spliced(), Client()
    is_(upload(c, 20 * MB, method="PUT"), c.response().body.decode())
    settled()
    assert 10 * MB < spliced() - before <= 20 * MB - 65536, spliced() - before


@case
def a_body_that_is_kept_is_sent_again():
    tries = []

    def fail_first(c, r):
        tries.append(hashed(c, int(one(r.headers, "content-length"))))
        answer(c, r, b"", "200 OK" if len(tries) > 1 else "500 No")
    host.on["early /again"] = fail_first
    c = Client()
    want = upload(c, 60000, "/again")
    is_(c.response().status, 200)
    is_(tries, [want, want])


@case
def chunked_bodies_do_not_pass():
    settled()
    before, c = spliced(), Client()
    c.send("POST /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    for i in range(4):
        c.send(b"%x\r\n" % MB + PIECES[i % 7] + b"\r\n")
    c.send("0\r\n\r\n")
    is_(c.response().json()["body"], 4 * MB)
    settled()
    is_(spliced(), before)


@case
def an_early_answer_is_passed_on():
    def early(c, r):
        hashed(c, 4 * MB)
        answer(c, r, b"enough", "413 Too Large")
        return "close"
    host.on["early /early"] = early
    c = Client()
    c.send(f"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: {100 * MB}\r\n\r\n")
    threading.Thread(target=pour, args=(c, 100), daemon=True).start()
    r = c.response()
    is_((r.status, r.body), (413, b"enough"))


def pour(c, n):
    try:
        for i in range(n):
            c.send(PIECES[i % 7])
    except OSError:
        pass


@case
def an_early_answer_while_the_rest_is_read():
    """The head and half of the answer come first; both bodies pass at a time."""
    n = 20 * MB

    def both(c, r):
        c.send(f"HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n")
        left = n
        while left:
            d = c.buf or c.sock.recv(MB)
            c.buf = b""
            c.send(d)
            left -= len(d)
    host.on["early /both"] = both
    c, sums = Client(), []
    t = threading.Thread(target=lambda: sums.append(upload(c, n, "/both")))
    t.start()
    status, _, _ = c.head()
    is_(status, 200)
    got = hashed(c, n)
    t.join()
    is_([got], sums)
    is_(c.ask("/after").status, 200)


@case
def a_client_that_leaves_in_the_middle():
    ends = []

    def to_the_end(c, r):
        got = len(c.buf)
        try:
            while d := c.sock.recv(MB):
                got += len(d)
        except OSError:
            pass
        ends.append(got)
        return "close"
    host.on["early /leave"] = to_the_end
    for how in ("close", "reset"):
        c = Client()
        c.send(f"POST /leave HTTP/1.1\r\nHost: a\r\nContent-Length: {100 * MB}\r\n\r\n")
        for i in range(10):
            c.send(PIECES[i % 7])
        getattr(c, how)()
    eventually(lambda: len(ends) == 2)
    assert all(n < 100 * MB for n in ends), ends
    eventually(idle)


@case
def a_client_that_leaves_while_the_host_does_not_read():
    go = threading.Event()

    def stall(c, r):
        go.wait(LIMIT)
        return "close"
    host.on["early /stall"] = stall
    c = Client()
    c.send(f"POST /stall HTTP/1.1\r\nHost: a\r\nContent-Length: {1000 * MB}\r\n\r\n")
    c.sock.settimeout(1)
    try:
        while True:
            c.send(PIECES[0])
    except TimeoutError:
        pass
    c.reset()
    eventually(idle)
    go.set()


@case
def a_host_that_stalls_and_goes_on():
    go = threading.Event()

    def late(c, r):
        go.wait(LIMIT)
        take(c, r)
    host.on["early /late"] = late
    c, sums = Client(), []
    t = threading.Thread(target=lambda: sums.append(upload(c, 20 * MB, "/late")))
    t.start()
    eventually(lambda: "/late" in host.paths())
    go.set()
    t.join()
    is_(c.response().body.decode(), sums[0])


@case
def a_host_that_dies_in_the_middle():
    def die(c, r):
        hashed(c, 5 * MB)
        c.reset()
        return "close"
    host.on["early /die"] = die
    c = Client()
    c.send(f"POST /die HTTP/1.1\r\nHost: a\r\nContent-Length: {100 * MB}\r\n\r\n")
    threading.Thread(target=pour, args=(c, 100), daemon=True).start()
    is_(c.response().status, 502)
    eventually(idle)


@case
def nothing_is_left():
    eventually(idle)
    eventually(lambda: metric("weft_http_upstreams") == metric("weft_http_idle_upstreams"))
    fds = f"/proc/{proxy()}/fd/"
    pipes = [x for x in os.listdir(fds) if os.path.lexists(fds + x) and os.readlink(fds + x).startswith("pipe:")]
    # 16 pipes are kept, and what the tests' shell gave it
    assert len(pipes) <= 2 * 16 + 4, pipes


run()
PY
