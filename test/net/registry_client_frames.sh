#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Servers of a registry's gRPC calls that no library is: messages that are compressed, too large or cut short, streams that
# end, a GOAWAY that leaves a call out, windows, bytes that are not HTTP/2. What became of each is said.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"
. "$SRC/test/lib/control.sh"
PY=/usr/bin/python3                             # Debian's, whose package hpack is
$PY -c 'import hpack' 2> /dev/null || skip "python3-h2 is not installed"

registry_hosts 9001 9002
W=/weft.test.Control/Watch
conf "url: \"http://127.0.0.1:9100$W\", grpc: true, bound: 4KiB, report: \"http://127.0.0.1:9101/weft.test.Control/Report\""
bg weftd.log in_cg "$CG/weftd" "$B/weftd" -c "$T/weft.yaml"
WEFTD_PID=$BG_PID
cat > "$T/planes.py" <<'PY'
"""Each try of the watch meets the next of these; the log of weftd says what became of it."""
import re
import struct
import sys
from http2_rig import *

LOG, tries = sys.argv[1], []
HEAD = [(":status", "200"), ("content-type", "application/grpc")]


def message(text, flag=0, more=0):
    return bytes([flag]) + struct.pack(">I", len(text) + more) + text


def said(pattern, times=1):
    wait_until(lambda: len(re.findall(pattern, open(LOG).read())) >= times, pattern)


def wait_until(fn, what):
    until = time.monotonic() + LIMIT
    while not fn():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def sends(data, status=None, text="", end=False):
    def fn(c, r):
        c.head(r.stream, HEAD)
        if data:
            c.data(r.stream, data, end)
        if status is not None:
            c.head(r.stream, [("grpc-status", str(status)), ("grpc-message", text)], END)
    return fn


def only(c, r):
    c.head(r.stream, HEAD + [("grpc-status", "7"), ("grpc-message", "go%20away")], END)


def answers(status, kind):
    return lambda c, r: c.reply(r, b"<html>", status, [("content-type", kind)])


def next_try(c, r):
    # A try that comes before the case said what it is to meet is a try too many.
    (tries.pop(0) if tries else sends(b"", 16, "too early"))(c, r)


def meets(fn, pattern, times=1):
    before = len(re.findall(pattern, open(LOG).read()))
    tries.append(fn)
    said(pattern, before + times)


plane = Host2(9100)
plane.on["early /weft.test.Control/Watch"] = next_try


@case
def what_makes_no_sense():
    meets(sends(message(b"1 127.0.0.1:9001", flag=1)), r"watching .*: a gRPC message came compressed, which was not offered")
    meets(sends(message(b"1" * 5000)), r"watching .*: a message is over its bound")
    meets(sends(message(b"1 127", more=9), 0), r"watching .*: the answer ends inside of a message")
    meets(lambda c, r: c.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), r"watching .*: what came is not HTTP/2: ")
    meets(lambda c, r: c.send(rst(r.stream, REFUSED)), r"watching .*: refused before it was processed")
    meets(lambda c, r: c.sock.shutdown(socket.SHUT_RDWR), r"watching .*: connection closed in the middle")


@case
def what_is_answered():
    meets(only, r"watching .*: grpc-status 7: go away")
    meets(sends(b"", 14, "tired"), r"watching .*: grpc-status 14: tired")
    meets(answers(503, "text/html"), r"watching .*: grpc-status 14: HTTP status 503")
    meets(answers(200, "text/html"), r"watching .*: grpc-status 2: the answer has no grpc-status")


@case
def a_goaway_leaves_a_call_out():
    """The report is made again on another connection when the first did not process it."""
    reports = Host2(9101)

    def left_out(c, r):
        if reports.conns < 3:
            c.send(goaway(0))
        else:
            c.head(r.stream, HEAD)
            c.data(r.stream, message(b"thanks"), False)
            c.head(r.stream, [("grpc-status", "0")], END)
    reports.on["/weft.test.Control/Report"] = left_out

    def good(c, r):
        c.head(r.stream, HEAD)
        for piece in (message(b"ping"), message(b"1 127.0.0.1:9001")[:3], message(b"1 127.0.0.1:9001")[3:], message(b"ping")):
            c.data(r.stream, piece, False)
    tries.append(good)
    said(r"reported version 1: 0 0 ")
    assert reports.conns == 3, reports.conns


@case
def a_goaway_ends_a_stream():
    conn = plane.all[-1]
    conn.send(goaway(2 ** 31 - 1))
    said(r"watching .*: the server drains the connection \(GOAWAY\)")
    tries.append(sends(message(b"2 127.0.0.1:9002")))
    said(r"reported version 2: 0 0 ")
    plane.all[-1].send(goaway(2 ** 31 - 1, CALM))
    said(r"watching .*: the server ends the connection, which asks too much \(GOAWAY\)")


run()
PY
ok "servers that are none" env PYTHONPATH="$SRC/test/lib" $PY "$T/planes.py" "$T/weftd.log"
cat "$T/ok.out"
[ "$(metric weft_client_again_total)" -ge 2 ] || fail "what is sent again is not counted"
[ "$(metric weft_client_errors_protocol_total)" -ge 3 ] || fail "what makes no sense is not counted"
weftd_stop
