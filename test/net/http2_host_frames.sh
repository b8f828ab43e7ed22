#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A host that speaks HTTP/2 in frames written by hand: how many connections there are, what a request costs it in attempts,
# and what becomes of streams when it refuses, goes away, resets, is silent, floods or does not read.
. "$(dirname "$0")/../lib/net.sh"

PY=/usr/bin/python3                             # Debian's, whose package it is
$PY -c 'import hpack' 2> /dev/null || skip "python3-h2 is not installed"
cluster() { echo "- {name: $1, protocol: http2, endpoints: [{address: \"127.0.0.1:$2\"}]${3:+, connectionPool: {$3\}}}"; }
route() { echo "  - {matches: [{path: {type: PathPrefix, value: /$1}}], backends: [{cluster: $1}]${2:+, $2}}"; }
config() {
	write_file "$T/weft.yaml" <<YAML
workers: ${WORKERS:-1}
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all], timeouts: {idle: 60s}}
routes:
- name: all
  rules:
$(route few)
$(route three)
$(route brief)
$(route ping)
$(route late 'timeouts: {request: 500ms}')
$(route one)
  - backends: [{cluster: app}]
clusters:
$(cluster app 9001 | sed "s/http2/$1/")
$(cluster late 9001)
$(cluster few 9002 'http2MaxStreams: 2')
$(cluster three 9003 'maxRequestsPerConnection: 3')
$(cluster brief 9004 'idleTimeout: 300ms')
$(cluster ping 9005 'pingInterval: 200ms, pingTimeout: 1s')
$(cluster one 9006 'http2MaxStreams: 1, maxConnections: 1')
YAML
}
config http2
weftd_start
cat > "$T/cases.py" <<'PY'
import os
import re
import subprocess
from daemon import admin, metric, proxy
from http2_rig import *

app, few, three, brief, ping, single = (Host2(9001 + i) for i in range(6))
hosts = (app, few, three, brief, ping, single)


def fresh(host=app):
    for h in hosts:
        h.on, h.deaf = {}, False
        h.hello = lambda c: c.send(settings())
    host.start_over()


def in_threads(n, fn):
    out = [None] * n

    def go(i):
        out[i] = fn(i)
    threads = [threading.Thread(target=go, args=(i,), daemon=True) for i in range(n)]
    for t in threads:
        t.start()
    return threads, out


def joined(threads, out):
    for t in threads:
        t.join(LIMIT)
        assert not t.is_alive()
    return out


def held(host, path):
    """The host answers requests of path when the event comes."""
    go = threading.Event()
    host.on[path] = lambda c, r: go.wait(LIMIT) and c.reply(r, b"held")
    return go


def why(r, status, flags):
    is_(r.status, status)
    assert f"({flags})".encode() in r.body, r.body


@case
def one_connection_carries_all():
    fresh()
    go = held(app, "/x")
    t = in_threads(50, lambda i: get("/x").body)
    eventually(lambda: len(app.requests) == 50)
    go.set()
    is_(joined(*t), [b"held"] * 50)
    is_(app.conns, 1)
    is_(get("/y").json()["conn"], 1)
    is_(app.conns, 1)
    is_(sorted(r.stream for r in app.requests), list(range(1, 103, 2)))


@case
def a_call_that_ended_before_its_host_was_reached():
    """Its end comes as it came, behind the head: grpc-go's server does not tell its handler of another."""
    fresh()
    c = Client2(8080)
    fields = [(":method", "POST"), (":scheme", "http"), (":path", "/a.Svc/Call"), (":authority", "a"),
              ("content-type", "application/grpc"), ("te", "trailers")]
    c.answers[1] = Answer()
    c.send(frame(HEADERS, ENDED_HEAD, 1, c.encoder.encode(fields)) + frame(DATA, END, 1))
    eventually(lambda: app.requests and app.requests[0].ended)
    is_(app.requests[0].head_ended, False)
    c.answer(1)
    c.close()


@case
def another_is_opened_when_streams_run_out():
    fresh(few)
    go = held(few, "/few")
    t = in_threads(5, lambda i: get("/few").body)
    eventually(lambda: len(few.requests) == 5)
    go.set()
    is_(joined(*t), [b"held"] * 5)
    is_(few.conns, 3)
    is_(max(sum(r.conn is c for r in few.requests) for c in few.all), 2)


