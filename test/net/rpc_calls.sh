#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Calls of RPC protocols through several workers by raw peers: routes, the same number from many clients, order, oneway, timeouts,
# retries, ejection, limits, long bodies, slow peers, hosts that go, reload, drain. The same cases for each protocol; rpc_calls_pong.sh
# has them for one without numbers.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"
plugin_build "$SRC/test/plugins/proto_pong.c"

# protocol, listener's port, hosts' ports
config() {
	cat <<YAML
workers: 3
kernel: {mode: off}
plugins: [{path: $PLUGINS/proto_pong.so}]
listeners:
- {name: calls, address: "127.0.0.1:8080", protocol: $1, routes: [calls]}
- {name: several, address: "127.0.0.1:8081", protocol: $1, detect: [http], routes: [calls, web]}
- {name: any, address: "127.0.0.1:8082", protocol: auto, routes: [calls, web]}
- {name: web, address: "127.0.0.1:8083", protocol: http, routes: [web]}
routes:
- name: web
  rules: [{matches: [{path: {value: /}}], backends: [{cluster: web}]}, {matches: [{path: {value: /rpc}}], backends: [{cluster: one}]}]
- name: calls
  rules:
  - {matches: [{service: {value: shop}, rpcMethod: {value: special}}], backends: [{cluster: two}]}
  - {matches: [{service: {value: shop}, headers: [{name: x-user, value: bob}]}], backends: [{cluster: two}]}
  - {matches: [{service: {value: shop}}], backends: [{cluster: one}], timeouts: {request: 300s}}
  - {matches: [{service: {value: both}}], backends: [{cluster: both}]}
  - {matches: [{service: {value: subset}, headers: [{name: v, value: "2"}]}], backends: [{cluster: both, subset: {v: "2"}}]}
  - {matches: [{service: {value: short}}], backends: [{cluster: one}], timeouts: {request: 300ms}}
  - {matches: [{service: {value: hash}}], backends: [{cluster: hashed}], hash: [{header: x-user}]}
  - matches: [{service: {value: again}}]
    backends: [{cluster: both}]
    retry: {attempts: 3, on: [5xx], backoff: 1ms, budget: {percent: 100, minPerSecond: 1000}}
  - {matches: [{service: {value: bad}}], backends: [{cluster: judged}]}
  - {matches: [{service: {value: asked}}], backends: [{cluster: asked}]}
  - {matches: [{service: {value: full}}], backends: [{cluster: full}]}
  - {matches: [{service: {value: dead}}], backends: [{cluster: dead}]}
  - {matches: [{service: {value: wrong}}], backends: [{cluster: web}]}
  - matches: [{service: {value: change}}]
    filters: [{type: RequestHeaderModifier, set: [{name: x-mesh, value: weft}], remove: [x-drop]}]
    backends: [{cluster: one}]
clusters:
- {name: one, protocol: $1, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: two, endpoints: [{address: "127.0.0.1:9002"}]}
- {name: both, protocol: $1, loadBalancer: round-robin, endpoints: [{address: "127.0.0.1:9001", metadata: {v: "1"}}, {address: "127.0.0.1:9002", metadata: {v: "2"}}]}
- {name: hashed, protocol: $1, loadBalancer: maglev, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}]}
- {name: judged, protocol: $1, loadBalancer: round-robin, panicThreshold: 0, outlierDetection: {consecutive5xx: 3, maxEjectionPercent: 100, baseEjection: 1h}, endpoints: [{address: "127.0.0.1:9003"}, {address: "127.0.0.1:9004"}]}
- {name: full, protocol: $1, connectionPool: {maxRequests: 1, maxPending: 0}, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: dead, protocol: $1, endpoints: [{address: "127.0.0.1:9"}]}
- {name: asked, protocol: $1, panicThreshold: 0, endpoints: [{address: "127.0.0.1:9003"}, {address: "127.0.0.1:9004"}], healthCheck: {type: heartbeat, interval: 100ms, timeout: 20s, unhealthyThreshold: 1, healthyThreshold: 1}}
- {name: web, protocol: http, endpoints: [{address: "127.0.0.1:9005"}]}
telemetry: {accessLog: [{path: $T/access.log, format: json}]}
YAML
}

