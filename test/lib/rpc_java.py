# SPDX-License-Identifier: Apache-2.0
"""The cases of rpc_java.sh: the same for bolt and Dubbo, and those of one of them alone."""
import subprocess

from java_peers import *
from rpc_rig import *

PROTO, T = os.environ["PROTO"], os.environ["T"]
BOLT = PROTO == "bolt"
# Both versions, without checksum and with.
SORTS = ({}, {"protocol": 2}, {"protocol": 2, "version": 2}, {"protocol": 2, "version": 2, "crc": True}) if BOLT else ({},)
KINDS = ("sync", "future", "callback", "oneway") if BOLT else ("sync", "async", "future", "oneway", "generic")
QUICK = "callback" if BOLT else "async"         # many at once without a thread each
FOUND_BUSY, FOUND_LATE, FOUND_GONE = ("InvokeServerBusyException", "InvokeTimeoutException", "InvokeException") if BOLT else \
    ("Network", "Timeout", "Network")
TLS = {"cert": f"{T}/host.crt", "key": f"{T}/host.key", "ca": f"{T}/ca.crt"}
# The caller's heartbeats go to weft and are answered there; it never gives up for late ones.
hosts, mortal = Jvm("hosts.log"), Jvm("mortal.log")
caller = Jvm("caller.log", bolt_tcp_heartbeat_interval=100, bolt_tcp_heartbeat_maxtimes=1000000)


def host(verb, port, **what):
    return hosts.ask(f"{PROTO}.{verb}", port=port, **what)


for port, name, more in ((9001, "a", {}), (9002, "b", {}), (9003, "stranger", {"stranger": True}), (9004, "safe", TLS)):
    host("listen", port, name=name, **more)
mortal.ask(f"{PROTO}.listen", port=9005, name="mortal")
if not BOLT:
    host("listen", 9006, name="few", threads=1)
    host("listen", 9007, name="grouped", group="g", version="2.0")


def begin(rule, port=8080, headers=None, **what):
    own = {"service": "shop:1.0", "method": "buy", "headers": {"case": rule, **(headers or {})}} if BOLT else \
        {"attachments": {"case": rule, **(headers or {})}}
    return caller.begin(f"{PROTO}.call", port=port, **{**own, **what})


def call(*args, **what):
    return caller.end(begin(*args, **what))


def counts(does):
    """Calls of that kind at a and b."""
    return [host("counts", p)["calls"].get(does, 0) for p in (9001, 9002)]


def clear():
    for port in 9001, 9002:
        host("clear", port)


@case
def calls_of_every_kind():
    clear()
    for sort in SORTS:
        for kind in KINDS:
            all_well(call("both", kind=kind, n=20, inflight=5, size=100, **sort), 20, f"{kind} {sort}")
    all_well(call("both", kind="sync", n=100, inflight=20, size=100, connections=8), 100, "over 8 connections")
    many = 80 if BOLT else 20
    eventually(lambda: sum(counts("oneway")) >= many)
    is_(sum(counts("oneway")), many)


@case
def a_thousand_at_once_over_one_connection():
    for sort in SORTS[0], SORTS[-1]:
        t = begin("one", does="hold", kind="future", n=1000, inflight=1000, size=1000, **sort)
        host("await", 9001, what="held", n=1000)
        is_(host("release", 9001)["released"], 1000)
        all_well(caller.end(t), 1000)


@case
def bodies_of_every_size():
    for size in (0, 1, 1000, 65536, 900000):
        all_well(call("both", kind="sync", n=2, size=size), 2, f"{size} bytes")
    # Attachments of Dubbo lie behind the arguments: those of frames above 1 MiB are not read, and route nothing.
    for size in (1 << 20, (10 if BOLT else 8) << 20):
        all_well(call("both", port=8081, kind="sync", n=2, size=size, **SORTS[-1]), 2, f"{size} bytes")
    large = [begin("one", port=8081, kind="sync", n=3, size=3 << 20), begin("one", kind=QUICK, n=20, inflight=10, size=100000)]
    all_well(call("one", kind=QUICK, n=500, inflight=50, size=100), 500, "small ones beside")
    for t, n in zip(large, (3, 20)):
        all_well(caller.end(t), n, "large ones")


