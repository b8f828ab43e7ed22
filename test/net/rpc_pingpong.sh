#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A protocol without numbers on the wire (a plugin's, test/plugins/proto_pong.c): one exchange at a time on a connection to a host,
# answers in the order of what a client sends ahead; what a connection is left for, how it is shared, how it ends. Calls as
# other protocols have them are in rpc_calls.sh and rpc_edges.sh.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"
plugin_build "$SRC/test/plugins/proto_pong.c"

cat > "$T/weft.yaml" <<YAML
workers: 3
kernel: {mode: off}
plugins: [{path: $PLUGINS/proto_pong.so}]
listeners:
- {name: calls, address: "127.0.0.1:8080", protocol: pong, protocolSettings: {nobody: 7}, routes: [calls]}
- {name: leaves, address: "127.0.0.1:8081", protocol: pong, routes: [calls]}
- {name: rests, address: "127.0.0.1:8082", protocol: pong, routes: [calls], timeouts: {idle: 300ms}}
- {name: counts, address: "127.0.0.1:8083", protocol: pong, routes: [calls], limits: {connectionRequests: 3}}
- name: refuses
  address: "127.0.0.1:8084"
  protocol: pong
  filters: [{type: Fault, abort: {status: 503, percent: 100}}]
  routes: [calls]
routes:
- name: calls
  rules:
  - {matches: [{service: {value: one}}], backends: [{cluster: one}], timeouts: {request: 300s}}
  - {matches: [{service: {value: short}}], backends: [{cluster: one}], timeouts: {request: 300ms}}
  - {matches: [{service: {value: narrow}}], backends: [{cluster: narrow}], timeouts: {request: 300s}}
  - {matches: [{service: {value: thrice}}], backends: [{cluster: thrice}]}
clusters:
- {name: one, protocol: pong, connectionPool: {idleTimeout: 60s}, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: narrow, protocol: pong, connectionPool: {maxConnections: 2}, endpoints: [{address: "127.0.0.1:9002"}]}
- {name: thrice, protocol: pong, connectionPool: {maxRequestsPerConnection: 3}, endpoints: [{address: "127.0.0.1:9003"}]}
YAML

cat > "$T/pong.py" <<'PY'
import subprocess
from rpc_rig import *

T, WEFT = os.environ["T"], sys.argv[1]
one, narrow, thrice = PongHost(9001, "one"), PongHost(9002, "narrow"), PongHost(9003, "thrice")
one.on["hold"], one.on["never"] = hold, silent


