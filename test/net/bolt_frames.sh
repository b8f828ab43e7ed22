#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What only bolt has, through the daemon by raw frames: two versions and checksums on one connection, all status codes, classes
# without headers, heartbeats to idle hosts, and frames that are wrong, of clients and of hosts.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 1
kernel: {mode: off}
listeners:
- {name: calls, address: "127.0.0.1:8080", protocol: bolt, routes: [calls]}
- {name: polite, address: "127.0.0.1:8081", protocol: bolt, routes: [calls], timeouts: {connectionAge: 300ms}, protocolSettings: {goaway: true}}
- {name: plain, address: "127.0.0.1:8082", protocol: bolt, routes: [calls], timeouts: {connectionAge: 300ms}}
routes:
- name: calls
  rules:
  - {matches: [{service: {value: shop}}, {service: {value: shop.Raw}}], backends: [{cluster: one}]}
  - {matches: [{service: {value: idle}}], backends: [{cluster: idle}]}
clusters:
- {name: one, protocol: bolt, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: idle, protocol: bolt, connectionPool: {pingInterval: 200ms, pingTimeout: 2s}, endpoints: [{address: "127.0.0.1:9002"}]}
telemetry: {accessLog: [{path: $T/access.log, format: json}]}
YAML

cat > "$T/frames.py" <<'PY'
import rpc_rig
from rpc_rig import *

one, idle = BoltHost(9001, "one"), BoltHost(9002, "idle")
KINDS = [{"version": 1}, {"version": 2, "ver1": 1}, {"version": 2, "ver1": 2}, {"version": 2, "crc": True}]
BIG, LIMIT_BYTES = 3 << 20, 64 << 20
SERVICE = [("service", "shop"), ("sofa_head_method_name", "buy")]


