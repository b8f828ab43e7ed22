#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clients of HTTP/2 that are slow in every way there is: each holds what it holds for a bounded time, and others are served.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 1
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all], timeouts: {head: 1500ms, idle: 1500ms}}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /slow}}], timeouts: {idle: 1500ms}, backends: [{cluster: app}]}
  - {backends: [{cluster: app}]}
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
YAML
weftd_start
cat > "$T/cases.py" <<'PY'
import subprocess
from http2_raw import *

host = Host(9001)
host.on["/slow/large"] = reply(b"x" * (1 << 20))


def under_way():
    out = subprocess.check_output(["curl", "-sS", "--unix-socket", "/run/weft/admin.sock", "http://weft/metrics"], text=True)
    return sum(int(line.split()[1]) for line in out.splitlines() if line.startswith("weft_http_active"))


def others():
    is_(get("/others").status, 200)


def end(f, streams):
    """All of these streams are reset, or answered 504 where the host was too slow, too."""
    streams, answered = set(streams), set()
    while streams:
        kind, flags, stream, payload = f.frame()
        if kind == HEADERS and payload[:1] == OK:
            answered.add(stream)
        assert not (flags & END and kind == DATA and stream in answered), stream
        if kind == RST or flags & END and kind in (HEADERS, DATA):
            streams.discard(stream)


@case
def readers_that_stop():
    f = Frames(settings=b"\0\4\0\0\0\0")
    f.send(b"".join(ask(2 * i + 1, "/slow/large") for i in range(20)))
    others()
    end(f, range(1, 40, 2))
    f.close()


@case
def a_reader_whose_connection_is_full():
    f = Frames(settings=b"\0\4\x7f\xff\xff\xff")
    f.send(b"".join(ask(2 * i + 1, "/slow/large") for i in range(20)))
    others()
    end(f, range(1, 40, 2))
    f.close()


@case
def a_reader_that_does_not_read_its_socket():
    f = Frames(settings=b"\0\4\x7f\xff\xff\xff", rcvbuf=4096)
    f.send(frame(WINDOW, 0, 0, b"\x3f\0\0\0") + b"".join(ask(2 * i + 1, "/slow/large") for i in range(20)))
    others()
    eventually(lambda: under_way() == 0)
    f.close()


@case
def bodies_that_never_come():
    f = Frames()
    f.send(b"".join(ask(2 * i + 1, "/slow/post", flags=END_HEADERS, **{":method": "POST"}) for i in range(20)))
    others()
    end(f, range(1, 40, 2))
    f.close()


@case
def a_head_that_does_not_end():
    f = Frames()
    f.send(ask(1, flags=END))
    others()
    f.rest()
    f.close()


@case
def a_frame_that_does_not_end():
    f = Frames()
    f.send(ask(1)[:20])
    others()
    f.rest()
    f.close()


@case
def a_preface_that_does_not_end():
    c = Client()
    c.send(PREFACE[:20])
    others()
    c.rest()
    c.close()


@case
def nothing_behind_the_preface():
    f = Frames()
    others()
    is_(f.goaway(), (LAST, 0))
    f.send(ask(1, "/crossed"))
    is_(f.until_frame(HEADERS)[2], 1)
    is_(f.goaway(), (1, 0))
    f.rest()
    f.close()


@case
def a_slow_stream_does_not_hold_up_its_neighbours():
    go = threading.Event()

    def slow(c, r):
        c.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl")
        go.wait(LIMIT)
        c.send("ow")
    host.on["/held"] = slow
    f = Frames()
    f.send(ask(1, "/held") + ask(3, "/quick"))
    while f.until_frame(DATA, END)[2] != 3:
        pass
    go.set()
    f.close()


run()
PY
PYTHONPATH=$SRC/test/lib python3 "$T/cases.py"

none_left() { [ "$(metric weft_http_active)" = 0 ]; }
wait_for 60 none_left
weftd_stop
