#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What one peer of an RPC protocol does must not harm the calls of others: frames that make no sense, clients and hosts that do not
# read, calls that are given up there, answers that are cut, long bodies that wait for the one connection, answers that nobody asked for.
. "$(dirname "$0")/../lib/net.sh"

config() {
	cat <<YAML
workers: 1
kernel: {mode: off}
listeners:
- {name: calls, address: "127.0.0.1:8080", protocol: $1, routes: [calls]}
- {name: short, address: "127.0.0.1:8081", protocol: $1, routes: [calls], timeouts: {head: 300ms}, limits: {headBytes: 16KiB}}
routes:
- name: calls
  rules:
  - matches: [{service: {value: again}}]
    filters: [{type: ResponseHeaderModifier, set: [{name: x-mesh, value: weft}]}]
    backends: [{cluster: one}]
    retry: {attempts: 1, on: [reset], backoff: 1ms, budget: {percent: 100, minPerSecond: 1000}}
  - {matches: [{service: {value: shop}}], backends: [{cluster: one}], timeouts: {request: 300s}}
  - {matches: [{service: {value: single}}], backends: [{cluster: single}], timeouts: {request: 300s}}
  - {matches: [{service: {value: unread}}], backends: [{cluster: unread}], timeouts: {request: 300s}}
clusters:
- {name: one, protocol: $1, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: single, protocol: $1, connectionPool: {maxConnections: 1}, endpoints: [{address: "127.0.0.1:9003"}]}
- {name: unread, protocol: $1, connectionPool: {pingInterval: 300s}, endpoints: [{address: "127.0.0.1:9004"}]}
YAML
}

cat > "$T/harm.py" <<'PY'
from rpc_rig import *

name, WEFT = sys.argv[1], sys.argv[2]
RpcHostOf, ClientOf = PEERS[name]
one, single, unread = RpcHostOf(9001, "one"), RpcHostOf(9003, "single"), RpcHostOf(9004, "unread")
BIG = 16 << 20 if name == "bolt" else 4 << 20


def body(n):
    return b"x" * n if name == "bolt" else "x" * n


def good(a):
    return a.status == (SUCCESS if name == "bolt" else OK)


def time_of_heads_passes():
    c = ClientOf(8081)
    c.send(c.made(1, "shop", "x", body(10), {}, 60000, False)[:10])
    assert c.closed()


def slow_client():
    c = ClientOf()
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    return c


@case
def nonsense_of_one_call_leaves_those_under_way():
    one.on["hold"] = hold
    c = ClientOf(8081)
    n = c.call("shop", "hold", body(10), timeout=60000)
    eventually(lambda: len(one.held) == 1)
    bad = c.call("shop", "x", body(10), fields={"k": "v" * 20000}) if name == "bolt" else c.call(body=b"\xff" * 30)
    assert not good(c.answer(bad))
    time_of_heads_passes()
    time_of_heads_passes()
    one.let_go()
    assert good(c.answer(n))


@case
def calls_behind_one_that_weft_answers_are_read():
    c = ClientOf()
    made = [c.made(i, service, "x", body(10), {}, 60000, i == 3) for i, service in enumerate(("none", "shop", "shop", "none", "shop"), 1)]
    c.send(b"".join(made))
    is_([good(c.answer(i)) for i in (1, 2, 3, 5) if i != 3], [False, True, True])
    c.send(c.made(6, "none", "x", body(10), {}, 60000, True) + c.made(7, "shop", "x", body(10), {}, 60000, False))
    assert good(c.answer(7))


@case
def an_answer_behind_one_that_was_cut_is_changed_as_well():
    tries = []

    def first_cut(call):
        tries.append(call)
        return cut(len(call.packed()) - 100)(call) if len(tries) == 1 else echo(call)
    one.on["cut"] = first_cut
    a = ClientOf().ask("again", "cut", body(5000))
    assert good(a)
    is_((len(tries), a.fields.get("x-mesh")), (2, "weft"))


@case
def who_does_not_read_a_long_answer_holds_up_no_other_call():
    unread.on["big"] = lambda call: call.answer(body=body(BIG))
    slow = slow_client()
    n = slow.call("unread", "big", body(10), timeout=300000)
    eventually(lambda: len(unread.calls) == 1)
    eventually(lambda: good(ClientOf().ask("unread", "x", body(10), timeout=500)))
    for _ in range(20):
        is_(ClientOf().ask("unread", "x", body(10), timeout=60000).host, "unread")
    assert slow.answer(n).body == body(BIG)


