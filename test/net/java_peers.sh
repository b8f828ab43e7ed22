#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Java peers of the RPC tests by themselves: bolt's and Dubbo's own libraries with nothing between, and with the raw rig.
. "$(dirname "$0")/../lib/java_tool.sh"
PEERS=$(java_tool peers) || exit 1
export PEERS
. "$(dirname "$0")/../lib/net.sh"
export T
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
from java_peers import *
from rpc_rig import *

hosts, caller = Jvm("hosts.log"), Jvm("caller.log")
hosts.ask("bolt.listen", port=9001, name="a")
hosts.ask("dubbo.listen", port=9002, name="a", group="g", version="1.0")
hosts.ask("dubbo.listen", port=9003, name="few", threads=1)
BOLT = {"port": 9001, "service": "shop:1.0", "method": "buy"}
DUBBO = {"port": 9002, "group": "g", "version": "1.0"}


@case
def bolt_calls_of_every_kind():
    for raw in (False, True):
        for protocol, version, crc in ((1, 1, False), (2, 1, False), (2, 2, False), (2, 2, True)):
            for kind in ("sync", "future", "callback", "oneway"):
                r = caller.ask("bolt.call", kind=kind, protocol=protocol, version=version, crc=crc, raw=raw, n=10, inflight=5,
                               size=100, **BOLT)
                all_well(r, 10, f"{kind} of protocol {protocol}, version {version}, CRC {crc}, raw {raw}")


@case
def bolt_failures():
    for does, error in (("throw", "InvokeServerException"), ("busy", "InvokeServerBusyException")):
        is_(caller.ask("bolt.call", does=does, **BOLT)["errors"], {error: 1})
    # By a client of its own: the next call may still take the connection that goes.
    is_(caller.ask("bolt.call", does="close", connections=3, **BOLT)["errors"], {"ConnectionClosedException": 1})
    is_(caller.ask("bolt.call", does="silent", timeout=100, **BOLT)["errors"], {"InvokeTimeoutException": 1})


@case
def bolt_thousand_at_once():
    t = caller.begin("bolt.call", does="hold", kind="future", n=1000, inflight=1000, size=1000, **BOLT)
    hosts.ask("bolt.await", port=9001, what="held", n=1000)
    hosts.ask("bolt.release", port=9001)
    all_well(caller.end(t), 1000)


@case
def bolt_large_bodies():
    for size in (1, 100000, 10 << 20):
        all_well(caller.ask("bolt.call", size=size, **BOLT), 1, f"{size} bytes")


@case
def dubbo_calls_of_every_kind():
    for kind in ("sync", "async", "future", "oneway", "generic"):
        r = caller.ask("dubbo.call", kind=kind, n=10, inflight=5, size=100, attachments={"x": "1"}, **DUBBO)
        all_well(r, 10, kind)
    hosts.ask("dubbo.await", port=9002, what="oneway", n=10)
    is_(hosts.ask("dubbo.counts", port=9002)["headers"]["x"], "1")


@case
def dubbo_failures():
    is_(caller.ask("dubbo.call", does="throw", **DUBBO)["errors"], {"IllegalStateException": 1})
    is_(caller.ask("dubbo.call", port=9002)["errors"], {"Network": 1}, "no such service")
    is_(caller.ask("dubbo.call", does="silent", timeout=100, **DUBBO)["errors"], {"Timeout": 1})
    t = caller.begin("dubbo.call", port=9003, does="block")
    hosts.ask("dubbo.await", port=9003, what="held", n=1)
    r = caller.ask("dubbo.call", port=9003)
    assert "EXHAUSTED" in r["messages"]["Network"], r
    hosts.ask("dubbo.release", port=9003)
    all_well(caller.end(t), 1)


@case
def dubbo_large_bodies():
    for size in (1, 100000, 8 << 20):
        all_well(caller.ask("dubbo.call", size=size, **DUBBO), 1, f"{size} bytes")


@case
def raw_client_and_java_host():
    for kind in ({}, {"version": 2}, {"version": 2, "crc": True}):
        a = BoltClient(9001, **kind).ask("shop:1.0", "buy", b"body")
        is_((a.status, a.body, a.host), (SUCCESS, b"body", "a"))
    c = BoltClient(9001)
    c.beat()
    is_(c.ask("shop:1.0", "buy", fields={"does": "busy"}).status, BUSY)
    is_(c.ask("shop:1.0", "buy", fields={"does": "throw"}).status, EXCEPTION)
    is_(hosts.ask("bolt.counts", port=9001)["heartbeats"], 1)
    c = DubboClient(9002)
    c.beat()
    a = c.ask("g/weft.peers.Shop:1.0", "ask", args=["echo", b"body"])
    is_((a.status, a.body["body"], a.body["host"], a.host), (OK, b"body", "a", "a"))
    a = c.ask("g/weft.peers.Shop:1.0", "ask", args=["throw", b""])
    is_((a.kind, a.body["class"]), (0, "java.lang.IllegalStateException"))


@case
def java_client_and_raw_host():
    host = BoltHost(9004, "raw")
    for protocol, version, crc in ((1, 1, False), (2, 1, False), (2, 2, True)):
        r = caller.ask("bolt.call", port=9004, service="shop", method="buy", protocol=protocol, version=version, crc=crc, size=100)
        is_((r["ok"], r["wrong"]), ({"raw": 1}, 0))
        is_((host.calls[-1].service, host.calls[-1].method, host.calls[-1].frame.crc), ("shop", "buy", crc))
    # Why weft does not say it unless told to: the library knows no such command.
    host.on["buy"] = hold
    t = caller.begin("bolt.call", port=9004, service="shop", method="buy", connections=3)
    eventually(lambda: host.held)
    host.goaway()
    is_(caller.end(t)["errors"], {"ConnectionClosedException": 1})
    host = DubboHost(9005, "raw")
    host.on["words"] = lambda call: call.answer(body=":".join(["raw", call.args[2][0], str(call.args[2][1]), "{k=v}"]))
    host.on["$invoke"] = host.on["words"]
    all_well(caller.ask("dubbo.call", port=9005, kind="generic", group="g"), 1)
    is_(host.calls[0].service, "g/weft.peers.Shop")
    is_(host.wrong, [])


run()
PY