def body(n, seed=0):
    return (bytes((i * 7 + seed) % 251 for i in range(251)) * (n // 251 + 1))[:n]


def frame(number, **more):
    return Bolt(REQUEST, number, **{"fields": SERVICE, "timeout": 60000, **more}).pack()


def fresh():
    one.forget()
    one.on.clear()


def lives(c=None):
    """Calls go on: on this connection, or on a new one."""
    is_((c or BoltClient()).ask("shop", "buy", b"alive", timeout=60000).body, b"alive")


def ended(c):
    """It is closed without an answer, and counted."""
    assert c.closed()
    eventually(lambda: metric("weft_http_malformed_syntax_total") > ended.n)
    ended.n = metric("weft_http_malformed_syntax_total")


ended.n = 0


def recorded(words, n):
    """In the access log, as the client's fault."""
    eventually(lambda: sum(f'"flags":"DPE"' in x and f'"detail":"{words}"' in x for x in open(ACCESS)) == n)


@case
def two_versions_and_checksums_on_one_connection():
    fresh()
    c = BoltClient()
    number = 0
    for n in 0, 1, 100, 65536, 65537, BIG:
        for kind in KINDS:
            number += 1
            c.send(frame(number, body=body(n, number), **kind))
            a = c.answer(number)
            is_((a.status, a.body), (SUCCESS, body(n, number)))
            got = one.calls[-1].frame
            want = kind["version"], kind.get("ver1", 2 if kind.get("crc") else None), kind.get("crc", False)
            is_((got.version, got.ver1, got.crc), want)
            is_((a.frame.version, a.frame.ver1, a.frame.crc), want)
    is_((one.wrong, one.open), ([], 1))


@case
def weft_answers_in_the_callers_version():
    c = BoltClient()
    for number, kind in enumerate(KINDS, 1):
        c.send(frame(number, fields=[("service", "nobody")], body=body(100), **kind))
        a = c.answer(number)
        is_((a.status, a.body, a.frame.version, a.frame.crc), (NO_PROCESSOR, b"", kind["version"], kind.get("crc", False)))
        c.send(Bolt(REQUEST, 99, BEAT, timeout=-1, **kind).pack())
        was = c.acks
        while c.acks == was:
            c.step()


@case
def every_status_passes():
    fresh()
    c = BoltClient()
    for n in (*range(10), 16, 17, 18, 77):
        one.on["buy"] = status(n, b"why")
        is_((c.ask("shop", "buy", body(10)).status, n), (n, n))


@case
def a_class_names_the_service_where_no_header_does():
    fresh()
    c = BoltClient()
    c.send(frame(1, cls="shop.Raw", fields=[], body=b"raw"))
    is_(c.answer(1).body, b"raw")
    is_(one.calls[-1].frame.cls, "shop.Raw")
    c.send(frame(2, cls="shop.Other", fields=[]))
    is_(c.answer(2).status, NO_PROCESSOR)


@case
def headers_pass_byte_for_byte():
    fresh()
    c = BoltClient()
    head = pairs_pack(SERVICE + [("a", "1"), ("a", "2"), ("", ""), ("empty", ""), (None, "x"), ("null", None)])
    c.send(frame(1, head=head, body=b"b"))
    c.answer(1)
    is_(one.calls[-1].frame.head, head)


@case
def a_wrong_checksum_ends_the_connection():
    fresh()
    c = BoltClient()
    c.send(frame(1, version=2, crc=True, body=body(1000), crc_bits=1))
    ended(c)
    eventually(lambda: "checksum of a bolt frame is wrong" in open(LOG).read())
    is_(one.calls, [], "the host has not seen it")
    c = BoltClient()
    c.send(frame(1, version=2, crc=True, body=body(BIG), crc_bits=1))
    assert c.closed()
    lives()
    eventually(lambda: one.open == 1)
    is_([x.body for x in one.calls], [b"alive"], "nor the long one, whole")


@case
def a_wrong_checksum_of_a_host():
    fresh()

    def wrong(call):
        call.conn.send(Bolt(ANSWER, call.id, version=2, crc=True, body=body(1000), crc_bits=1).pack())
    one.on["wrong"] = wrong
    c = BoltClient(version=2, crc=True)
    is_(c.ask("shop", "wrong", timeout=60000).status, NO_PROCESSOR)
    lives(c)

    def long(call):
        call.conn.send(Bolt(ANSWER, call.id, version=2, crc=True, body=body(BIG), crc_bits=1).pack())
    one.on["long"] = long
    c.call("shop", "long", timeout=60000)
    c.left()
    lives()


@case
def a_header_map_that_makes_no_sense():
    fresh()
    c = BoltClient()
    c.send(frame(1, head=b"\0\0\0\7servic", body=b"x") + frame(2, body=b"y"))
    is_(c.answer(1).status, CODEC)
    is_(c.answer(2).body, b"y")
    c.send(Bolt(ONEWAY, 3, head=b"\0").pack())
    lives(c)
    is_((c.answers, len(one.calls)), ({}, 2))
    recorded("header map that does not fit its length", 2)


@case
def contents_over_their_limit():
    fresh()
    c = BoltClient()
    c.send(frame(1, sizes=(0, 0, LIMIT_BYTES + 1), cls="", fields=[]))
    is_(c.answer(1).status, CODEC, "before any of it is there")
    for _ in range(64):
        c.send(bytes(1 << 20))
    c.send(b"x")
    lives(c)
    recorded("content over its size limit", 1)

    def large(call):
        call.conn.send(Bolt(ANSWER, call.id, cls="", sizes=(0, 0, LIMIT_BYTES + 1)).pack())
        for _ in range(64):
            call.conn.send(bytes(1 << 20))
        call.conn.send(b"x")
    one.on["large"] = large
    was = one.open
    assert c.ask("shop", "large", timeout=60000).status not in (SUCCESS, TIMEOUT)
    lives(c)
    is_(one.open, was, "the host's connection lives")


@case
def what_is_no_bolt_ends_the_connection():
    fresh()
    for data in b"GET / HTTP/1.1\r\n\r\n", b"\1\3\0\1" + bytes(18), b"\1\1\0\x63" + bytes(18), Bolt(ANSWER, 1).pack():
        c = BoltClient()
        c.send(data)
        ended(c)
    lives()


@case
def a_host_that_speaks_nonsense():
    fresh()
    c = BoltClient()
    for data in b"HTTP/1.1 200 OK\r\n\r\n", b"\1\3\0\1" + bytes(18), b"\1\0\0\x63" + bytes(18):
        one.on["odd"] = lambda call: call.conn.send(data)
        is_(c.ask("shop", "odd", timeout=60000).status, NO_PROCESSOR)
        lives(c)


@case
def requests_of_a_host_are_refused():
    fresh()
    got = []

    def asks(call):
        call.conn.send(frame(77, body=b"you?"))
        call.answer()
    one.on["asks"] = asks
    one.aside, was = lambda line, f: got.append((f.id, f.status)), one.aside
    lives(c := BoltClient())
    is_(c.ask("shop", "asks", timeout=60000).status, SUCCESS)
    eventually(lambda: got == [(77, NO_PROCESSOR)])
    one.aside = was
    one.beat()
    eventually(lambda: one.acks == one.open)


@case
def idle_hosts_are_asked_whether_they_live():
    for version in 1, 2:
        c = BoltClient(version=version)
        is_(c.ask("idle", "x").status, SUCCESS)
        seen, was = [], idle.aside
        idle.aside = lambda line, f: (seen.append(f.version), was(line, f))
        # A machine that is busy for so long that it closes for want of an answer may try again.
        eventually(lambda: seen or (not idle.open and not c.ask("idle", "x")))
        idle.aside = was
        is_(set(seen), {version})
    idle.answers_beats = False
    eventually(lambda: not idle.open)
    idle.answers_beats = True
    is_(c.ask("idle", "x").status, SUCCESS)
    is_(one.wrong + idle.wrong, [])


@case
def clients_are_told_to_go_where_the_listener_says():
    fresh()
    one.on["hold"] = hold
    for port, told in ((8081, 1), (8082, 0)):
        c = BoltClient(port)
        n = c.call("shop", "hold", b"x", timeout=60000)
        eventually(lambda: one.held)
        while c.gone < told:
            c.step()
        one.let_go()
        is_((c.answer(n).body, c.gone), (b"x", told), "what is under way is answered")
        assert c.closed(), c.buf


LOG, ACCESS = sys.argv[1:3]
run(sys.argv[3:])
PY

weftd_start
PYTHONPATH=$SRC/test/lib python3 "$T/frames.py" "$T/weftd.log" "$T/access.log" "$@" || failed=1
weftd_stop
[ -z "${failed:-}" ]
