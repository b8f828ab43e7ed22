#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The RPC rig by itself: it reads and makes what Java peers were seen to send, and its hosts and clients agree.
. "$(dirname "$0")/../lib/net.sh"
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
import io
from rpc_rig import *


class Recorded(io.BytesIO):
    exactly = io.BytesIO.read


BEAN = "73756974652e4265616e" \
    "4f9a73756974652e4265616e9901730169016c016401620174046c697374036d6170056368696c646f90017895e067464e566e0101787a4d016b917a4e"
BOLT = {
    "v1 request": "0101000101000000010100000bb8000a00000000003d" + BEAN,
    "v1 answer": "010000020100000001010000000a00000000003d" + BEAN,
    "v1 heartbeat": "01010000010000000901ffffffff0000000000000000",
    "v1 goaway": "01010064010000000101" + "00" * 12,
    "v2 request, CRC": "02020100010100000001010100000bb8000a00000000003d" + BEAN + "f640b913",
    "v2 answer, CRC": "0202000002010000000101010000000a00000000003d" + BEAN + "6906de34",
    "v2 answer, no CRC": "0201000002010000000101000000000a00000000003d" + BEAN,
}
DUBBO = "dabbc20000000000000000020000009105322e302e320973756974652e41706905312e302e3003617474124c6a6176612f6c616e672f537472696e673b" \
    "05636f6c6f724804706174680973756974652e4170691272656d6f74652e6170706c69636174696f6e0c73756974652d636c69656e7405636f6c6f7204626c" \
    "756509696e746572666163650973756974652e4170690776657273696f6e05312e302e305a"


@case
def recorded_bolt_frames():
    for name, words in BOLT.items():
        raw = bytes.fromhex(words)
        f = Bolt.read(Recorded(raw))
        is_((f.crc_ok, f.raw, f.pack()), (True, raw, raw), name)


@case
def recorded_dubbo_call():
    f = Dubbo.read(Recorded(bytes.fromhex(DUBBO)))
    is_(f.pack(), bytes.fromhex(DUBBO))
    service, version, method, types, args, extra = dubbo_call_read(f.body)
    is_((service, version, method, types, args, extra["color"]),
        ("suite.Api", "1.0.0", "att", "Ljava/lang/String;", ["color"], "blue"))
    is_(dubbo_value_read(bytes.fromhex("9404626c75654805647562626f05322e302e325a")), (1, "blue", {"dubbo": "2.0.2"}))


@case
def hessian_values_there_and_back():
    for v in (0, -17, 100000, 1 << 40, "x" * 100, "ä\U0001f600" * 40000, b"x" * 100000, [1, "a", {"k": None}], True, 1.5):
        h = Hessian(hessian(v))
        is_((h.value() == v, h.at_end()), (True, True), str(v)[:20])


def agree(protocol, port, **kind):
    make_host, make_client = PEERS[protocol]
    host = make_host(port, "a")
    c = make_client(port, **kind)
    a = c.ask("g/shop:1", "buy", b"x" * 70000, fields={"q": "1"})
    is_((a.body == b"x" * 70000, a.host, host.calls[0].service, host.calls[0].fields["q"]), (True, "a", "g/shop:1", "1"))
    host.on["wait"] = hold
    numbers = [c.call("shop", "wait", b"%d" % i) for i in range(100)]
    eventually(lambda: len(host.held) == 100)
    host.let_go()
    is_([c.answer(n).body for n in numbers], [b"%d" % i for i in range(100)], "answers in another order")
    c.beat()
    is_(host.beats, 1)
    c.call("shop", "fire", oneway=True)
    eventually(lambda: host.oneways)
    is_(c.ask("shop", "m", fields={"want-status": str(BUSY_WORD[protocol])}).status, BUSY_WORD[protocol])
    host.beat()
    host.goaway()
    while not c.gone:
        c.step()
    eventually(lambda: host.acks == 1)
    host.on["cut"] = cut(10)
    c.call("shop", "cut")
    is_(len(c.rest()), 10, "an answer that is cut")
    is_(host.wrong, [])


@case
def peers_agree():
    agree("bolt", 9001)
    agree("bolt", 9002, version=2)
    agree("bolt", 9003, version=2, crc=True)
    agree("dubbo", 9004)


run()
PY