cat > "$T/calls.py" <<'PY'
import subprocess

import rpc_rig
from rpc_rig import *

name = sys.argv[1]
RpcHostOf, ClientOf = PEERS[name]
BUSY, GOOD = BUSY_WORD[name], GOOD_WORD[name]
one, two, third, fourth = RpcHostOf(9001, "one"), RpcHostOf(9002, "two"), RpcHostOf(9003, "third"), RpcHostOf(9004, "fourth")
hosts = one, two, third, fourth
web = rpc_rig.Host(9005)
TEXT = name == "dubbo"
BIG = 1200000 if TEXT else 3 << 20    # a rig in Python takes its time for strings


def body(n, seed=0):
    unit = bytes((i * 7 + seed) % 251 for i in range(251))
    return "".join(chr(97 + (i + seed) % 26) for i in range(26)) * (n // 26 + 1) if TEXT else (unit * (n // 251 + 1))[:n]


def fresh():
    for h in hosts:
        h.forget()
        h.on.clear()


def lines():
    """What the access log has so far; of the last line perhaps only a part."""
    with open(LOG) as f:
        return [json.loads(x) for x in f.read().split("\n")[:-1]]


def good(a):
    """The word of the protocol for success."""
    return a.status == GOOD


@case
def routed_by_service_method_and_header():
    fresh()
    c = ClientOf()
    is_(c.ask("shop", "buy", body(10)).host, "one")
    is_(c.ask("shop", "special", body(10)).host, "two")
    is_(c.ask("shop", "buy", body(10), fields={"x-user": "bob"}).host, "two", "by header; the cluster speaks what the caller does")
    is_(c.ask("shop", "buy", body(10), fields={"x-user": "eve"}).host, "one")
    is_([h.wrong for h in hosts], [[]] * 4)


@case
def no_route_is_answered_and_the_connection_lives():
    c = ClientOf()
    a = c.ask("nobody", "x", body(10))
    assert not good(a), a.status
    is_(c.ask("shop", "buy", body(10)).host, "one")
    eventually(lambda: any(r["service"].startswith("nobody") and r["flags"] == "NR" for r in lines()))


@case
def bodies_of_all_sizes():
    fresh()
    c = ClientOf()
    for n in (0, 1, 100, 4095, 4096, 16384, 65535, 65536, 65537, 200000, BIG):
        b = body(n, n)
        is_(c.ask("shop", "buy", b).body, b, f"{n} bytes")
    is_(one.wrong, [])


@case
def a_thousand_at_once_answered_in_reverse():
    fresh()
    one.on["hold"] = hold
    c = ClientOf()
    asked = {c.call("shop", "hold", body(100, i), timeout=60000): i for i in range(1000)}
    eventually(lambda: len(one.held) == 1000)
    one.let_go()
    for number, i in asked.items():
        is_(c.answer(number).body, body(100, i))
    is_(one.wrong, [])


@case
def clients_with_the_same_numbers_are_told_apart():
    fresh()
    one.on["hold"] = hold
    clients = [ClientOf() for _ in range(20)]
    for i, c in enumerate(clients):
        for k in range(1, 11):
            c.call("shop", "hold", body(50, i * 100 + k), id=k, timeout=60000)
    eventually(lambda: len(one.held) == 200)
    one.let_go()
    for i, c in enumerate(clients):
        for k in range(1, 11):
            is_(c.answer(k).body, body(50, i * 100 + k))
    is_(one.wrong, [])
    assert one.open <= 2 * 3, f"{one.open} connections for 3 workers"


@case
def oneway_calls_arrive_and_are_not_answered():
    fresh()
    c = ClientOf()
    for i in range(50):
        c.call("shop", "tell", body(100, i), oneway=True)
    c.call("nobody", "tell", body(10), oneway=True)
    is_(c.ask("shop", "buy", body(1)).host, "one")
    eventually(lambda: len(one.oneways) == 50)
    is_(sorted(x.body for x in one.oneways), sorted(body(100, i) for i in range(50)))
    is_(c.answers, {}, "none of them is answered")
    eventually(lambda: metric("weft_rpc_oneways_total") >= 50)
    eventually(lambda: metric("weft_http_active") == 0)


@case
def heartbeats_are_answered_by_weft():
    fresh()
    c = ClientOf()
    was = one.beats
    c.beat()
    c.beat(2147483647)
    is_(one.beats, was)
    is_(c.ask("shop", "buy", body(1)).host, "one")


@case
def the_callers_time_and_the_routes():
    fresh()
    one.on["never"] = silent
    c = ClientOf()
    a = c.ask("shop", "never", body(10), timeout=200)
    assert not good(a), a.status
    b = c.ask("short", "never", body(10), timeout=60000)
    is_(b.status, a.status)
    eventually(lambda: sum(r["flags"] == "DT" and r["status"] == 504 for r in lines()) >= 2)
    is_(c.ask("shop", "buy", body(10)).host, "one", "the connection to the host is still good")


@case
def late_answers_are_dropped():
    fresh()
    one.on["late"] = hold
    c = ClientOf()
    was = metric("weft_http_late_answers_total")
    c.ask("shop", "late", body(10), timeout=200)
    one.let_go()
    eventually(lambda: metric("weft_http_late_answers_total") == was + 1)
    is_(c.ask("shop", "buy", body(10)).host, "one")


@case
def retries_by_status_count_exactly():
    fresh()
    for h in one, two:
        h.on["busy"] = status(BUSY)
    c = ClientOf()
    is_(c.ask("again", "busy", body(100)).status, BUSY)
    is_(len(one.calls) + len(two.calls), 4, "1 and 3 again")
    is_({x.body for x in one.calls + two.calls}, {body(100)})
    one.on["busy"] = echo
    assert good(c.ask("again", "busy", body(100)))


@case
def a_host_that_hangs_up_is_tried_again_where_the_route_says():
    fresh()
    one.on["bye"] = hang_up
    c = ClientOf()
    for i in range(10):
        a = c.ask("again", "bye", body(100, i))
        is_((good(a), a.host), (True, "two"))
    a = c.ask("shop", "bye", body(100))
    assert not good(a), "without a retry the caller is told"
    is_(c.ask("shop", "buy", body(10)).host, "one")


@case
def an_answer_cut_in_its_middle():
    fresh()
    one.on["cut"] = cut(40)
    c = ClientOf()
    assert not good(c.ask("shop", "cut", body(5000)))
    is_(c.ask("shop", "buy", body(10)).host, "one")
    one.on["cut"] = cut(BIG // 2)
    c.call("shop", "cut", body(BIG))
    c.left()        # a long answer has begun: only the end of the connection can say it
    is_(ClientOf().ask("shop", "buy", body(10)).host, "one")


@case
def failing_hosts_are_ejected():
    fresh()
    third.on[""] = status(BUSY)
    clients = [ClientOf() for _ in range(6)]
    eventually(lambda: [c.ask("bad", "x", body(10)) for c in clients] and metric("weft_outlier_ejected") == 1)
    eventually(lambda: all(good(c.ask("bad", "x", body(10))) for c in clients))
    third.forget()
    for c in clients:
        for _ in range(5):
            is_(c.ask("bad", "x", body(10)).host, "fourth")
    is_(third.calls, [])


@case
def checked_by_heartbeats():
    fresh()
    eventually(lambda: third.beats and fourth.beats)
    c = ClientOf()
    eventually(lambda: {c.ask("asked", "x", body(10)).host for _ in range(30)} == {"third", "fourth"})
    third.nonsense = True
    eventually(lambda: {c.ask("asked", "x", body(10)).host for _ in range(30)} == {"fourth"})
    assert "is not of the cluster's protocol" in subprocess.check_output([WEFT, "clusters", "-o", "json"], text=True)
    third.nonsense = False
    eventually(lambda: {c.ask("asked", "x", body(10)).host for _ in range(30)} == {"third", "fourth"})


@case
def limits_of_the_cluster():
    fresh()
    one.on["hold"] = hold
    c, d = ClientOf(), ClientOf()
    n = c.call("full", "hold", body(10), timeout=60000)
    eventually(lambda: len(one.held) == 1)
    assert not good(d.ask("full", "x", body(10)))
    eventually(lambda: any(r["flags"] == "UO" for r in lines()))
    one.let_go()
    assert good(c.answer(n))


@case
def hosts_that_cannot_be_reached():
    a = ClientOf().ask("dead", "x", body(10))
    assert not good(a), a.status


@case
def subsets_hashes_and_both_hosts():
    fresh()
    c = ClientOf()
    is_({c.ask("subset", "x", body(10), fields={"v": "2"}).host for _ in range(6)}, {"two"})
    is_({c.ask("both", "x", body(10)).host for _ in range(6)}, {"one", "two"})
    of = {u: c.ask("hash", "x", body(10), fields={"x-user": u}).host for u in map(str, range(20))}
    is_(set(of.values()), {"one", "two"})
    for u, h in of.items():
        is_(ClientOf().ask("hash", "x", body(10), fields={"x-user": u}).host, h)


@case
def headers_are_changed_by_the_route():
    fresh()
    c = ClientOf()
    for n in (10, 70000):
        is_(c.ask("change", "x", body(n), fields={"x-drop": "1", "x-keep": "2"}).body, body(n))
        got = one.calls[-1].fields
        is_((got.get("x-mesh"), got.get("x-drop"), got.get("x-keep")), ("weft", None, "2"))
    is_(one.wrong, [])


@case
def another_protocol_is_refused_in_words():
    a = ClientOf().ask("wrong", "x", body(10))
    assert not good(a)
    eventually(lambda: any("another protocol" in r["detail"] for r in lines()))
    is_(get("/rpc", port=8083).status, 502)


@case
def several_protocols_on_one_port():
    fresh()
    for port in 8081, 8082:
        is_(ClientOf(port).ask("shop", "buy", body(10)).host, "one")
        is_(get("/", port=port).status, 200)
    was = metric("weft_http_undetected_total")
    c = Client(8082)
    c.send(b"\xffnothing that anybody speaks, at a length that leaves no doubt about it: 64 bytes")
    assert c.closed()
    eventually(lambda: metric("weft_http_undetected_total") == was + 1)


@case
def a_slow_client_holds_up_nobody():
    fresh()
    slow, quick = ClientOf(), ClientOf()
    frame = slow.made(1, "shop", "buy", body(30000), {}, 60000, False)
    slow.send(frame[:20000])
    long = ClientOf()
    whole = long.made(1, "shop", "buy", body(BIG), {}, 60000, False)
    long.send(whole[:BIG // 2])
    for i in range(50):
        is_(quick.ask("shop", "buy", body(100, i)).body, body(100, i))
    slow.send(frame[20000:])
    long.send(whole[BIG // 2:])
    is_(slow.answer(1).body, body(30000))
    is_(long.answer(1).body, body(BIG))


@case
def a_client_that_leaves_in_the_middle():
    fresh()
    one.on["hold"] = hold
    quick = ClientOf()
    n = quick.call("shop", "hold", body(10), timeout=60000)
    for size in 30000, BIG:
        c = ClientOf()
        c.send(c.made(1, "shop", "buy", body(size), {}, 60000, False)[:size // 2])
        c.reset()
    c = ClientOf()
    c.call("shop", "hold", body(10), timeout=60000)
    eventually(lambda: len(one.held) == 2)
    c.close()
    one.let_go()
    assert good(quick.answer(n)), "the others' calls are not touched"
    eventually(lambda: metric("weft_http_active") == 0)


@case
def a_client_that_does_not_read():
    fresh()
    c, n = ClientOf(), 40 if TEXT else 1000
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    frames = b"".join(c.made(i, "shop", "buy", body(60000, i), {}, 60000, False) for i in range(1, n))
    done, before = threading.Event(), rss(proxy())

    def pour():
        try:
            c.send(frames)
        except OSError:
            pass
        done.set()
    threading.Thread(target=pour, daemon=True).start()
    quick = ClientOf()
    for i in range(20):
        is_(quick.ask("shop", "buy", body(100, i)).body, body(100, i))
    bounded(before, f"{len(frames)} that nobody reads")
    for i in range(1, n):
        is_(c.answer(i).body, body(60000, i))
    assert done.wait(LIMIT)


def bounded(before, what):
    grown = rss(proxy()) - before
    assert "address" in WEFT or "thread" in WEFT or grown < 24 << 20, f"{grown} bytes more for {what}"


@case
def long_answers_take_turns():
    fresh()
    go = threading.Event()

    def half(call):
        whole = call.packed()
        call.conn.send(whole[:len(whole) // 2])
        go.wait(LIMIT)
        call.conn.send(whole[len(whole) // 2:])
    one.on["half"] = half
    c = ClientOf()
    b = [body(BIG, 1), body(200000, 2), body(100, 3)]
    c.call("shop", "half", b[0], id=1, timeout=60000)
    c.sock.recv(1, socket.MSG_PEEK)     # its answer has begun
    c.call("shop", "special", b[1], id=2, timeout=60000)
    c.call("shop", "special", b[2], id=3, timeout=60000)
    eventually(lambda: len(two.calls) == 2)
    is_(ClientOf().ask("both", "x", body(10)).status, GOOD, "others are not held up")
    go.set()
    is_([c.answer(i).body == b[i - 1] for i in (1, 2, 3)], [True] * 3)


@case
def a_host_that_does_not_read():
    fresh()
    go, n = threading.Event(), 40 if TEXT else 1000
    one.on["stop"] = lambda call: go.wait(LIMIT) and call.answer(body="" if TEXT else b"")
    c, before = ClientOf(), rss(proxy())
    frames = b"".join(c.made(i, "shop", "stop", body(60000, i), {}, 60000, False) for i in range(1, n))
    threading.Thread(target=lambda: c.send(frames), daemon=True).start()
    for i in range(20):
        is_(ClientOf().ask("shop", "special", body(100, i)).host, "two")
    bounded(before, f"{len(frames)} that the host does not read")
    go.set()
    for i in range(1, n):
        assert good(c.answer(i))


@case
def long_answers_for_a_client_that_does_not_read():
    fresh()
    c, before, n = ClientOf(), rss(proxy()), 3 if TEXT else 24
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    frames = [c.made(i + 1, "shop", "special", body(BIG, i), {}, 60000, False) for i in range(n)]
    threading.Thread(target=lambda: [c.send(f) for f in frames], daemon=True).start()
    eventually(lambda: len(two.calls) >= 1)
    for i in range(20):
        is_(ClientOf().ask("shop", "buy", body(100, i)).host, "one")
    bounded(before, f"{n} answers of {BIG} that nobody reads")
    for i in range(n):
        is_(c.answer(i + 1).body == body(BIG, i), True)


@case
def counted_by_method_and_logged():
    fresh()
    ClientOf().ask("shop", "special", body(10))
    eventually(lambda: 'weft_rpc_requests_total{service="shop",method="special"} ' in admin("/metrics"))
    is_(next(x["statuses"] for x in json.loads(admin("/methods"))["methods"] if x["method"] == "special")[0].split()[0], "2xx")
    eventually(lambda: [x for x in lines() if x["rpc_method"] == "special"])
    r = next(x for x in lines() if x["rpc_method"] == "special")
    is_((r["protocol"], r["service"], r["status"], r["rpc_status"]), (name, "shop", 200, str(GOOD)))


@case
def explained_as_it_is_routed():
    def explain(*more):
        return subprocess.check_output([WEFT, "explain", "rpc", *more, "--listener", "calls"], text=True)
    said = explain("shop", "buy", "-H", "x-user: bob")
    assert said.startswith("buy of service shop at listener calls\n  rule           calls, rule 1 "), said
    assert "127.0.0.1:9002" in said, said
    assert 'it wants rpcMethod Exact special: the request has "buy"' in said, said
    said = explain("change", "x", "-H", "x-drop: 1")
    assert "- x-drop: 1" in said and "+ x-mesh: weft" in said, said
    assert "404: no route" in explain("nobody", "x")
    told = subprocess.run([WEFT, "explain", "rpc", "shop", "x"], capture_output=True, text=True)
    assert told.returncode and "3 listeners of RPC protocols: say which one with --listener NAME" in told.stderr, told


@case
def goaway_of_a_host_loses_nothing():
    fresh()
    c, told = ClientOf(), metric("weft_http_multiplexed_goaways_total")
    for k in range(20):
        n = [c.call("shop", "buy", body(100, i), timeout=60000) for i in range(20)]
        one.goaway()
        for i, number in enumerate(n):
            a = c.answer(number)
            is_((good(a), a.body), (True, body(100, i)))
    if name != "pong":
        eventually(lambda: metric("weft_http_multiplexed_goaways_total") > told and metric("weft_http_multiplexed_connects_total") > 0)
    is_(one.wrong, [])


@case
def reload_under_load_loses_nothing():
    fresh()
    stop, bad, done = threading.Event(), [], []

    def load():
        c, k = ClientOf(), 0
        while not stop.is_set():
            a = c.ask("both", "x", body(100, k), timeout=60000)
            if not good(a) or a.body != body(100, k):
                bad.append(a.status)
            k += 1
        done.append(k)
    threads = [threading.Thread(target=load) for _ in range(6)]
    for t in threads:
        t.start()
    for i in range(5):
        change(i)
    stop.set()
    for t in threads:
        t.join()
    is_(bad, [])
    assert all(done), done


def change(i):
    """A reload that is taken: another address of a cluster nobody uses."""
    text = open(CONF).read()
    new = "\n".join(l if not l.startswith("- {name: dead") else l.replace(l[l.index("127.0.0.1:"):l.index('"}]')], f"127.0.0.1:{9 + i + 1}")
                    for l in text.split("\n"))
    open(CONF + ".new", "w").write(new)
    os.rename(CONF + ".new", CONF)
    subprocess.run([WEFT, "reload"], check=True, stdout=subprocess.DEVNULL)


LOG, CONF, WEFT = sys.argv[2], sys.argv[3], sys.argv[4]
# What wants several calls at once on one connection.
MANY = a_thousand_at_once_answered_in_reverse, clients_with_the_same_numbers_are_told_apart, late_answers_are_dropped, long_answers_take_turns
run(sys.argv[5:] or [fn.__name__ for fn in cases if name != "pong" or fn not in MANY])
PY

for p in ${PROTOCOLS:-bolt dubbo}; do
	config "$p" > "$T/weft.yaml"
	weftd_start
	PYTHONPATH=$SRC/test/lib python3 "$T/calls.py" "$p" "$T/access.log" "$T/weft.yaml" "$B/weft" "$@" | sed -u "s/^case \(pass\|fail\|skip\) /&${p}_/" || failed=1
	weftd_stop
	rm -f "$T/access.log"
done
[ -z "${failed:-}" ]