@case
def as_many_streams_as_the_host_takes():
    fresh()
    app.hello = lambda c: c.send(settings(streams=2))
    is_(get("/warm").status, 200)
    go = held(app, "/x")
    t = in_threads(5, lambda i: get("/x").body)
    eventually(lambda: len(app.requests) == 6)
    go.set()
    is_(joined(*t), [b"held"] * 5)
    is_(app.conns, 3)
    is_(len(app.requests), 6)


@case
def who_finds_no_room_waits():
    fresh(single)
    go = held(single, "/one")
    t = in_threads(3, lambda i: get("/one").body)
    eventually(lambda: len(single.requests) == 1)
    go.set()
    is_(joined(*t), [b"held"] * 3)
    is_(single.conns, 1)


@case
def after_so_many_requests_another_connection():
    fresh(three)
    is_([get("/three").json()["conn"] for _ in range(7)], [1, 1, 1, 2, 2, 2, 3])
    eventually(lambda: three.open == 1)
    is_([c.goaway for c in three.all], [0, 0, None])


@case
def an_idle_connection_is_closed():
    fresh(brief)
    is_(get("/brief").status, 200)
    eventually(lambda: brief.open == 0)
    is_(brief.all[0].goaway, 0)
    is_(get("/brief").json()["conn"], 2)


@case
def streams_above_the_goaways_last_are_sent_again_and_the_others_finish():
    fresh()
    go = threading.Event()

    def first(c, r):
        if c.number == 1:
            go.wait(LIMIT)
        c.reply(r, b"%d" % c.number)
    app.on["/x"] = first
    first_one = in_threads(1, lambda i: get("/x").body)
    eventually(lambda: len(app.requests) == 1)
    more = in_threads(3, lambda i: get("/x", "POST", body=b"b%d" % i * 1000).body)
    eventually(lambda: sum(r.ended for r in app.requests) == 4)
    app.all[0].send(goaway(1))
    is_(joined(*more), [b"2"] * 3)
    is_(sorted(r.body for r in app.requests[4:]), [b"b%d" % i * 1000 for i in range(3)])
    go.set()
    is_(joined(*first_one), [b"1"])
    is_(len(app.requests), 7)
    eventually(lambda: app.open == 1)


@case
def a_goaway_between_requests_costs_none():
    fresh()
    is_(get("/a").json()["conn"], 1)
    app.all[0].send(goaway(0x7fffffff))
    eventually(lambda: app.open == 0)
    is_(get("/b").json()["conn"], 2)
    is_(len(app.requests), 2)


@case
def a_refused_stream_is_sent_again_whatever_it_is():
    fresh()
    turn = iter([True, False])
    app.on["/x"] = lambda c, r: c.send(rst(r.stream, REFUSED)) if next(turn) else c.reply(r, b"good")
    is_(get("/x", "POST", body=b"body").body, b"good")
    is_([r.body for r in app.requests], [b"body"] * 2)
    app.forget()
    app.on["/x"] = lambda c, r: c.send(rst(r.stream, REFUSED))
    why(get("/x", "POST", body=b"body"), 503, "UR")
    is_(len(app.requests), 4)


@case
def a_stream_reset_by_the_host_is_not():
    fresh()
    app.on["/x"] = lambda c, r: c.send(rst(r.stream, INTERNAL))
    why(get("/x", "POST", body=b"body"), 502, "UR")
    why(get("/x"), 502, "UR")
    is_(len(app.requests), 2)
    is_(app.conns, 1)


@case
def an_answer_cut_by_a_reset_is_cut_for_the_client():
    fresh()

    def half(c, r):
        c.head(r.stream, [(":status", "200"), ("content-length", "100")])
        c.data(r.stream, b"half", False)
        c.send(rst(r.stream, INTERNAL))
    app.on["/x"] = half
    c = Client()
    c.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    is_(c.head()[0], 200)
    got = c.left()
    assert len(got) < 100, got
    two = Client2()
    a = two.get("/x")
    assert a.reset is not None and not a.ended and a.body in (b"", b"half"), (a.reset, a.ended, a.body)
    is_(get("/y").status, 200)
    is_(app.conns, 1)


@case
def a_dead_connection_costs_what_may_be_repeated_nothing():
    fresh()
    is_(get("/a").json()["conn"], 1)
    app.on["/x"] = lambda c, r: c.sock.shutdown(socket.SHUT_RDWR) if c.number == 1 else c.reply(r, b"2")
    is_(get("/x").body, b"2")
    is_([r.conn.number for r in app.requests], [1, 1, 2])
    app.on["/x"] = lambda c, r: c.sock.shutdown(socket.SHUT_RDWR)
    why(get("/x", "POST", body=b"body"), 502, "UC")
    is_(len(app.requests), 4)