def body(n, seed=0):
    unit = bytes((i * 7 + seed) % 251 for i in range(251))
    return (unit * (n // 251 + 1))[:n]


def fresh():
    one.forget()
    one.wrong.clear()


@case
def answers_come_in_the_order_of_calls():
    fresh()
    c = PongClient()
    n = [c.call("one", "hold" if i == 0 else "buy", body(i * 100, i), timeout=60000) for i in range(50)]
    eventually(lambda: len(one.held) == 1)
    other = PongClient().ask("one", "buy", body(10))    # what waits holds up nobody else
    is_(other.body, body(10))
    is_(sum(x.method == "buy" for x in one.calls), 1, "those behind wait here")
    one.let_go()
    is_([c.answer(k).body for k in n], [body(i * 100, i) for i in range(50)])
    is_(one.wrong, [])


@case
def answers_of_weft_stand_in_the_same_order():
    fresh()
    c = PongClient()
    asked = [c.call(("one", "nobody", "short")[i % 3], ("buy", "buy", "never")[i % 3], body(50, i)) for i in range(9)]
    is_([c.answer(k).status for k in asked], [0, 7, 3] * 3)


@case
def oneways_among_calls():
    fresh()
    c = PongClient()
    frames = [c.made(i, ("one", "one", "nobody")[i % 3], "tell", body(100, i), {}, 60000, True) for i in range(60)]
    for i in range(0, 60, 7):
        frames.insert(i, c.made(i, "one", "buy", body(i), {}, 60000, False))
    c.send(b"".join(frames))
    for i in range(0, 60, 7):
        is_(c.answer(i).body, body(i))
    eventually(lambda: len(one.oneways) == 40)
    is_(sorted(x.body for x in one.oneways), sorted(body(100, i) for i in range(60) if i % 3 < 2))
    is_(one.wrong, [])


@case
def a_late_answer_is_nobodys():
    fresh()
    one.on["late"] = hold
    c = PongClient()
    for _ in range(3):
        is_(c.ask("short", "late", body(10)).status, 3)
        is_(c.ask("one", "buy", body(20)).body, body(20))
    eventually(lambda: len(one.held) == 3)
    lines = [x.conn for x in one.held]
    eventually(lambda: not [x for x in lines if x in one.lines])
    one.let_go()
    is_([c.ask("one", "buy", body(i)).body for i in range(20)], [body(i) for i in range(20)])


@case
def a_client_that_leaves_takes_its_hosts_connection():
    fresh()
    c = PongClient()
    c.call("one", "hold", body(10), timeout=60000)
    eventually(lambda: one.held)
    line = one.held[0].conn
    c.close()
    eventually(lambda: line not in one.lines)
    one.let_go()
    eventually(lambda: metric("weft_http_active") == 0)


@case
def what_nobody_asked_for_is_no_answer():
    fresh()
    c = PongClient()
    for words in b"ANSWER 0 5\nwrong", b"ANSW", b"ANSWER 0 100\nhalf", b"PONG\nANSWER 0 5 a=b\n", b"\0\0":
        is_(c.ask("one", "buy", body(20)).body, body(20))
        eventually(lambda: one.lines)
        was, acks = list(one.lines), one.acks
        one.tell(b"PING\n" + words)     # one that would be left open would say that it has read so far
        eventually(lambda: one.acks > acks or not [x for x in was if x in one.lines])
        is_(c.ask("one", "buy", body(30)).body, body(30))


@case
def two_answers_to_one_call():
    fresh()
    one.on["twice"] = lambda call: call.conn.send(call.packed() * 2)
    c = PongClient()
    for i in range(10):
        is_(c.ask("one", "twice", body(20, i)).body, body(20, i))
        is_(c.ask("one", "buy", body(30, i)).body, body(30, i))
    is_(one.wrong, [])


@case
def connections_are_used_again():
    fresh()
    c = PongClient()
    c.ask("one", "buy", body(10))
    was = one.conns
    for i in range(50):
        is_(c.ask("one", "buy", body(i)).body, body(i))
    is_(one.conns, was)
    one.beat()      # a host's ping on an idle connection is answered, and leaves it as it is
    eventually(lambda: one.acks)
    is_(c.ask("one", "buy", body(9)).body, body(9))
    is_(one.conns, was)


@case
def a_connection_is_left_behind_its_last_request():
    c = PongClient()
    for i in range(9):
        is_(c.ask("thrice", "x", body(i)).body, body(i))
    is_(thrice.conns, 3)
    is_(thrice.wrong, [])


@case
def a_host_that_says_bye():
    fresh()
    c = PongClient()
    is_(c.ask("one", "buy", body(10)).body, body(10))
    was = list(one.lines)
    one.goaway()
    eventually(lambda: not [x for x in was if x in one.lines])      # idle ones close at once
    k = c.call("one", "hold", body(10), timeout=60000)
    eventually(lambda: one.held)
    line = one.held[0].conn
    line.send(b"BYE\n")
    one.let_go()
    is_(c.answer(k).body, body(10))
    is_(c.ask("one", "buy", body(10)).body, body(10))
    assert one.calls[-1].conn is not line, "no call behind it"


@case
def places_are_waited_for():
    narrow.on["hold"] = hold
    clients = [PongClient() for _ in range(12)]
    asked = [c.call("narrow", "hold", body(100, i), timeout=120000) for i, c in enumerate(clients)]
    done = 0
    while done < len(clients):
        eventually(lambda: narrow.held)
        assert len(narrow.held) <= 2, len(narrow.held)
        done += len(narrow.held)
        narrow.let_go()
    is_([c.answer(k).body for c, k in zip(clients, asked)], [body(100, i) for i in range(12)])
    is_(narrow.wrong, [])


@case
def long_bodies_flow_both_ways():
    fresh()
    first, seen, go, n = threading.Event(), [], threading.Event(), 2 << 20
    b = body(n)

    def trickle(line):      # a host that reads the half of a call before it says the half of its answer
        seen.append(line.exactly(n // 2))
        first.set()
        seen.append(line.exactly(n // 2))
        line.send(b"ANSWER 0 %d\n" % n + b[:n // 2])
        go.wait(LIMIT)
        line.send(b[n // 2:])
    read = one.frame.read

    def reads(line):
        line.until(b"\n")
        trickle(line)
        return read(line)
    one.frame = type("Trickle", (Pong,), {"read": staticmethod(reads)})
    for line in list(one.lines):
        line.sock.shutdown(socket.SHUT_RDWR)
    eventually(lambda: not one.lines)
    try:
        c = PongClient()
        frame = c.made(1, "one", "x", b, {}, 60000, False)
        at = len(frame) - n // 2
        c.send(frame[:at])
        assert first.wait(LIMIT), "the first half is on its way before the second one came"
        c.send(frame[at:])
        c.until(b"\n")
        is_(c.exactly(n // 2), b[:n // 2], "as is that of the answer")
        go.set()
        is_(c.exactly(n // 2), b[n // 2:])
        is_(b"".join(seen), b)
    finally:
        one.frame = Pong


@case
def a_refused_call_is_read_to_its_end():
    for n in 10, 100000, 1000000:
        c = PongClient()
        frame = c.made(1, "nobody", "x", body(n), {}, 60000, False)
        c.send(frame[:100])
        is_(c.answer(1).status, 7)
        c.send(frame[100:])
        is_(c.ask("one", "buy", body(20)).body, body(20), f"behind {n} bytes")
    c = PongClient()
    c.send(c.made(1, "nobody", "x", body(3 << 20), {}, 60000, False)[:100])
    is_((c.answer(1).status, c.gone), (7, 1), "too much to be read: the client hears in front of the answer that it was the last")
    assert c.closed()


@case
def nonsense_behind_a_call():
    fresh()
    c = PongClient()
    c.send(c.made(1, "one", "hold", body(10), {}, 60000, False) + b"\0\0\0nonsense\n")
    eventually(lambda: one.held)
    one.let_go()
    is_(c.answer(1).body, body(10))
    c.left()


@case
def much_that_is_sent_ahead_waits_in_the_clients_socket():
    fresh()
    c, before = PongClient(), rss(proxy())
    frames = [c.made(i, "one", "hold" if i == 0 else "buy", body(60000, i), {}, 60000, False) for i in range(500)]
    threading.Thread(target=lambda: c.send(b"".join(frames)), daemon=True).start()
    eventually(lambda: one.held)
    other = PongClient()
    for i in range(20):
        is_(other.ask("one", "buy", body(i)).body, body(i))
    grown = rss(proxy()) - before
    assert "address" in WEFT or "thread" in WEFT or grown < 16 << 20, grown
    one.let_go()
    for i in range(500):
        is_(c.answer(i).body == body(60000, i), True)
    is_(one.wrong, [])


@case
def pings_that_nobody_reads():
    c, before = PongClient(), rss(proxy())
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    c.sock.settimeout(1)
    try:
        for _ in range(400):
            c.send(b"PING\n" * 10000)
    except (OSError, TimeoutError):
        pass        # it is closed, or nothing of it is read any more
    assert "address" in WEFT or "thread" in WEFT or rss(proxy()) - before < 16 << 20
    is_(PongClient().ask("one", "buy", body(10)).body, body(10))


@case
def a_host_that_floods_and_does_not_read():
    def flood(call):
        while True:
            call.conn.sock.sendall(b"PING\n" * 10000)
    one.on["flood"] = flood
    c, before = PongClient(), rss(proxy())
    assert c.ask("one", "flood", body(10), timeout=120000).status
    assert "address" in WEFT or "thread" in WEFT or rss(proxy()) - before < 16 << 20
    is_(c.ask("one", "buy", body(10)).body, body(10))


@case
def filters_answer_in_turn():
    c = PongClient(8084)
    is_([c.answer(k).status for k in [c.call("one", "buy", body(10)) for _ in range(5)]], [2] * 5)


@case
def connections_end_with_a_word():
    c = PongClient(8082)
    is_(c.ask("one", "buy", body(10)).body, body(10))
    c.step()
    is_(c.gone, 1, "one that rests too long")
    assert c.closed()
    c = PongClient(8083)
    for i in range(3):
        is_(c.ask("one", "buy", body(i)).body, body(i))
    is_(c.gone, 1, "in front of the answer to the last call that it is allowed")
    assert c.closed()
    c = PongClient()
    k = c.call("one", "hold", body(10), timeout=60000)
    c.send(b"BYE\n")
    eventually(lambda: one.held)
    one.let_go()
    is_(c.answer(k).body, body(10))
    c.left()


@case
def a_listener_that_goes():
    fresh()
    busy, idle, ahead = PongClient(8081), PongClient(8081), PongClient(8081)
    is_(idle.ask("one", "buy", body(10)).body, body(10))
    k = [c.call("one", "hold", body(10), timeout=60000) for c in (busy, ahead)]
    ahead.call("one", "buy", body(10), timeout=60000)
    eventually(lambda: len(one.held) == 2)
    text = open(f"{T}/weft.yaml").read()
    open(f"{T}/new", "w").write("\n".join(x for x in text.split("\n") if "name: leaves" not in x))
    os.rename(f"{T}/new", f"{T}/weft.yaml")
    subprocess.run([WEFT, "reload"], check=True, stdout=subprocess.DEVNULL)
    idle.step()
    is_(idle.gone, 1)
    assert idle.closed()
    one.let_go()
    for c, n in zip((busy, ahead), k):
        is_(c.answer(n).body, body(10))
        is_(c.gone, 1, "in front of the last answer")
        assert c.closed()


run(sys.argv[2:])
PY
export T
weftd_start
like "$(weft plugins)" 'pong +1\.0 .*protocol pong' "the plugin is shown"
PYTHONPATH=$SRC/test/lib python3 "$T/pong.py" "$B/weft" "$@"
weftd_stop
