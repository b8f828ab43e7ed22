#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dubbo-thrift and Tars through the daemon, by raw frames made here: routes by service and method, the caller's numbers, oneway,
# weft's own answers, several protocols on one port.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: any, address: "127.0.0.1:8080", protocol: auto, routes: [others]}
- {name: tars, address: "127.0.0.1:8081", protocol: tars, routes: [others]}
routes:
- name: others
  rules:
  - {matches: [{service: {value: App.S.Obj}, headers: [{name: k, value: v}]}], filters: [{type: RequestHeaderModifier, set: [{name: k, value: w}]}], backends: [{cluster: tars}]}
  - {matches: [{service: {value: App.S.Obj}, rpcMethod: {value: echo}}], backends: [{cluster: tars}]}
  - {matches: [{service: {value: a.Api}, rpcMethod: {value: echo}}], backends: [{cluster: thrift}]}
  - {matches: [{service: {value: App.Gone}}, {service: {value: a.Gone}}], backends: [{cluster: gone}]}
clusters:
- {name: tars, protocol: tars, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: thrift, protocol: dubbo-thrift, endpoints: [{address: "127.0.0.1:9002"}]}
- {name: gone, endpoints: [{address: "127.0.0.1:9"}]}
YAML

cat > "$T/others.py" <<'PY'
import struct
from http_rig import *


def text(n, s):
    return bytes([n << 4 | 6, len(s)]) + s


def number(n, v):
    return bytes([n << 4 | 12]) if v == 0 else bytes([n << 4 | 2]) + struct.pack(">i", v)


def tars_call(i, servant, method, body=b"", context=b"\x98\x0c", oneway=False):
    p = b"\x10\x01" + (b"\x20\x01" if oneway else b"\x2c") + b"\x3c" + number(4, i) + text(5, servant) + text(6, method) + \
        b"\x7d\x00" + number(0, len(body)) + body + b"\x8c" + context + b"\xa8\x0c"
    return struct.pack(">I", len(p) + 4) + p


def thrift(i, service, method, body, kind=1):
    p = b"\xda\xbcLLLL\x00\x00\x01" + struct.pack(">I", len(service)) + service + struct.pack(">q", i)
    p = p[:6] + struct.pack(">H", len(p)) + p[8:] + b"\x80\x01\x00" + bytes([kind]) + struct.pack(">I", len(method)) + method + \
        struct.pack(">I", 9) + body
    p = p[:2] + struct.pack(">I", len(p)) + p[6:]
    return struct.pack(">I", len(p)) + p


class Raw(Host):
    """frames: all that came, whole; each is answered with what `answer` makes of it, unless that is None."""

    def __init__(self, port, counted, answer):
        self.counted, self.answer, self.frames = counted, answer, []
        super().__init__(port)

    def serve(self, c, number):
        try:
            while True:
                n = c.exactly(4)
                f = n + c.exactly(struct.unpack(">I", n)[0] - (4 if self.counted else 0))
                with changed:
                    self.frames.append(f)
                    changed.notify_all()
                said = self.answer(f)
                if said:
                    c.send(said)
        except (EOFError, OSError):
            pass
        finally:
            c.sock.close()
            with changed:
                self.open -= 1
                changed.notify_all()


def tars_number(f):
    """Field 4 of a request, of what weft writes: one byte here."""
    at = f.index(b"\x3c", 6) + 1
    return f[at + 1] if f[at] == 0x40 else 0


def tars_answer(f):
    if f[6] == 0x20:
        return None
    p = b"\x10\x01\x2c" + b"\x30" + bytes([tars_number(f)]) + b"\x4c\x5c\x6d\x00\x00\x02hi\x78\x0c\x86\x00\x98\x0c"
    return struct.pack(">I", len(p) + 4) + p


def thrift_answer(f):
    i = struct.unpack(">q", f[22:30])[0]
    return None if f[33] == 4 else thrift(i, b"a.Api", b"echo", b"\x0b\x00\x00\x00\x00\x00\x02hi\x00", 2)


tars, others = Raw(9001, True, tars_answer), Raw(9002, False, thrift_answer)


def dial(port=8080):
    s = Stream(socket.create_connection(("127.0.0.1", port), LIMIT))
    return s


def tars_read(c):
    n = c.exactly(4)
    return n + c.exactly(struct.unpack(">I", n)[0] - 4)


def thrift_read(c):
    n = c.exactly(4)
    return n + c.exactly(struct.unpack(">I", n)[0])


@case
def tars_calls():
    for port in 8080, 8081:
        c = dial(port)
        for i in 1, 70000, -5:
            c.send(tars_call(i, b"App.S.Obj", b"echo", b"x" * 100))
            got = tars_read(c)
            is_(got[7:], (b"\x30" + struct.pack(">b", i) if abs(i) < 128 else b"\x32" + struct.pack(">i", i)) +
                b"\x4c\x5c\x6d\x00\x00\x02hi\x78\x0c\x86\x00\x98\x0c")
        c.sock.close()


@case
def tars_context_is_matched_and_changed():
    c = dial()
    c.send(tars_call(3, b"App.S.Obj", b"other", b"", b"\x98\x00\x01\x06\x01k\x16\x01v"))
    tars_read(c)
    assert b"\x06\x01k\x16\x01w" in tars.frames[-1], tars.frames[-1]
    is_(len(tars.frames[-1]), struct.unpack(">I", tars.frames[-1][:4])[0])


@case
def tars_oneway_and_answers_of_weft():
    c = dial()
    c.send(tars_call(0, b"App.S.Obj", b"echo", oneway=True))
    eventually(lambda: tars.frames and tars.frames[-1][6:8] == b"\x20\x01")
    c.send(tars_call(7, b"App.None", b"echo"))
    is_(tars_read(c)[4:13], b"\x10\x01\x2c\x30\x07\x4c\x50\xfc\x6d")
    c.send(tars_call(8, b"App.Gone", b"echo"))
    got = tars_read(c)
    is_(got[7:12], b"\x30\x08\x4c\x50" + struct.pack(">b", -9))
    c.send(tars_call(9, b"App.S.Obj", b"echo"))
    is_(tars_read(c)[7:9], b"\x30\x09")


@case
def thrift_calls():
    c = dial()
    for i in 1, 1 << 40, -7:
        c.send(thrift(i, b"a.Api", b"echo", b"\x0b\x00\x01\x00\x00\x00\x02yo\x00"))
        is_(thrift_read(c), thrift(i, b"a.Api", b"echo", b"\x0b\x00\x00\x00\x00\x00\x02hi\x00", 2))
    c.send(thrift(5, b"a.Api", b"echo", b"\x00", 4))
    eventually(lambda: others.frames[-1][33] == 4)
    c.send(thrift(6, b"a.None", b"echo", b"\x00"))
    got = thrift_read(c)
    assert got[34] == 3 and b"no route" in got and got.endswith(b"\x08\x00\x02\x00\x00\x00\x01\x00"), got


@case
def a_connection_of_each_lives_through_nonsense_of_others():
    good = dial()
    bad = dial(8081)
    bad.send(b"\x00\x00\x00\x20\xda\xbc\x00\x00")
    is_(bad.left(), b"")
    good.send(tars_call(1, b"App.S.Obj", b"echo"))
    is_(tars_read(good)[7:9], b"\x30\x01")


run(sys.argv[1:])
PY
weftd_start
PYTHONPATH=$SRC/test/lib python3 "$T/others.py" "$@" || failed=1
weftd_stop
[ -z "${failed:-}" ]