@case
def a_client_that_goes_away_is_told_of_at_once():
    fresh()
    go = held(app, "/other")
    other = in_threads(1, lambda i: get("/other").body)
    eventually(lambda: len(app.requests) == 1)
    app.on["/x"] = lambda c, r: None
    c = Client()
    c.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: len(app.requests) == 2)
    c.close()
    eventually(lambda: app.requests[1].reset == CANCEL)
    two = Client2()
    s = two.ask("/x")
    eventually(lambda: len(app.requests) == 3)
    two.send(rst(s, CANCEL))
    eventually(lambda: app.requests[2].reset == CANCEL)
    go.set()
    is_(joined(*other), [b"held"])
    is_(app.conns, 1)


@case
def a_client_that_leaves_the_last_request_of_a_connection():
    """The reset of its stream and the connection's GOAWAY go out together."""
    before = proxy()
    for i in range(3):
        fresh(three)
        is_([get("/three").json()["conn"] for _ in range(2)], [1, 1])
        go = held(three, "/three")
        c = Client()
        c.send("GET /three HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: len(three.requests) == 3)
        c.close()
        eventually(lambda: three.open == 0)
        is_(three.all[0].goaway, 0)
        go.set()
    is_(proxy(), before, "the proxy lives")


@case
def a_request_that_takes_too_long_is_reset():
    fresh()
    app.on["/late"] = lambda c, r: None
    why(get("/late"), 504, "DT")
    eventually(lambda: app.requests[0].reset == CANCEL)
    is_(app.open, 1)


@case
def an_early_answer_ends_the_upload():
    fresh()

    def early(c, r):
        c.reply(r, b"no", status=403)
        c.send(rst(r.stream, NO_ERROR))
    app.on["early /x"] = early
    two = Client2()
    s = two.ask("/x", "POST", b"begun", end=False)
    a = two.answer(s)
    is_((a.status, a.body), (403, b"no"))
    is_(get("/y").json()["conn"], 1)


@case
def a_silent_host_is_asked_and_one_that_answers_lives():
    fresh(ping)
    go = held(ping, "/ping")
    t = in_threads(1, lambda i: get("/ping").body)
    eventually(lambda: ping.all and ping.all[0].pings == 1)
    go.set()
    is_(joined(*t), [b"held"])
    is_(ping.conns, 1)
    fresh(ping)
    ping.deaf, before = True, metric("weft_http_multiplexed_silent_total")
    ping.on["/ping"] = lambda c, r: None
    why(get("/ping"), 502, "UC")
    is_(ping.all[0].pings, 1)
    eventually(lambda: metric("weft_http_multiplexed_silent_total") == before + 1)
    is_(len(ping.requests), 1)


@case
def a_connection_that_died_while_it_was_idle_costs_what_may_be_repeated_nothing():
    fresh(ping)
    is_(get("/ping").status, 200)
    ping.deaf, dead = True, ping.all[0]
    ping.on["/ping"] = lambda c, r: None if c is dead else c.reply(r, b"alive")
    is_(get("/ping").body, b"alive")
    is_((ping.conns, len(ping.requests)), (2, 3))
    fresh(ping)


@case
def heads_of_every_kind():
    fresh()
    app.on["/none"] = lambda c, r: c.reply(r, b"", 204)
    app.on["/same"] = lambda c, r: c.reply(r, b"", 304, [("content-length", "7"), ("etag", "a")])
    app.on["/sized"] = lambda c, r: c.reply(r, b"" if r.method == "HEAD" else b"hello", headers=[("content-length", "5")])

    def hints(c, r):
        c.head(r.stream, [(":status", "103"), ("link", "</a>")])
        c.reply(r, b"ok", headers=[("trailer", "x-sum")], trailers=[("x-sum", "7")])
    app.on["/hints"] = hints
    is_(get("/none").status, 204)
    r = get("/same")
    is_((r.status, r.get("etag"), r.body), (304, "a", b""))
    r = get("/sized", "HEAD")
    is_((r.status, r.get("content-length"), r.body), (200, "5", b""))
    r = get("/hints", headers="TE: trailers\r\n")
    is_((r.interim, r.body, r.trailers), ([103], b"ok", [("x-sum", "7")]))
    two = Client2()
    a = two.get("/hints", headers=[("te", "trailers")])
    is_((one(a.interim[0], ":status"), a.body, a.trailers), ("103", b"ok", [("x-sum", "7")]))
    a = two.get("/sized", method="HEAD")
    is_((a.status, a.get("content-length"), a.body, a.ended), (200, "5", b"", True))


@case
def what_the_host_sees_of_a_request():
    fresh()
    c = Client()
    c.send("POST /x?q=1 HTTP/1.1\r\nHost: A.example\r\nX-CaSe: V\r\nConnection: x-hop\r\nX-Hop: 1\r\nTE: trailers, gzip\r\n"
           "Transfer-Encoding: chunked\r\nTrailer: x-end\r\n\r\n3\r\nabc\r\n0\r\nX-End: 9\r\n\r\n")
    r = c.response()
    is_(r.status, 200, r.body)
    got = r.json()
    f = dict((k, v) for k, v in got["fields"])
    is_([f[k] for k in (":method", ":path", ":authority", ":scheme")], ["POST", "/x?q=1", "A.example", "http"])
    is_(f["x-case"], "V")
    assert not {"connection", "x-hop", "transfer-encoding", "host", "keep-alive"} & set(f), f
    is_((got["body"], got["trailers"]), (3, [["x-end", "9"]]))
    c = Client()
    c.send("GET /old HTTP/1.0\r\n\r\n")
    got = c.response().json()
    assert ":authority" not in dict((k, v) for k, v in got["fields"]), got


@case
def a_slow_client_holds_up_nobody_and_little_memory():
    fresh()
    sent = [0]

    def much(c, r):
        c.head(r.stream, [(":status", "200")])
        for _ in range(256):
            c.data(r.stream, b"x" * 65536, False)
            sent[0] += 65536
        c.data(r.stream, b"")
    app.on["/much"] = much
    slow = Client(rcvbuf=4096)
    slow.send("GET /much HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: sent[0] >= 256 << 10)
    for _ in range(5):
        is_(get("/quick").json()["conn"], 1)
    # A window, what lies in the proxy behind it, and what sockets hold.
    assert sent[0] < 8 << 20, sent
    is_(slow.head()[0], 200)
    slow.close()
    eventually(lambda: app.requests[0].reset == CANCEL)
    is_(get("/quick").json()["conn"], 1)


@case
def a_host_that_does_not_read_stops_its_client():
    fresh()
    def hello(c):
        c.credit = False
        c.send(settings(window=65535))
    app.hello = hello
    app.on["early /up"] = lambda c, r: None
    app.on["/up"] = lambda c, r: c.reply(r, b"%d" % len(r.body))
    sent = [0]
    c = Client()
    c.send("POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")

    def feed():
        for _ in range(256):
            c.send(b"10000\r\n" + b"y" * 65536 + b"\r\n")
            sent[0] += 65536
        c.send("0\r\n\r\n")
    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    eventually(lambda: app.requests and len(app.requests[0].body) == 65535)
    is_(get("/quick", "HEAD").status, 200)
    assert sent[0] < 12 << 20, sent
    app.all[0].credit = True
    app.all[0].send(window(0, 1 << 20) + window(app.requests[0].stream, 1 << 20))
    is_(c.response().body, b"%d" % (16 << 20))


@case
def bodies_both_ways_for_clients_of_both():
    fresh()
    app.on["/echo"] = lambda c, r: c.reply(r, r.body)
    body = os.urandom(3 << 20)
    assert get("/echo", "POST", body=body).body == body
    two = Client2()
    streams = [two.ask("/echo", "POST", body[:n]) for n in (3 << 20, 0, 1, 100000)]
    is_([two.answer(s).body == body[:n] for s, n in zip(streams, (3 << 20, 0, 1, 100000))], [True] * 4)
    is_(app.conns, 1)


def ends(send, code, times):
    fresh()
    is_(get("/warm").status, 200)
    c = app.all[0]
    until = time.monotonic() + LIMIT
    try:
        while time.monotonic() < until and app.open and times:
            c.send(send())
            times -= 1
    except OSError:
        pass
    eventually(lambda: app.open == 0)
    assert c.goaway in (code, None), c.goaway
    is_(get("/after").json()["conn"], 2)


def flood(send):
    ends(send, CALM, 1 << 30)


@case
def a_host_that_floods_is_left():
    flood(lambda: frame(PING, 0, 0, b"12345678") * 1000)
    flood(lambda: settings() * 1000)
    flood(lambda: frame(PRIORITY, 0, 1, b"\0\0\0\0\x01") * 1000)
    flood(lambda: frame(HEADERS, 0, 1) + frame(CONTINUATION, 0, 1) * 1000)
    flood(lambda: frame(0x77, 0, 0, b"x") * 1000)
    flood(lambda: window(0, 1) * 1000)
    eventually(lambda: metric("weft_http_multiplexed_abuse_total") == 6)


@case
def a_host_that_speaks_nonsense_is_left():
    ends(lambda: frame(DATA, 0, 0, b"x"), PROTOCOL, 1)
    ends(lambda: window(0, 0x7fffffff), FLOW, 1)
    ends(lambda: frame(PUSH, 4, 1, b"\0\0\0\2"), PROTOCOL, 1)
    ends(lambda: frame(HEADERS, 4, 1, b"\xff" * 20), COMPRESSION, 1)
    eventually(lambda: metric("weft_http_multiplexed_malformed_total") == 4)


def rows(of, name):
    """{label: value} of weft_{of}_multiplexed_{name}_total, zeros left out."""
    found = re.findall(rf'^weft_{of}_multiplexed_{name}_total{{([^}}]*)}} (\d+)$', admin("/metrics"), re.M)
    return {label: int(n) for label, n in found if n != "0"}


@case
def whose_it_was_is_counted():
    for name, owners in (("connects", {"app", "few", "three", "brief", "ping", "one", "late"}), ("resets", {"app", "few", "late", "ping"}), ("goaways", {"app"}),
                         ("silent", {"ping"}), ("abuse", {"app"}), ("malformed", {"app"})):
        eventually(lambda: sum(rows("cluster_http", name).values()) == metric(f"weft_http_multiplexed_{name}_total") != 0)
        clusters, hosts_ = rows("cluster_http", name), rows("host", name)
        seen = {re.fullmatch('cluster="(.*)"', x)[1]: n for x, n in clusters.items()}
        assert set(seen) <= owners, (name, seen)
        is_({re.match('cluster="(.*?)",host="127.0.0.1:900[1-6]"', x)[1]: n for x, n in hosts_.items()}, seen, name)


def listed(path, name):
    return next(x for x in json.loads(admin(path))[path[1:]] if x["name"] == name)


@case
def streams_and_connections_are_shown():
    fresh(few)
    go = held(few, "/few")
    c = Client2(8080)
    for i in range(5):
        c.ask("/few")
    eventually(lambda: len(few.requests) == 5)
    eventually(lambda: metric("weft_listener_streams") == 5 and metric("weft_listener_multiplexed") >= 1)
    counts = lambda: listed("/clusters", "few")["hosts"][0].get("counts", {})
    eventually(lambda: (counts().get("active"), counts().get("connections")) == (5, 3))
    table = subprocess.run([os.environ["WEFT"], "clusters", "few", "-o", "wide"], capture_output=True, check=True, text=True).stdout.splitlines()
    row = dict(zip(table[0].split(), table[1].split()))
    is_((row["ACTIVE"], row["CONNECTIONS"]), ("5", "3"))
    go.set()
    c.sock.shutdown(socket.SHUT_RDWR)
    fresh(few)
    eventually(lambda: (counts()["active"], counts()["connections"]) == (0, 0))
    eventually(lambda: metric("weft_listener_streams") == 0)


@case
def changed_settings_take_new_connections():
    fresh()
    go = held(app, "/x")
    t = in_threads(1, lambda i: get("/x").body)
    eventually(lambda: len(app.requests) == 1)
    subprocess.run(["bash", os.environ["T"] + "/reload"], check=True)
    # In HTTP/1.1, which this host does not speak.
    eventually(lambda: get("/y").status == 502)
    eventually(lambda: app.open == 1)
    go.set()
    is_(joined(*t), [b"held"])
    eventually(lambda: app.open == 0)
    is_(app.all[0].goaway, 0)


run(sys.argv[1:])
PY
{ declare -f cluster route write_file config; echo "T='$T'; config http; kill -HUP $WEFTD_PID"; } > "$T/reload"
PYTHONPATH=$SRC/test/lib T=$T WEFT=$B/weft $PY "$T/cases.py" "$@"

none_left() { [ "$(metric weft_http_active)" = 0 ] && [ "$(metric weft_listener_streams)" = 0 ] && [ "$(metric weft_listener_multiplexed)" = 0 ]; }
wait_for 60 none_left
weftd_stop