@case
def failures_are_what_the_host_said():
    is_(call("one", does="throw")["errors"], {"InvokeServerException" if BOLT else "IllegalStateException": 1})
    if BOLT:
        is_(call("one", does="busy")["errors"], {FOUND_BUSY: 1})
    r = call("one", does="close")
    is_((r["ok"], sum(r["errors"].values())), ({}, 1))
    all_well(call("one"), 1, "the caller's connection is still good")
    is_(call("dead")["errors"], {FOUND_BUSY: 1})
    is_(call("nowhere")["errors"], {FOUND_GONE: 1})


@case
def tries_are_as_many_as_the_route_says():
    clear()
    is_(sum(call("again", does="close")["errors"].values()), 1)
    is_(sum(counts("close")), 3, "one and two again")
    if BOLT:
        is_(call("again", does="busy")["errors"], {FOUND_BUSY: 1})
        is_(sum(counts("busy")), 3)
    clear()
    r = call("retry", n=20, kind="sync")
    all_well(r, 20)
    is_((r["ok"], counts("echo")), ({"a": 20}, [20, 0]), "what the stranger does not know goes to a")


@case
def time_is_up_by_weft():
    """The caller itself would wait for a minute."""
    r = call("short", does="hold", kind="sync")
    is_(r["errors"], {FOUND_LATE: 1})
    assert r["ms"] < 50000, r
    if BOLT:
        r = call("one", does="hold", kind="sync", frameTimeout=200)
        is_(r["errors"], {FOUND_LATE: 1})
        assert r["ms"] < 50000, r
    else:
        r = call("one", does="hold", kind="sync", headers={"timeout": "200"})
        is_(r["errors"], {FOUND_LATE: 1})
        assert r["ms"] < 50000, r
    was = metric("weft_http_late_answers_total")
    is_(host("release", 9001)["released"], 2)
    eventually(lambda: metric("weft_http_late_answers_total") == was + 2)
    all_well(call("one"), 1, "the host's connection is still good")


@case
def failing_hosts_are_left_out():
    eventually(lambda: call("judged", n=20, kind="sync", inflight=4)["errors"] == {})
    eventually(lambda: metric("weft_outlier_ejections_in_a_row_total") >= 1)
    r = call("judged", n=50, kind="sync", inflight=4)
    is_((r["ok"], r["errors"]), ({"b": 50}, {}))


@case
def parts_of_a_cluster_by_header():
    is_(call("subset", n=10, headers={"zone": "blue"})["ok"], {"b": 10})
    is_(call("subset", n=10, headers={"zone": "red"})["ok"], {"a": 10})


@case
def clusters_by_weight():
    got = call("weights", n=400, kind=QUICK, inflight=20)
    is_(got["errors"], {})
    assert 40 <= got["ok"]["b"] <= 180, got


@case
def routed_by_service_and_method():
    if BOLT:
        is_(call("", port=8081, service="shop:1.0", method="buy")["ok"], {"b": 1})
        is_(call("", port=8081, service="shop:1.0", method="sell")["ok"], {"a": 1})
        is_(call("", port=8081, service="shop:2.0", method="buy")["errors"], {FOUND_GONE: 1})
    else:
        is_(call("", port=8081, kind="async")["ok"], {"b": 1}, "method later")
        is_(call("", port=8081)["ok"], {"a": 1})
        is_(call("", port=8081, group="g", version="2.0")["ok"], {"grouped": 1})
        is_(call("", port=8081, group="g", version="3.0")["errors"], {FOUND_GONE: 1})


@case
def any_protocol_on_one_port():
    """By its first bytes, with TLS and without."""
    for kind in KINDS:
        all_well(call("both", port=8082, kind=kind, n=5, size=1000), 5, kind)
        all_well(call("both", port=8082, kind=kind, n=5, size=1000, **TLS), 5, kind)


