#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clients of HTTP/2 that are slow in every way there is: each holds what it holds for a bounded time, and others are served.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 1
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all], timeouts: {head: 500ms, idle: 500ms}}
routes:
- name: all
  rules: [{timeouts: {idle: 500ms}, backends: [{cluster: app}]}]
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9001"}]}
YAML
weftd_start
cat > "$T/cases.py" <<'PY'
from http2_raw import *

host = Host(9001)
host.on["/large"] = reply(b"x" * (4 << 20))


def others():
    is_(get("/others").status, 200)


def cut(f, streams):
    """All of these streams end without END_STREAM; what came before is left to itself."""
    streams = set(streams)
    while streams:
        kind, flags, stream, _ = f.frame()
        assert not (kind == DATA and flags & END and stream in streams), stream
        if kind == RST:
            streams.discard(stream)


@case
def readers_that_stop():
    f = Frames(settings=b"\0\4\0\0\0\0")
    f.send(b"".join(ask(2 * i + 1, "/large") for i in range(50)))
    others()
    cut(f, range(1, 100, 2))
    f.close()


@case
def a_reader_whose_connection_is_full():
    f = Frames(settings=b"\0\4\x7f\xff\xff\xff")
    f.send(b"".join(ask(2 * i + 1, "/large") for i in range(50)))
    others()
    cut(f, range(1, 100, 2))
    f.close()


@case
def a_reader_that_does_not_read_its_socket():
    f = Frames(settings=b"\0\4\x7f\xff\xff\xff", rcvbuf=4096)
    f.send(frame(WINDOW, 0, 0, b"\x3f\0\0\0") + b"".join(ask(2 * i + 1, "/large") for i in range(50)))
    others()
    eventually(lambda: host.open <= 1)
    f.close()


@case
def bodies_that_never_come():
    f = Frames()
    f.send(b"".join(ask(2 * i + 1, "/post", flags=END_HEADERS, **{":method": "POST"}) for i in range(50)))
    others()
    ended = set()
    while len(ended) < 50:
        kind, flags, stream, _ = f.frame()
        if kind == RST or flags & END and kind in (HEADERS, DATA):
            ended.add(stream)
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
    host.on["/slow"] = slow
    f = Frames()
    f.send(ask(1, "/slow") + ask(3, "/quick"))
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
