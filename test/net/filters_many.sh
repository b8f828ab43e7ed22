#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Filters of a listener over protocols that carry many requests at once: HTTP/2 with its resets and windows, gRPC with its
# status and trailers, bolt with its frames; a reload that changes filters under open connections and requests.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"
PY=/usr/bin/python3                             # Debian's, whose package python3-grpcio is
$PY -c 'import grpc, hpack' 2> /dev/null || skip "python3-grpcio or python3-hpack is not installed"
plugin_build "$SRC/test/plugins/filter_probe.c"
conf() {  # filters
	cat > "$T/next.yaml" <<-YAML
	workers: 2
	kernel: {mode: off}
	plugins: [{path: $PLUGINS/filter_probe.so}]
	telemetry: {accessLog: [{path: $T/access.json, format: json}]}
	listeners:
	- {name: web, address: "127.0.0.1:8080", filters: [$1], routes: [{rules: [{backends: [{cluster: h1}]}]}]}
	- {name: two, address: "127.0.0.1:8081", filters: [$1], routes: [{rules: [{backends: [{cluster: h2}]}]}]}
	- {name: rpc, address: "127.0.0.1:8082", protocol: bolt, filters: [$1], routes: [{rules: [{backends: [{cluster: bolt}]}]}]}
	clusters:
	- {name: h1, endpoints: [{address: "127.0.0.1:9001"}]}
	- {name: h2, protocol: http2, endpoints: [{address: "127.0.0.1:9002"}]}
	- {name: bolt, endpoints: [{address: "127.0.0.1:9003"}]}
	YAML
}
conf "{type: probe, tag: first}"
mv "$T/next.yaml" "$T/weft.yaml"
conf "{type: probe-two, tag: second}, {type: probe, tag: third}"
weftd_start
export T
PYTHONPATH=$SRC/test/lib $PY - <<'PY'
import http2_rig as two
import grpc_rig as grpc
from http_rig import *
from rpc_rig import BoltClient, BoltHost

h1, h2, bolt = Host(9001), two.Host2(9002), BoltHost(9003)
INTERNAL = two.INTERNAL


def words(w):
    return [("x-probe", w)]


def post(c, w, body=b"body"):
    """The answer may come before the body has gone."""
    s = c.ask("/x", method="POST", end=False, headers=words(w))
    try:
        c.data(s, body)
    except ConnectionResetError:
        pass
    return c.answer(s)


@case
def http2_each_part():
    c = two.Client2(8081)
    h2.on["/parts"] = lambda k, r: k.reply(r, b"hello", trailers=[("t", "v")])
    a = c.get("/parts", method="POST", body=b"body", headers=words("qb:up,rb:up,rt:set:t=w"))
    is_((a.status, bytes(a.body), one(a.trailers, "t"), bytes(h2.requests[-1].body)), (200, b"HELLO", "w", b"BODY"))
    assert a.get("x-seen-probe") in ("first:,q,qb4e,r", "first:,q,qb4,qb0e,r"), a.fields
    for w, status in ("q:reply:418", 418), ("q:collect:9,qb:reply:401", 401), ("r:reply:500", 500), ("q:collect:3", 413), ("q:wait:9,q:then:reply", 418):
        a = post(c, w)
        is_((a.status, a.ended), (status, True), w)
    for w in "q:reset", "qb:reset", "r:reset", "q:wait:5,q:then:reset":
        is_(post(c, w).reset, INTERNAL, w)
    is_(c.get("/x", headers=words("")).status, 200, "the others live on")


@case
def http2_slow_filters_hold_windows():
    """Many at once on one connection, each held back by a filter: nobody waits for another, all of it comes."""
    size = 600 << 10
    body = os.urandom(size)
    h2.on["/echo"] = lambda k, r: k.reply(r, bytes(r.body))
    c = two.Client2(8081)
    for _ in range(2):
        streams = []
        for w in ["qb:wait:4", "rb:wait:4", "q:collect:700000,qb:wait:30", "r:collect:700000", "qb:wait:4,rb:wait:4"]:
            streams.append(c.ask("/echo", method="POST", body=body, headers=words(w)))
            is_(c.get("/quick", headers=words("")).status, 200)
        for s in streams:
            a = c.answer(s)
            is_((a.status, bytes(a.body) == body), (200, True))