@case
def tls_from_callers_and_to_hosts():
    for size in 100, 500000:
        all_well(call("safe", kind="sync", n=5, size=size), 5, "to a host that wants a certificate")
        all_well(call("both", kind="sync", n=5, size=size, port=8443, **TLS), 5, "from a caller with one")
        all_well(call("safe", kind="sync", n=5, size=size, port=8443, **TLS), 5, "both")
    assert call("both", port=8443)["errors"], "a caller without TLS is refused"


@case
def heartbeats_both_ways():
    all_well(call("beats"), 1)
    if BOLT:
        host("await", 9002, what="heartbeats", n=2)
        caller.ask("bolt.acks", n=2)
    else:
        t = begin("beats", does="hold")
        host("await", 9002, what="held", n=1)
        hosts.ask("dubbo.beats", what="heartbeats", n=2)
        host("release", 9002)
        all_well(caller.end(t), 1)
        all_well(call("one", heartbeat=200), 1)
        caller.ask("dubbo.beats", what="acks", n=2)


@case
def reload_under_load_loses_nothing():
    loads = [begin("both", kind=kind, n=0, inflight=16, size=2000, name=kind, connections=2) for kind in ("sync", QUICK)]
    for i in range(5):
        clear()
        eventually(lambda: sum(counts("echo")) > 200)
        change(i)
    for kind, t in zip(("sync", QUICK), loads):
        caller.ask("load.stop", name=kind)
        r = caller.end(t)
        all_well(r, sum(r["ok"].values()), kind)


def change(i):
    """A reload that is taken."""
    text = open(f"{T}/weft.yaml").read().replace(f'"127.0.0.1:{10 + i}"', f'"127.0.0.1:{11 + i}"')
    with open(f"{T}/weft.yaml.new", "w") as f:
        f.write(text)
    os.rename(f"{T}/weft.yaml.new", f"{T}/weft.yaml")
    subprocess.run([os.environ["B"] + "/weft", "reload"], check=True, stdout=subprocess.DEVNULL)


@case
def a_host_killed_under_load_loses_nothing():
    t = begin("mortal", kind=QUICK, n=0, inflight=32, size=2000, name="mortal")
    mortal.ask(f"{PROTO}.await", port=9005, what="calls", n=500)
    clear()
    mortal.kill()
    host("await", 9001, what="calls", n=500)
    caller.ask("load.stop", name="mortal")
    r = caller.end(t)
    all_well(r, sum(r["ok"].values()))
    is_(sorted(r["ok"]), ["a", "mortal"])


def bolt_without_header_map():
    """A class name is the service."""
    for kind in KINDS:
        all_well(call("", port=8081, service="", raw=True, kind=kind, n=5, size=1000), 5, kind)
    eventually(lambda: any(r["service"] == "weft.peers.Bean" for r in log_lines()))


def dubbo_exhausted_is_busy():
    t = begin("few", does="block")
    host("await", 9006, what="held", n=1)
    r = call("few")
    assert "EXHAUSTED" in r["messages"][FOUND_BUSY], r
    all_well(call("spare", n=10), 10, "another host has room")
    host("release", 9006)
    all_well(caller.end(t), 1)


def dubbo_readonly_hosts_get_no_more():
    """The provider says that it goes: new calls have another connection, those under way are answered."""
    t = begin("one", does="hold")
    host("await", 9001, what="held", n=1)
    host("readonly", 9001)
    all_well(call("one", n=10), 10)
    host("release", 9001)
    all_well(caller.end(t), 1)


for own in (bolt_without_header_map,) if BOLT else (dubbo_exhausted_is_busy, dubbo_readonly_hosts_get_no_more):
    case(own)


@case
def calls_under_way_end_before_weft_does():
    t = begin("one", does="hold", n=10, inflight=10, kind=QUICK)
    host("await", 9001, what="held", n=10)
    beside = PEERS[PROTO][1](8080)
    os.kill(int(os.environ["WEFTD"]), 15)
    try:
        while True:
            beside.step()
    except EOFError:
        is_(beside.gone, 0 if BOLT else 1, "Java's bolt library would end the connection on a goaway, so it is said to nobody")
    is_(host("release", 9001)["released"], 10)
    all_well(caller.end(t), 10)


run(sys.argv[1:])