@case
def oneway_calls_wait_for_a_host_that_does_not_read():
    go, n = threading.Event(), 1000 if name == "bolt" else 600
    unread.on["stop"] = lambda call: go.wait(LIMIT) and None
    c, before = ClientOf(), rss(proxy())
    frames = b"".join(c.made(i, "unread", "stop", body(60000), {}, 0, True) for i in range(1, n))
    threading.Thread(target=lambda: c.send(frames), daemon=True).start()
    for _ in range(100):
        is_(ClientOf().ask("shop", "x", body(100)).host, "one")
    grown = rss(proxy()) - before
    go.set()
    eventually(lambda: len(unread.oneways) == n - 1)
    assert "address" in WEFT or "thread" in WEFT or grown < 24 << 20, f"{grown} bytes more for oneway calls"


def clogged():
    """A host that reads no more: what sets it off again, and what was answered of 1,600 calls that had no time."""
    go, b, late, was = threading.Event(), body(60000), [], metric("weft_http_multiplexed_clogged_total")
    unread.on["deaf"] = lambda call: go.wait(LIMIT) and None

    def pour():
        c = ClientOf()
        for _ in range(50):
            late.extend(good(c.answer(k)) for k in [c.call("unread", "deaf", b, timeout=20) for _ in range(4)])
    threads = [threading.Thread(target=pour) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    eventually(lambda: metric("weft_http_multiplexed_clogged_total") > was)
    return go, late


def waiting():
    """Thirty callers with time, and their calls."""
    asked = [(c, c.call("unread", "x", body(60000), timeout=300000)) for c in (ClientOf() for _ in range(30))]
    eventually(lambda: metric("weft_http_active") == len(asked))
    return asked


@case
def calls_that_are_given_up_do_not_pile_up_for_a_host_that_does_not_read():
    before = rss(proxy())
    go, late = clogged()
    grown = rss(proxy()) - before
    is_((len(late), any(late)), (1600, False))
    asked = waiting()
    go.set()
    for c, k in asked:
        assert good(c.answer(k)), "who has the time waits until it reads again"
    assert "address" in WEFT or "thread" in WEFT or grown < 24 << 20, f"{grown} bytes more for calls that were given up"


@case
def a_host_that_goes_away_before_it_reads_again():
    go, _ = clogged()
    asked, told = waiting(), metric("weft_http_multiplexed_goaways_total")
    unread.goaway()
    eventually(lambda: metric("weft_http_multiplexed_goaways_total") > told)
    go.set()
    for c, k in asked:
        assert good(c.answer(k)), "they go to another connection"
    eventually(lambda: unread.open == 1)


@case
def nonsense_while_answers_wait_for_their_turn():
    go = threading.Event()

    def half(call):
        whole = call.packed()
        call.conn.send(whole[:len(whole) // 2])
        go.wait(LIMIT)
        call.conn.send(whole[len(whole) // 2:])
    one.on["half"] = half
    for _ in range(5):
        go.clear()
        c = ClientOf()
        c.call("shop", "half", body(200000 if name == "bolt" else 1200000), timeout=60000)
        c.sock.recv(1, socket.MSG_PEEK)
        for _ in range(5):
            c.call("single", "x", body(100), timeout=60000)
        eventually(lambda: metric("weft_http_active") == 6)
        ClientOf().ask("single", "x", body(100))
        c.send(b"\xff" * 64)
        c.left()
        go.set()
        assert good(ClientOf().ask("shop", "x", body(100), timeout=60000))
    eventually(lambda: metric("weft_http_active") == 0)


@case
def long_bodies_take_the_one_connection_in_turn():
    clients = [ClientOf() for _ in range(4)]
    size = 200000
    frames = [c.made(1, "single", "x", body(size), {}, 60000, False) for c in clients]
    for c, f in zip(clients, frames):
        c.send(f[:size // 2])
    gone = ClientOf()
    gone.send(frames[0][:size // 2])
    gone.reset()
    for c, f in reversed(list(zip(clients, frames))):
        c.send(f[size // 2:])
    threads = [threading.Thread(target=lambda: [ClientOf().ask("single", "x", body(10), timeout=60000) for _ in range(20)])]
    for t in threads:
        t.start()
    for c in clients:
        assert good(c.answer(1))
    for t in threads:
        t.join()
    eventually(lambda: metric("weft_http_active") == 0)


run(sys.argv[3:])
PY

for p in ${PROTOCOLS:-bolt dubbo}; do
	config "$p" > "$T/weft.yaml"
	weftd_start
	PYTHONPATH=$SRC/test/lib python3 "$T/harm.py" "$p" "$B/weft" "$@" | sed -u "s/^case \(pass\|fail\|skip\) /&${p}_/" || failed=1
	weftd_stop
done
[ -z "${failed:-}" ]