@case
def http2_clients_that_reset():
    eventually(lambda: metric("weft_filter_active") == 0)
    c = two.Client2(8081)
    streams = [c.ask("/gone", method="POST", body=b"x", end=False, headers=words(w))
               for w in ("q:wait:60000", "qb:wait:60000", "q:collect:99") for _ in range(5)]
    eventually(lambda: metric("weft_filter_active") == len(streams))
    for s in streams:
        c.send(two.rst(s, two.CANCEL))
    eventually(lambda: metric("weft_filter_active") == 0)
    is_(c.get("/alive", headers=words("")).status, 200)


@case
def grpc_callers_get_a_status():
    h1.on["/s.S/Get"] = grpc.says(b"one", b"two")
    call = lambda w, **more: grpc.call("/s.S/Get", metadata=words(w), **more)
    r = call("rb:wait:5,rt:wait:5")
    is_((r.code, r.messages), ("OK", [b"one", b"two"]))
    r = call("q:reply:401")
    is_((r.code, r.details, r.metadata.get("x-by") or r.trailers.get("x-by")), ("UNAUTHENTICATED", "probed", "probe"))
    is_(call("qb:reply:429").code, "UNAVAILABLE")
    is_(call("r:reply:403").code, "PERMISSION_DENIED")
    is_(call("q:wait:60000", timeout=0.3).code, "DEADLINE_EXCEEDED")
    h1.on["/s.S/Missing"] = h1.on["/s.S/Get"]
    is_(grpc.call("/s.S/Missing", metadata=words("rt:set:grpc-status=5")).code, "NOT_FOUND")
    is_(logged("/s.S/Missing")["grpc_status"], "not-found")
    is_(call("rb:reset").code not in ("OK",), True)
    is_(call("q:collect:100,qb:wait:3,r:wait:3").messages, [b"one", b"two"])


@case
def bolt_frames():
    c = BoltClient(8082)
    ask = lambda w, body=b"body": c.ask("shop", "Get", body, [("x-probe", w)])
    a = ask("")
    is_((a.status, a.body), (0, b"body"))
    is_(ask("qb:up").body, b"BODY", "a short frame may be changed")
    is_(ask("qb:add:-and-more").body, b"body-and-more", "in length, too")
    is_(ask("rb:add:!").body, b"body!")
    is_(ask("q:wait:5,qb:wait:5,r:wait:5,rb:wait:5").body, b"body")
    before = len(bolt.requests)
    assert ask("q:reply:503").status not in (None, 0)
    assert ask("qb:reply:401").status not in (None, 0)
    is_(len(bolt.requests), before)
    assert ask("r:reply:500").status not in (None, 0)
    big = os.urandom(300000)
    is_(ask("qb:wait:2,rb:wait:2", big).body == big, True, "a long one goes on as it comes")
    is_(ask("q:collect:400000,qb:add:x", big).body == big + b"x", True, "and may change where it is collected")


@case
def a_reload_changes_filters_under_open_connections():
    keep, many, waits = Client(8080), two.Client2(8081), Client(8080)
    is_(keep.ask("/one", headers="x-probe: \r\n").get("x-seen-probe"), "first:,q,r")
    waits.send("GET /waits HTTP/1.1\r\nHost: a\r\nx-probe: q:wait:1500\r\n\r\n")
    slow = many.ask("/slow", headers=words("r:wait:1500"))
    eventually(lambda: metric("weft_filter_active") == 2)
    log = os.environ["T"] + "/weftd.log"
    os.rename(os.environ["T"] + "/next.yaml", os.environ["T"] + "/weft.yaml")
    eventually(lambda: "snapshot 2 adopted by 2 workers" in open(log).read())
    r = keep.ask("/one", headers="x-probe: \r\n")
    is_((r.get("x-seen-probe"), r.get("x-seen-probe-two")), ("third:,q,r", "second:,q,r"), "the same connection")
    is_(many.get("/one", headers=words("")).get("x-seen-probe"), "third:,q,r")
    is_(waits.response().get("x-seen-probe"), "first:,q,r", "a request ends with what it began with")
    is_(many.answer(slow).get("x-seen-probe"), "first:,q,r")
    eventually(lambda: open(log).read().count("probe worker of first ends") == 6)


run()
PY
weftd_stop
